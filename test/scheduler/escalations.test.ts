import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EscalationLevel } from '../../src/core/escalation.ts';
import { matterRaised } from '../../src/core/records/matter.ts';
import { calm } from './worker-kit.ts';
import { MINUTE, START, withWorld, World } from './escalation-kit.ts';
import { putJson } from '../../src/core/records/json-blob.ts';

const CHAIN: EscalationLevel[] = [
  { after: 0, to: 'chat:o' },
  { after: 30 * MINUTE, to: 'agent:b' },
  { after: 60 * MINUTE, to: 'webhook:https://x.org/h' },
  { after: 120 * MINUTE, to: 'deny' },
];
const owner = { owner: CHAIN };

test('an approval goes up its chain, and is denied at the end: one commit a level, each with what tells of it', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval', { labels: ['untrusted'] });
    assert.deepEqual(await world.reached(id), ['0 chat:o told 0']);
    const [started] = await world.of('escalation.started');
    assert.deepEqual(
      [started?.stream, started?.key, started?.data.about, started?.data.kind, started?.data.chain, started?.data.from],
      [`escalation:esc_${id}`, `escalation:esc_${id}`, id, 'approval', 'owner', START],
    );
    const [said] = await world.said('chat');
    assert.match(
      said?.text ?? '',
      new RegExp(`\\*\\*a asks for approval\\*\\*[^]*fetch\\nurl: x[^]*/approve ${id}[^]*/ack esc_${id}`),
    );
    assert.match(said?.text ?? '', /Without either it is denied at Sunday 2026-11-22 10:00 \(UTC\)/);
    assert.deepEqual(said?.buttons, [`approve:${id}`, `deny:${id}`, `ack:esc_${id}`]);
    assert.deepEqual([said?.to, said?.labels], ['o', ['untrusted']]);

    await world.clock.pass(30 * MINUTE);
    const [task] = await world.store.tasks({ queue: 'b' });
    assert.ok(task);
    assert.deepEqual([task.from, task.labels, task.origin?.senders], [`escalation:esc_${id}`, ['untrusted'], ['a']]);
    const content = Buffer.from((await world.store.getBlob(task.content ?? { hash: '' })) ?? []).toString();
    assert.match(content, new RegExp(`Only a person can approve or deny it.*`));
    assert.match(content, /<<untrusted tsk_\d+: text from apr_/);

    await world.clock.pass(30 * MINUTE);
    const [posted] = await world.said('webhook');
    assert.equal(posted?.to, 'https://x.org/h');
    assert.deepEqual(JSON.parse(posted?.text ?? ''), {
      escalation: `esc_${id}`,
      about: id,
      kind: 'approval',
      chain: 'owner',
      level: 3,
      agent: 'a',
      task: started?.data.task,
      since: '2026-11-22T08:00:00Z',
      text: 'fetch\nurl: x',
      reason: 'the rule',
    });
    const [sending] = (await world.store.tasks({ queue: 'outbox' })).slice(-1);
    assert.equal(sending?.maxAttempts, 3);

    await world.clock.pass(60 * MINUTE);
    assert.deepEqual(await world.reached(id), [
      '0 chat:o told 0',
      '1 agent:b told 30',
      '2 webhook:https://x.org/h told 60',
      '3 deny denies 120',
    ]);
    const [answered] = await world.of('approval.answered');
    assert.deepEqual([answered?.data.verdict, answered?.data.by], ['deny', 'runtime']);
    const reason = await world.store.getBlob(answered?.data.reason ?? { hash: '' });
    assert.match(Buffer.from(reason ?? []).toString(), /the chain owner gives/);
    assert.equal(await world.ended(id), 'denied');
    assert.deepEqual(await world.escalations.list(), []);
    assert.equal((await world.store.task(started?.data.task ?? ''))?.status, 'queued');
  });
});

