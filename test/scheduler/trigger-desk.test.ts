import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreUnavailable, type Batch, type CommitResult } from '../../src/core/ports/store.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import type { Json } from '../../src/core/text/json.ts';
import { Triggers, type TriggersOptions } from '../../src/scheduler/triggers/triggers.ts';
import { anAgent, governing } from '../fakes/governance.ts';
import { newTask } from '../store/kit.ts';
import { done, event, files, hook, Scene, trigger, withScene } from './trigger-kit.ts';
import { calm } from './worker-kit.ts';

const SECOND = 1_000;
const send = (scene: Scene, id: string | null, body: Json = {}, more: object = {}) =>
  scene.triggers.deliver({ hook: 'h', id, seal: null, name: '', body, ...more });
/** The waits between looks, the newest last. */
const waits = (scene: Scene, count = 1): number[] => scene.clock.sleeps.slice(-count);

test('what a person has a trigger do is one firing for each request, untrusted where strangers speak', async () => {
  await withScene(
    [trigger(done), trigger(hook(), { name: 'h' }), trigger(files('d/*'), { name: 'f' })],
    async (scene) => {
      assert.equal(await scene.triggers.run('a/nobody', 'person:ann', {}), null);
      const task = await scene.triggers.run('a/t', 'person:ann', { task: 'x' }, 'req');
      assert.equal(await scene.triggers.run('a/t', 'person:ann', { task: 'x' }, 'req'), task);
      assert.notEqual(await scene.triggers.run('a/t', 'person:ann', { task: 'x' }), task);
      assert.notEqual(await scene.triggers.run('a/t', 'person:ann', { task: 'x' }, 'other'), task);
      await scene.triggers.run('a/h', 'person:ann', {});
      await scene.triggers.run('a/f', 'person:ann', {});
      const fired = await scene.of('trigger.fired');
      assert.deepEqual(
        fired.map(({ actor, labels, data }) => [actor, labels, data.by, data.trigger]),
        [
          ...[1, 2, 3].map(() => ['person:ann', [], 'person:ann', 'a/t']),
          ['person:ann', ['untrusted'], 'person:ann', 'a/h'],
          ['person:ann', [], 'person:ann', 'a/f'],
        ],
      );
      assert.equal(fired[0]?.data.task, task);
      const [state] = await scene.triggers.list();
      assert.deepEqual([state?.last?.task, state?.last?.by], [fired[2]?.data.task, 'person:ann']);
    },
  );
  const listens = { on: 'message', channel: null, sender: null, pattern: null, agent: null } as const;
  await withScene([trigger(listens)], async (scene) => {
    await scene.triggers.run('a/t', 'person:ann', {});
    assert.deepEqual((await scene.of('trigger.fired'))[0]?.labels, ['untrusted']);
  });
});

test('what a person gives is held against what the text needs', async () => {
  const say = (text: string, name: string) => trigger(hook(), { name, work: { kind: 'task', text } });
  const script = trigger(done, { name: 's', work: { kind: 'run', command: 'x.sh {{task}}' } });
  await withScene([say('{{name}} {{body.a}}', 't'), say('x', 'u'), script], async (scene) => {
    const lacking = (id: string, facts: Record<string, Json>) => scene.triggers.lacking(id, facts);
    assert.equal(await lacking('a/t', { name: 'n', body: { a: 1 } }), null);
    assert.equal(await lacking('a/t', {}), 'This trigger needs name, body.a; you gave nothing.');
    assert.equal(await lacking('a/t', { name: 'n', x: 1 }), 'This trigger needs body.a; you gave name, x.');
    for (const id of ['a/u', 'a/s', 'a/nobody']) assert.equal(await lacking(id, {}), null);
  });
});

