import { link, mkdir, readFile, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Mutex } from '../../core/time/mutex.ts';
import type { Git } from '../../git/git.ts';
import { GitError } from '../../git/process.ts';
import { freeSpace, measure } from '../../platform/disk.ts';
import { replaceFile } from '../../platform/replace.ts';

/** Objects that one commit reaches, and no others: neither stashes nor other branches nor what was given up. */
export interface View {
  base: string;
  /** Where history ends, of a shallow clone: the text of Git's own file. */
  shallow: string;
  /** Where history ends for its commands, because the whole cannot be read or does not fit on the disk. */
  cut?: string;
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
  /** Bytes that stay free on the disk. */
  minFree: number;
}

/** What Git's own `shallow` has to say to the commands of a view. */
export const endsOf = ({ shallow, cut }: View): string => (cut === undefined ? shallow : `${cut}\n`);

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
  async hold(base: string): Promise<View> {
    const shallow = await readFile(join(this.#options.git.neutral.commonDir, 'shallow'), 'utf8').catch(() => '');
    const ready = this.#views.get(base);
    // Not behind one that is being made, which can take minutes.
    if (ready?.shallow === shallow) return this.#use(ready);
    return this.#turns.run(async () => {
      let view = this.#views.get(base);
      // A history that has grown longer, or shorter, since.
      if (view?.shallow !== shallow) view = await this.#make(base, shallow);
      this.#use(view);
      await this.#tidy();
      return view;
    });
  }

  #use(view: View): View {
    this.#views.delete(view.base);
    this.#views.set(view.base, view);
    this.adopt(view.base);
    return view;
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
      // Taken up meanwhile.
      if ((this.#holders.get(base) ?? 0) > 0) continue;
      this.#views.delete(base);
      this.#holders.delete(base);
      await this.#options.discard(join(this.#options.dir, base));
    }
  }

  async #make(base: string, shallow: string): Promise<View> {
    const { dir, discard } = this.#options;
    this.#made += 1;
    const own = join(dir, `new-${this.#made}`);
    await discard(own);
    try {
      const view = (await this.#whole(own, base, shallow)) ?? (await this.#alone(own, base, shallow));
      await replaceFile(join(own, 'view.json'), JSON.stringify(view), { durable: false });
      await discard(join(dir, base));
      await rename(own, join(dir, base));
      return view;
    } catch (error) {
      await discard(own);
      throw error;
    }
  }

  /** With all history, as far as the view it shares packs with has it. Null if that cannot be read, or has no room on the disk. */
  async #whole(own: string, base: string, shallow: string): Promise<View | null> {
    const { git, discard } = this.#options;
    const before = await this.#ancestor(base, shallow);
    const shared = before === null ? [] : joined(before.packs);
    const known = shared.at(-1)?.base ?? null;
    const objects = join(own, 'objects');
    const packs = join(objects, 'pack');
    await mkdir(packs, { recursive: true, mode: 0o700 });
    if (known === null && !(await this.#hasRoom())) return null;
    for (const { name } of shared)
      for (const ending of ['idx', 'pack'])
        await link(join(this.#packs(before?.base ?? ''), `${name}.${ending}`), join(packs, `${name}.${ending}`));
    const cut = known === null ? undefined : before?.cut;
    try {
      const pack = await packed(git, objects, { base, known, cut });
      return { base, shallow, ...(cut !== undefined && { cut }), packs: [...shared, pack] };
    } catch (error) {
      if (!(error instanceof GitError) || error.why === 'aborted') throw error;
      await discard(own);
      return null;
    }
  }

  /** One lost file of long ago must not keep commands from what they work on. */
  async #alone(own: string, base: string, shallow: string): Promise<View> {
    const objects = join(own, 'objects');
    await mkdir(join(objects, 'pack'), { recursive: true, mode: 0o700 });
    const pack = await packed(this.#options.git, objects, { base, known: null, cut: base });
    return { base, shallow, cut: base, packs: [pack] };
  }

  /** Whether all objects of the repository would fit on the disk once more. */
  async #hasRoom(): Promise<boolean> {
    const { git, dir, minFree } = this.#options;
    const counted = await git.text(['count-objects', '-v']);
    const places = [git.neutral.objects, ...[...counted.matchAll(/^alternate: (.+)$/gm)].map(([, path = '']) => path)];
    let bytes = (await freeSpace(dir)).bytes - minFree;
    for (const place of places) bytes -= (await measure(place, { bytes, paths: Infinity })).bytes;
    return bytes >= 0;
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

async function packed(
  git: Git,
  objects: string,
  { base, known, cut }: { base: string; known: string | null; cut: string | undefined },
): Promise<Pack> {
  const name = await packObjects(git, objects, base, known, cut);
  const { size } = await stat(join(objects, 'pack', `${name}.pack`));
  return { name, base, bytes: size };
}

/** Packs what `tip` reaches and `known` does not into a folder of objects, quickly rather than tightly. Gives the pack's name. */
export async function packObjects(
  git: Git,
  objects: string,
  tip: string,
  known: string | null,
  /** A commit whose parents are left out, with all before them. */
  cut?: string,
): Promise<string> {
  const args = [
    '-c',
    'pack.compression=1',
    'pack-objects',
    '--revs',
    '--window=0',
    '-q',
    join(objects, 'pack', 'pack'),
  ];
  const input = `${cut === undefined ? '' : `--shallow ${cut}\n`}${tip}\n${known === null ? '' : `^${known}\n`}`;
  // Git writes it in its own folder before it is renamed, and the workspace may be on another disk.
  const env = {
    GIT_OBJECT_DIRECTORY: objects,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: `"${git.neutral.objects.replace(/["\\]/g, '\\$&')}"`,
  };
  return `pack-${await git.text(args, { input, env, timeoutMs: PACK_MS })}`;
}
