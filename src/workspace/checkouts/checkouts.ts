import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Boundary } from '../../core/ports/boundary.ts';
import { MAX_PATHS, type Change } from '../../core/files.ts';
import { isSafeName } from '../../core/ids.ts';
import type { Checkout, Checkouts, Collected } from '../../core/ports/workspace.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { freeSpace, megabytes } from '../../platform/disk.ts';
import { removeTree } from '../../platform/remove.ts';
import { scarce, watchOver } from './bounds.ts';
import { collectFrom } from './collect.ts';
import {
  checkoutOf,
  fill,
  placeOf,
  readState,
  throwaway,
  writeState,
  type CheckoutState,
  type Place,
} from './folder.ts';
import { endsOf, Views, type View } from './objects.ts';
import { straighten, type Seal } from './seal.ts';
import type { OpenWorkspace } from '../workspace.ts';
import { overlayTree } from '../overlay/files.ts';

export interface CheckoutOptions {
  workspace: Pick<OpenWorkspace, 'git' | 'trees'>;
  /** `<home>/checkouts`; outside the workspace. */
  dir: string;
  boundary: Boundary;
  /** The machine's, whatever clock the network goes by. */
  clock: Clock;
  /** Checkouts at once; further calls wait. */
  max?: number;
  /** Idle checkouts that are kept for reuse. */
  keep?: number;
  /** Bytes that must be free on the disk when one is added. With less than a third of that, commands are ended. */
  minFree?: number;
  /** Bytes of the largest file, and of all changed files of one command. */
  maxFile?: number;
  maxTotal?: number;
  /** Bytes, and files and folders, that one command may add to its checkout. */
  maxBytes?: number;
  maxPaths?: number;
  /** Files that one command may change. */
  maxChanges?: number;
}

const MIN_FREE = 1_000_000_000;
const MAX_BYTES = 2_000_000_000;
const MAX_ENTRIES = 200_000;

export interface CheckoutPool extends Checkouts {
  /** Releases what no live call owns. Call after `Workspace.recover`, before anything is taken. Resolves with how many. */
  recover(liveKeys: readonly string[]): Promise<number>;
  close(): Promise<void>;
}

interface Slot {
  place: Place;
  state: CheckoutState | null;
  /** Vouches for its files; null: nothing does, so they are thrown away before they are filled. */
  seal: Seal | null;
  /** The commit whose objects its command sees. */
  view: string | null;
  busy: boolean;
}

const FREE: CheckoutState = { key: null, ready: false, base: '', tree: '', blind: false };

/** Opens the pool over a folder; what a crash left there is found again by key. */
export async function openCheckouts(options: CheckoutOptions): Promise<CheckoutPool> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  const pool = new Pool(options);
  await pool.load();
  return pool;
}

const absent = (path: string): Change => ({ path, mode: '100644', oid: null, was: null });

const isOwned = (state: CheckoutState | null): state is CheckoutState & { key: string } =>
  state !== null && state.key !== null && isSafeName(state.key) && state.ready;

/** Removes all but the checkouts in which a command may be at work, and gives those. Only while no pool is open there. */
export async function removeFree(dir: string): Promise<{ key: string; root: string }[]> {
  const places = (await readdir(dir).catch(() => [])).map((name) => placeOf(dir, name));
  const states = await Promise.all(places.map(readState));
  const held = places.flatMap(({ root }, at) => {
    const state = states[at] ?? null;
    return isOwned(state) ? [{ key: state.key, root }] : [];
  });
  const stay = new Set(held.map(({ root }) => root));
  // Commands at work see objects of the views.
  if (held.length > 0) stay.add(join(dir, VIEWS));
  for (const { root } of places) if (!stay.has(root)) await removeTree(root).catch(() => undefined);
  return held;
}

/** Folder of what commands see of Git's objects. */
const VIEWS = '.objects';

class Pool implements CheckoutPool {
  readonly #options: CheckoutOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #waiting: (() => void)[] = [];
  readonly #background = new Set<Promise<void>>();
  readonly #views: Views;
  #count = 0;
  #left = 0;

  constructor(options: CheckoutOptions) {
    this.#options = options;
    const { git } = options.workspace;
    const discard = (path: string): Promise<void> => this.#discard(path);
    this.#views = new Views({ git, dir: join(options.dir, VIEWS), discard, minFree: this.#floor });
  }