test('a pause is on record once, under who asked; what happens meanwhile is not made up for', async () => {
  await withScene([trigger(files('d/*'), { debounce: 5 * SECOND })], async (scene) => {
    assert.deepEqual(await Promise.all([scene.triggers.pause('a/x', 'p'), scene.triggers.resume('a/x', 'p')]), [
      false,
      false,
    ]);
    assert.equal(await scene.triggers.resume('a/t', 'person:ann'), true, 'it is not paused');
    assert.deepEqual(scene.triggers.globs(), ['d/*']);
    await scene.lands('c1', ['d/1']);
    for (let n = 0; n < 2; n += 1) assert.equal(await scene.triggers.pause('a/t', 'person:ann'), true);
    assert.deepEqual(scene.triggers.globs(), []);
    const [state] = await scene.triggers.list();
    assert.deepEqual([state?.paused, state?.waiting], [true, null]);
    await scene.lands('c2', ['d/2']);
    await scene.clock.pass(60 * SECOND);
    assert.equal(await scene.triggers.resume('a/t', 'person:bob'), true);
    await scene.clock.pass(60 * SECOND);
    assert.deepEqual(await scene.tasks(), []);
    await scene.lands('c3', ['d/3']);
    await scene.clock.pass(5 * SECOND);
    assert.equal((await scene.tasks()).length, 1);
    const [set] = await scene.of('trigger.set');
    const on = { stream: 'trigger:a/t', cause: set?.id, labels: [], data: { trigger: 'a/t' } };
    const said = [...(await scene.of('trigger.paused')), ...(await scene.of('trigger.resumed'))];
    assert.deepEqual(
      said.map(({ type, stream, actor, cause, labels, data }) => ({ type, stream, actor, cause, labels, data })),
      [
        { type: 'trigger.paused', actor: 'person:ann', ...on },
        { type: 'trigger.resumed', actor: 'person:bob', ...on },
      ],
    );
  });
});

test('a pause outlives an edit and a restart, and what happened before it is not lost to it', async () => {
  await withScene([trigger(done)], async (scene) => {
    const ended = event(
      { type: 'task.finished', data: { task: 'tsk_1', run: null, status: 'done', result: null } },
      'task:tsk_1',
    );
    await scene.store.commit({ events: [], queue: [{ op: 'enqueue', task: newTask('tsk_1') }], sync: true });
    await scene.store.commit({ events: [ended], sync: true });
    await scene.triggers.pause('a/t', 'p');
    assert.equal((await scene.tasks()).length, 1);
    await scene.edit([trigger(done, { work: { kind: 'task', text: 'new' } })]);
    await scene.ends('tsk_2');
    scene.kill();
    await scene.start();
    await scene.ends('tsk_3');
    assert.equal((await scene.tasks()).length, 1);
    await scene.triggers.resume('a/t', 'p');
    await scene.ends('tsk_4');
    assert.deepEqual(await scene.texts(), ['Do it.', 'new']);
  });
});

test('what is set and what is removed is on record whole', async () => {
  const rule = trigger(files('d/*'));
  await withScene([rule], async (scene) => {
    scene.moves.push({ from: 'c0', to: 'c1', by: 'person' });
    await scene.edit({ a: [rule], b: [trigger(done, { name: 'u' })] });
    await scene.edit([]);
    const all = (await scene.events()).filter(({ type }) => type.startsWith('trigger.'));
    const by = { actor: 'runtime', cause: null, labels: [] };
    assert.deepEqual(
      all.map(({ type, stream, actor, cause, labels }) => ({ type, stream, actor, cause, labels })),
      [
        { type: 'trigger.set', stream: 'trigger:a/t', ...by },
        { type: 'trigger.set', stream: 'trigger:b/u', ...by },
        { type: 'trigger.removed', stream: 'trigger:a/t', ...by },
        { type: 'trigger.removed', stream: 'trigger:b/u', ...by },
      ],
    );
    const [set, other] = await scene.of('trigger.set');
    assert.deepEqual(await readJson(scene.store, set?.data.rule ?? { hash: '' }), rule);
    const { rule: ref, ...data } = set?.data ?? { rule: null };
    assert.deepEqual([data, ref?.subject], [{ trigger: 'a/t', agent: 'a', name: 't', main: 'c0' }, 'trigger:a/t']);
    assert.deepEqual([other?.data.agent, other?.data.main], ['b', null]);
    assert.deepEqual(await scene.triggers.list(), []);
    assert.deepEqual([await scene.triggers.show('a/t'), scene.triggers.globs()], [null, []]);
  });
});

test('twenty firings are shown, the newest first', async () => {
  await withScene([trigger(hook(), { when: 'body.ok' })], async (scene) => {
    for (let n = 0; n < 12; n += 1) {
      scene.clock.time += SECOND;
      await send(scene, `y${n}`, { ok: true });
      scene.clock.time += SECOND;
      await send(scene, `n${n}`, { ok: false });
    }
    const shown = await scene.triggers.show('a/t');
    assert.equal(shown?.trigger.id, 'a/t');
    assert.deepEqual(
      shown?.firings.map(({ at }) => scene.clock.time - at),
      Array.from({ length: 20 }, (_, n) => n * SECOND),
    );
    assert.deepEqual(
      shown?.firings.slice(0, 3).map(({ status }) => status),
      ['no match', 'queued', 'no match'],
    );
  });
});

