import { mkdir, readdir, statfs } from 'node:fs/promises';
import type { Boundary } from '../../core/ports/boundary.ts';
import type { Change } from '../../core/files.ts';
import { isSafeName } from '../../core/ids.ts';
import type { Checkout, Checkouts, Collected } from '../../core/ports/workspace.ts';
import {
  checkoutOf,
  clean,
  collectFrom,
  fill,
  placeOf,
  readState,
  removeTree,
  throwaway,
  writeState,
  type CheckoutState,
  type Place,
} from './folder.ts';
import type { OpenWorkspace } from '../workspace.ts';
import { overlayTree } from '../overlay/files.ts';

export interface CheckoutOptions {
  workspace: Pick<OpenWorkspace, 'git' | 'trees'>;
  /** `<home>/checkouts`; outside the workspace. */
  dir: string;
  boundary: Boundary;
  /** Checkouts at once; further calls wait. */
  max?: number;
  /** Idle checkouts that are kept for reuse. */
  keep?: number;
  /** Bytes that must stay free on the disk when one is added. */
  minFree?: number;
  /** Bytes of the largest file, and of all changed files of one command. */
  maxFile?: number;
  maxTotal?: number;
}

export interface CheckoutPool extends Checkouts {
  /** Releases what no live call owns. Call after `Workspace.recover`, before anything is taken. Resolves with how many. */
  recover(liveKeys: readonly string[]): Promise<number>;
  close(): Promise<void>;
}

interface Slot {
  place: Place;
  state: CheckoutState | null;
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

class Pool implements CheckoutPool {
  readonly #options: CheckoutOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #waiting: (() => void)[] = [];
  readonly #background = new Set<Promise<void>>();
  #count = 0;

  constructor(options: CheckoutOptions) {
    this.#options = options;
  }

  async load(): Promise<void> {
    for (const id of await readdir(this.#options.dir)) {
      const number = /^c(\d+)$/.exec(id)?.[1];
      if (number === undefined) continue;
      const place = placeOf(this.#options.dir, id);
      const state = await readState(place);
      this.#count = Math.max(this.#count, Number(number));
      const slot: Slot = { place, state, busy: state !== null && state.key !== null };
      this.#slots.set(id, slot);
      // It was cut off while being made, so no command was ever started in it.
      if (slot.busy && state?.ready !== true) await this.#free(slot);
    }
  }

  async recover(liveKeys: readonly string[]): Promise<number> {
    const live = new Set(liveKeys);
    let released = 0;
    for (const slot of this.#slots.values()) {
      const owned = slot.state !== null && slot.state.key !== null;
      if (owned && slot.state?.ready && live.has(slot.state.key ?? '')) continue;
      if (owned) released += 1;
      await this.#free(slot);
    }
    await Promise.all(this.#background);
    return released;
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
    const slot = await this.#slot(base, tree);
    try {
      this.#options.boundary('checkout.take.before');
      slot.state = { key, ready: false, base, tree, blind };
      await mkdir(slot.place.root, { recursive: true, mode: 0o700 });
      await writeState(slot.place, slot.state);
      await fill(git, slot.place, tree);
      await throwaway(git, slot.place, base, blind);
      slot.state = { ...slot.state, ready: true };
      await writeState(slot.place, slot.state);
      this.#options.boundary('checkout.take.after');
      return checkoutOf(git, slot.place, blind);
    } catch (error) {
      await this.#free(slot);
      throw error;
    }
  }

  /** A free slot, the more alike the better; a new one while there is room; otherwise the next that is released. */
  async #slot(base: string, tree: string): Promise<Slot> {
    const { max = 64, minFree = 1_000_000_000, dir } = this.#options;
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
        const slot: Slot = { place: placeOf(dir, `c${this.#count}`), state: null, busy: true };
        this.#slots.set(slot.place.id, slot);
        const disk = await statfs(dir);
        if (disk.bavail * disk.bsize >= minFree) return slot;
        this.#slots.delete(slot.place.id);
        if (this.#slots.size === 0)
          throw new Error(
            `less than ${Math.round(minFree / 1_000_000)} MB are free on the disk of ${dir}, so no command can run; free some space`,
          );
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  adopt(key: string): Promise<Checkout | null> {
    const slot = [...this.#slots.values()].find(({ state }) => state?.key === key && state.ready);
    return Promise.resolve(
      slot ? checkoutOf(this.#options.workspace.git, slot.place, slot.state?.blind === true) : null,
    );
  }

  held(): Promise<string[]> {
    return Promise.resolve([...this.#slots.values()].flatMap(({ state }) => state?.key ?? []));
  }

  async collect(checkout: Checkout): Promise<Collected> {
    const slot = this.#slots.get(checkout.id);
    if (!slot?.state?.ready) throw new Error(`checkout ${checkout.id} is not taken`);
    const { boundary, workspace, maxFile = 100_000_000, maxTotal = 1_000_000_000 } = this.#options;
    boundary('checkout.collect.before');
    const collected = await collectFrom(workspace.git, workspace.trees, slot.place, slot.state, { maxFile, maxTotal });
    boundary('checkout.collect.after');
    return collected;
  }

  async release(checkout: Checkout): Promise<void> {
    const slot = this.#slots.get(checkout.id);
    if (!slot) return;
    this.#options.boundary('checkout.release.before');
    await this.#free(slot);
    this.#options.boundary('checkout.release.after');
  }

  /** Nobody's from now on; what a command left is removed in the background, and only then is it given out again. */
  async #free(slot: Slot): Promise<void> {
    slot.busy = true;
    slot.state = { ...(slot.state ?? FREE), key: null, ready: false };
    await mkdir(slot.place.root, { recursive: true, mode: 0o700 });
    await writeState(slot.place, slot.state);
    const { keep = 4, workspace } = this.#options;
    const enough = (): boolean => [...this.#slots.values()].filter((other) => !other.busy).length >= keep;
    const tidy = async (): Promise<void> => {
      if (!enough()) {
        await mkdir(slot.place.files, { recursive: true });
        // What cannot be cleaned now is put in order, or made anew, when it is taken.
        await clean(workspace.git, slot.place).catch(() => undefined);
      }
      // Others may have become idle meanwhile. What cannot be removed stays in use.
      const removed =
        enough() &&
        (await removeTree(slot.place.root).then(
          () => true,
          () => false,
        ));
      if (removed) this.#slots.delete(slot.place.id);
      slot.busy = false;
      this.#waiting.shift()?.();
    };
    const job: Promise<void> = tidy().finally(() => this.#background.delete(job));
    this.#background.add(job);
    job.catch(() => undefined);
  }

  async close(): Promise<void> {
    await Promise.all(this.#background);
  }
}
