import { link, mkdir, readFile, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Mutex } from '../../core/time/mutex.ts';
import type { Git } from '../../git/git.ts';
import { replaceFile } from '../../platform/replace.ts';

/** Objects that one commit reaches, and no others: neither stashes nor other branches nor what was given up. */
export interface View {
  base: string;
  /** Where history ends, of a shallow clone: the text of Git's own file. */
  shallow: string;
  /** From the oldest to the newest; each holds what its commit reaches, and the one before does not. */
  packs: Pack[];
}

interface Pack {
  /** Without its ending. */
  name: string;
  base: string;
  bytes: number;
}

interface ViewsOptions {
  git: Git;
  /** A folder of their own, on one disk with what they are moved to. */
  dir: string;
  discard: (path: string) => Promise<void>;
}

/** Views that nobody uses are kept for the next command, so many at most. */
const KEPT = 6;
/** Packs of a view after which they are joined, as far as the first does not outweigh them. */
const PACKS = 12;
/** A large repository is packed once; then each commit adds its own objects. */
const PACK_MS = 600_000;

/**
 * Views for the sandbox, made as they are wanted. One of a commit that descends from another's shares its packs as hard links,
 * which is safe because commands see them read-only.
 */
export class Views {
  readonly #options: ViewsOptions;
  /** The last used comes last. */
  readonly #views = new Map<string, View>();
  readonly #holders = new Map<string, number>();
  readonly #turns = new Mutex();
  #made = 0;

  constructor(options: ViewsOptions) {
    this.#options = options;
  }

  /** Finds those that an earlier process has made; what is not whole goes. */
  async load(): Promise<void> {
    const { dir, discard } = this.#options;
    for (const name of await readdir(dir).catch(() => [])) {
      const view = await this.#read(name);
      if (view === null) await discard(join(dir, name));
      else this.#views.set(name, view);
    }
  }

  async #read(name: string): Promise<View | null> {
    try {
      const view = JSON.parse(await readFile(join(this.#options.dir, name, 'view.json'), 'utf8')) as View;
      const sizes = view.packs.map(async (pack) => {
        await stat(join(this.#packs(name), `${pack.name}.idx`));
        return (await stat(join(this.#packs(name), `${pack.name}.pack`))).size === pack.bytes;
      });
      return view.base === name && (await Promise.all(sizes)).every(Boolean) ? view : null;
    } catch {
      return null;
    }
  }

  /** The folder to be taken for Git's objects. */
  dirOf(base: string): string {
    return join(this.#options.dir, base, 'objects');
  }

  #packs(name: string): string {
    return join(this.dirOf(name), 'pack');
  }

  /** The view of a commit, which stays until it has been released as often as it was held. */
  hold(base: string): Promise<View> {
    return this.#turns.run(async () => {
      const shallow = await readFile(join(this.#options.git.neutral.commonDir, 'shallow'), 'utf8').catch(() => '');
      let view = this.#views.get(base);
      // A history that has grown longer, or shorter, since.
      if (view?.shallow !== shallow) view = await this.#make(base, shallow);
      this.#views.delete(base);
      this.#views.set(base, view);
      this.adopt(base);
      await this.#tidy();
      return view;
    });
  }

  /** Holds it for a command that an earlier process has left at work. */
  adopt(base: string): void {
    this.#holders.set(base, (this.#holders.get(base) ?? 0) + 1);
  }

  release(base: string): void {
    this.#holders.set(base, (this.#holders.get(base) ?? 1) - 1);
  }

  async #tidy(): Promise<void> {
    const idle = [...this.#views.keys()].filter((base) => (this.#holders.get(base) ?? 0) < 1);
    for (const base of idle.slice(0, -KEPT)) {
      this.#views.delete(base);
      this.#holders.delete(base);
      await this.#options.discard(join(this.#options.dir, base));
    }
  }

  async #make(base: string, shallow: string): Promise<View> {
    const { dir, discard } = this.#options;
    const before = await this.#ancestor(base, shallow);
    const shared = before === null ? [] : joined(before.packs);
    this.#made += 1;
    const own = join(dir, `new-${this.#made}`);
    await discard(own);
    const objects = join(own, 'objects');
    const packs = join(objects, 'pack');
    await mkdir(packs, { recursive: true, mode: 0o700 });
    for (const { name } of shared)
      for (const ending of ['idx', 'pack'])
        await link(join(this.#packs(before?.base ?? ''), `${name}.${ending}`), join(packs, `${name}.${ending}`));
    const known = shared.at(-1)?.base;
    const name = await packObjects(this.#options.git, objects, base, known ?? null);
    const { size } = await stat(join(packs, `${name}.pack`));
    const view: View = { base, shallow, packs: [...shared, { name, base, bytes: size }] };
    await replaceFile(join(own, 'view.json'), JSON.stringify(view), { durable: false });
    await discard(join(dir, base));
    await rename(own, join(dir, base));
    return view;
  }

  /** The latest view whose commit the new one descends from. */
  async #ancestor(base: string, shallow: string): Promise<View | null> {
    for (const view of [...this.#views.values()].toReversed()) {
      if (view.shallow !== shallow || view.base === base) continue;
      // 128: that commit is not there any more.
      const { code } = await this.#options.git.run(['merge-base', '--is-ancestor', view.base, base], {
        accept: [0, 1, 128],
      });
      if (code === 0) return view;
    }
    return null;
  }
}

/** Which packs of a view the next one shares: all, or when they are many the first, or none if that outweighs the others no more. */
function joined(packs: readonly Pack[]): Pack[] {
  const [first, ...others] = packs;
  if (first === undefined || packs.length < PACKS) return [...packs];
  return others.reduce((sum, pack) => sum + pack.bytes, 0) * 2 < first.bytes ? [first] : [];
}

/** Packs what `tip` reaches and `known` does not into a folder of objects, quickly rather than tightly. Gives the pack's name. */
export async function packObjects(git: Git, objects: string, tip: string, known: string | null): Promise<string> {
  const args = [
    '-c',
    'pack.compression=1',
    'pack-objects',
    '--revs',
    '--window=0',
    '-q',
    join(objects, 'pack', 'pack'),
  ];
  const input = `${tip}\n${known === null ? '' : `^${known}\n`}`;
  // Git writes it in its own folder before it is renamed, and the workspace may be on another disk.
  const env = {
    GIT_OBJECT_DIRECTORY: objects,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: `"${git.neutral.objects.replace(/["\\]/g, '\\$&')}"`,
  };
  return `pack-${await git.text(args, { input, env, timeoutMs: PACK_MS })}`;
}