test('a delivery tells the event and its tasks; the same again is known, and another under its name is refused', async () => {
  await withScene([trigger(hook()), trigger(hook(), { name: 'u' }), trigger(done, { name: 'v' })], async (scene) => {
    const first = await send(scene, 'one', { n: 1 });
    const [received] = await scene.of('webhook.received');
    const tasks = (await scene.tasks()).map(({ id }) => id);
    assert.deepEqual([first, tasks.length], [{ ok: true, event: received?.id, tasks, known: false }, 2]);
    assert.deepEqual(await send(scene, 'one', { n: 1 }), { ...first, known: true });
    assert.deepEqual(await send(scene, 'one', { n: 2 }), {
      ok: false,
      why: 'conflict',
      message: 'Another delivery with a different body already has this idempotency key.',
    });
    await send(scene, null, {}, { seal: 'sealed' });
    await send(scene, null, {});
    assert.deepEqual(
      (await scene.of('webhook.received')).map(({ data }) => data.delivery.replace(/\d+$/, 'N')),
      ['one', 'sealed', 'msg_tN'],
    );
    const { counts } = scene.store;
    scene.store.counts = async () => ({ ...(await counts.call(scene.store)), queued: 10_000 });
    assert.deepEqual(await send(scene, 'two'), {
      ok: false,
      why: 'full',
      message: 'Too many tasks are queued. Send it again later.',
    });
  });
});

test('a hook without a secret answers nobody, which is said once and again after it was mended', async () => {
  await withScene(
    [trigger(hook()), trigger(hook('env:T'), { name: 'u', source: { ...hook('env:T'), hook: 'i' } as never })],
    async (scene) => {
      const auth = { kind: 'bearer', secret: 'env:S', windowMs: 300_000 };
      assert.deepEqual(await scene.triggers.hook('h'), { name: 'h', auth, secrets: ['a-secret-of-the-tests'] });
      assert.equal(await scene.triggers.hook('nobody'), null);
      assert.deepEqual(scene.told.told, []);
      const lacks = {
        level: 'warn',
        fields: { hook: 'h' },
        message: 'the hook h answers nobody: S was not set when ruche was started; set it and start ruche again',
      };
      scene.secrets = {};
      for (let n = 0; n < 2; n += 1) assert.equal(await scene.triggers.hook('h'), null);
      assert.deepEqual(scene.told.told, [lacks]);
      scene.secrets = { 'env:S': 'a-secret-of-the-tests' };
      await scene.triggers.hook('h');
      scene.secrets = {};
      await scene.triggers.hook('h');
      assert.deepEqual(scene.told.told, [lacks, lacks]);
      scene.secrets = { 'env:S': 'short' };
      await scene.triggers.hook('h');
      assert.equal(scene.told.told.length, 3, 'another lack is said, too');
      await scene.edit([trigger(hook()), trigger(hook('env:other'), { name: 'u' })]);
      assert.equal(await scene.triggers.hook('h'), null);
      assert.equal(scene.told.told.length, 3);
    },
  );
});

test('it looks every five seconds, when a burst is due, and a second after there was no room', async () => {
  await withScene(
    [trigger(done, { debounce: 3 * SECOND }), trigger(done, { name: 'u', debounce: 2 * SECOND })],
    async (scene) => {
      assert.deepEqual(waits(scene), [5 * SECOND]);
      await scene.ends('tsk_1');
      assert.deepEqual(waits(scene), [2 * SECOND]);
      await scene.clock.pass(1_999);
      assert.equal((await scene.tasks()).length, 0);
      await scene.clock.pass(1);
      assert.equal((await scene.tasks()).length, 1);
      assert.deepEqual(waits(scene), [SECOND]);
      let queued = 10_000;
      const { counts } = scene.store;
      scene.store.counts = async () => ({ ...(await counts.call(scene.store)), queued });
      await scene.clock.pass(SECOND);
      assert.deepEqual(waits(scene), [SECOND]);
      assert.deepEqual(scene.told.told, [
        { level: 'warn', fields: {}, message: 'triggers wait: there is no room for more tasks' },
      ]);
      queued = 0;
      await scene.clock.pass(SECOND);
      assert.equal((await scene.tasks()).length, 2);
    },
  );
});

