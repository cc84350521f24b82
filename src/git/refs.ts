import { mkdir, readFile, readdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSafeName } from '../core/ids.ts';
import { replaceFile } from '../platform/replace.ts';
import type { Git } from './git.ts';

// Refs of the runtime's own below one folder, in the form Git reads: every run that changes a file has one, and a
// process of Git for each would cost more than the rest of the step.

const pathOf = ({ neutral }: Git, ref: string): string => join(neutral.commonDir, ref);

const gone = (path: string): Promise<void> =>
  unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });

const packedRefs = ({ neutral }: Git): Promise<string> =>
  readFile(join(neutral.commonDir, 'packed-refs'), 'utf8').catch(() => '');

/** Points a ref at an object that is on disk. Waits in the file that Git takes for the lock of the ref. */
export async function writeRef(git: Git, ref: string, oid: string): Promise<void> {
  const path = pathOf(git, ref);
  const write = () => replaceFile(path, `${oid}\n`, { temp: `${path}.lock` });
  await write().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    // Git removes an empty folder when it packs the refs.
    await mkdir(dirname(path), { recursive: true });
    return write();
  });
}

/** Removes a ref, also one that Git cannot read. */
export async function removeRef(git: Git, ref: string): Promise<void> {
  const path = pathOf(git, ref);
  await gone(`${path}.lock`);
  await gone(path);
  if ((await packedRefs(git)).includes(` ${ref}\n`)) await git.run(['update-ref', '-d', '--', ref]);
}

/** Last parts of the names of the refs right below a folder such as `refs/ruche/runs`, whether Git can read them or not. */
export async function refsBelow(git: Git, folder: string): Promise<string[]> {
  const loose = await readdir(pathOf(git, folder)).catch(() => []);
  const packed = [...(await packedRefs(git)).matchAll(/^[0-9a-f]+ (.+)$/gm)].flatMap(([, ref = '']) =>
    ref.startsWith(`${folder}/`) ? [ref.slice(folder.length + 1)] : [],
  );
  return [...new Set([...loose, ...packed])].filter(isSafeName).sort();
}
