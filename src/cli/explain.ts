import { plain } from './io.ts';

const MENDS: Record<string, string> = {
  ENOSPC: 'The disk is full. Free some space and try again.',
  EDQUOT: 'The disk quota is used up. Free some space and try again.',
  EROFS: 'The disk is read-only. Remount it for writing, or choose another --home or --workspace.',
  EACCES: 'Permission denied. Correct the permissions, or choose another --home or --workspace.',
  EPERM: 'Permission denied. Correct the permissions, or choose another --home or --workspace.',
  ENOTDIR: 'Part of the path is a file, not a folder.',
  EEXIST: 'A file is where a folder must be. Move it away and try again.',
  EISDIR: 'A folder is where a file must be. Move it away and try again.',
  ENAMETOOLONG: 'The path is too long. Choose a shorter --home or --workspace.',
  EMFILE: 'Too many files are open. Raise the limit (ulimit -n) and try again.',
  EIO: 'The disk reports an error. Look at the disk, then try again.',
};

const COMMAND =
  /([`"]|: )ruche (?=(?:up|init|ask|answer|approve|deny|chat|approvals|tasks|login|pair|status|models|doctor|log|agents|skills|verify|schedules|triggers|escalations)\b)/g;

/** Hints of the network name the program plainly; where it is called otherwise, so do they. */
export const asCalled = (text: string, self: string): string =>
  self === 'ruche' ? text : text.replace(COMMAND, `$1${self} `);

/** An error as a sentence for a person. The operating system's own errors get the path and what to do. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return plain(String(error));
  const { code, path } = error as NodeJS.ErrnoException;
  const mend = code !== undefined && 'syscall' in error ? MENDS[code] : undefined;
  return plain(mend === undefined ? error.message : `Cannot use ${path ?? 'a file'} (${code}). ${mend}`);
}
