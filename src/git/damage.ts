import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MAIN } from './commit.ts';
import type { Git } from './git.ts';
import { FOLDER, GITLINK, readTree, textOf } from './trees.ts';

/** An object that cannot be read (`Damage` of src/trace/main.ts). */
interface Damage {
  oid: string;
  what: 'commit' | 'tree' | 'blob' | 'object';
  gone: boolean;
  commit: string | null;
  path: string | null;
}

interface Place {
  what: 'commit' | 'tree' | 'blob';
  commit: string;
  path: string | null;
}

/** Objects that are looked at one by one; a broken disk need not be listed whole. */
const MOST = 1000;
const WORDS = /checksum|corrupt|inflate|mismatch|truncat|unable to|cannot be (?:read|accessed|mapped)/i;

interface Found {
  objects: Damage[];
  /** What else is wrong, in Git's words. */
  faults: string[];
}

/** Reads every object there is, and names those that are damaged, or missing though `main` or a run's work needs them. */
export async function findDamage(git: Git): Promise<Found> {
  const found = await look(git);
  // A gateway that packs meanwhile takes away what is about to be read: that is gone at the second look.
  return found.objects.length === 0 && found.faults.length > 0 ? look(git) : found;
}

async function look(git: Git): Promise<Found> {
  const roots = (await git.text(['for-each-ref', '--format=%(objectname)', MAIN, 'refs/ruche'])).split('\n');
  const flags = ['--full', '--no-dangling', '--no-reflogs', '--no-progress'];
  const looked = await git.run(['fsck', ...flags, ...new Set(roots.filter(Boolean))], {
    accept: Array.from({ length: 256 }, (_, code) => code),
    timeoutMs: 3_600_000,
  });
  if (looked.code === 0) return { objects: [], faults: [] };
  const said = `${looked.stdout.toString('utf8')}\n${looked.stderr}`;
  const bad = new Map<string, 'gone' | 'damaged'>();
  for (const oid of named(said, roots)) {
    const state = await stateOf(git, oid);
    if (state !== 'whole') bad.set(oid, state);
  }
  const places = bad.size === 0 ? new Map<string, Place>() : await locate(git, bad);
  const objects = [...bad].map(([oid, state]): Damage => {
    const place = places.get(oid) ?? { what: 'object', commit: null, path: null };
    return { oid, gone: state === 'gone', ...place };
  });
  const faults = said.split('\n').filter((line) => /^(?:error|fatal): /.test(line) && WORDS.test(line));
  return { objects, faults: faults.slice(0, 3) };
}

/** Every id that Git names, also as the path of a file. What only looks odd to it is told apart by reading it. */
function named(said: string, roots: readonly string[]): string[] {
  const joined = said.replace(/\b([0-9a-f]{2})\/([0-9a-f]{38}(?:[0-9a-f]{24})?)\b/g, '$1$2');
  const ids = joined.match(/\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b/g) ?? [];
  return [...new Set([...ids, ...roots.filter(Boolean)])].slice(0, MOST);
}

async function stateOf(git: Git, oid: string): Promise<'whole' | 'gone' | 'damaged'> {
  try {
    const object = await git.object(oid);
    // Git calls a file that it cannot read missing, too.
    const file = join(git.neutral.objects, oid.slice(0, 2), oid.slice(2));
    if (object === null) return existsSync(file) ? 'damaged' : 'gone';
    const hash = createHash(git.neutral.objectFormat).update(`${object.type} ${object.bytes.length}\0`);
    return hash.update(object.bytes).digest('hex') === oid ? 'whole' : 'damaged';
  } catch {
    // Git ends where it reads it.
    return 'damaged';
  }
}

/** Where the bad objects stand: of each the oldest commit of `main` that has it, as far back as commits can be read. */
async function locate(git: Git, bad: ReadonlyMap<string, unknown>): Promise<Map<string, Place>> {
  const found = new Map<string, Place>();
  const within = finder(git, bad);
  const tip = (await git.resolve(MAIN).catch(() => null)) ?? '';
  const seen = new Set([tip]);
  for (const commit of seen) {
    if (bad.has(commit)) {
      found.set(commit, { what: 'commit', commit, path: null });
      continue;
    }
    const object = await git.object(commit).catch(() => null);
    const text = object?.type === 'commit' ? object.bytes.toString('latin1') : '';
    const header = text.slice(0, text.indexOf('\n\n'));
    for (const [oid, { path, what }] of await within(/^tree ([0-9a-f]+)$/m.exec(header)?.[1] ?? ''))
      found.set(oid, { what, commit, path });
    for (const [, parent = ''] of header.matchAll(/^parent ([0-9a-f]+)$/gm)) seen.add(parent);
  }
  return found;
}

type Below = ReadonlyMap<string, { what: 'tree' | 'blob'; path: string }>;

/** Gives the bad objects below a tree by their paths; each tree is read once. */
function finder(git: Git, bad: ReadonlyMap<string, unknown>): (tree: string) => Promise<Below> {
  const known = new Map<string, Below>();
  const below = async (tree: string): Promise<Below> => {
    const before = known.get(tree);
    if (before) return before;
    const all = new Map<string, { what: 'tree' | 'blob'; path: string }>();
    if (bad.has(tree)) all.set(tree, { what: 'tree', path: '' });
    else
      for (const [bytes, { mode, oid }] of await readTree(git, tree).catch(() => [])) {
        const name = textOf(bytes);
        if (mode === FOLDER)
          for (const [inner, { what, path }] of await below(oid))
            all.set(inner, { what, path: path === '' ? name : `${name}/${path}` });
        else if (mode !== GITLINK && bad.has(oid)) all.set(oid, { what: 'blob', path: name });
      }
    known.set(tree, all);
    return all;
  };
  return below;
}
