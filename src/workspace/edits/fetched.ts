import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAIN } from '../../git/commit.ts';
import type { Git } from '../../git/git.ts';
import { GitError } from '../../git/process.ts';

// A commit that a person has made here may hold what somebody else wrote: `merge --squash`, `cherry-pick -n`, `apply --index`
// and `checkout FETCH_HEAD -- path` leave no other trace than that the same content lies in a commit that was fetched.

/** Commits of others that are looked through; where there are more, nothing can be said for certain. */
const MAX_COMMITS = 5000;
/** Changed files for which the look is limited to them. */
const MAX_PATHS = 500;
/** Bytes of a file whose lines are compared. */
const MAX_FILE = 1024 * 1024;

/** What others have committed and main has not merged, or has merged since. */
interface Foreign {
  blobs: ReadonlySet<string>;
  /** Each blob with those it came from, by the path they stand at. */
  at: ReadonlyMap<string, readonly Step[]>;
}

interface Step {
  was: readonly string[];
  now: string;
}

/** `git commit` by the person who sits here, as a reflog notes it. A commit that ends a merge brings in what is not theirs. */
export const isPersonal = (note: string): boolean => /^commit( \((amend|initial)\))?: /.test(note);

/** Whether a commit brings content of others: a whole file of theirs, or lines of theirs in the same file. */
export async function bringsFetched(git: Git, from: string, to: string): Promise<boolean> {
  try {
    return await brings(git, from, to);
  } catch (error) {
    // What cannot be looked through in time counts as brought: a person is asked, and what governs does not stand still.
    if (error instanceof GitError && error.why !== 'aborted') return true;
    throw error;
  }
}

async function brings(git: Git, from: string, to: string): Promise<boolean> {
  const changes = await changed(git, from, to);
  if (changes.length === 0) return false;
  const foreign = await foreignSince(git, from, changes);
  if (foreign === null) return true;
  if (foreign.blobs.size === 0) return false;
  for (const { path, was, now } of changes) {
    if (foreign.blobs.has(now)) return true;
    const theirs = foreign.at.get(path);
    if (theirs !== undefined && (await sharesNewLines(git, was, now, theirs))) return true;
  }
  return false;
}

/** Only commits that touch what was changed: others may have made thousands, which say nothing of it. */
async function foreignSince(git: Git, from: string, changes: readonly { path: string }[]): Promise<Foreign | null> {
  const head = (await git.resolve(MAIN)) ?? from;
  // The owner's own commits come back with a push; a person who works on them changes other files, or these anew.
  const own = new Set((await git.text(['rev-list', '--first-parent', `${from}..${head}`])).split('\n'));
  for (const id of await personal(git)) own.add(id);
  const refs = ['--exclude=refs/ruche/*', '--exclude=refs/stash', '--all', ...(await fetchHeads(git))];
  const flags = [
    '--raw',
    '--no-abbrev',
    '--no-renames',
    '-c',
    '-z',
    '--full-history',
    '--format=%x01%H',
    `--max-count=${MAX_COMMITS}`,
  ];
  // A command line holds only so many.
  const paths = changes.length > MAX_PATHS ? [] : ['--', ...changes.map(({ path }) => path)];
  const output = await git.text(['--literal-pathspecs', 'log', ...flags, ...refs, '--not', from, ...paths]);
  const commits = output.split('\u0001').slice(1);
  if (commits.length === MAX_COMMITS) return null;
  const blobs = new Set<string>();
  const at = new Map<string, Step[]>();
  for (const commit of commits) {
    const [id = '', ...items] = commit.split('\0').map((item) => item.replace(/^\n+/, ''));
    if (own.has(id)) continue;
    for (const [index, item] of items.entries()) {
      if (!item.startsWith(':')) continue;
      // Of a merge, what differs from all its parents: the last id is that of the result.
      const ids = item.match(/\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b/g) ?? [];
      const blob = ids.at(-1) ?? '';
      const path = items[index + 1] ?? '';
      if (/^0*$/.test(blob)) continue;
      blobs.add(blob);
      at.set(path, [...(at.get(path) ?? []), { was: ids.slice(0, -1), now: blob }]);
    }
  }
  return { blobs, at };
}

/** Commits that the person has made here, on whatever branch. */
async function personal({ neutral }: Git): Promise<string[]> {
  const text = await readFile(join(neutral.gitDir, 'logs', 'HEAD'), 'utf8').catch(() => '');
  const entries = text.matchAll(/^[0-9a-f]+ ([0-9a-f]{40,64}) .*?\t(.*)$/gm);
  return [...entries].flatMap(([, id = '', note = '']) => (isPersonal(note) ? [id] : []));
}

/** What the last fetch brought, whether it has a ref or not. */
async function fetchHeads({ neutral, ...git }: Git): Promise<string[]> {
  const text = await readFile(join(neutral.gitDir, 'FETCH_HEAD'), 'utf8').catch(() => '');
  const ids = [...text.matchAll(/^([0-9a-f]{40,64})\t/gm)].map(([, id = '']) => id);
  const there = await Promise.all(ids.map(async (id) => ((await git.info(id)) === null ? [] : [id])));
  return there.flat();
}

async function changed(git: Git, from: string, to: string) {
  const output = await git.text(['diff-tree', '-r', '-z', '--no-renames', '--no-abbrev', from, to]);
  const items = output.split('\0');
  return items.flatMap((item, index) => {
    const [, , was = '', now = ''] = item.startsWith(':') ? item.split(' ') : [];
    return now === '' || /^0+$/.test(now) ? [] : [{ path: items[index + 1] ?? '', was, now }];
  });
}

/** Whether a file has a line that it did not have before and that one of theirs has brought. */
async function sharesNewLines(git: Git, was: string, now: string, theirs: readonly Step[]): Promise<boolean> {
  const before = await linesOf(git, was);
  const fresh = [...(await linesOf(git, now))].filter((line) => !before.has(line));
  for (const step of theirs) {
    const lines = await linesOf(git, step.now);
    const old = await Promise.all(step.was.map((blob) => linesOf(git, blob)));
    if (fresh.some((line) => lines.has(line) && !old.some((had) => had.has(line)))) return true;
  }
  return false;
}

/** Lines with a word in them. */
async function linesOf(git: Git, blob: string): Promise<Set<string>> {
  const info = /^0+$/.test(blob) ? null : await git.info(blob);
  if (info?.type !== 'blob' || info.size > MAX_FILE) return new Set();
  const text = (await git.object(blob))?.bytes.toString('utf8') ?? '';
  return new Set(text.split('\n').flatMap((line) => (/[\p{L}\p{N}]/u.test(line) ? [line.trim()] : [])));
}
