import type { Change } from '../../core/files.ts';
import { badPath } from './files.ts';
import type { TreeEntry, Trees } from '../../git/trees.ts';

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
