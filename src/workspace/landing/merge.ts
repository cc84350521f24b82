import { setImmediate as turn } from 'node:timers/promises';
import { isUtf8 } from 'node:buffer';
import type { Change } from '../../core/files.ts';
import { workspacePath } from '../../core/text/paths.ts';
import { putCommit } from '../../git/commit.ts';
import { fileMode, isFile } from '../overlay/path.ts';
import type { Git } from '../../git/git.ts';
import type { Objects } from '../../git/objects.ts';
import type { TreeEntry, Trees } from '../../git/trees.ts';

export interface MergeParts {
  git: Git;
  objects: Objects;
  trees: Trees;
}

export interface Conflict {
  path: string;
  /** For the model: both sides, or why there is no merging them. */
  text: string;
}

export interface Merged {
  /** What to put on main's tree. */
  edits: Map<string, TreeEntry | null>;
  /** The run's changes, as they are over main's tree; conflicting paths are left out. */
  changes: Change[];
  conflicts: Conflict[];
}

interface Both {
  change: Change;
  base: TreeEntry | null;
  mine: TreeEntry | null;
  main: TreeEntry | null;
}

const LINK = '120000';
/** Longest target a link may have; longer text is a file. */
const LINK_MAX = 4096;
const SHOWN = 8000;
const SHOWN_ALL = 32_000;

/**
 * True for a link that stays inside: relative, `..` only at its front and never above the root. With `..` further back
 * a chain of such links could climb out.
 */
export function staysInside(path: string, target: string): boolean {
  if (target === '' || target.startsWith('/') || target.includes('\0') || target.includes('\\')) return false;
  const parts = target.split('/');
  const up = parts.findIndex((part) => part !== '..');
  const down = up < 0 ? [] : parts.slice(up);
  const folder = path.split('/').slice(0, -1);
  const climbed = up < 0 ? parts.length : up;
  if (down.some((part) => part === '..' || part === '.' || part === '') || climbed > folder.length) return false;
  const landed = [...folder.slice(0, folder.length - climbed), ...down].join('/');
  return landed !== '' && workspacePath(landed).ok;
}

/** A link that an agent made and that leads outside becomes a plain file with the target as its text. */
export async function tamed(git: Git, path: string, entry: TreeEntry): Promise<TreeEntry> {
  if (entry.mode !== LINK) return entry;
  const info = await git.info(entry.oid);
  const target = info && info.size <= LINK_MAX ? await git.object(entry.oid) : null;
  const inside = target !== null && isUtf8(target.bytes) && staysInside(path, target.bytes.toString('utf8'));
  return inside ? entry : { ...entry, mode: '100644' };
}

const same = (a: TreeEntry | null, b: TreeEntry | null): boolean => a?.oid === b?.oid && a?.mode === b?.mode;

/** One is a link and the other a file: the same bytes mean something else. */
const typesDiffer = (a: TreeEntry | null, b: TreeEntry | null): boolean =>
  a !== null && b !== null && (a.mode === LINK) !== (b.mode === LINK);

/** What the run wants at a path: its blob, and its mode where the run changed it, else main's. Its text is never a link's target. */
async function wanted(
  parts: MergeParts,
  change: Change,
  base: TreeEntry | null,
  main: TreeEntry | null,
): Promise<TreeEntry | null> {
  if (change.oid === null) return null;
  const untouchedMode = base !== null && fileMode(base.mode) === change.mode;
  const inherits = untouchedMode && main !== null && main.mode !== LINK && base.oid === change.was;
  if (inherits) return { oid: change.oid, mode: main.mode };
  return tamed(parts.git, change.path, { oid: change.oid, mode: change.mode });
}

/** Paths after which others get their turn: what is remembered of trees waits for nothing. */
const BREATH = 500;

/** Sorts a run's changes into what applies to main as it is, and what has to be merged. */
export async function mergeChanges(
  parts: MergeParts,
  baseTree: string,
  mainTree: string,
  changes: readonly Change[],
): Promise<Merged> {
  const merged: Merged = { edits: new Map(), changes: [], conflicts: [] };
  const both: Both[] = [];
  const take = (change: Change, entry: TreeEntry | null, main: TreeEntry | null): void => {
    merged.edits.set(change.path, entry);
    const mode = fileMode(entry?.mode ?? change.mode);
    merged.changes.push({ path: change.path, mode, oid: entry?.oid ?? null, was: main?.oid ?? null });
  };
  for (const [at, change] of changes.entries()) {
    if (at % BREATH === BREATH - 1) await turn();
    const [base, there] = await Promise.all([
      parts.trees.at(baseTree, change.path),
      parts.trees.at(mainTree, change.path),
    ]);
    const main = isFile(there) ? there : null;
    const before = isFile(base) ? base : null;
    const mine = await wanted(parts, change, before, main);
    if (same(mine, main)) continue;
    const onlyMode = change.oid !== null && change.oid === change.was;
    if (onlyMode && base?.mode === mine?.mode) continue;
    if (typesDiffer(before, main)) both.push({ change, base: before, mine, main });
    else if ((main?.oid ?? null) === change.was) take(change, mine, main);
    else if (onlyMode && main && mine) take(change, { oid: main.oid, mode: mine.mode }, main);
    else both.push({ change, base: before, mine, main });
  }
  if (both.length > 0) await mergeBoth(parts, both, merged, take);
  return merged;
}

