import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { splitWords } from './fault.ts';
import type { Git } from './git.ts';
import type { Neutral } from './neutral.ts';

/**
 * Whether the index is there and as Git wrote it. A power cut can cut it off, and Git itself would take what is left for
 * entries.
 */
export async function isIndexWhole({ index, objectFormat }: Neutral): Promise<boolean> {
  const bytes = await readFile(index).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return null;
  });
  const size = objectFormat === 'sha256' ? 32 : 20;
  if (bytes === null || bytes.length < 12 + size || bytes.toString('latin1', 0, 4) !== 'DIRC') return false;
  const sum = bytes.subarray(-size);
  // With `index.skipHash` it is left out.
  if (sum.every((byte) => byte === 0)) return true;
  return createHash(objectFormat).update(bytes.subarray(0, -size)).digest().equals(sum);
}

/** Says so if the person's index is in two files, of which a landing could only move one; null if it is one. */
export async function splitIndex(git: Git): Promise<string | null> {
  const names = await readdir(git.neutral.gitDir);
  // Those files stay for a while after the mend.
  if (!names.some((name) => name.startsWith('sharedindex.'))) return null;
  const shared = await git.text(['rev-parse', '--shared-index-path']).catch(() => 'unreadable');
  return shared === '' ? null : splitWords(git.workTree ?? git.neutral.gitDir);
}
