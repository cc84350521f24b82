/** A longer pattern is not looked at; see `usablePattern`. */
export const MAX_PATTERN = 1024;

/**
 * True if `items` fit `pattern`, where a pattern item for which `isStar` holds stands for any number of items. Going back
 * to the last star only is enough, which keeps the work at |pattern| × |items| whatever the pattern is.
 */
export function matchSequence(
  pattern: ArrayLike<string>,
  items: ArrayLike<string>,
  isStar: (item: string) => boolean,
  fits: (pattern: string, item: string) => boolean,
): boolean {
  let p = 0;
  let i = 0;
  let star = -1;
  let resume = 0;
  while (i < items.length) {
    const part = pattern[p];
    if (part !== undefined && isStar(part)) {
      star = p++;
      resume = i;
    } else if (part !== undefined && fits(part, items[i] as string)) {
      p++;
      i++;
    } else if (star >= 0) {
      p = star + 1;
      i = ++resume;
    } else return false;
  }
  while (p < pattern.length && isStar(pattern[p] as string)) p++;
  return p === pattern.length;
}

/** `*` stands for any characters, `?` for one (UTF-16 unit); everything else means itself. Case-sensitive. */
export function wildcardMatch(pattern: string, text: string): boolean {
  return matchSequence(
    pattern,
    text,
    (item) => item === '*',
    (item, char) => item === '?' || item === char,
  );
}

/** As `wildcardMatch` within a part between slashes; a part `**` stands for any number of parts, none included. */
export function segmentsMatch(pattern: string, text: string): boolean {
  return matchSequence(pattern.split('/'), text.split('/'), (part) => part === '**', wildcardMatch);
}

/** True for a path pattern that can be matched at all: not too long, and it stays in the workspace. */
export const usablePathPattern = (pattern: string): boolean =>
  pattern.length <= MAX_PATTERN && !pattern.split('/').includes('..');

/**
 * Matches a canonical workspace path. `notes/**` is the folder and all below it, and so is `notes/`; `*` stays within
 * one name and matches dotfiles too. Both sides are compared composed (NFC), since people and file systems differ there.
 */
export function pathMatch(pattern: string, path: string): boolean {
  if (!usablePathPattern(pattern)) return false;
  const parts = pattern.split('/').filter((part) => part !== '' && part !== '.');
  if (pattern.endsWith('/')) parts.push('**');
  return segmentsMatch(parts.join('/').normalize('NFC'), path.normalize('NFC'));
}

/** Endings of what a program has not finished loading. */
const PARTIAL = /\.(?:part|partial|crdownload|opdownload|filepart|aria2)$/i;

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
  // Programs that bring a file under another name, and rename it when it is whole: rsync, FTP servers, Nextcloud, Chrome.
  /^\.(?=.*\.[a-z]*[A-Z\d])(?=.*\.[A-Z]*[a-z\d]).+\.[A-Za-z\d]{6}$/,
  /^\.in\..+\.$/,
  /^\.pureftpd-upload\./,
  /^\..+\.~[0-9a-f]+$/,
  /^\.(?:com\.google\.Chrome|org\.chromium\.Chromium)\./,
];

/** Folders in which programs keep what nobody put there to be seen: what was removed, older copies, what is not whole yet. */
const ASIDE = [
  /^\.Trash(?:es|-\d+)?$/,
  /^(?:#recycle|\$RECYCLE\.BIN|System Volume Information|lost\+found)$/i,
  /^(?:@eaDir|#snapshot|\.stversions|\.stfolder|\.dropbox\.cache)$/,
  /^(?:\.AppleDouble|\.Spotlight-V100|\.fseventsd|__MACOSX)$/,
  // `rsync --delay-updates` and `--partial-dir`, Safari.
  /^(?:\.~tmp~|\.rsync-partial)$/,
  /\.[^.]+\.download$/i,
];

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

export const isPartial = (name: string): boolean => PARTIAL.test(name);

const isBeside = (name: string): boolean => isPartial(name) || BESIDE.some((kind) => kind.test(name));

const isAside = (path: string): boolean =>
  path
    .split('/')
    .slice(0, -1)
    .some((name) => ASIDE.some((kind) => kind.test(name)));

/** As `pathMatch`, for files that somebody means: what a program puts beside them fits only a pattern that names its kind. */
export const fileMatch = (pattern: string, path: string): boolean =>
  pathMatch(pattern, path) &&
  (!isBeside(nameOf(path)) || isBeside(nameOf(pattern))) &&
  (!isAside(path) || isAside(pattern));

/**
 * True if `from` is what a program calls `to` until it is whole: hidden, or with an ending more. What arrives so under a
 * name that nobody knows has to count as new, or it would never be looked at under its own.
 */
export function isDraftOf(from: string, to: string): boolean {
  const draft = nameOf(from);
  const name = nameOf(to);
  const at = draft.indexOf(name);
  return at >= 0 && draft !== name && (/^[.~]/.test(draft.slice(0, at)) || /^[.~]/.test(draft.slice(at + name.length)));
}
