import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matterRaised } from '../../src/core/records/matter.ts';
import type { ReadFrom, Store } from '../../src/core/ports/store.ts';
import { allPending, countPending, OpenMatters } from '../../src/pending/pending.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { random, TestClock } from '../store/kit.ts';

test('a person who asks again hears about what is open, and nothing that is over is read a second time', async () => {
  const clock = new TestClock();
  const raw = openMemoryStore({ clock, random });
  let read = 0;
  const store = new Proxy(raw, {
    get: (each: Store, name) => {
      const value: unknown = Reflect.get(each, name, each);
      if (name === 'byKey')
        return (key: string) => {
          read += 1;
          return each.byKey(key);
        };
      if (name !== 'read') return typeof value === 'function' ? (value.bind(each) as unknown) : value;
      return async function* (from: ReadFrom) {
        for await (const event of each.read(from)) {
          read += 1;
          yield event;
        }
      };
    },
  });
  const by = { actor: 'runtime', cause: null, labels: [] };
  const text = raw.putBlob(Buffer.from('{"text":"It is late.","reason":"A deadline."}'), 's');
  const raise = async (task: string): Promise<void> => {
    const shown = { text: 'It is late.', reason: 'A deadline.' };
    const raised = { ...matterRaised({ kind: 'deadline', about: task, shown }, () => text), ...by };
    assert.ok((await raw.commit({ events: [raised], sync: false })).ok);
  };
  const settle = async (task: string): Promise<void> => {
    const matter = `mat_deadline_${task}`;
    const data = { matter, by: 'owner', answer: text };
    const event = {
      type: 'matter.settled' as const,
      stream: `matter:${matter}`,
      key: `answered:${matter}`,
      data,
      ...by,
    };
    assert.ok((await raw.commit({ events: [event], sync: false })).ok);
  };
  for (let n = 0; n < 50; n += 1) await raise(`tsk_${n}`);
  for (let n = 0; n < 48; n += 1) await settle(`tsk_${n}`);
  const matters = new OpenMatters(store);
  const open = async (): Promise<string[]> =>
    (await allPending(store, matters)).map(({ id }) => id.slice('mat_deadline_'.length));
  assert.deepEqual(await Promise.all([open(), open()]), [
    ['tsk_48', 'tsk_49'],
    ['tsk_48', 'tsk_49'],
  ]);
  read = 0;
  assert.equal(await countPending(store, matters), 2);
  assert.equal(read, 0);
  await settle('tsk_49');
  await raise('tsk_50');
  assert.deepEqual(await open(), ['tsk_48', 'tsk_50']);
  assert.equal(read, 2);
  await raw.close();
});
