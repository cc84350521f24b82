import { setImmediate as turn } from 'node:timers/promises';
import type { Git } from './git.ts';
import type { Objects } from './objects.ts';

export interface TreeEntry {
  mode: string;
  oid: string;
}

/** Keys are file names as bytes, one character a byte, so that names that are not UTF-8 pass through unharmed. */
type Tree = ReadonlyMap<string, TreeEntry>;

/** Path → what shall stand there; null removes a file. */
type Edits = ReadonlyMap<string, TreeEntry | null>;

type Edited = { ok: true; oid: string; stored: Promise<void> } | { ok: false; clash: string };

export const FOLDER = '40000';
export const GITLINK = '160000';

const bytesOf = (path: string): string => Buffer.from(path, 'utf8').toString('latin1');
export const textOf = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');

/** The entries of a tree, by its id or another name Git knows it by. */
export async function readTree(git: Git, name: string): Promise<Tree> {
  const found = await git.object(name);
  if (found?.type !== 'tree') throw new Error(`the repository has no tree ${name}; run: git fsck`);
  return parseTree(found.bytes, git.neutral.objectFormat === 'sha256' ? 32 : 20);
}

function parseTree(bytes: Buffer, idLength: number): Tree {
  const tree = new Map<string, TreeEntry>();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(32, at);
    const end = bytes.indexOf(0, space);
    const oid = bytes.toString('hex', end + 1, end + 1 + idLength);
    tree.set(bytes.toString('latin1', space + 1, end), { mode: bytes.toString('latin1', at, space), oid });
    at = end + 1 + idLength;
  }
  return tree;
}

function treeBytes(tree: Tree): Buffer {
  // Git sorts folders as if their names ended in a slash.
  const named = [...tree].map(([name, entry]) => ({ name, entry, key: entry.mode === FOLDER ? `${name}/` : name }));
  named.sort((a, b) => (a.key < b.key ? -1 : 1));
  return Buffer.concat(
    named.flatMap(({ name, entry }) => [
      Buffer.from(`${entry.mode} ${name}\0`, 'latin1'),
      Buffer.from(entry.oid, 'hex'),
    ]),
  );
}

interface EditNode {
  leaf?: TreeEntry | null;
  children: Map<string, EditNode>;
}

function nest(edits: Edits): EditNode {
  const root: EditNode = { children: new Map() };
  for (const [path, entry] of edits) {
    let node = root;
    for (const part of bytesOf(path).split('/')) {
      const next: EditNode = node.children.get(part) ?? { children: new Map() };
      node.children.set(part, next);
      node = next;
    }
    node.leaf = entry;
  }
  return root;
}

const adds = (node: EditNode): boolean => Boolean(node.leaf) || [...node.children.values()].some(adds);

/** A file stands where a folder is needed, or the other way round. */
class Clash extends Error {}

/** Names after which others get their turn: a change of twenty thousand files would hold up everything else. */
const BREATH = 500;

/** Trees of a repository: looked up, and edited into new ones, in this process. */
export class Trees {
  readonly #git: Git;
  readonly #objects: Objects;
  /** By entries, which take up to 200 bytes each: every landing makes a tree of each folder above its files. */
  readonly #trees = new Lru<Tree>(30_000);
  readonly #commits = new Lru<string>(2000);
  #steps = 0;

  constructor(git: Git, objects: Objects) {
    this.#git = git;
    this.#objects = objects;
  }

  async #tree(oid: string): Promise<Tree> {
    const cached = this.#trees.get(oid);
    if (cached) return cached;
    const tree = await readTree(this.#git, oid);
    this.#trees.set(oid, tree, tree.size + 1);
    return tree;
  }

  /** The tree of a commit (a tree's own id stays as it is). */
  async of(commit: string): Promise<string> {
    const cached = this.#commits.get(commit);
    if (cached !== undefined) return cached;
    const found = await this.#git.object(commit);
    if (found?.type === 'tree') return found.oid;
    const match = /^tree ([0-9a-f]+)\n/.exec(found?.type === 'commit' ? found.bytes.toString('latin1', 0, 80) : '');
    if (!match?.[1]) throw new Error(`the repository has no commit ${commit}`);
    this.#commits.set(commit, match[1]);
    return match[1];
  }

