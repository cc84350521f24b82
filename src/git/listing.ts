import { isUtf8 } from 'node:buffer';
import type { FileEntry } from '../core/files.ts';
import type { Git } from './git.ts';
import { Lru } from './lru.ts';

/** All files below a tree, with sizes; kept for the trees that were asked for lately. */
export interface Listing {
  of(tree: string): Promise<readonly FileEntry[]>;
}

const LINE = /^(\d{6}) blob ([0-9a-f]+) +(\d+)\t/;

/** Sub-modules are left out, and so are names that are not UTF-8: no tool could name them. */
function parse(output: Buffer): FileEntry[] {
  const entries: FileEntry[] = [];
  for (let at = 0; at < output.length;) {
    const end = output.indexOf(0, at);
    const item = output.subarray(at, end);
    at = end + 1;
    const tab = item.indexOf(9);
    const match = LINE.exec(item.toString('latin1', 0, tab + 1));
    const name = item.subarray(tab + 1);
    if (!match || !isUtf8(name)) continue;
    const mode = match[1] === '120000' || match[1] === '100755' ? match[1] : '100644';
    entries.push({ path: name.toString('utf8'), mode, oid: match[2] ?? '', size: Number(match[3]) });
  }
  return entries;
}

/** `bound`: entries kept over all trees. */
export function openListing(git: Git, bound = 200_000): Listing {
  const cache = new Lru<Promise<readonly FileEntry[]>>(bound);
  return {
    of(tree) {
      const cached = cache.get(tree);
      if (cached) return cached;
      const listed = git.run(['ls-tree', '-r', '-l', '-z', '--full-tree', tree]).then((result) => {
        const entries = parse(result.stdout);
        cache.set(tree, listed, entries.length + 1);
        return entries;
      });
      cache.set(tree, listed);
      listed.catch(() => cache.delete(tree));
      return listed;
    },
  };
}
