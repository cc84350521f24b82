import { join } from 'node:path';
import { storeContract } from '../contracts/store.ts';
import { openAt, tempDir, TestClock } from './kit.ts';

storeContract('sqlite', async (options) => {
  const clock = new TestClock();
  const { dir, remove } = await tempDir();
  const store = await openAt(join(dir, 'ruche.sqlite'), { clock, ...options });
  return {
    store,
    clock,
    dispose: async () => {
      await store.close();
      await remove();
    },
  };
});