/** Merges the contents of paths that both sides changed, on trees that hold nothing else. */
async function mergeBoth(
  parts: MergeParts,
  both: readonly Both[],
  merged: Merged,
  take: (change: Change, entry: TreeEntry | null, main: TreeEntry | null) => void,
): Promise<void> {
  const { git, objects, trees } = parts;
  const side = async (pick: (one: Both) => TreeEntry | null, parents: string[]): Promise<string> => {
    const edits = new Map(both.map((one) => [one.change.path, pick(one)] as const));
    let tree = await trees.edit(null, edits);
    // Ancestors of different times can exclude each other; without one, differing contents are conflicts.
    if (!tree.ok) tree = await trees.edit(null, new Map());
    if (!tree.ok) throw new Error('the empty tree cannot be made');
    await tree.stored;
    const author = { name: 'ruche', email: 'ruche@ruche.invalid' };
    const commit = putCommit(objects, { tree: tree.oid, parents, author, at: 0, message: 'merge' });
    await commit.stored;
    return commit.oid;
  };
  const base = await side(({ change, base: before, mine }) => {
    if (change.was === null) return null;
    return { oid: change.was, mode: before?.oid === change.was ? before.mode : (mine?.mode ?? change.mode) };
  }, []);
  const [main, mine] = [await side((one) => one.main, [base]), await side((one) => one.mine, [base])];
  const args = ['merge-tree', '--write-tree', '-z', '--name-only', '--no-messages', main, mine];
  const result = await git.run(args, { accept: [0, 1] });
  const [tree = '', ...conflicting] = result.stdout.toString('utf8').split('\0').filter(Boolean);
  const names = new Set(conflicting);
  // A file against a folder is reported under a made-up name: then nothing counts as merged.
  const strange = conflicting.some((name) => !both.some((one) => one.change.path === name));
  let shown = 0;
  for (const one of both) {
    const entry = await trees.at(tree, one.change.path);
    if (!strange && !names.has(one.change.path) && !typesDiffer(one.main, one.mine)) {
      const clean = isFile(entry) ? entry : null;
      if (!same(clean, one.main)) take(one.change, clean, one.main);
      continue;
    }
    const text = await explain(git, one, entry, { main, mine }, Math.min(SHOWN, Math.max(0, SHOWN_ALL - shown)));
    shown += text.length;
    merged.conflicts.push({ path: one.change.path, text });
  }
}

async function readText(git: Git, entry: TreeEntry | null): Promise<string | null> {
  if (!entry) return null;
  const info = await git.info(entry.oid);
  if (!info || info.size > 1_000_000) return null;
  const object = await git.object(entry.oid);
  return object && isUtf8(object.bytes) && !object.bytes.includes(0) ? object.bytes.toString('utf8') : null;
}

const cut = (text: string, limit: number): string =>
  text.length <= limit ? text : `${text.slice(0, limit)}\n(${text.length - limit} more characters: read the file)`;

async function explain(
  git: Git,
  { change, main, mine }: Both,
  marked: TreeEntry | null,
  sides: { main: string; mine: string },
  limit: number,
): Promise<string> {
  const { path } = change;
  if (!main)
    return `${path}: removed on main, changed by you. Your version:\n${cut((await readText(git, mine)) ?? '(not text)', limit)}`;
  if (!mine)
    return `${path}: removed by you, changed on main. Version on main:\n${cut((await readText(git, main)) ?? '(not text)', limit)}`;
  const text = await readText(git, marked);
  if (text?.includes(`<<<<<<< ${sides.main}`) !== true)
    return `${path}: changed on main and by you, and the two cannot be merged as text. Main has ${main.oid} (mode ${main.mode}), you have ${mine.oid} (mode ${mine.mode}).`;
  const labelled = text
    .replaceAll(`<<<<<<< ${sides.main}`, '<<<<<<< on main')
    .replaceAll(`>>>>>>> ${sides.mine}`, '>>>>>>> by you');
  return `${path}: changed on main and by you in the same place.\n${cut(labelled, limit)}`;
}
