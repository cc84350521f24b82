import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EscalationLevel } from '../../src/core/escalation.ts';
import type { Event, NewEvent } from '../../src/core/event.ts';
import { putJson } from '../../src/core/records/json-blob.ts';
import { askedKey } from '../../src/core/records/matter.ts';
import { StoreUnavailable } from '../../src/core/ports/store.ts';
import { expire } from '../../src/pending/approve.ts';
import { MINUTE, START, withWorld, type World } from './escalation-kit.ts';
import { calm } from './worker-kit.ts';

const CHAIN: EscalationLevel[] = [
  { after: 0, to: 'chat:o' },
  { after: 30 * MINUTE, to: 'agent:b' },
  { after: 120 * MINUTE, to: 'deny' },
];
const owner = { owner: CHAIN };

/** An event as somebody else commits it. */
async function happens(
  world: World,
  body: Pick<NewEvent, 'type' | 'data'>,
  more: Partial<NewEvent> = {},
): Promise<void> {
  const event = { stream: 's', actor: 'test', cause: null, labels: [], ...body, ...more } as NewEvent;
  await world.commit({ events: [event], sync: true });
  await calm();
}

/** A change from outside waits for a person. */
async function hold(world: World): Promise<string> {
  const shown = putJson(world.store, { text: '+ rules', reason: '' }, 'workspace-words');
  await happens(
    world,
    { type: 'config.held', data: { commit: 'c', approval: 'apr_held', shown } },
    { key: askedKey('apr_held'), labels: ['private'] },
  );
  return 'apr_held';
}

/** What is said of an escalation, event by event. */
const told = async (world: World, id: string) =>
  (await world.events())
    .filter(({ stream }) => stream === `escalation:esc_${id}`)
    .map(({ type, actor, cause, labels, key, data }: Event) => ({ type, actor, cause, labels, key, data }));

test('the journal tells an escalation whole, and each of its commits is synced and bound to what was read', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval', { labels: ['private'] });
    assert.equal(await world.escalations.acknowledge(id, 'person:ada'), 'done');
    assert.equal(await world.answer(id), true);
    const escalation = `esc_${id}`;
    const [started, reached, ...rest] = await told(world, id);
    const common = { cause: (await world.of('escalation.started'))[0]?.id, labels: [] };
    assert.deepEqual(
      [started?.actor, started?.key, started?.labels],
      ['runtime', `escalation:${escalation}`, ['private']],
    );
    assert.deepEqual([reached?.key, reached?.labels], [`escalation:${escalation}@0`, ['private']]);
    assert.deepEqual(rest, [
      {
        ...common,
        type: 'escalation.acknowledged',
        actor: 'person:ada',
        key: `escalation:${escalation}@ack`,
        data: { escalation },
      },
      {
        ...common,
        type: 'escalation.ended',
        actor: 'runtime',
        key: `escalation:${escalation}@end`,
        data: { escalation, why: 'answered' },
      },
    ]);
    assert.deepEqual(
      world.batches.map(({ sync, expect }) => [sync, expect?.[`escalation:${escalation}`]]),
      [undefined, 1, 2, 3].map((version) => [true, version]),
    );
    assert.deepEqual(world.told.told, []);
  });
});

test('what happens is acted on at once, and what concerns no escalation wakes nobody', async () => {
  await withWorld(owner, async (world) => {
    const raised = await world.raise();
    assert.equal((await world.reached(raised)).length, 1, 'a matter');
    const [asked, gone] = [await world.ask('question'), await world.ask('approval')];
    const held = await hold(world);
    assert.equal((await world.reached(held)).length, 1, 'a change from outside');
    await world.answer(asked);
    assert.equal(await world.ended(asked), 'answered');
    await world.answer(raised);
    assert.equal(await world.ended(raised), 'answered');
    await world.end(gone);
    assert.equal(await world.ended(gone), 'gone');
    const { length } = world.clock.sleeps;
    const nothing: Pick<NewEvent, 'type' | 'data'>[] = [
      { type: 'run.parked', data: { waits: [{ kind: 'task', id: 'tsk_x' }] } },
      { type: 'approval.answered', data: { approval: 'apr_x' } as never },
      { type: 'question.answered', data: { question: 'qst_x' } as never },
      { type: 'matter.settled', data: { matter: 'mat_x' } as never },
      { type: 'task.finished', data: { task: 'tsk_x', run: null, status: 'done', result: null } },
      { type: 'message.failed', data: { message: 'm', channel: 'chat', error: 'busy', final: false } },
      { type: 'config.applied', data: { commit: 'd' } },
    ];
    for (const body of nothing) await happens(world, body);
    assert.equal(world.clock.sleeps.length, length);
    await happens(world, {
      type: 'message.failed',
      data: { message: 'm', channel: 'chat', error: 'gone', final: true },
    });
    assert.equal(world.clock.sleeps.length, length + 1, 'any that somebody was told of');
    assert.deepEqual(world.told.told, []);
  });
});

