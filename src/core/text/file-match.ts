import { pathMatch } from './glob.ts';

/** Endings of what a browser has not finished loading. */
const PARTIAL = /\.(?:part|partial|crdownload|opdownload)$/i;

/** What programs put beside the files of people: locks, copies in case of a crash, notes of a file manager. */
const BESIDE = [
  // macOS and Windows.
  /^\._/,
  /^\.DS_Store$/,
  /^(?:Thumbs\.db|desktop\.ini)$/i,
  // Office and LibreOffice.
  /^~\$/,
  /^\.~lock\..*#$/,
  // Editors.
  /~$/,
  /\.sw[a-px]$/i,
  /^\.#/,
  /^#.*#$/,
  /\.te?mp$/i,
  // File systems of other machines, and desktops that write a file anew.
  /^\.nfs[0-9a-f]+$/,
  /^\.fuse_hidden/,
  /^\.goutputstream-/,
];

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

export const isPartial = (name: string): boolean => PARTIAL.test(name);

const isBeside = (name: string): boolean => isPartial(name) || BESIDE.some((kind) => kind.test(name));

/** As `pathMatch`, for files that somebody means: what a program puts beside them fits only a pattern that names its kind. */
export const fileMatch = (pattern: string, path: string): boolean =>
  pathMatch(pattern, path) && (!isBeside(nameOf(path)) || isBeside(nameOf(pattern)));
