import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Batch } from '../../src/core/ports/store.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import type { HookAuth } from '../../src/core/trigger.ts';
import { hookSecrets, receive } from '../../src/scheduler/triggers/hooks.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { collect, random } from '../store/kit.ts';
import { HandClock } from './worker-kit.ts';

const DAY = 86_400_000;
const BODY = { hook: 'h', seal: null, name: 'n.json', body: { a: 1 } };

type Delivery = Parameters<typeof receive>[1];

function scene() {
  const clock = new HandClock();
  clock.time = 20_000 * DAY + 1_000;
  const raw = openMemoryStore({ clock, random });
  const batches: Batch[] = [];
  const scene = { meanwhile: null as (() => Promise<unknown>) | null };
  const store = new Proxy(raw, {
    get: (target, name) => {
      if (name === 'commit')
        return async (batch: Batch) => {
          const { meanwhile } = scene;
          scene.meanwhile = null;
          await meanwhile?.();
          batches.push(batch);
          return raw.commit(batch);
        };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const deps = { store, clock, redact: (text: string) => text.replaceAll('s3cret', '***') };
  const send = (more: Partial<Delivery> & { id: string }) => receive(deps, { ...BODY, ...more });
  /** What became of it: `new`, the number of the event it is known as, or why not. */
  const fate = async (more: Partial<Delivery> & { id: string }): Promise<string | number> => {
    const result = await send(more);
    return result.ok ? (result.known ? result.event.seq : 'new') : result.message;
  };
  return Object.assign(scene, { clock, store, batches, send, fate });
}

test('a delivery is on record whole, untrusted, without secrets, and synced', async () => {
  const { send, store, batches } = scene();
  const result = await send({ id: 'one s3cret', body: { token: 's3cret', n: 1 } });
  assert.ok(result.ok && !result.known);
  const [event] = await collect(store.read({}));
  assert.ok(event?.type === 'webhook.received' && event.id === result.event.id);
  const { actor, cause, labels, data } = event;
  assert.deepEqual([actor, cause, labels, data.hook, data.delivery], ['hook:h', null, ['untrusted'], 'h', 'one ***']);
  assert.match(event.stream, /^hook:h\/[0-9a-f]{40}$/);
  assert.match(event.key ?? '', /^webhook:h:id:[0-9a-f]{40}$/);
  assert.equal(data.content.subject, 'hook:h');
  assert.deepEqual(await readJson(store, data.content), { body: { n: 1, token: '***' }, name: 'n.json' });
  assert.deepEqual(
    batches.map(({ sync, expect }) => [sync, expect]),
    [[true, { [event.stream]: 0 }]],
  );
});

const CONFLICT = 'Another delivery with a different body already has this idempotency key.';

test('by its name it is known, with the same body; with another it is refused', async () => {
  const { fate } = scene();
  assert.equal(await fate({ id: 'a' }), 'new');
  assert.equal(await fate({ id: 'a' }), 1);
  assert.equal(await fate({ id: 'a', body: { a: 2 } }), CONFLICT);
  assert.equal(await fate({ id: 'b' }), 'new');
  assert.equal(await fate({ id: 'a', hook: 'other' }), 'new');
});

test('by what was signed with its time it is known for good, whatever name it is given', async () => {
  const { fate, clock } = scene();
  assert.equal(await fate({ id: 'a', seal: 'sealed' }), 'new');
  clock.time += 30 * DAY;
  assert.equal(await fate({ id: 'b', seal: 'sealed' }), 1);
  assert.equal(await fate({ id: 'c', seal: 'other' }), 'new');
  assert.equal(await fate({ id: 'd', seal: 'sealed', hook: 'other' }), 'new');
});

test('by the signature of its body it is known for a day, over midnight too', async () => {
  const { fate, clock, store } = scene();
  const signed = (id: string) => fate({ id, signature: 'sig' });
  assert.equal(await signed('a'), 'new');
  assert.equal(await signed('b'), 1);
  assert.equal(await fate({ id: 'c', signature: 'else' }), 'new');
  clock.time += DAY - 1;
  assert.equal(await signed('d'), 1);
  clock.time += 1;
  assert.equal(await signed('e'), 'new', 'a day later it is news');
  assert.equal(await signed('f'), 3);
  clock.time += 3 * DAY;
  assert.equal(await signed('g'), 'new');
  assert.equal(await fate({ id: 'a' }), 1, 'its name holds for good');
  const keys = (await collect(store.read({}))).map(({ key }) => key ?? '');
  assert.equal(new Set(keys).size, keys.length);
  assert.ok(keys.every((key) => /^webhook:h:signed:[0-9a-f]{40}:\d+$/.test(key)));
});

test('of two that come at once one is new', async () => {
  const it = scene();
  it.meanwhile = () => it.send({ id: 'a' });
  assert.equal(await it.fate({ id: 'a' }), 1);
  assert.equal(it.batches.length, 2);
});

const LONG = 'x'.repeat(16);
const bearer = (secret: string): HookAuth => ({ kind: 'bearer', secret, windowMs: 1_000 });

const secretsFor = (values: Readonly<Record<string, string>>, auth: HookAuth, asked: string[] = []) =>
  hookSecrets(auth, 'h', (ref, forWhom) => {
    asked.push(`${ref} for ${forWhom}`);
    const value = values[ref];
    return value === undefined ? Promise.reject(new Error('not set')) : Promise.resolve(value);
  });

test('a hook says which of its secrets it lacks and how to mend that, never what they are', async () => {
  const asked: string[] = [];
  assert.deepEqual(await secretsFor({ 'env:S': LONG }, bearer('env:S'), asked), { values: [LONG], lacking: null });
  assert.deepEqual(asked, ['env:S for the hook h']);
  const lacks = async (values: Readonly<Record<string, string>>, secret: string) => {
    const { values: found, lacking } = await secretsFor(values, bearer(secret));
    assert.deepEqual(found, []);
    return lacking;
  };
  assert.equal(
    await lacks({ 'env:S': 'x'.repeat(15) }, 'env:S'),
    'the hook h answers nobody: S has fewer than 16 characters, and could be guessed; make one with openssl rand -hex 32',
  );
  assert.equal(
    await lacks({}, 'env:S'),
    'the hook h answers nobody: S was not set when ruche was started; set it and start ruche again',
  );
  assert.equal(await lacks({}, 'S'), 'the hook h answers nobody: unknown secret S');
});

test('a standard hook takes several secrets, each of at least 16 bytes', async () => {
  const standard: HookAuth = { kind: 'standard', secret: 'env:A', others: ['env:B'], windowMs: 1_000 };
  const good = `whsec_${Buffer.from(LONG).toString('base64')}`;
  const short = `whsec_${Buffer.from('x'.repeat(15)).toString('base64')}`;
  assert.deepEqual(await secretsFor({ 'env:A': good, 'env:B': good }, standard), {
    values: [good, good],
    lacking: null,
  });
  assert.deepEqual(await secretsFor({ 'env:A': short, 'env:B': good }, standard), {
    values: [good],
    lacking:
      'the hook h takes only what is left of its secrets: A is not whsec_ and at least 16 bytes in base64, and could be guessed; make one with openssl rand -base64 32',
  });
  assert.deepEqual(await secretsFor({ 'env:A': short }, standard), {
    values: [],
    lacking:
      'the hook h answers nobody: A is not whsec_ and at least 16 bytes in base64, and could be guessed; make one with openssl rand -base64 32; B was not set when ruche was started; set it and start ruche again',
  });
});
