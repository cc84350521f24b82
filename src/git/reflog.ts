import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Git } from './git.ts';

/** Bytes of a log's end that are read. */
const TAIL = 4 * 1024 * 1024;

export interface Logged {
  from: string;
  to: string;
  note: string;
}

/** How a ref moved, as Git has taken it down; the newest last. */
export async function reflog({ neutral }: Pick<Git, 'neutral'>, ref: string, tail = TAIL): Promise<Logged[]> {
  const text = await endOf(join(neutral.commonDir, 'logs', ref), tail);
  return text
    .split('\n')
    .map((line) => /^([0-9a-f]{40,64}) ([0-9a-f]{40,64}) .*?\t(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, from = '', to = '', note = '']) => ({ from, to, note }));
}

async function endOf(path: string, tail: number): Promise<string> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return '';
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.min(size, tail));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The runtime's own notes begin with its name. */
export const isRuntime = (note: string): boolean => /^ruche\b/.test(note);
