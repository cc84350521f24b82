type PathResult = { ok: true; path: string } | { ok: false; reason: string };

const refuse = (reason: string): PathResult => ({ ok: false, reason });

/** `.git` in any spelling a file system may fold: case, trailing dots and spaces, HFS+ ignorable characters. */
function isGitFolder(part: string): boolean {
  const folded = part.replace(/[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g, '').toLowerCase();
  const bare = folded.replace(/[. ]+$/, '');
  return bare === '.git' || bare === 'git~1' || /^\.git[ .]*:/.test(folded);
}

/**
 * The canonical workspace-relative form of a path given by a model or a person: `/`-separated, no `.` or `..`.
 * `/workspace/…` is what a shell command sees and means the same. Everything else that leaves the workspace, or
 * reaches into `.git`, is refused with a reason.
 */
export function workspacePath(raw: string): PathResult {
  if (raw.includes('\0')) return refuse('the path contains a NUL character');
  if (raw.length > 4096) return refuse('the path is longer than 4096 characters');
  if (/%2e|%2f|%5c|%00/i.test(raw)) return refuse('the path contains percent-encoded separators');
  if (raw === '~' || raw.startsWith('~/')) return refuse('the home folder is outside the workspace');
  let rest = raw;
  if (rest === '/workspace' || rest.startsWith('/workspace/')) rest = rest.slice('/workspace'.length);
  else if (rest.startsWith('/') || /^[A-Za-z]:[\\/]/.test(rest) || rest.startsWith('\\\\'))
    return refuse('absolute paths are outside the workspace');
  const parts: string[] = [];
  for (const part of rest.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' || part.startsWith('..\\')) {
      if (parts.pop() === undefined || part !== '..') return refuse('the path leaves the workspace');
      continue;
    }
    if (isGitFolder(part)) return refuse('.git belongs to the runtime');
    if (part.length > 255) return refuse('a name in the path is longer than 255 characters');
    parts.push(part);
  }
  return { ok: true, path: parts.join('/') };
}

/** A name as a file system that folds case, Unicode forms, streams and trailing dots would find it. */
export const foldedPath = (path: string): string =>
  path
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .toLowerCase()
    .split('/')
    .map((part) => part.replace(/(?<=.):.*$/s, '').replace(/[. ]+$/, ''))
    .join('/');

/** A text as one word of a shell's line. Only what no shell reads otherwise stays bare; `~` does so except in front. */
export const shellWord = (text: string): string =>
  /^[\w./-][\w./~-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
