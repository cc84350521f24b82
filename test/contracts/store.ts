import { describe } from 'node:test';
import type { Store } from '../../src/core/ports/store.ts';
import type { Upcast } from '../../src/store/row.ts';
import type { TestClock } from '../store/kit.ts';
import { blobContract } from './store-blobs.ts';
import { eventContract } from './store-events.ts';
import { queueContract } from './store-queue.ts';
import { waitsContract } from './store-waits.ts';

export interface Opened {
  store: Store;
  clock: TestClock;
  dispose(): Promise<void>;
}

export type OpenStore = (options?: { upcast?: Upcast }) => Promise<Opened>;

/** What every driver of the store port must do; each driver's test file calls it. */
export function storeContract(name: string, open: OpenStore): void {
  describe(`store contract: ${name}`, () => {
    const withStore =
      (body: (store: Store, clock: TestClock) => Promise<void>, options?: { upcast?: Upcast }) =>
      async (): Promise<void> => {
        const { store, clock, dispose } = await open(options);
        try {
          await body(store, clock);
        } finally {
          await dispose();
        }
      };
    describe('events', () => eventContract(withStore));
    describe('queue', () => queueContract(withStore));
    describe('waits', () => waitsContract(withStore));
    describe('blobs', () => blobContract(withStore));
  });
}

export type WithStore = (
  body: (store: Store, clock: TestClock) => Promise<void>,
  options?: { upcast?: Upcast },
) => () => Promise<void>;
