import { basename } from 'node:path';
import { MAIN } from './commit.ts';
import type { Git } from './git.ts';
import type { TreeEntry } from './trees.ts';
import type { AddedFile, CommitDiff, LastChange } from '../core/ports/workspace.ts';

/** What moving `main` from one commit to another changes: both sides by path. */
export interface PathChange {
  path: string;
  old: TreeEntry | null;
  new: TreeEntry | null;
}

/** Puts one side of the paths in an index and notes the times of the files that stand for them. */
export async function setIndex(
  git: Git,
  index: string,
  paths: readonly PathChange[],
  side: 'old' | 'new',
): Promise<void> {
  const nothing = '0'.repeat(git.neutral.objectFormat === 'sha256' ? 64 : 40);
  const line = ({ path, ...sides }: PathChange): string => {
    const entry = sides[side];
    return entry ? `${entry.mode} ${entry.oid}\t${path}\0` : `0 ${nothing}\t${path}\0`;
  };
  // Removals first, so that a folder may become a file.
  const sorted = [...paths].sort((a, b) => Number(Boolean(a[side])) - Number(Boolean(b[side])));
  const env = { ...git.asPerson, GIT_INDEX_FILE: index };
  await git.run(['update-index', '-z', '--replace', '--index-info'], { env, input: sorted.map(line).join('') });
  await git.run(['update-index', '-q', '--refresh'], { env, accept: [0, 1] });
}

/** Files that differ between two commits or trees. Names that are not UTF-8 are left out. */
export async function changedPaths(git: Git, from: string, to: string): Promise<PathChange[]> {
  const args = ['diff-tree', '-r', '-z', '--raw', '--no-renames', '--full-index', '--no-commit-id', from, to];
  const fields = (await git.run(args)).stdout.toString('utf8').split('\0');
  const changes: PathChange[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [oldMode = '', newMode = '', oldOid = '', newOid = ''] = (fields[at] ?? '').slice(1).split(' ');
    const path = fields[at + 1] ?? '';
    if (path.includes('\uFFFD') || [oldMode, newMode].includes('160000')) continue;
    const entry = (mode: string, oid: string): TreeEntry | null => (mode === '000000' ? null : { mode, oid });
    changes.push({ path, old: entry(oldMode, oldOid), new: entry(newMode, newOid) });
  }
  return changes;
}

/** Files that are new or changed at `to`; null if one of the commits is gone. Without `from`: against its first parent. */
export async function addedFiles(git: Git, from: string | null, to: string): Promise<AddedFile[] | null> {
  for (const commit of [from, to])
    if (commit !== null && !/^[0-9a-f]{40,64}$/.test(commit)) throw new Error(`"${commit}" is not the id of a commit`);
  if ((await git.resolve(`${to}^{commit}`)) === null) return null;
  const before = from === null ? await git.resolve(`${to}^`) : await git.resolve(`${from}^{commit}`);
  if (before === null && from !== null) return null;
  if (before !== null) return withMoves(await changedPaths(git, before, to));
  const { stdout } = await git.run(['ls-tree', '-r', '-z', '--name-only', '--full-tree', to]);
  return stdout
    .toString('utf8')
    .split('\0')
    .filter((path) => path !== '' && !path.includes('\uFFFD'))
    .map((path) => ({ path, from: null }));
}

/** One file that is gone accounts for one that is new with its content; for one of its own name before all others. */
function withMoves(changes: readonly PathChange[]): AddedFile[] {
  const froms = new Map<string, string>();
  const taken = new Set<string>();
  for (const keyOf of [(path: string, oid: string) => `${oid} ${basename(path)}`, (_: string, oid: string) => oid]) {
    const gone = new Map<string, string[]>();
    for (const { path, old, new: now } of changes) {
      if (old === null || now !== null || taken.has(path)) continue;
      const key = keyOf(path, old.oid);
      const same = gone.get(key);
      if (same) same.push(path);
      else gone.set(key, [path]);
    }
    for (const { path, old, new: now } of changes) {
      const from = old !== null || now === null || froms.has(path) ? undefined : gone.get(keyOf(path, now.oid))?.pop();
      if (from === undefined) continue;
      froms.set(path, from);
      taken.add(from);
    }
  }
  return changes.flatMap(({ path, new: now }) => (now === null ? [] : [{ path, from: froms.get(path) ?? null }]));
}

const OPTIONS = ['-r', '--no-color', '--no-ext-diff', '--no-textconv', '--no-renames', '--root'];
/** Files of one commit that are named. */
const MAX_FILES = 1_000;
/** Bytes of their list. */
const MAX_LIST = 1_000_000;

type FileChange = Omit<CommitDiff['files'][number], 'binary' | 'patch'> & { sections: number };

/** What a commit changed against its first parent, or against nothing; null if there is no such commit. */
export async function commitDiff(git: Git, commit: string, limit: number): Promise<CommitDiff | null> {
  if (!/^[0-9a-f]{40,64}$/.test(commit)) return null;
  if ((await git.resolve(`${commit}^{commit}`)) === null) return null;
  const parent = await git.resolve(`${commit}^`);
  const between = parent === null ? [commit] : [parent, commit];
  const args = ['--end-of-options', ...between, '--'];
  const listed = await git.run(['diff-tree', ...OPTIONS, '--no-commit-id', '--name-status', '-z', ...args], {
    maxOutput: MAX_LIST,
    overflow: 'cut',
  });
  const changes = fileChanges(listed.stdout.toString('utf8'));
  const named = changes.slice(0, MAX_FILES);
  const { stdout } = await git.run(['diff-tree', ...OPTIONS, '--no-commit-id', '-p', ...args], {
    maxOutput: limit,
    overflow: 'cut',
  });
  const short = stdout.length >= limit;
  const sections = stdout
    .subarray(0, limit)
    .toString('utf8')
    .split(/^(?=diff --git )/m)
    .filter(Boolean);
  // The last one may have lost its end.
  if (short) sections.pop();
  const files = named.map(({ path, change, sections: count }) => {
    const patch = sections.splice(0, count).join('');
    return { path, change, binary: /^(?:Binary files |GIT binary patch)/m.test(header(patch)), patch };
  });
  return { files, cut: short || changes.length > named.length || listed.stdout.length >= MAX_LIST };
}

/** What stands before the first hunk: a line of a file can look like anything. */
const header = (patch: string): string => patch.split(/^@@ /m, 1)[0] ?? '';

function fileChanges(list: string): FileChange[] {
  const fields = list.split('\0');
  // What follows the last NUL is empty, or was cut off.
  fields.pop();
  const found: FileChange[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const status = fields[at] ?? '';
    const change = status === 'A' ? 'added' : status === 'D' ? 'removed' : 'changed';
    // A file that becomes a link is shown as one removed and one added.
    found.push({ path: fields[at + 1] ?? '', change, sections: status === 'T' ? 2 : 1 });
  }
  return found;
}

/** The last commit on `main` that changed a path; null if none did. */
export async function lastChange(git: Git, path: string): Promise<LastChange | null> {
  const format = '--format=%H%x00%an%x00%ct';
  const said = await git.text(['--literal-pathspecs', 'log', '-1', format, MAIN, '--', path]);
  const [commit = '', author = '', seconds = ''] = said.trim().split('\0');
  return commit === '' ? null : { commit, author, at: Number(seconds) * 1000 };
}