test('a burst that never rests fires after ten times its quiet, and a clock that is put back holds none for long', async () => {
  await withScene([trigger(done, { debounce: 3 * SECOND })], async (scene) => {
    await scene.ends('tsk_0');
    for (let n = 1; n <= 14; n += 1) {
      await scene.clock.pass(2 * SECOND);
      await scene.ends(`tsk_${n}`);
    }
    assert.deepEqual(waits(scene), [2 * SECOND], 'thirty seconds after the first');
    await scene.clock.pass(1_999);
    assert.equal((await scene.tasks()).length, 0);
    await scene.clock.pass(1);
    assert.equal((await scene.of('trigger.fired'))[0]?.data.count, 15);
    await scene.ends('tsk_a');
    scene.clock.time -= 3_600 * SECOND;
    scene.triggers.changed();
    await calm();
    assert.deepEqual(waits(scene), [3 * SECOND]);
    await scene.clock.pass(3 * SECOND);
  });
});

test('a store that takes nothing is reported without secrets, and asked again in a second', async () => {
  const scene = new Scene([trigger(done)]);
  scene.redact = (text) => text.replaceAll('s3cret', '***');
  const { head } = scene.store;
  let asked = 0;
  scene.store.head = () => {
    asked += 1;
    return Promise.reject(new StoreUnavailable('full', 'the s3cret disk is full'));
  };
  await scene.start();
  const line = {
    level: 'error',
    fields: { error: 'the *** disk is full' },
    message: 'the triggers could not be looked at',
  };
  assert.deepEqual([scene.told.told, waits(scene), asked], [[line], [SECOND], 1]);
  await scene.clock.pass(SECOND);
  assert.equal(asked, 2);
  scene.store.head = head;
  await scene.clock.pass(SECOND);
  assert.equal((await scene.of('trigger.set')).length, 1);
  await scene.close();
});

test('what is refused for another reason than a duplicate is an error; an outcome of another process counts as ours', async () => {
  await withScene([trigger(done)], async (scene) => {
    const { commit } = scene.store;
    const batches: Batch[] = [];
    const results: CommitResult[] = [{ ok: false, why: 'lease-lost' }];
    scene.store.commit = async (batch) => {
      const isOurs = batch.events.some(({ type }) => type === 'trigger.fired');
      if (isOurs) batches.push(batch);
      return (isOurs ? results.shift() : undefined) ?? commit.call(scene.store, batch);
    };
    await scene.ends('tsk_1');
    assert.deepEqual(
      scene.told.told.map(({ fields }) => fields),
      [{ error: 'what a trigger does could not be recorded: {"ok":false,"why":"lease-lost"}' }],
    );
    await scene.clock.pass(SECOND);
    assert.equal((await scene.tasks()).length, 1);
    assert.deepEqual(
      batches.map(({ sync }) => sync),
      [true, true],
    );
  });
});

test('how far all was seen is on record after sixty causes and at the end, but not past a burst that is open', async () => {
  await withScene([trigger(done), trigger(hook(), { name: 'b', debounce: 100 * SECOND })], async (scene) => {
    for (let n = 0; n < 59; n += 1) await scene.ends(`tsk_${n}`);
    assert.deepEqual(await scene.of('triggers.seen'), []);
    const head = await scene.store.head();
    await scene.ends('tsk_59');
    const [seen, ...more] = await scene.of('triggers.seen');
    assert.deepEqual(more, []);
    assert.ok(seen && seen.data.upTo > head);
    const { stream, actor, cause, labels } = seen;
    assert.deepEqual(
      { stream, actor, cause, labels },
      { stream: 'triggers', actor: 'runtime', cause: null, labels: [] },
    );
    const sent = await send(scene, 'x');
    assert.ok(sent.ok);
    const [received] = await scene.of('webhook.received');
    await scene.ends('tsk_60');
    await scene.close();
    const [, last] = await scene.of('triggers.seen');
    assert.equal(last?.data.upTo, (received?.seq ?? 0) - 1);
    await scene.start();
    assert.equal((await scene.triggers.list()).find(({ id }) => id === 'a/b')?.waiting?.count, 1);
    await scene.clock.pass(100 * SECOND);
    assert.equal((await scene.of('trigger.fired')).filter(({ data }) => data.trigger === 'a/b').length, 1);
  });
});

