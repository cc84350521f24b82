import { type BigIntStats, lstatSync, readdirSync } from 'node:fs';
import { lstat, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../core/ports/clock.ts';
import type { PersonCommit } from '../../core/ports/workspace.ts';
import type { PathChange } from '../../git/changed.ts';
import { putCommit, type Signature, mainCommit } from '../../git/commit.ts';
import { badPath, isFile } from '../overlay/path.ts';
import type { Git } from '../../git/git.ts';
import { convert, conversionsOf, type Conversion } from '../../git/conversions.ts';
import { isSecretName, keptOut } from '../overlay/kept-out.ts';
import { Lru, FOLDER, type TreeEntry, type Trees } from '../../git/trees.ts';
import { whyLeft } from './left.ts';
import type { Mover } from './move.ts';
import type { Mutex } from '../../core/time/mutex.ts';
import type { Objects } from '../../git/objects.ts';

export interface PersonParts {
  git: Git;
  objects: Objects;
  trees: Trees;
  mover: Mover;
  mutex: Mutex;
  clock: Clock;
  /** The person's Git identity. */
  identity: () => Promise<Signature>;
  /** Bytes of the largest file that is committed. */
  maxFile: number;
}

interface Differing {
  /** Paths to commit, with the mode of the file. */
  changed: Map<string, string>;
  /** Paths that differ and are not to be touched. */
  left: Set<string>;
}

/** What a file's inode says; equal stamps mean equal bytes, once the file is older than the clock's grain. */
interface Stamp {
  text: string;
  oid: string;
}

const GRAIN_MS = 100;
const ATTEMPTS = 4;

/** Commits what a person has changed in the working tree, under the person's name. */
export class Person {
  readonly #parts: PersonParts;
  readonly #root: string;
  readonly #stamps = new Lru<Stamp>(50_000);
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<PersonCommit | null> | null = null;

  constructor(parts: PersonParts, root: string) {
    this.#parts = parts;
    this.#root = root;
  }

  /** Tracked paths (null: all), and untracked ones that are named. Null if there was nothing. */
  async commit(paths: readonly string[] | null): Promise<PersonCommit | null> {
    if (paths === null) return this.#commitAll();
    const sound = paths.filter((path) => badPath(path) === null);
    const named = [...new Set(sound.map((path) => this.#named(path)))];
    const dirty = await this.#maybeDirty(named);
    return dirty.length === 0 ? null : this.#parts.mutex.run(() => this.commitLocked(dirty));
  }

  /** One check at a time; those who ask while it runs share the one after it, which sees what they have seen. */
  #commitAll(): Promise<PersonCommit | null> {
    if (this.#next) return this.#next;
    const mine = this.#running.then(async () => {
      this.#next = null;
      if ((await this.#differing(null)).changed.size === 0) return null;
      return this.#parts.mutex.run(() => this.commitLocked(null));
    });
    this.#next = mine;
    this.#running = mine.catch(() => undefined);
    return mine;
  }

  /** Those of the paths that are not certainly as on main. A fraction of a millisecond when all are. */
  async #maybeDirty(paths: readonly string[]): Promise<string[]> {
    const { git, trees } = this.#parts;
    const head = await mainCommit(git);
    if (head === null) return [];
    const tree = await trees.of(head);
    const dirty: string[] = [];
    for (const path of paths) if (!(await this.#isClean(path, await trees.at(tree, path)))) dirty.push(path);
    return dirty;
  }

  /** The path as it stands on the disk: `é` may be one character there, or two. */
  #named(path: string): string {
    if (/^[\0-\x7f]*$/.test(path) || !this.#isGone(path)) return path;
    let found = '';
    for (const part of path.split('/')) {
      const here = join(this.#root, found);
      if (found !== '' && this.#look(found)?.isDirectory() !== true) return path;
      const same = namesIn(here).filter((name) => name.normalize() === part.normalize());
      const name = same.includes(part) || same.length !== 1 ? part : same[0];
      found = found === '' ? `${name}` : `${found}/${name}`;
    }
    return found;
  }

  #look(path: string): BigIntStats | null {
    const parts = path.split('/');
    let found: BigIntStats | undefined;
    for (let depth = 1; depth <= parts.length; depth += 1) {
      found = lstatSync(join(this.#root, ...parts.slice(0, depth)), { bigint: true, throwIfNoEntry: false });
      // A link on the way leads to something that is not this path.
      if (!found || (depth < parts.length && !found.isDirectory())) return null;
    }
    return found ?? null;
  }

  /** False where nobody may look: Git takes that for gone. */
  #isGone(path: string): boolean {
    try {
      return this.#look(path) === null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      return false;
    }
  }

  async #isClean(path: string, main: TreeEntry | null): Promise<boolean> {
    const found = this.#look(path);
    if (!found) return main === null;
    if (found.isDirectory()) return main === null;
    if (!isFile(main) || !found.isFile() || main.mode === '120000') return false;
    if ((main.mode === '100755') !== ((found.mode & 0o100n) !== 0n)) return false;
    const text = [found.mtimeNs, found.ctimeNs, found.size, found.ino, found.mode].join(' ');
    const stamp = this.#stamps.get(path);
    if (stamp?.text === text) return stamp.oid === main.oid;
    if (found.size > BigInt(this.#parts.maxFile)) return false;
    const bytes = await readFile(join(this.#root, path)).catch(() => null);
    const after = this.#look(path);
    if (!bytes || after?.mtimeNs !== found.mtimeNs || after.ctimeNs !== found.ctimeNs) return false;
    const oid = this.#parts.objects.oid('blob', bytes);
    // A write within the same tick of the file system's clock would leave the stamp as it is.
    if (BigInt(this.#parts.clock.now() - GRAIN_MS) * 1_000_000n > found.ctimeNs) this.#stamps.set(path, { text, oid });
    return oid === main.oid;
  }

  /**
   * What differs from main in the working tree, as the person's own Git sees it. Their index stays theirs: left alone is what
   * is staged only in part, and what is only staged as new unless it is named.
   */
  async #differing(paths: readonly string[] | null): Promise<Differing> {
    const { git } = this.#parts;
    const flags = ['--porcelain=v2', '-z', '--no-renames', '--untracked-files=no', '--ignore-submodules=all'];
    const { stdout } = await git.run(['status', ...flags, '--', ...(paths ?? [])], { env: git.asPerson });
    const found: Differing = { changed: new Map(), left: new Set() };
    for (const record of stdout.toString('utf8').split('\0')) {
      // 1 <staged and not> <sub-module> <modes of HEAD, index, file> <objects of HEAD, index> <path>; u: not merged.
      const [kind, state = '', , , , mode = ''] = record.split(' ', 6);
      const path = record
        .split(' ')
        .slice(kind === 'u' ? 10 : 8)
        .join(' ');
      // Names that are not UTF-8 stay uncommitted and untouched.
      if ((kind !== '1' && kind !== 'u') || path.includes('\uFFFD') || mode === '160000') continue;
      const isNew = state === 'A.' || state === '.A';
      const halfStaged = kind === 'u' || (!state.includes('.') && state !== 'DD');
      const unstaged = state[0] === 'D' && this.#look(path) !== null;
      if (halfStaged || unstaged || (isNew && (isSecretName(path) || paths?.includes(path) !== true)))
        found.left.add(path);
      else found.changed.set(path, mode);
    }
    return found;
  }

  /** What `commit` could not commit, and why. `paths` null: whether there is any such, told without a name. */
  async unseen(paths: readonly string[] | null): Promise<{ path: string; why: string }[]> {
    const { mover } = this.#parts;
    const dirty = paths === null ? [] : await this.#maybeDirty(paths.filter((path) => badPath(path) === null));
    if (paths !== null && dirty.length === 0) return [];
    const held = (await mover.busy()) ?? (await mover.held());
    if (paths === null && held === null) return [];
    const { onMain } = await mover.state();
    if (!onMain) return [];
    const found = await this.#differing(paths === null ? null : dirty);
    if (paths === null) return found.changed.size > 0 && held !== null ? [{ path: '', why: held }] : [];
    // A call may look at a folder as such: it is in the way only where main has a file.
    const files = dirty.filter((path) => found.changed.has(path) || this.#look(path)?.isDirectory() !== true);
    const reasons = await this.#reasons(files, found, held);
    return [...reasons].map(([path, why]) => ({ path, why }));
  }

  /** Why what stands in these files is not committed for the person. */
  async explain(paths: readonly string[]): Promise<Map<string, string>> {
    return this.#reasons(paths, await this.#differing(paths), null);
  }

  #reasons(paths: readonly string[], { changed, left }: Differing, held: string | null): Promise<Map<string, string>> {
    const { git, maxFile } = this.#parts;
    return whyLeft({ git, maxFile, changed, left, held }, paths);
  }

  /** The same for callers that hold the mutex. */
  async commitLocked(paths: readonly string[] | null): Promise<PersonCommit | null> {
    const { git, trees, objects, mover, clock, identity } = this.#parts;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const main = await mainCommit(git);
      if (main !== null) await mover.follow(main);
      const seen = await mover.state();
      if (!seen.onMain || seen.busy !== null) return null;
      const head = await mainCommit(git);
      if (head === null) return null;
      const tree = await trees.of(head);
      const changes = await this.#changes(tree, paths);
      if (changes.length === 0) return null;
      const edited = await trees.edit(tree, new Map(changes.map((change) => [change.path, change.new])));
      if (!edited.ok) throw new Error(`${edited.clash} is a file and a folder at once; commit or move it by hand`);
      const author = await identity();
      const message = subjectOf(changes);
      const commit = putCommit(objects, { tree: edited.oid, parents: [head], author, at: clock.now(), message });
      await Promise.all([edited.stored, commit.stored]);
      const moved = await mover.person(head, commit.oid, changes, { note: `commit: ${message}`, seen });
      if (moved.ok) {
        const names = changes.map((change) => change.path);
        return { commit: commit.oid, author: `${author.name} <${author.email}>`, paths: names };
      }
      if (moved.why !== 'raced') return null;
    }
    return null;
  }

  async #changes(tree: string, paths: readonly string[] | null): Promise<PathChange[]> {
    const { git } = this.#parts;
    const replaced = paths ? await this.#replacedBy(tree, paths) : [];
    const { changed, left } = await this.#differing(paths && [...paths, ...replaced]);
    const untracked = paths ? await this.#untracked(tree, paths, changed) : [];
    for (const path of untracked) if (!left.has(path)) changed.set(path, '');
    if (git.workTree === null || changed.size === 0) return [];
    const changes = await this.#stored(tree, changed);
    return untracked.length === 0 ? changes : [...changes, ...(await this.#movedFrom(tree, changes))];
  }

  /** A file that was moved by hand is gone where it was: one commit has both, so that it is a move for others, too. */
  async #movedFrom(tree: string, changes: readonly PathChange[]): Promise<PathChange[]> {
    const { git, trees } = this.#parts;
    const fresh = new Set(changes.flatMap((change) => (change.old === null ? (change.new?.oid ?? []) : [])));
    const known = new Set(changes.map(({ path }) => path));
    const { stdout } = await git.run(['ls-files', '--deleted', '-z'], { env: git.asPerson });
    const gone: string[] = [];
    for (const path of new Set(stdout.toString('utf8').split('\0'))) {
      if (path === '' || known.has(path) || badPath(path) !== null || path.includes('\uFFFD')) continue;
      const there = await trees.at(tree, path);
      if (isFile(there) && fresh.has(there.oid) && this.#isGone(path)) gone.push(path);
    }
    return gone.length === 0 ? [] : this.#stored(tree, (await this.#differing(gone)).changed);
  }

  /** What stands at these paths, stored, beside what `main` has there. */
  async #stored(tree: string, changed: ReadonlyMap<string, string>): Promise<PathChange[]> {
    const { git, trees } = this.#parts;
    const conversions = await conversionsOf(git, [...changed.keys()]);
    const changes: PathChange[] = [];
    for (const [path, mode] of changed) {
      const conversion = conversions.get(path) ?? 'none';
      if (badPath(path) !== null) continue;
      const there = await trees.at(tree, path);
      const old = isFile(there) ? there : null;
      const next = await this.#read(path, mode, conversion);
      if (next === 'unreadable' || (next?.oid === old?.oid && next?.mode === old?.mode)) continue;
      changes.push({ path, old, new: next });
    }
    return changes;
  }

  /** Files of main in whose place a folder stands that holds one of these paths: they go with it, in one commit. */
  async #replacedBy(tree: string, paths: readonly string[]): Promise<string[]> {
    const found = new Set<string>();
    for (const path of paths) {
      for (const parent of foldersOf(path))
        if (isFile(await this.#parts.trees.at(tree, parent)) && this.#look(path) !== null) found.add(parent);
    }
    return [...found];
  }

  /** Whether a path can be main's: not if it is another repository's, or below a file that is still there for the person. */
  async #mayBeMains(tree: string, path: string, gone: Map<string, string>): Promise<boolean> {
    for (const parent of foldersOf(path)) {
      if (this.#look(`${parent}/.git`) !== null) return false;
      const there = await this.#parts.trees.at(tree, parent);
      if (there !== null && there.mode !== FOLDER && !(isFile(there) && gone.has(parent))) return false;
    }
    return true;
  }

  /** Named paths that Git does not know and may. */
  async #untracked(tree: string, paths: readonly string[], known: Map<string, string>): Promise<string[]> {
    const candidates: string[] = [];
    for (const path of paths) {
      const found = known.has(path) ? null : this.#look(path);
      if (!found || found.isDirectory() || !(found.isFile() || found.isSymbolicLink())) continue;
      const there = await this.#parts.trees.at(tree, path);
      if (there !== null && there.mode !== FOLDER) continue;
      if (await this.#mayBeMains(tree, path, known)) candidates.push(path);
    }
    if (candidates.length === 0) return [];
    const out = await keptOut(this.#parts.git, candidates);
    return candidates.filter((path) => !out.has(path));
  }

  /** Stores what stands at a path now. Null: nothing. A file that is being written is read until it holds still. */
  async #read(path: string, mode: string, conversion: Conversion): Promise<TreeEntry | null | 'unreadable'> {
    const { git, objects, maxFile } = this.#parts;
    const full = join(this.#root, path);
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const found = this.#look(path);
      if (!found || found.isDirectory()) return null;
      if (!found.isFile() && !found.isSymbolicLink()) return 'unreadable';
      // Only the person's own Git has the program that makes of the file what is to be committed.
      if (found.isFile() && conversion === 'filter') return 'unreadable';
      if (found.size > BigInt(maxFile)) return 'unreadable';
      const bytes = await (found.isFile() ? readFile(full) : readlink(full, 'buffer')).catch(() => null);
      const after = await lstat(full, { bigint: true }).catch(() => null);
      if (!bytes || after?.mtimeNs !== found.mtimeNs || after.ino !== found.ino) continue;
      const converted = found.isFile() && conversion === 'built-in' ? await convert(git, path, bytes) : null;
      if (converted === 'refused') return 'unreadable';
      const put = converted === null ? objects.put('blob', bytes) : null;
      await put?.stored;
      const oid = put?.oid ?? converted ?? '';
      if (found.isSymbolicLink()) return { oid, mode: '120000' };
      if (mode === '100644' || mode === '100755') return { oid, mode };
      return { oid, mode: (found.mode & 0o100n) === 0n ? '100644' : '100755' };
    }
    return 'unreadable';
  }
}

/** The folders above a path, the outermost first. */
const foldersOf = (path: string): string[] => {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
};

function subjectOf(changes: readonly PathChange[]): string {
  const first = changes[0];
  if (!first || changes.length > 1) return `Edit ${changes.length} files`;
  const verb = first.new === null ? 'Remove' : first.old === null ? 'Add' : 'Edit';
  return `${verb} ${first.path.replace(/\p{Cc}/gu, '?')}`;
}

/** None where nobody may look. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return [];
  }
}
