import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadJson } from '../../src/agent/run/log.ts';
import type { EventOf } from '../../src/core/event.ts';
import type { Rule } from '../../src/core/policy.ts';
import { type Schedule, scheduleStream } from '../../src/core/schedule.ts';
import type { Tool } from '../../src/core/ports/tool.ts';
import { firingBatch } from '../../src/scheduler/schedules/fire.ts';
import type { Loop } from '../fakes/loop.ts';
import { setTaskAside } from '../../src/runtime/end.ts';
import { recordingChannel } from '../fakes/recording-channel.ts';
import { says } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import { withLoop } from './with-loop.ts';

const ID = 'assistant/probe';

/** A shell whose commands end as told, one after another. */
function shell(results: readonly (readonly [ok: boolean, text: string])[]) {
  const left = [...results];
  const ran: string[] = [];
  const tool: Tool = {
    name: 'shell',
    usualFor: 'commands',
    description: 'shell',
    effect: 'exec',
    idempotent: true,
    schema: { type: 'object' },
    parse: (value) => ({ ok: true, value }),
    facts: (input) => ({ command: (input as { command: string }).command }),
    run: async (input) => {
      ran.push((input as { command: string }).command);
      const [ok, text] = left.shift() ?? [false, 'nothing is left'];
      return { ok, text, labels: [], changes: [] };
    },
  };
  return { tool, ran };
}

/** Has a schedule fire, and gives the task when it has ended. */
function firing(loop: Loop) {
  let at = 0;
  return async (more: Partial<Schedule> = {}, how: { missed?: number; late?: boolean } = {}) => {
    const schedule: Schedule = {
      name: 'probe',
      timing: { kind: 'every', ms: 1000, zone: null, until: null, activeHours: null, jitter: 0 },
      missed: { mode: 'once' },
      overlap: 'skip',
      work: { kind: 'run', command: 'scripts/probe.sh -v' },
      ...more,
    };
    const set = { id: 'evt_1', data: { agent: 'assistant' } } as EventOf<'schedule.set'>;
    const version = await loop.store.version(scheduleStream(ID));
    const standing = { id: ID, set, cursor: 0, paused: false, last: null, version };
    const deps = { ...loop.deps, maxAttempts: () => 1 };
    const fire = [{ at: (at += 1000), missed: 0, by: null, ...how }];
    const { tasks, ...batch } = firingBatch(deps, standing, schedule, { skipped: null, fire });
    const events = batch.events.map((event) => (event.cause === 'evt_1' ? { ...event, cause: null } : event));
    assert.equal((await loop.store.commit({ ...batch, events })).ok, true);
    return loop.settled(tasks[0]?.id ?? '');
  };
}

const turns = async (loop: Loop): Promise<number[]> =>
  (await loop.events()).flatMap((event) => (event.type === 'turn.ended' ? [event.data.messages.length] : []));

test('a script ends its run by itself as long as nothing changes, and wakes the agent when something does', async () => {
  const { tool, ran } = shell([
    [true, 'well\nexit 0'],
    [true, 'well\nexit 0'],
    [true, 'hot\nexit 0'],
    [true, 'hot\nexit 0'],
    [false, 'hot\nexit 0'],
  ]);
  await withLoop([says('It is hot.'), says('It failed.')], { tools: [tool] }, async (loop, _log, model) => {
    const fire = firing(loop);
    const said = [];
    for (let n = 0; n < 5; n++) said.push((await fire()).text);
    assert.deepEqual(said, [
      'It ran for the first time.',
      'Nothing has changed since the last time.',
      'It is hot.',
      'Nothing has changed since the last time.',
      'It failed.',
    ]);
    assert.deepEqual(
      ran,
      Array.from({ length: 5 }, () => './scripts/probe.sh -v'),
    );
    assert.equal(model.requests.length, 2);
    assert.match(
      JSON.stringify(model.requests[0]?.messages),
      /run: \.\/scripts\/probe\.sh -v.*hot.*has changed since the last time/s,
    );
    // What changed nothing is no part of the conversation.
    assert.deepEqual(await turns(loop), [0, 0, 7, 0, 7]);
    const used = (await loop.events())
      .filter((event) => event.type === 'run.finished')
      .map(({ data }) => data.usage.input);
    assert.deepEqual(used, [0, 0, 10, 0, 10]);
  });
});

