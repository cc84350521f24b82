import type { Boundary } from '../../core/ports/boundary.ts';
import { FileRefused, type Change, type FileEntry, type FileMode, type Files, type Place } from '../../core/files.ts';
import type { Listing } from '../../git/listing.ts';
import type { Git } from '../../git/git.ts';
import type { Objects } from '../../git/objects.ts';
import { FOLDER, GITLINK, type TreeEntry, type Trees } from '../../git/trees.ts';
import { obstacles } from './obstacles.ts';
import { badPath, fileMode, isFile, tooLarge } from './path.ts';

export interface FilesParts {
  git: Git;
  objects: Objects;
  trees: Trees;
  listing: Listing;
  boundary: Boundary;
  /** Bytes of the largest file that is read or written. */
  maxFile: number;
}

/** A run's view: an overlay of blob ids over a commit. Nothing is checked out. */
export class Overlay implements Files {
  readonly base: string;
  readonly #parts: FilesParts;
  readonly #changes = new Map<string, Change>();

  constructor(parts: FilesParts, base: string, changes: readonly Change[]) {
    this.#parts = parts;
    this.base = base;
    this.apply(changes);
  }

  changes(): Change[] {
    return [...this.#changes.values()];
  }

  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      // What lies under the first change of a path is what the landing merges against.
      const was = this.#changes.get(change.path);
      this.#changes.set(change.path, was ? { ...change, was: was.was } : { ...change });
    }
  }

  /**
   * The path as it stands here: macOS, archives and models write `é` as one character or as two, and mean one name. What
   * stands under the very name that is asked for goes first.
   */
  async #named(path: string): Promise<string> {
    if (/^[\0-\x7f]*$/.test(path) || this.#changes.has(path) || (await this.#below(path)) !== null) return path;
    let found = '';
    for (const part of path.split('/')) {
      const names = await this.#names(found);
      const same = names.has(part) ? [part] : [...names].filter((name) => name.normalize() === part.normalize());
      const [name = part, ...others] = same;
      found = `${found === '' ? '' : `${found}/`}${others.length === 0 ? name : part}`;
    }
    return found;
  }

  async #names(folder: string): Promise<Set<string>> {
    const { trees } = this.#parts;
    const prefix = folder === '' ? '' : `${folder}/`;
    const added = this.changes().filter(({ path, oid }) => oid !== null && path.startsWith(prefix));
    const names = added.map(({ path }) => path.slice(prefix.length).split('/')[0] ?? '');
    return new Set([...names, ...(await trees.names(await trees.of(this.base), folder))]);
  }

  async #below(path: string): Promise<TreeEntry | null> {
    return this.#parts.trees.at(await this.#parts.trees.of(this.base), path);
  }

  async #entry(path: string): Promise<TreeEntry | null> {
    const change = this.#changes.get(path);
    if (change) return change.oid === null ? null : { mode: change.mode, oid: change.oid };
    const entry = await this.#below(path);
    return isFile(entry) ? entry : null;
  }

  async #size(oid: string, path: string): Promise<number> {
    const info = await this.#parts.git.info(oid);
    if (info?.type !== 'blob') throw new Error(`the repository has lost ${oid}, the content of ${path}; run: git fsck`);
    return info.size;
  }

  async stat(asked: string): Promise<FileEntry | null> {
    const path = await this.#named(asked);
    const entry = await this.#entry(path);
    return entry && { path, mode: fileMode(entry.mode), oid: entry.oid, size: await this.#size(entry.oid, path) };
  }

  async read(path: string): Promise<{ entry: FileEntry; bytes: Uint8Array } | null> {
    const entry = await this.stat(path);
    if (!entry) return null;
    const { git, maxFile } = this.#parts;
    if (entry.size > maxFile) throw new FileRefused('too-large', tooLarge(entry.path, entry.size, maxFile));
    const object = await git.object(entry.oid);
    if (!object) throw new Error(`the repository has lost ${entry.oid}, the content of ${entry.path}; run: git fsck`);
    return { entry, bytes: object.bytes };
  }

  async about(asked: string): Promise<Place | null> {
    const path = await this.#named(asked);
    const change = this.#changes.get(path);
    const entry = change?.oid ? change : await this.#below(path);
    if (entry === null || (change?.oid === null && entry.mode !== FOLDER && entry.mode !== GITLINK)) return null;
    if (entry.mode === GITLINK) return 'sub-module';
    if (entry.mode === FOLDER) return 'folder';
    return entry.mode === '120000' ? 'link' : 'file';
  }

  async earlier(oid: string): Promise<Uint8Array | null> {
    const { git, maxFile } = this.#parts;
    const info = await git.info(oid);
    return info?.type !== 'blob' || info.size > maxFile ? null : ((await git.object(oid))?.bytes ?? null);
  }

  async #refuseClash(path: string): Promise<void> {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth += 1) {
      const parent = parts.slice(0, depth).join('/');
      const place = await this.about(parent);
      if (place === null || place === 'folder') continue;
      const what = { file: 'a file', link: 'a symbolic link', 'sub-module': 'a sub-module' }[place];
      throw new FileRefused('clash', `${parent} is ${what}, so ${path} cannot be put below it`);
    }
    const added = this.changes().some((change) => change.oid !== null && change.path.startsWith(`${path}/`));
    const stands = await this.#below(path);
    if (added || (stands?.mode === FOLDER && (await this.list(path)).length > 0))
      throw new FileRefused('clash', `${path} is a folder, so no file can have that name`);
    if (stands?.mode === GITLINK) throw new FileRefused('clash', `${path} is a sub-module, which agents cannot change`);
  }

  /** What could never come to `main` is refused now, while there is still something else to do. */
  async #refuseObstacle(path: string): Promise<void> {
    const { trees } = this.#parts;
    const why = (await obstacles(this.#parts, await trees.of(this.base), [path])).get(path);
    if (why === undefined) return;
    throw new FileRefused(
      'obstacle',
      `${path} could not be kept: ${why}. Write it elsewhere, or ask the owner to change that.`,
    );
  }

  async write(asked: string, bytes: Uint8Array, mode?: FileMode): Promise<Change> {
    const bad = badPath(asked);
    if (bad !== null) throw new FileRefused('path', bad);
    const path = await this.#named(asked);
    await this.#refuseClash(path);
    await this.#refuseObstacle(path);
    return this.#put(path, bytes, mode);
  }

  async place(asked: string, bytes: Uint8Array): Promise<Change> {
    const bad = badPath(asked);
    if (bad !== null) throw new FileRefused('path', bad);
    const path = await this.#named(asked);
    await this.#refuseClash(path);
    return this.#put(path, bytes);
  }

  async #put(path: string, bytes: Uint8Array, mode?: FileMode): Promise<Change> {
    const { objects, boundary, maxFile } = this.#parts;
    if (bytes.length > maxFile) throw new FileRefused('too-large', tooLarge(path, bytes.length, maxFile));
    const old = await this.#entry(path);
    const was = this.#changes.get(path);
    boundary('workspace.object.before');
    const { oid, stored } = objects.put('blob', bytes);
    await stored;
    boundary('workspace.object.after');
    const change: Change = {
      path,
      // Text written over a link makes a file: it must not become the target of a link.
      mode: mode ?? (old?.mode === '100755' ? '100755' : '100644'),
      oid,
      was: was ? was.was : (old?.oid ?? null),
    };
    this.#changes.set(path, change);
    return { ...change };
  }

  async remove(asked: string): Promise<Change | null> {
    const path = await this.#named(asked);
    const old = await this.#entry(path);
    if (!old) return null;
    const was = this.#changes.get(path);
    const change: Change = { path, mode: fileMode(old.mode), oid: null, was: was ? was.was : old.oid };
    this.#changes.set(path, change);
    return { ...change };
  }

  async list(asked: string): Promise<FileEntry[]> {
    const folder = await this.#named(asked);
    const prefix = folder === '' ? '' : `${folder}/`;
    const below = await this.#below(folder);
    const files = new Map<string, FileEntry>();
    if (below?.mode === FOLDER)
      for (const entry of (await this.#parts.listing.of(below.oid)).entries)
        files.set(prefix + entry.path, prefix === '' ? entry : { ...entry, path: prefix + entry.path });
    for (const change of this.#changes.values()) {
      if (!change.path.startsWith(prefix)) continue;
      if (change.oid === null) files.delete(change.path);
      else
        files.set(change.path, {
          path: change.path,
          mode: change.mode,
          oid: change.oid,
          size: await this.#size(change.oid, change.path),
        });
    }
    return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async unnamed(folder: string): Promise<readonly string[]> {
    const below = await this.#below(await this.#named(folder));
    return below?.mode === FOLDER ? (await this.#parts.listing.of(below.oid)).unnamed : [];
  }
}

/** The base with the changes put in. A path that fits nowhere is left out and named. */
export async function overlayTree(
  trees: Trees,
  base: string,
  changes: readonly Change[],
): Promise<{ tree: string; stored: Promise<void>; left: string[] }> {
  const edits = new Map<string, TreeEntry | null>();
  for (const { path, oid, mode } of changes)
    if (badPath(path) === null) edits.set(path, oid === null ? null : { oid, mode });
  const left: string[] = [];
  const baseTree = await trees.of(base);
  for (;;) {
    const edited = await trees.edit(baseTree, edits);
    if (edited.ok) return { tree: edited.oid, stored: edited.stored, left };
    const clashing = [...edits.keys()].filter((path) => path === edited.clash || path.startsWith(`${edited.clash}/`));
    if (clashing.length === 0) throw new Error(`${edited.clash} is a file and a folder at once`);
    for (const path of clashing) edits.delete(path);
    left.push(...clashing);
  }
}
