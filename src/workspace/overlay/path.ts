import type { FileMode } from '../../core/files.ts';
import { workspacePath } from '../../core/text/paths.ts';
import { FOLDER, GITLINK, type TreeEntry } from '../../git/trees.ts';

/** Modes of old repositories (100664) are read as the nearest of the three. */
export const fileMode = (mode: string): FileMode => (mode === '120000' || mode === '100755' ? mode : '100644');

export const isFile = (entry: TreeEntry | null): entry is TreeEntry =>
  entry !== null && entry.mode !== FOLDER && entry.mode !== GITLINK;

/** Null if the path is canonical and may be written; otherwise why not. */
export function badPath(path: string): string | null {
  const checked = workspacePath(path);
  if (!checked.ok) return checked.reason;
  if (path === '' || checked.path !== path) return `"${path}" is not a path relative to the workspace`;
  if (!path.isWellFormed()) return 'the path is not valid Unicode';
  // What file systems can hold, counted in bytes and with room for the workspace's own folder.
  if (Buffer.byteLength(path) > 2048) return 'the path is longer than 2048 bytes';
  return path.split('/').some((part) => Buffer.byteLength(part) > 255)
    ? 'a name in the path is longer than 255 bytes'
    : null;
}

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;

export const tooLarge = (path: string, size: number, limit: number): string =>
  `${path} has ${megabytes(size)}, more than the limit of ${megabytes(limit)}; keep files of that size outside the workspace`;