test('one that fails the first time wakes the agent', async () => {
  const { tool } = shell([
    [false, 'exit 1'],
    [false, 'exit 1'],
  ]);
  await withLoop([says('I see.')], { tools: [tool] }, async (loop, _log, model) => {
    const fire = firing(loop);
    assert.equal((await fire()).text, 'I see.');
    assert.match(JSON.stringify(model.requests[0]?.messages), /for the first time and failed/);
    assert.equal((await fire()).text, 'Nothing has changed since the last time.');
  });
});

test('one that cannot be run at all fails, and wakes nobody', async () => {
  const { tool } = shell([
    [false, 'sh: 1: ./scripts/probe.sh: not found\nexit 127'],
    [true, 'well\nexit 0'],
  ]);
  await withLoop([], { tools: [tool] }, async (loop, _log, model) => {
    const fire = firing(loop);
    const first = await fire();
    assert.deepEqual([first.status, model.requests.length], ['failed', 0]);
    assert.match(first.text, /could not be run: sh: 1: .*not found; exit 127/);
    assert.equal((await fire()).status, 'done');
    assert.deepEqual(await turns(loop), [0, 0]);
  });
});

test('a change in the middle of a long output counts', async () => {
  const long = (word: string): string => `${'a'.repeat(5_000)}${word}${'b'.repeat(5_000)}`;
  const { tool } = shell([
    [true, long('one')],
    [true, long('two')],
  ]);
  await withLoop([says('I see.')], { tools: [tool] }, async (loop) => {
    const fire = firing(loop);
    await fire();
    assert.equal((await fire()).text, 'I see.');
  });
});

test('a script goes through the rules: what is denied is told once', async () => {
  const { tool, ran } = shell([]);
  const rules: Rule[] = [{ id: 'no', verdict: 'deny', match: { command: './scripts/*' }, reason: 'Not here.' }];
  await withLoop([says('It may not run.')], { tools: [tool], rules }, async (loop, _log, model) => {
    const fire = firing(loop);
    assert.equal((await fire()).text, 'It may not run.');
    assert.match(JSON.stringify(model.requests[0]?.messages), /Denied by rule no: Not here\./);
    assert.equal((await fire()).text, 'Nothing has changed since the last time.');
    assert.deepEqual(ran, []);
  });
});

test('a task in words goes to the model at once, and a script only comes of a schedule', async () => {
  const { tool, ran } = shell([]);
  await withLoop([says('Done.'), says('Hm.')], { tools: [tool] }, async (loop, _log, model) => {
    const fire = firing(loop);
    assert.equal((await fire({ work: { kind: 'task', text: 'Write the digest.' } })).text, 'Done.');
    assert.match(JSON.stringify(model.requests[0]?.messages), /Write the digest\./);
    assert.deepEqual(await turns(loop), [4]);

    const content = loop.store.putBlob(Buffer.from('{"title":"x","run":"./scripts/x.sh"}'), 'conv:assistant/one');
    const [task] = await loop.store.tasks({});
    assert.ok(task);
    const forged = {
      ...task,
      id: 'tsk_f',
      from: 'agent:other',
      key: null,
      content,
      status: 'queued',
      result: null,
    } as const;
    await loop.store.commit({ events: [], queue: [{ op: 'enqueue', task: forged }], sync: true });
    assert.equal((await loop.settled('tsk_f')).text, 'Hm.');
    assert.deepEqual(ran, []);
    assert.deepEqual(await loadJson(loop.store, content), { title: 'x', run: './scripts/x.sh' });
  });
});