  /** Finds the checkouts in which a command may still be at work. Nothing vouches for the files of the others. */
  async load(): Promise<void> {
    const { dir } = this.#options;
    // Made now: on a full disk, which is when it is needed most, no folder can be made.
    await mkdir(this.#aside(), { recursive: true, mode: 0o700 });
    // What an earlier process has not come to remove.
    for (const name of await readdir(this.#aside()).catch(() => [])) {
      this.#left = Math.max(this.#left, Number(name) || 0);
      this.#later(removeTree(join(this.#aside(), name)));
    }
    await this.#views.load();
    for (const name of await readdir(dir)) {
      const number = /^c(\d+)$/.exec(name)?.[1];
      if (number === undefined) continue;
      const place = placeOf(dir, name);
      const state = await readState(place);
      this.#count = Math.max(this.#count, Number(number));
      if (isOwned(state)) this.#slots.set(name, { place, state, seal: null, view: this.#adopt(state), busy: true });
      else await this.#discard(place.root);
    }
  }

  #adopt({ base, blind }: CheckoutState): string | null {
    if (blind) return null;
    this.#views.adopt(base);
    return base;
  }

  #aside(): string {
    return join(this.#options.dir, '.left');
  }

  /** A new name for what is to be removed. */
  #leave(): string {
    this.#left += 1;
    return join(this.#aside(), String(this.#left));
  }

  #later(work: Promise<void>): void {
    // What cannot be removed now is tried again at the next start.
    const job: Promise<void> = work.catch(() => undefined).finally(() => this.#background.delete(job));
    this.#background.add(job);
  }

  /** Out of the way at once, whatever a command has made of it; gone after a while. */
  async #discard(path: string): Promise<void> {
    const left = this.#leave();
    await mkdir(this.#aside(), { recursive: true, mode: 0o700 });
    const moved = await rename(path, left).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        return false;
      },
    );
    if (moved) this.#later(removeTree(left));
  }

  async recover(liveKeys: readonly string[]): Promise<number> {
    const live = new Set(liveKeys);
    const dead = [...this.#slots.values()].filter(({ state }) => state?.key && !live.has(state.key));
    for (const slot of dead) await this.#free(slot);
    return dead.length;
  }

  async take(base: string, changes: readonly Change[], key: string, hidden: readonly string[] = []): Promise<Checkout> {
    if (!isSafeName(key)) throw new Error(`"${key}" cannot name a checkout`);
    const { git, trees } = this.#options.workspace;
    const again = [...this.#slots.values()].find((slot) => slot.state?.key === key);
    // A crash came between taking it and starting the command: begin anew.
    if (again) await this.#free(again);
    const { tree, stored } = await overlayTree(trees, base, [...changes, ...hidden.map(absent)]);
    const blind = hidden.length > 0;
    await stored;
    await this.#room();
    const slot = await this.#slot(base, tree);
    try {
      this.#options.boundary('checkout.take.before');
      slot.state = { key, ready: false, base, tree, blind };
      await mkdir(slot.place.root, { recursive: true, mode: 0o700 });
      const discard = (path: string): Promise<void> => this.#discard(path);
      const shallow = blind ? '' : endsOf(await this.#view(slot, base));
      slot.seal = await fill(git, slot.place, tree, { before: slot.seal, discard });
      await throwaway(git, slot.place, slot.state, { objects: this.#views.dirOf(base), shallow });
      slot.state = { ...slot.state, ready: true };
      await writeState(slot.place, slot.state);
      this.#options.boundary('checkout.take.after');
      return checkoutOf(slot.place, this.#views.dirOf(base), blind);
    } catch (error) {
      await this.#free(slot);
      throw error;
    }
  }

  async #view(slot: Slot, base: string): Promise<View> {
    const view = await this.#views.hold(base);
    slot.view = base;
    return view;
  }

  #full(why: string): Error {
    return new Error(`${why} of ${this.#options.dir}, so no command can run; free some space`);
  }

  /** Rejects if the command would have to be ended at once. What is on its way out is waited for before. */
  async #room(): Promise<void> {
    const why = async (): Promise<string | null> => scarce(await freeSpace(this.#options.dir), this.#floor);
    if ((await why()) === null) return;
    await this.close();
    const still = await why();
    if (still !== null) throw this.#full(still);
  }

  get #floor(): number {
    return Math.floor((this.#options.minFree ?? MIN_FREE) / 3);
  }

  watch(checkout: Checkout, over: AbortSignal): AbortSignal {
    const { clock, maxBytes = MAX_BYTES, maxPaths = MAX_ENTRIES } = this.#options;
    const place = placeOf(this.#options.dir, checkout.id);
    return watchOver({ place, clock, bounds: { maxBytes, maxPaths, minFree: this.#floor } }, over);
  }

  /** A free slot, the more alike the better; a new one while there is room; otherwise the next that is released. */
  async #slot(base: string, tree: string): Promise<Slot> {
    const { max = 64, minFree = MIN_FREE, dir } = this.#options;
    for (;;) {
      const free = [...this.#slots.values()].filter((slot) => !slot.busy);
      const alike = (slot: Slot): number => Number(slot.state?.base === base) + 2 * Number(slot.state?.tree === tree);
      const best = free.sort((a, b) => alike(b) - alike(a))[0];
      if (best) {
        best.busy = true;
        return best;
      }
      if (this.#slots.size < max) {
        this.#count += 1;
        const slot: Slot = { place: placeOf(dir, `c${this.#count}`), state: null, seal: null, view: null, busy: true };
        this.#slots.set(slot.place.id, slot);
        if ((await freeSpace(dir)).bytes >= minFree) return slot;
        this.#slots.delete(slot.place.id);
        if (this.#slots.size === 0) throw this.#full(`less than ${megabytes(minFree)} are free on the disk`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  adopt(key: string): Promise<Checkout | null> {
    const slot = [...this.#slots.values()].find(({ state }) => state?.key === key && state.ready);
    if (!slot?.state) return Promise.resolve(null);
    const { base, blind } = slot.state;
    return Promise.resolve(checkoutOf(slot.place, this.#views.dirOf(base), blind));
  }

  held(): Promise<string[]> {
    return Promise.resolve([...this.#slots.values()].flatMap(({ state }) => state?.key ?? []));
  }

  async collect(checkout: Checkout): Promise<Collected> {
    const slot = this.#slots.get(checkout.id);
    if (!slot?.state?.ready) throw new Error(`checkout ${checkout.id} is not taken`);
    const { boundary, workspace, maxFile = 100_000_000, maxTotal = 1_000_000_000 } = this.#options;
    const { maxPaths = MAX_ENTRIES, maxChanges = MAX_PATHS } = this.#options;
    boundary('checkout.collect.before');
    const { place, state, seal } = slot;
    const limits = { maxFile, maxTotal, maxPaths, maxChanges };
    const collected = await collectFrom(workspace.git, workspace.trees, { place, state, seal }, limits);
    boundary('checkout.collect.after');
    return collected;
  }

  async release(checkout: Checkout): Promise<void> {
    const slot = this.#slots.get(checkout.id);
    if (!slot) return;
    this.#options.boundary('checkout.release.before');
    await this.#free(slot);
    // On a full disk the next thing to be written needs the space that this gives back.
    if (scarce(await freeSpace(this.#options.dir), this.#floor) !== null) await this.close();
    this.#options.boundary('checkout.release.after');
  }

  /** Nobody's from now on; what a command left is put away in the background, and only then is it given out again. */
  async #free(slot: Slot): Promise<void> {
    slot.busy = true;
    slot.state = { ...(slot.state ?? FREE), key: null, ready: false };
    await rm(slot.place.state, { force: true });
    if (slot.view !== null) this.#views.release(slot.view);
    slot.view = null;
    const { keep = 4 } = this.#options;
    const enough = (): boolean => [...this.#slots.values()].filter((other) => !other.busy).length >= keep;
    const tidy = async (): Promise<void> => {
      if (!enough()) await this.#straighten(slot);
      // Others may have become idle meanwhile.
      if (enough()) {
        this.#slots.delete(slot.place.id);
        await this.#discard(slot.place.root);
      }
    };
    const next = (): void => {
      slot.busy = false;
      this.#waiting.shift()?.();
    };
    this.#later(tidy().finally(next));
  }

  async #straighten(slot: Slot): Promise<void> {
    const { seal, place } = slot;
    slot.seal = null;
    if (seal === null) return this.#discard(place.files);
    const left: string[] = [];
    const aside = (): string => {
      left.push(this.#leave());
      return left.at(-1) ?? '';
    };
    await mkdir(this.#aside(), { recursive: true, mode: 0o700 });
    try {
      await straighten(place.files, seal, aside);
      slot.seal = seal;
    } finally {
      for (const path of left) this.#later(removeTree(path));
    }
  }

  async close(): Promise<void> {
    // What is under way may leave more to remove.
    while (this.#background.size > 0) await Promise.all(this.#background);
  }
}
