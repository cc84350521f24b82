import { storeContract } from '../contracts/store.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { random, TestClock } from './kit.ts';

storeContract('memory', async (options) => {
  const clock = new TestClock();
  const store = openMemoryStore({ clock, random, ...options });
  return { store, clock, dispose: () => store.close() };
});