test('a change from outside is told as untrusted, in the words of its own subject', async () => {
  await withWorld(owner, async (world) => {
    await hold(world);
    const [said] = await world.said('chat');
    assert.deepEqual(said?.labels, ['private', 'untrusted']);
    const subject = async () => (await world.of('message.queued')).map(({ data }) => data.content.subject);
    assert.deepEqual(await subject(), ['workspace-words']);
    await world.raise();
    await world.ask('question');
    await world.ask('approval');
    const lanes = (await world.of('task.queued')).map(({ data }) => data.task.lane);
    assert.deepEqual((await subject()).slice(1), lanes);
  });
});

test('nothing is looked at before it is due or something happens to it', async () => {
  await withWorld(owner, async (world) => {
    await world.ask('question');
    await world.ask('question');
    world.looked.length = 0;
    assert.deepEqual(world.clock.sleeps.slice(-1), [5_000]);
    for (let n = 0; n < 3; n++) await world.clock.pass(5_000);
    assert.deepEqual(world.looked, []);
    world.escalations.changed();
    await calm();
    assert.deepEqual(world.looked, []);
    await world.escalations.list();
    assert.equal(world.looked.length, 2, 'the text of each that is listed');
    // Close to a level it sleeps as long as it takes.
    await world.clock.pass(30 * MINUTE - 15_000 - 2_000);
    assert.deepEqual(world.clock.sleeps.slice(-1), [2_000]);
    await world.clock.pass(2_000);
    assert.equal((await world.of('escalation.reached')).length, 4);
    assert.ok(world.clock.sleeps.every((ms) => ms >= 1 && ms <= 5_000));
  });
});

test('the journal is followed once, from where it was taken up, and after a failure from where it was left', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('question');
    world.kill();
    const head = await world.store.head();
    const { follow } = world.store;
    let broken = false;
    world.store.follow = async function* (after, signal) {
      for await (const event of follow.call(world.store, after, signal)) {
        if (broken) throw new Error('s3cret is unreadable');
        yield event;
      }
    };
    world.follows.length = 0;
    await world.start();
    for (let n = 0; n < 3; n++) await world.clock.pass(5_000);
    assert.deepEqual(world.follows, [head]);
    await happens(world, { type: 'gateway.stopped', data: { reason: 'x' } });
    broken = true;
    await world.answer(id);
    assert.equal(await world.ended(id), null);
    assert.deepEqual(world.told.told, [
      { level: 'error', fields: { error: 'Error: *** is unreadable' }, message: 'the journal could not be followed' },
    ]);
    broken = false;
    await world.clock.pass(1_000);
    assert.deepEqual(world.follows, [head, head + 1]);
    assert.equal(await world.ended(id), 'answered');
  });
});

test('what goes wrong is logged without secrets, and tried again', async () => {
  await withWorld(owner, async (world) => {
    world.full = true;
    await world.ask('question');
    const message = 'the escalations could not be looked at';
    assert.deepEqual(world.told.told, [{ level: 'error', fields: { error: 'the disk is full' }, message }]);
    assert.equal(world.clock.sleeps.at(-1), 1_000);
    world.full = false;
    world.told.told.length = 0;
    const { byKey } = world.store;
    world.store.byKey = async () => Promise.reject(new Error('no s3cret'));
    await world.clock.pass(1_000);
    const about = 'qst_2';
    const alone = 'an escalation could not be looked at';
    assert.deepEqual(world.told.told, [{ level: 'error', fields: { about, error: 'Error: no ***' }, message: alone }]);
    world.store.byKey = byKey;
    world.told.told.length = 0;
    world.kill();
    const { head } = world.store;
    world.store.head = () => Promise.reject(new Error('no s3cret'));
    await world.start();
    assert.deepEqual(world.told.told, [{ level: 'error', fields: { error: 'Error: no ***' }, message }]);
    world.store.head = head;
    await world.clock.pass(1_000);
    assert.equal((await world.of('escalation.reached')).length, 1);
  });
});

test('a denial that a disk refuses is no fault of one escalation', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval');
    await world.clock.pass(30 * MINUTE);
    const { commit } = world.store;
    world.store.commit = () => Promise.reject(new StoreUnavailable('full', 'the disk is full'));
    await world.clock.pass(90 * MINUTE);
    assert.deepEqual(
      world.told.told.map(({ message }) => message),
      ['the escalations could not be looked at'],
    );
    world.store.commit = commit;
    await world.clock.pass(1_000);
    assert.equal(await world.ended(id), 'denied');
  });
});

test('without a chain there is nothing to log', async () => {
  await withWorld({}, async (world) => {
    const id = await world.ask('approval');
    await world.clock.pass(5_000);
    await happens(world, { type: 'task.finished', data: { task: 'tsk_x', run: null, status: 'done', result: null } });
    await world.answer(id);
    await world.clock.pass(5_000);
    assert.deepEqual(world.told.told, []);
    assert.deepEqual(await world.escalations.list(), []);
  });
});