test('a question and a matter end at their top, and stay open there', async () => {
  await withWorld(owner, async (world) => {
    const ids = [await world.ask('question'), await world.raise('hops')];
    await world.clock.pass(30 * MINUTE);
    await world.clock.pass(30 * MINUTE);
    await world.clock.pass(48 * 60 * MINUTE);
    for (const id of ids) {
      assert.equal((await world.reached(id)).length, 3);
      assert.equal(await world.ended(id), null);
      const state = await world.escalations.get(id);
      assert.deepEqual([state?.next, state?.pending !== null], [null, true]);
      assert.match((await world.said('chat'))[0]?.text ?? '', /`\/answer qst_\d+ TEXT`/);
      assert.equal(await world.answer(id), true);
      assert.equal(await world.ended(id), 'answered');
    }
  });
});

test('an answer ends it, and so does the end of the task', async () => {
  await withWorld(owner, async (world) => {
    const [answered, cancelled] = [await world.ask('approval'), await world.ask('question')];
    assert.equal(await world.answer(answered), true);
    await world.end(cancelled);
    await world.clock.pass(200 * MINUTE);
    assert.deepEqual([await world.ended(answered), await world.ended(cancelled)], ['answered', 'gone']);
    assert.equal((await world.of('escalation.reached')).length, 2);
    const all = await world.escalations.list({ ended: true });
    assert.deepEqual(
      all.map(({ about, ended }) => `${about} ${ended?.why}`).sort(),
      [`${answered} answered`, `${cancelled} gone`].sort(),
    );
  });
});

test('acknowledged, its clock stands and it waits on; once is enough, by either id', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval');
    assert.equal(await world.escalations.acknowledge(id, 'chat:1'), 'done');
    assert.equal(await world.escalations.acknowledge(`esc_${id}`, 'owner'), 'again');
    assert.equal(await world.escalations.acknowledge('esc_none', 'owner'), null);
    await world.clock.pass(999 * MINUTE);
    world.kill();
    await world.start();
    await world.clock.pass(999 * MINUTE);
    assert.equal((await world.reached(id)).length, 1);
    const [state] = await world.escalations.list();
    assert.deepEqual([state?.acknowledged?.by, state?.next, state?.ended], ['chat:1', null, null]);
    assert.equal(await world.answer(id), true);
    assert.equal(await world.ended(id), 'answered');
    assert.equal(await world.escalations.acknowledge(id, 'owner'), 'ended');
  });
});

test('who cannot be reached is passed over at once, on record; a denial keeps its time', async () => {
  const chain = [
    { after: 0, to: 'gone:1' },
    { after: 30 * MINUTE, to: 'agent:none' },
    { after: 40 * MINUTE, to: 'agent:a' },
    { after: 50 * MINUTE, to: 'chat:o' },
    { after: 60 * MINUTE, to: 'chat:p' },
    { after: 70 * MINUTE, to: 'deny' },
  ];
  await withWorld({ owner: chain }, async (world) => {
    const id = await world.ask('approval');
    assert.deepEqual(await world.reached(id), [
      '0 gone:1 unreachable 0',
      '1 agent:none unreachable 0',
      '2 agent:a unreachable 0',
      '3 chat:o told 0',
    ]);
    const why = (await world.of('escalation.reached')).map(({ data }) => data.why);
    assert.deepEqual(why, [
      'the channel gone is not configured',
      'unknown agent "none"',
      'a itself waits for it',
      null,
    ]);
    const [sending] = await world.store.tasks({ queue: 'outbox' });
    await world.fail(sending?.id ?? '');
    assert.equal((await world.reached(id))[4], '4 chat:p told 0');
    const [, second] = await world.store.tasks({ queue: 'outbox' });
    await world.fail(second?.id ?? '');
    await world.clock.pass(69 * MINUTE);
    assert.equal((await world.reached(id)).length, 5);
    await world.clock.pass(MINUTE);
    assert.equal(await world.ended(id), 'denied');
  });
});

test('an agent whose task breaks off is passed over; what one says settles nothing', async () => {
  const chain = [
    { after: 0, to: 'agent:b' },
    { after: 30 * MINUTE, to: 'chat:o' },
  ];
  await withWorld({ owner: chain }, async (world) => {
    const [broken, done] = [await world.ask('question'), await world.ask('question')];
    const tasks = await world.store.tasks({ queue: 'b' });
    await world.fail(tasks[0]?.id ?? '');
    await world.store.commit({
      events: [],
      queue: [{ op: 'settle', task: tasks[1]?.id ?? '', status: 'done', result: null }],
      sync: true,
    });
    await world.clock.pass(MINUTE);
    assert.deepEqual([(await world.reached(broken)).length, (await world.reached(done)).length], [2, 1]);
    await world.clock.pass(29 * MINUTE);
    assert.equal((await world.reached(done)).length, 2);
    assert.deepEqual([await world.ended(broken), await world.ended(done)], [null, null]);
  });
});

