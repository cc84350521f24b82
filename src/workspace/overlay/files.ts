import type { Boundary } from '../../core/ports/boundary.ts';
import { FileRefused, type Change, type FileEntry, type FileMode, type Files } from '../../core/files.ts';
import { workspacePath } from '../../core/text/paths.ts';
import type { Listing } from '../../git/listing.ts';
import type { Git } from '../../git/git.ts';
import type { Objects } from '../../git/objects.ts';
import { FOLDER, GITLINK, type TreeEntry, type Trees } from '../../git/trees.ts';

export interface FilesParts {
  git: Git;
  objects: Objects;
  trees: Trees;
  listing: Listing;
  boundary: Boundary;
  /** Bytes of the largest file that is read or written. */
  maxFile: number;
}

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

  async stat(path: string): Promise<FileEntry | null> {
    const entry = await this.#entry(path);
    return entry && { path, mode: fileMode(entry.mode), oid: entry.oid, size: await this.#size(entry.oid, path) };
  }

  async read(path: string): Promise<{ entry: FileEntry; bytes: Uint8Array } | null> {
    const entry = await this.stat(path);
    if (!entry) return null;
    const { git, maxFile } = this.#parts;
    if (entry.size > maxFile) throw new FileRefused('too-large', tooLarge(path, entry.size, maxFile));
    const object = await git.object(entry.oid);
    if (!object) throw new Error(`the repository has lost ${entry.oid}, the content of ${path}; run: git fsck`);
    return { entry, bytes: object.bytes };
  }

  async #refuseClash(path: string): Promise<void> {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth += 1) {
      const parent = parts.slice(0, depth).join('/');
      if (await this.#entry(parent))
        throw new FileRefused('clash', `${parent} is a file, so ${path} cannot be put below it`);
    }
    const added = this.changes().some((change) => change.oid !== null && change.path.startsWith(`${path}/`));
    const stands = await this.#below(path);
    if (added || (stands?.mode === FOLDER && (await this.list(path)).length > 0))
      throw new FileRefused('clash', `${path} is a folder, so no file can have that name`);
    if (stands?.mode === GITLINK) throw new FileRefused('clash', `${path} is a sub-module, which agents cannot change`);
  }

  async write(path: string, bytes: Uint8Array, mode?: FileMode): Promise<Change> {
    const bad = badPath(path);
    if (bad !== null) throw new FileRefused('path', bad);
    const { objects, boundary, maxFile } = this.#parts;
    if (bytes.length > maxFile) throw new FileRefused('too-large', tooLarge(path, bytes.length, maxFile));
    await this.#refuseClash(path);
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

  async remove(path: string): Promise<Change | null> {
    const old = await this.#entry(path);
    if (!old) return null;
    const was = this.#changes.get(path);
    const change: Change = { path, mode: fileMode(old.mode), oid: null, was: was ? was.was : old.oid };
    this.#changes.set(path, change);
    return { ...change };
  }

  async list(folder: string): Promise<FileEntry[]> {
    const prefix = folder === '' ? '' : `${folder}/`;
    const below = await this.#below(folder);
    const files = new Map<string, FileEntry>();
    if (below?.mode === FOLDER)
      for (const entry of await this.#parts.listing.of(below.oid))
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
