import { FileRefused } from '../core/files.ts';
import { DISK_FULL, DISK_READ_ONLY, faultText, fileFault } from '../core/text/file-fault.ts';
import { shellWord } from '../core/text/paths.ts';
import { GitError } from './process.ts';
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import type { Git } from './git.ts';
import type { Neutral } from './neutral.ts';

/** `git -C <dir> …` as a person types it. */
export const inShell = (dir: string, command: string): string => `git -C ${shellWord(dir)} ${command}`;

export const lockHeld = (lock: string): string =>
  `another Git command works on the workspace, or has left its lock behind; if none runs, remove ${lock}`;

const splitWords = (dir: string): string =>
  `the workspace has a split index, which is not supported; run: ${inShell(dir, 'update-index --no-split-index')}`;

function gitWords({ why, stderr, message, cause }: GitError, dir: string): string | null {
  if (why === 'aborted') return null;
  if (why === 'spawn') return (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT' ? message : null;
  if (why === 'timeout') return `${message}; see whether the disk of ${dir} answers`;
  const lock = /Unable to create '(.+?\.lock)': File exists/.exec(stderr)?.[1];
  // Refs are reached through the runtime's own folder.
  if (lock !== undefined) return lockHeld(lock.replace(/\/ruche\/(?:person\/)?(?=refs\/|packed-refs|HEAD)/, '/'));
  if (/No space left|Disk quota/.test(stderr)) return `the workspace cannot be used: ${faultText(DISK_FULL)}`;
  if (/Read-only file system/.test(stderr)) return `the workspace cannot be used: ${faultText(DISK_READ_ONLY)}`;
  if (/sharedindex/.test(stderr)) return splitWords(dir);
  const first = stderr.trim().split('\n')[0] ?? '';
  return `Git could not work on it (${first.slice(0, 300) || message}); see what is wrong with: ${inShell(dir, 'status')}, then ${inShell(dir, 'fsck')}`;
}

/** What Git or the file system has failed of, in words with what to do; null for what is neither. */
export function faultWords(error: unknown, dir: string): string | null {
  if (error instanceof GitError) return gitWords(error, dir);
  if (error instanceof FileRefused) return error.code === 'full' || error.code === 'readonly' ? error.message : null;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return null;
  const fault =
    code === 'ENOENT'
      ? { wrong: 'it is missing', mend: 'put it back' }
      : (fileFault(code) ?? { wrong: `${syscall} failed`, mend: 'look at it, and at its disk' });
  return `${path ?? dir} cannot be used (${code}): ${faultText(fault)}`;
}

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