test('the answer of a schedule arrives where it says, once; what has not changed tells nobody', async () => {
  const { tool } = shell([
    [true, 'well\nexit 0'],
    [true, 'hot\nexit 0'],
    [false, 'bash: scripts/probe.sh: No such file or directory\nexit 127'],
  ]);
  const { channel, sent } = recordingChannel();
  const script = [says('It is hot.'), says('All is well.'), says('Nobody hears this.')];
  await withLoop(script, { tools: [tool], channels: [channel] }, async (loop) => {
    const fire = firing(loop);
    const to = 'chat:77';
    for (let n = 0; n < 3; n++) await fire({ to });
    await fire({ to, work: { kind: 'task', text: 'Report.' } });
    await fire({ work: { kind: 'task', text: 'Report.' } });
    await until(() => sent.length >= 3, 'they are sent');
    await loop.restart();
    await until(async () => (await loop.store.counts()).queued === 0, 'nothing is left');
    assert.deepEqual(
      sent.map((each) => [each.to, each.text.replace(/: .*/s, '')]),
      [
        ['77', 'It is hot.'],
        ['77', 'I could not finish the schedule assistant/probe'],
        ['77', 'All is well.'],
      ],
    );
    const queued = (await loop.events()).filter((event) => event.type === 'message.queued');
    assert.equal(queued.length, 3);
  });
});

test('owner is the first owner of the first messenger that has one', async () => {
  const { channel, sent } = recordingChannel();
  const channels = [
    { name: 'empty', type: 'x', secrets: {}, owners: [], agent: null, settings: {} },
    { name: 'chat', type: 'x', secrets: {}, owners: ['11', '22'], agent: null, settings: {} },
  ];
  await withLoop([says('Report.')], { channels: [channel] }, async (loop) => {
    Object.assign(loop.governance.settings, { channels });
    await firing(loop)({ to: 'owner', work: { kind: 'task', text: 'Report.' } });
    await until(() => sent.length === 1, 'it is sent');
    assert.equal(sent[0]?.to, '11');
  });
});

test('what fires late is told when it was due, for how many it stands, and what time it is', async () => {
  await withLoop([says('Done.'), says('Hm.')], {}, async (loop, _log, model) => {
    const schedule: Partial<Schedule> = { work: { kind: 'task', text: 'Write the digest.' } };
    loop.governance.settings = { ...loop.governance.settings, timezone: 'Asia/Tokyo' };
    const fire = firing(loop);
    await fire(schedule, { late: true, missed: 3 });
    const said = JSON.stringify(model.whole[0]?.messages);
    assert.match(said, /\[Ruche\] It is \w+day 20\d\d-\d\d-\d\d \d\d:\d\d \(Asia\/Tokyo, UTC\+09:00\)\./);
    assert.match(
      said,
      /It was due Thursday 1970-01-01 09:00 \(Asia\/Tokyo, UTC\+09:00\)\. It stands for 3 earlier firings/,
    );
    assert.match(said, /for today, with the facts of now/);
    await fire(schedule);
    assert.doesNotMatch(JSON.stringify(model.whole[1]?.messages.slice(4)), /It was due|It stands for/);
  });
});

test('whoever waits for the answer of a schedule is told in a line that none comes: cancelled, given up', async () => {
  const { channel, sent } = recordingChannel();
  const gate = Promise.withResolvers<void>();
  const working = [gate.promise, ...says('Report.')];
  await withLoop(
    () => working,
    { channels: [channel] },
    async (loop) => {
      const fire = firing(loop);
      const begun = async (end: (task: string) => Promise<unknown>): Promise<string> => {
        const fired = fire({ to: 'chat:77', work: { kind: 'task', text: 'Report.' } });
        const [task] = await until(async () => {
          const running = await loop.store.tasks({ statuses: ['running'], queue: 'assistant' });
          return running.length > 0 ? running : null;
        }, 'it runs');
        await end(task?.id ?? '');
        await fired;
        return task?.id ?? '';
      };
      const first = await begun((task) => loop.runtime.cancel(task, 'person:owner'));
      const second = await begun((task) => setTaskAside(loop.deps, task, 'interrupted', 'Too\nmuch.'));
      // The next firing took its place, and answers.
      await begun((task) => loop.deps.cancelTask(task, 'runtime'));
      await until(() => sent.length === 2, 'they are told');
      await until(async () => (await loop.store.counts()).queued === 0, 'nothing is left');
      assert.deepEqual(
        sent.map(({ to, text }) => [to, text]),
        [
          ['77', `The schedule assistant/probe was cancelled. More: \`ruche tasks show ${first}\``],
          [
            '77',
            `I could not finish the schedule assistant/probe, and gave it up: Too much. More: \`ruche tasks show ${second}\``,
          ],
        ],
      );
      gate.resolve();
    },
  );
});
