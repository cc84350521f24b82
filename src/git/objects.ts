import { createHash } from 'node:crypto';
import { mkdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deflate, deflateSync } from 'node:zlib';
import { faultText, fileFault } from '../core/text/file-fault.ts';
import { FileRefused } from '../core/files.ts';
import { replaceFile, syncFolder } from '../platform/replace.ts';
import type { Neutral } from './neutral.ts';

const compress = promisify(deflate);

export interface Stored {
  oid: string;
  /** Resolves once the object survives a power cut. */
  stored: Promise<void>;
}

/** Writes loose objects in this process: a tenth of what `git hash-object` costs, and durable. */
export interface Objects {
  oid(type: 'blob' | 'tree' | 'commit', bytes: Uint8Array): string;
  /** The id at once, the bytes soon: what names the object must wait for `stored`. */
  put(type: 'blob' | 'tree' | 'commit', bytes: Uint8Array): Stored;
}

/** Errors of the disk in words for people; others pass through. */
export function diskError(error: unknown, place: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const fault = fileFault(code);
  if (fault === null) return error;
  const refused = (why: FileRefused['code']): FileRefused =>
    new FileRefused(why, `${place} cannot be written (${code}): ${faultText(fault)}`);
  if (code === 'ENOSPC' || code === 'EDQUOT') return refused('full');
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM') return refused('readonly');
  return error;
}

export function openObjects(neutral: Neutral): Objects {
  /** Equal objects that are asked for while one is being written. Later ones are looked for: `git gc` may have removed it. */
  const writing = new Map<string, Promise<void>>();
  let count = 0;

  const frame = (type: string, bytes: Uint8Array): Buffer => Buffer.from(`${type} ${bytes.length}\0`, 'latin1');
  const oidOf = (type: string, bytes: Uint8Array): string =>
    createHash(neutral.objectFormat).update(frame(type, bytes)).update(bytes).digest('hex');

  const store = async (oid: string, type: string, bytes: Uint8Array): Promise<void> => {
    const folder = join(neutral.objects, oid.slice(0, 2));
    const path = join(folder, oid.slice(2));
    const now = new Date();
    // Touching it keeps a person's `git gc` from pruning an old unreachable object that is wanted again.
    const exists = await utimes(path, now, now).then(
      () => true,
      () => false,
    );
    if (exists) return;
    count += 1;
    // The name under which `git gc` looks for leftovers of crashed writers.
    const temp = join(folder, `tmp_obj_ruche_${process.pid}_${count}`);
    const whole = Buffer.concat([frame(type, bytes), bytes]);
    // Going to another thread costs more than squeezing a small file.
    const packed = whole.length < 16_384 ? deflateSync(whole, { level: 1 }) : await compress(whole, { level: 1 });
    const write = () => replaceFile(path, packed, { mode: 0o444, temp });
    try {
      await write().catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        await mkdir(folder, { recursive: true });
        await syncFolder(neutral.objects);
        return write();
      });
    } catch (error) {
      throw diskError(error, neutral.objects);
    }
  };

  return {
    oid: oidOf,
    put(type, bytes) {
      const oid = oidOf(type, bytes);
      const before = writing.get(oid);
      if (before) return { oid, stored: before };
      const stored = store(oid, type, bytes);
      writing.set(oid, stored);
      const over = (): boolean => writing.delete(oid);
      stored.then(over, over);
      return { oid, stored };
    },
  };
}