  /** What stands at a path below a tree: file, link, folder or sub-module. The empty path is the tree itself. */
  async at(tree: string, path: string): Promise<TreeEntry | null> {
    let entry: TreeEntry = { mode: FOLDER, oid: tree };
    if (path === '') return entry;
    for (const part of bytesOf(path).split('/')) {
      if (entry.mode !== FOLDER) return null;
      const next = (await this.#tree(entry.oid)).get(part);
      if (!next) return null;
      entry = next;
    }
    return entry;
  }

  /** The names in a folder below a tree; none where there is no folder. */
  async names(tree: string, folder: string): Promise<string[]> {
    const entry = await this.at(tree, folder);
    return entry?.mode === FOLDER ? [...(await this.#tree(entry.oid)).keys()].map(textOf) : [];
  }

  /** The tree with files put in and taken out; empty folders vanish. Null means the empty tree. */
  async edit(tree: string | null, edits: Edits): Promise<Edited> {
    const writes: Promise<void>[] = [];
    try {
      const oid = (await this.#apply(tree, nest(edits), '', writes)) ?? this.#write(new Map(), writes);
      const stored = Promise.all(writes).then(() => undefined);
      // A caller that needs the tree awaits `stored`; until then a failure is not unhandled.
      stored.catch(() => undefined);
      return { ok: true, oid, stored };
    } catch (error) {
      await Promise.allSettled(writes);
      if (error instanceof Clash) return { ok: false, clash: error.message };
      throw error;
    }
  }

  #write(tree: Tree, writes: Promise<void>[]): string {
    const { oid, stored } = this.#objects.put('tree', treeBytes(tree));
    this.#trees.set(oid, tree, tree.size + 1);
    writes.push(stored);
    return oid;
  }

  async #apply(oid: string | null, node: EditNode, at: string, writes: Promise<void>[]): Promise<string | null> {
    const old: Tree = oid === null ? new Map<string, TreeEntry>() : await this.#tree(oid);
    const tree = new Map(old);
    let changed = oid === null;
    for (const [name, edit] of node.children) {
      this.#steps += 1;
      if (this.#steps % BREATH === 0) await turn();
      const before = old.get(name);
      const after = await this.#entry(before, edit, at === '' ? name : `${at}/${name}`, writes);
      if (after?.oid === before?.oid && after?.mode === before?.mode) continue;
      changed = true;
      if (after) tree.set(name, after);
      else tree.delete(name);
    }
    if (tree.size === 0) return null;
    return changed ? this.#write(tree, writes) : oid;
  }

  async #entry(
    before: TreeEntry | undefined,
    edit: EditNode,
    at: string,
    writes: Promise<void>[],
  ): Promise<TreeEntry | undefined> {
    let rest = before;
    if (edit.children.size > 0) {
      const below = [...edit.children.values()].some(adds);
      const isFile = before !== undefined && before.mode !== FOLDER;
      if (below && (edit.leaf || (isFile && edit.leaf === undefined))) throw new Clash(textOf(at));
      if (below || !isFile) {
        const oid = await this.#apply(isFile ? null : (before?.oid ?? null), { children: edit.children }, at, writes);
        rest = oid === null ? undefined : { mode: FOLDER, oid };
        if (!edit.leaf) return rest;
      }
    }
    if (edit.leaf === undefined) return rest;
    if (edit.leaf === null) return rest?.mode === FOLDER || rest?.mode === GITLINK ? rest : undefined;
    if (rest?.mode === FOLDER || rest?.mode === GITLINK) throw new Clash(textOf(at));
    return edit.leaf;
  }
}

/** A map that forgets what was used longest ago once the weights exceed the bound. */
export class Lru<Value> {
  readonly #items = new Map<string, { value: Value; weight: number }>();
  readonly #bound: number;
  #weight = 0;

  constructor(bound: number) {
    this.#bound = bound;
  }

  get(key: string): Value | undefined {
    const item = this.#items.get(key);
    if (!item) return undefined;
    this.#items.delete(key);
    this.#items.set(key, item);
    return item.value;
  }

  set(key: string, value: Value, weight = 1): void {
    this.delete(key);
    this.#items.set(key, { value, weight });
    this.#weight += weight;
    for (const oldest of this.#items.keys()) {
      if (this.#weight <= this.#bound || oldest === key) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#weight -= this.#items.get(key)?.weight ?? 0;
    this.#items.delete(key);
  }
}