test('what fails before anybody was told concerns nobody', async () => {
  await withWorld({ owner: [{ after: MINUTE, to: 'chat:o' }] }, async (world) => {
    await world.ask('question');
    const { length } = world.clock.sleeps;
    await happens(world, { type: 'message.failed', data: { message: 'm', channel: 'c', error: 'gone', final: true } });
    await happens(world, { type: 'task.finished', data: { task: 'tsk_x', run: null, status: 'done', result: null } });
    assert.equal(world.clock.sleeps.length, length);
    assert.deepEqual(world.told.told, []);
  });
});

test('what is acknowledged is not looked at again until something happens to it', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('question');
    await world.escalations.acknowledge(id, 'person:ada');
    await world.clock.pass(5_000);
    world.looked.length = 0;
    for (let n = 0; n < 3; n++) await world.clock.pass(5_000);
    assert.deepEqual(world.looked, []);
  });
});

test('a store that ends what follows it with an error is no fault while closing', async () => {
  await withWorld(owner, async (world) => {
    world.kill();
    // oxlint-disable-next-line require-yield
    world.store.follow = async function* (_, signal) {
      await new Promise((resolve) => signal?.addEventListener('abort', resolve));
      throw new Error('it was stopped');
    };
    await world.start();
    await world.escalations.close();
    assert.deepEqual(world.told.told, []);
  });
});

test('a person who asks sees what is due done first', async () => {
  const due = async (world: World): Promise<string> => {
    const id = await world.ask('approval');
    world.clock.time += 30 * MINUTE;
    return id;
  };
  await withWorld(owner, async (world) => {
    const state = await world.escalations.get(await due(world));
    assert.equal(state?.levels.filter(({ reached }) => reached).length, 2);
  });
  await withWorld(owner, async (world) => {
    const id = await due(world);
    await world.escalations.acknowledge(id, 'person:ada');
    assert.equal((await world.reached(id)).length, 2);
  });
});

test('of two that acknowledge at once one did it', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval');
    const stream = `escalation:esc_${id}`;
    const event = { type: 'escalation.acknowledged', data: { escalation: `esc_${id}` } } as const;
    world.meanwhile = () => happens(world, event, { stream, key: `${stream}@ack`, actor: 'person:eve' });
    assert.equal(await world.escalations.acknowledge(id, 'person:ada'), 'again');
    assert.equal((await world.escalations.get(id))?.acknowledged?.by, 'person:eve');
  });
});

test('the list is in the order of time; of those that have ended it holds the newest fifty', async () => {
  await withWorld(owner, async (world) => {
    const ids: string[] = [];
    for (let n = 0; n < 52; n++) {
      const id = await world.ask('question');
      await world.clock.pass(1_000);
      if (n > 0) await world.answer(id);
      ids.push(id);
    }
    const listed = async (ended: boolean) => (await world.escalations.list({ ended })).map(({ about }) => about);
    assert.deepEqual(await listed(false), ids.slice(0, 1));
    assert.deepEqual(await listed(true), [ids[0], ...ids.slice(2)]);
    const late = await world.raise();
    assert.deepEqual(await listed(false), [ids[0], late]);
    assert.deepEqual(await listed(true), [ids[0], ...ids.slice(2), late]);
  });
});

test('the open ones are listed by when they began, whatever was seen first', async () => {
  await withWorld(owner, async (world) => {
    const first = await world.ask('question');
    await world.clock.pass(1_000);
    const second = await world.raise();
    world.kill();
    await world.start();
    assert.deepEqual(
      (await world.escalations.list()).map(({ about }) => about),
      [first, second],
    );
  });
});

test('an approval that the runtime denied before the end of its chain was answered, not denied by it', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval');
    const deps = { store: world.store, answerHeld: () => Promise.reject(new Error('none is held')) };
    await expire(deps, id, 'for another reason');
    await calm();
    assert.equal(await world.ended(id), 'answered');
  });
});

test('close waits for what is under way, and nothing wakes after it', async () => {
  await withWorld(owner, async (world) => {
    await world.ask('question');
    const { byKey } = world.store;
    let release = (): void => undefined;
    world.store.byKey = (key) =>
      new Promise((resolve) => {
        release = () => resolve(byKey.call(world.store, key));
      });
    const asked = world.escalations.list();
    await calm();
    let closed = false;
    const closing = world.escalations.close().then(() => {
      closed = true;
    });
    await calm();
    assert.equal(closed, false);
    world.store.byKey = byKey;
    release();
    await closing;
    assert.equal(world.clock.sleeping, 0);
    assert.equal((await asked).length, 1);
  });
});

test('off for an hour, a denial waits a minute from the start of the process, not from when it was made', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval');
    await world.clock.pass(30 * MINUTE);
    world.kill();
    world.clock.time = START + 500 * MINUTE;
    await world.start();
    assert.equal((await world.escalations.get(id))?.next, START + 501 * MINUTE);
    await world.clock.pass(MINUTE - 1);
    assert.equal(await world.ended(id), null);
    await world.clock.pass(1);
    assert.equal(await world.ended(id), 'denied');
  });
});