test('the chain is that of the task, else of the agent, else the one named owner; without one nothing happens', async () => {
  const chains = {
    owner: [{ after: 0, to: 'chat:o' }],
    night: [{ after: 0, to: 'chat:n' }],
    day: [{ after: 0, to: 'chat:d' }],
  };
  const agents = [World.agent('a'), World.agent('b', { escalation: 'night' })];
  const b = { queue: 'b', agent: 'b' };
  await withWorld(
    chains,
    async (world) => {
      await world.ask('question');
      await world.ask('question', b);
      await world.ask('question', { ...b, escalation: 'day' });
      await world.ask('question', { ...b, escalation: 'lost' });
      assert.deepEqual(
        (await world.said('chat')).map(({ to }) => to),
        ['o', 'n', 'd', 'o'],
      );
    },
    agents,
  );
  await withWorld({ night: CHAIN }, async (world) => {
    await world.ask('approval');
    await world.raise();
    const head = await world.store.head();
    await world.clock.pass(999 * MINUTE);
    assert.equal(await world.store.head(), head);
  });
});

test('a chain that is written later counts from then, and one that is changed goes on as it was', async () => {
  await withWorld({}, async (world) => {
    const id = await world.ask('approval');
    await world.clock.pass(999 * MINUTE);
    await world.edit(owner);
    assert.deepEqual(await world.reached(id), ['0 chat:o told 999']);
    await world.edit({ owner: [{ after: 0, to: 'chat:other' }] });
    await world.clock.pass(30 * MINUTE);
    assert.deepEqual((await world.reached(id)).at(-1), '1 agent:b told 1029');
  });
});

test('what an escalation has led to goes to people, and its dead letter to nobody further', async () => {
  const chain = [
    { after: 0, to: 'agent:b' },
    { after: MINUTE, to: 'chat:o' },
  ];
  await withWorld({ owner: chain }, async (world) => {
    const made = { from: 'escalation:esc_x', queue: 'b', agent: 'b' };
    const asks = await world.ask('question', made);
    const child = (await world.store.tasks({ queue: 'b' }))[0]?.id ?? '';
    const origin = { root: child, parent: child, hops: 1, senders: ['b'] };
    const late = await world.raise('deadline', { origin });
    const dead = await world.raise('dead', { from: 'escalation:esc_x' });
    await world.clock.pass(MINUTE);
    assert.deepEqual(
      [await world.reached(asks), await world.reached(late)],
      [['0 chat:o told 1'], ['0 chat:o told 1']],
    );
    assert.equal(await world.escalations.get(dead), null);
    assert.equal((await world.of('escalation.started')).length, 2);
  });
});

test('who was asked by the run itself is not told a second time', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval', { put: { channel: 'chat', to: 'o' } });
    const other = await world.ask('approval', { put: { channel: 'chat', to: 'p' } });
    assert.equal((await world.said('chat')).length, 1);
    assert.deepEqual([await world.reached(id), await world.reached(other)], [['0 chat:o told 0'], ['0 chat:o told 0']]);
  });
});

test('killed at any commit, each level is reached once and in order', async () => {
  let deaths = 0;
  for (const after of [false, true])
    for (let nth = 1; nth <= 7; nth++)
      await withWorld(owner, async (world) => {
        world.dieAt(nth, after);
        const id = await world.ask('approval');
        for (let hour = 0; hour < 6; hour++) {
          await world.clock.pass(30 * MINUTE);
          if (!world.dead) continue;
          deaths += 1;
          await world.start();
        }
        await world.clock.pass(2 * MINUTE);
        await world.clock.pass(2 * MINUTE);
        const levels = (await world.of('escalation.reached')).map(({ data }) => data.level);
        assert.deepEqual(levels, [0, 1, 2, 3], `died ${after ? 'after' : 'before'} commit ${nth}`);
        assert.equal(await world.ended(id), 'denied');
        assert.deepEqual([(await world.said('chat')).length, (await world.said('webhook')).length], [1, 1]);
        assert.equal((await world.store.tasks({ queue: 'b' })).length, 1);
      });
  assert.equal(deaths, 14);
});

