import { isUtf8 } from 'node:buffer';
import { isAbsolute } from 'node:path';
import type { FileEntry } from '../core/files.ts';
import type { Git } from './git.ts';
import { Lru } from './trees.ts';
import { GitError } from './process.ts';

/** All files below a tree, with sizes; kept for the trees that were asked for lately. */
export interface Listing {
  of(tree: string): Promise<Listed>;
}

interface Listed {
  entries: readonly FileEntry[];
  /** Paths that are not UTF-8, as they can be shown: no tool could name them. */
  unnamed: readonly string[];
}

const LINE = /^(\d{6}) blob ([0-9a-f]+) +(\d+)\t/;

/** Sub-modules are left out. */
function parse(output: Buffer): Listed {
  const entries: FileEntry[] = [];
  const unnamed: string[] = [];
  for (let at = 0; at < output.length;) {
    const end = output.indexOf(0, at);
    const item = output.subarray(at, end);
    at = end + 1;
    const tab = item.indexOf(9);
    const match = LINE.exec(item.toString('latin1', 0, tab + 1));
    const name = item.subarray(tab + 1);
    if (!match) continue;
    if (!isUtf8(name)) {
      unnamed.push(name.toString('utf8'));
      continue;
    }
    const mode = match[1] === '120000' || match[1] === '100755' ? match[1] : '100644';
    entries.push({ path: name.toString('utf8'), mode, oid: match[2] ?? '', size: Number(match[3]) });
  }
  return { entries, unnamed };
}

/** `bound`: entries kept over all trees; the newest listing is always kept. Each landing makes another tree, and an entry takes 200 bytes. */
export function openListing(git: Git, bound = 30_000): Listing {
  const cache = new Lru<Promise<Listed>>(bound);
  return {
    of(tree) {
      const cached = cache.get(tree);
      if (cached) return cached;
      const listed = git.run(['ls-tree', '-r', '-l', '-z', '--full-tree', tree]).then((result) => {
        const parsed = parse(result.stdout);
        cache.set(tree, listed, parsed.entries.length + parsed.unnamed.length + 1);
        return parsed;
      });
      cache.set(tree, listed);
      listed.catch(() => cache.delete(tree));
      return listed;
    },
  };
}

/**
 * Those of the paths that .gitignore files, `info/exclude` or the person's own patterns exclude, and which of these does.
 * `dir`: where the .gitignore files lie, if not in the working tree.
 */
export async function ignoredBy(
  git: Git,
  paths: readonly string[],
  dir: string | null = git.workTree,
): Promise<Map<string, string>> {
  const args = ['check-ignore', '--no-index', '--verbose', '-z', '--stdin'];
  // check-ignore refuses literal pathspecs; `./` keeps a leading colon from meaning anything.
  const input = paths.map((path) => `./${path}\0`).join('');
  try {
    const tree: Record<string, string> = dir === null ? {} : { GIT_WORK_TREE: dir };
    const result = await git.run(args, {
      input,
      env: { GIT_LITERAL_PATHSPECS: '0', ...tree },
      accept: [0, 1],
      ...(dir === null ? {} : { cwd: dir }),
    });
    const fields = result.stdout.toString('utf8').split('\0');
    const found = new Map<string, string>();
    for (let at = 0; at + 3 < fields.length; at += 4) {
      const [source = '', line = '', pattern = '', path = ''] = fields.slice(at, at + 4);
      // The last pattern that fits may say that the path is not ignored.
      if (!pattern.startsWith('!'))
        found.set(path.slice('./'.length), `${sourceName(git, source)}, line ${line} (${pattern})`);
    }
    return found;
  } catch (error) {
    if (!(error instanceof GitError) || !error.stderr.includes('beyond a symbolic link')) throw error;
    // One path below a link makes Git give up on all of them. Such a path cannot be written anyway.
    const [only] = paths;
    if (paths.length === 1 && only !== undefined) return new Map([[only, 'a symbolic link on the way to it']]);
    const each = await Promise.all(paths.map((path) => ignoredBy(git, [path], dir)));
    return new Map(each.flatMap((some) => [...some]));
  }
}

function sourceName({ neutral }: Git, source: string): string {
  if (source.startsWith(neutral.dir)) return '.git/info/exclude';
  return isAbsolute(source) ? "the owner's own list of ignored files (core.excludesFile)" : source;
}