test('a script that looks after failures is not started for its own, of whatever kind; what is done may go on', async () => {
  for (const status of ['failed', 'dead'] as const)
    await withScene([trigger({ on: `task.${status}`, queue: null, agent: null })], async (scene) => {
      await scene.ends('tsk_1', { from: 'trigger:a/t' }, status);
      assert.deepEqual([await scene.tasks().then((all) => all.length), await scene.of('trigger.skipped')], [1, []]);
      assert.deepEqual(await scene.of('trigger.fired'), []);
      await scene.ends('tsk_2', { from: 'trigger:a/other' }, status);
      assert.equal((await scene.of('trigger.fired')).length, 1);
    });
  await withScene([trigger({ on: 'run.failed', agent: null })], async (scene) => {
    await scene.store.commit({
      events: [],
      queue: [{ op: 'enqueue', task: { ...newTask('tsk_1'), from: 'trigger:a/t' } }],
      sync: true,
    });
    const usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
    const ended = { run: 'run_1', status: 'failed', error: null, detail: null, usage, costUsd: 0, steps: 1 } as const;
    const started = { run: 'run_1', task: 'tsk_1', agent: 'x', session: 's', attempt: 1, config: 'c', base: 'c0' };
    await scene.happen(event({ type: 'run.started', data: started }, 'run:run_1'));
    await scene.happen(event({ type: 'run.finished', data: ended }, 'run:run_1'));
    assert.deepEqual(await scene.of('trigger.fired'), []);
  });
  await withScene([trigger(done)], async (scene) => {
    await scene.ends('tsk_1', { from: 'trigger:a/t' });
    assert.equal((await scene.of('trigger.fired')).length, 1);
  });
});

test('whatever is asked of triggers, those that were saved a moment ago are there', async () => {
  const { governance } = new Scene([trigger(hook()), trigger(files('d/*'), { name: 'f' })]);
  const asks: ((scene: Scene) => Promise<boolean>)[] = [
    async ({ triggers }) => (await triggers.list()).length === 2,
    async ({ triggers }) => (await triggers.show('a/t')) !== null,
    async ({ triggers }) => (await triggers.run('a/t', 'p', {})) !== null,
    async ({ triggers }) => triggers.pause('a/t', 'p'),
    async (scene) => {
      const sent = await send(scene, 'x');
      return sent.ok && sent.tasks.length === 1;
    },
  ];
  for (const ask of asks)
    await withScene([], async (scene) => {
      scene.governance = governance;
      assert.equal(await ask(scene), true);
      assert.deepEqual(scene.triggers.globs(), ['d/*'], 'others wait for no files');
    });
  const { governance: needs } = new Scene([trigger(done, { work: { kind: 'task', text: '{{task}}' } })]);
  await withScene([], async (scene) => {
    scene.governance = needs;
    assert.equal(await scene.triggers.lacking('a/t', {}), 'This trigger needs task; you gave nothing.');
  });
});

test('a pause holds as soon as it is on disk', async () => {
  await withScene([trigger(files('d/*'))], async (scene) => {
    await scene.triggers.pause('a/t', 'p');
    assert.deepEqual([scene.triggers.globs(), scene.batches.at(-1)?.sync], [[], true]);
  });
});

test('two that a person asks for without a name are two, and the newest twenty of many are shown', async () => {
  await withScene([trigger(done)], async (scene) => {
    for (let n = 0; n < 22; n += 1) {
      scene.clock.time += SECOND;
      await scene.triggers.run('a/t', 'p', {});
    }
    assert.equal((await scene.tasks()).length, 22);
    const shown = await scene.triggers.show('a/t');
    assert.deepEqual(
      shown?.firings.map(({ at }) => scene.clock.time - at),
      Array.from({ length: 20 }, (_, n) => n * SECOND),
    );
  });
});

test('while the process goes down nothing is accepted, and an agent without triggers has no hook', async () => {
  const { clock } = new Scene([]);
  const stopping = new Triggers({ clock, accepting: () => false } as Partial<TriggersOptions> as TriggersOptions);
  assert.deepEqual(await stopping.deliver({ hook: 'h', id: '1', seal: null, name: '', body: {} }), {
    ok: false,
    why: 'stopping',
    message: 'Ruche accepts nothing right now. Send it again.',
  });
  await withScene([], async (scene) => {
    scene.governance = governing([anAgent({ name: 'z' })]);
    assert.equal(await scene.triggers.hook('h'), null);
  });
});

test('a failure at the end is reported, and one that comes as something happens is not followed by another look at once', async () => {
  const scene = new Scene([trigger(done)]);
  const { head } = scene.store;
  let asked = 0;
  scene.store.head = () => {
    asked += 1;
    scene.triggers.changed();
    return Promise.reject(new Error('no luck'));
  };
  await scene.start();
  assert.equal(asked, 1);
  scene.store.head = head;
  await scene.clock.pass(SECOND);
  await scene.ends('tsk_1');
  scene.store.commit = () => Promise.reject(new Error('no disk'));
  await scene.close();
  assert.deepEqual(
    scene.told.told.map(({ fields }) => fields),
    [{ error: 'no luck' }, { error: 'no disk' }],
  );
});