test('Ruche was off when levels were due: each is reached once at the start, and a denial leaves time to answer', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval');
    world.kill();
    world.clock.time += 999 * MINUTE;
    await world.start();
    assert.deepEqual(await world.reached(id), [
      '0 chat:o told 0',
      '1 agent:b told 999',
      '2 webhook:https://x.org/h told 999',
    ]);
    await world.clock.pass(MINUTE - 1);
    assert.equal(await world.ended(id), null);
    await world.clock.pass(1);
    await calm();
    assert.equal(await world.ended(id), 'denied');
  });
});

test('a clock that is put back makes nobody wait for it to come again, and tells nobody twice', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval');
    await world.clock.pass(30 * MINUTE);
    world.clock.time -= 10_000 * MINUTE;
    // Timers go by time gone by, which the clock of this test cannot tell.
    const look = async (minutes: number): Promise<unknown> => {
      await world.clock.pass(minutes * MINUTE);
      return world.escalations.list();
    };
    await look(0);
    await look(20);
    assert.equal((await world.reached(id)).length, 2);
    for (let n = 0; n < 9; n++) await look(20);
    assert.deepEqual(
      (await world.of('escalation.reached')).map(({ data }) => data.level),
      [0, 1, 2, 3],
    );
    assert.equal(await world.ended(id), 'denied');
  });
});

test('while the store takes nothing no level is lost, and no denial', async () => {
  await withWorld(owner, async (world) => {
    world.full = true;
    const id = await world.ask('approval');
    await world.clock.pass(5_000);
    assert.deepEqual(await world.reached(id), []);
    world.full = false;
    await world.clock.pass(5_000);
    assert.equal((await world.reached(id)).length, 1);
    for (const minutes of [30, 30, 59]) await world.clock.pass(minutes * MINUTE);
    world.full = true;
    await world.clock.pass(2 * MINUTE);
    assert.equal(await world.ended(id), null);
    world.full = false;
    await world.clock.pass(5_000);
    assert.equal(await world.ended(id), 'denied');
  });
});

test('one that cannot be read keeps no other from its levels, and is looked at again', async () => {
  await withWorld(owner, async (world) => {
    world.broken.add('apr_2');
    const first = await world.ask('approval');
    assert.equal(first, 'apr_2');
    const second = await world.ask('approval');
    assert.deepEqual([await world.reached(first), (await world.reached(second)).length], [[], 1]);
    assert.equal((await world.escalations.list()).length, 1);
    world.broken.clear();
    await world.clock.pass(6_000);
    assert.equal((await world.reached(first)).length, 1);
  });
});

