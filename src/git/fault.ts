import { FileRefused } from '../core/files.ts';
import { GitError } from './process.ts';

/** A path as a shell takes it. */
export const quotedPath = (path: string): string =>
  /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;

/** `git -C <dir> …` as a person types it. */
export const inShell = (dir: string, command: string): string => `git -C ${quotedPath(dir)} ${command}`;

export const lockHeld = (lock: string): string =>
  `another Git command works on the workspace, or has left its lock behind; if none runs, remove ${lock}`;

export const splitWords = (dir: string): string =>
  `the workspace has a split index, which is not supported; run: ${inShell(dir, 'update-index --no-split-index')}`;

function gitWords({ why, stderr, message, cause }: GitError, dir: string): string | null {
  if (why === 'aborted') return null;
  if (why === 'spawn') return (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT' ? message : null;
  if (why === 'timeout') return `${message}; see whether the disk of ${dir} answers`;
  const lock = /Unable to create '(.+?\.lock)': File exists/.exec(stderr)?.[1];
  // Refs are reached through the runtime's own folder.
  if (lock !== undefined) return lockHeld(lock.replace(/\/ruche\/(?:person\/)?(?=refs\/|packed-refs|HEAD)/, '/'));
  if (/No space left|Disk quota/.test(stderr)) return `the workspace's disk is full; free some space`;
  if (/Read-only file system/.test(stderr)) return `the workspace's disk is read-only; mount it for writing`;
  if (/sharedindex/.test(stderr)) return splitWords(dir);
  const first = stderr.trim().split('\n')[0] ?? '';
  return `Git could not work on it (${first.slice(0, 300) || message}); see what is wrong with: ${inShell(dir, 'status')}, then ${inShell(dir, 'fsck')}`;
}

const CODES: Readonly<Record<string, string>> = {
  ENOSPC: 'its disk is full; free some space',
  EDQUOT: 'its disk quota is used up; free some space',
  EROFS: 'its disk is read-only; mount it for writing',
  EACCES: 'the user that Ruche runs as may not use it; correct its owner and rights',
  EPERM: 'the user that Ruche runs as may not use it; correct its owner and rights',
  ENOENT: 'it is missing; put it back',
  ENOTDIR: 'a file is where a folder must be; put the folder back',
  EMFILE: 'too many files are open; raise the limit (ulimit -n)',
  ENFILE: 'too many files are open on this machine',
  EIO: 'its disk does not answer; look at the disk',
};

/** What Git or the file system has failed of, in words with what to do; null for what is neither. */
export function faultWords(error: unknown, dir: string): string | null {
  if (error instanceof GitError) return gitWords(error, dir);
  if (error instanceof FileRefused) return error.code === 'full' || error.code === 'readonly' ? error.message : null;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return null;
  return `${path ?? dir} cannot be used (${code}): ${CODES[code] ?? `${syscall} failed; look at it, and at its disk`}`;
}
