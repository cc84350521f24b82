import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConversationCache } from '../../src/agent/run/conversation.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { systemClock, systemRandom } from '../../src/platform/system.ts';

test('a message that several look for at once counts once, and the bound holds', async () => {
  const store = openMemoryStore({ clock: systemClock, random: systemRandom.bytes });
  let reads = 0;
  const counting = new Proxy(store, {
    get: (target, name): unknown => {
      const value: unknown = Reflect.get(target, name, target);
      if (name === 'getBlob') reads += 1;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const message = (text: string) => ({ role: 'user', parts: [{ type: 'text', text }] });
  const put = (text: string) => store.putBlob(Buffer.from(JSON.stringify(message(text))), 'conv:a/b');
  const [one, two, three] = [put('one one'), put('two two'), put('3'.repeat(200))];
  const cache = new ConversationCache(10, one.size + two.size);
  await Promise.all(Array.from({ length: 5 }, () => cache.message(counting, one)));
  assert.deepEqual(await cache.message(counting, two), message('two two'));
  reads = 0;
  await cache.message(counting, one);
  await cache.message(counting, two);
  assert.equal(reads, 0);
  await cache.message(counting, three);
  await cache.message(counting, one);
  assert.equal(reads, 2);
  await store.close();
});