test('nobody approves by a button what the message does not show to its end', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval', { text: `${'- harmless\n'.repeat(400)}- not harmless` });
    const [said] = await world.said('chat');
    assert.doesNotMatch(said?.text ?? '', /not harmless|\/approve/);
    assert.match(said?.text ?? '', /not all of it[^]*`ruche approvals`[^]*`\/deny apr_/);
    assert.deepEqual(said?.buttons, [`deny:${id}`, `ack:esc_${id}`]);
  });
});

test('an address that does not take its message holds up no other address', async () => {
  const chain = {
    owner: [
      { after: 0, to: 'chat:x' },
      { after: 0, to: 'chat:y' },
      { after: 0, to: 'chat:x' },
    ],
  };
  await withWorld(chain, async (world) => {
    await world.ask('question');
    const lanes = (await world.store.tasks({ queue: 'outbox' })).map(({ lane }) => lane);
    assert.equal(lanes.length, 3);
    assert.equal(new Set(lanes).size, 2);
  });
});

test('a denial that came too early to be recorded is none once somebody has acknowledged', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('approval');
    // The run goes on with what else it waited for: nobody can answer it now.
    const task = (await world.of('escalation.started'))[0]?.data.task ?? '';
    await world.commit({ events: [], queue: [{ op: 'wake', task }], sync: true });
    for (const minutes of [30, 30, 60, 1]) await world.clock.pass(minutes * MINUTE);
    assert.match((await world.reached(id)).at(-1) ?? '', /^3 deny denies/);
    assert.equal(await world.escalations.acknowledge(id, 'owner'), 'done');
    await world.store.claim({ worker: 'w', now: world.clock.now(), leaseMs: 1e12, only: [`of-${task}`] });
    const run = `run_${task}`;
    const parked = { type: 'run.parked' as const, data: { waits: [{ kind: 'approval' as const, id }] } };
    await world.commit({
      events: [{ ...parked, stream: `run:${run}`, actor: 'agent:a', cause: null, labels: [] }],
      queue: [{ op: 'park', task }],
      sync: true,
    });
    await world.clock.pass(MINUTE);
    assert.deepEqual([await world.ended(id), await world.of('approval.answered')], [null, []]);
    assert.equal(await world.answer(id), true);
    assert.equal(await world.ended(id), 'answered');
  });
});

test('who was asked by the run itself, and could not be reached, is passed over', async () => {
  await withWorld(owner, async (world) => {
    const id = await world.ask('question', { put: { channel: 'chat', to: 'o' } });
    assert.equal((await world.reached(id)).length, 1);
    const put = await world.store.byKey(`put:${id}`);
    const [asker] = await world.store.tasks({ statuses: ['waiting'] });
    const data = { message: put?.id ?? '', channel: 'chat', error: 'blocked by the user', final: true };
    await world.commit({
      events: [
        {
          type: 'message.failed',
          data,
          stream: asker?.lane ?? '',
          actor: 'runtime',
          cause: put?.id ?? null,
          labels: [],
        },
      ],
      sync: true,
    });
    await calm();
    assert.match((await world.reached(id)).at(-1) ?? '', /^1 agent:b told 0/);
  });
});

test('a button carries no more than messengers let it; words do', async () => {
  await withWorld(owner, async (world) => {
    const task = `${'a'.repeat(60)}/nightly@evt_123456`;
    const shown = { text: 'Too often.', reason: 'A guard.' };
    const raised = matterRaised({ kind: 'limit', about: task, shown }, (value) => putJson(world.store, value, 's'));
    await world.commit({ events: [{ ...raised, actor: 'runtime', cause: null, labels: [] }], sync: true });
    await calm();
    const [said] = await world.said('chat');
    assert.deepEqual(said?.buttons, []);
    assert.ok(said?.text.includes(`/ack esc_mat_limit_${task}`));
    const [id] = [await world.raise('ping-pong')];
    assert.deepEqual((await world.said('chat'))[1]?.buttons, [`ack:esc_${id}`]);
  });
});

test('without a chain an approval is denied after a day, over a kill, and a question waits on', async () => {
  await withWorld({}, async (world) => {
    const id = await world.ask('approval');
    const question = await world.ask('question');
    await world.clock.pass(23 * 60 * MINUTE);
    world.kill();
    await world.start();
    assert.deepEqual([await world.reached(id), await world.ended(id)], [[], null]);
    await world.clock.pass(60 * MINUTE);
    assert.deepEqual(await world.reached(id), ['0 deny denies 1440']);
    assert.equal(await world.ended(id), 'denied');
    assert.equal(await world.ended(question), null);
    assert.deepEqual(
      (await world.of('approval.answered')).map(({ data }) => [data.approval, data.verdict, data.by]),
      [[id, 'deny', 'runtime']],
    );
  });
});

test('the time after which it is denied can be set, or never', async () => {
  for (const [approvalMs, reached] of [
    [3 * 60 * MINUTE, ['0 deny denies 180']],
    [null, []],
  ] as const)
    await withWorld({}, async (world) => {
      world.governance.settings = { ...world.governance.settings, approvalMs };
      const id = await world.ask('approval');
      await world.clock.pass(180 * MINUTE);
      assert.deepEqual(await world.reached(id), reached);
      await world.clock.pass(48 * 60 * MINUTE);
      assert.deepEqual(await world.reached(id), reached);
    });
});
