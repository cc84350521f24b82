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
import type { ModelEvent } from '../../src/core/model.ts';
import { systemClock } from '../../src/platform/system.ts';
import { Outages } from '../../src/scheduler/upkeep/outages.ts';
import { fails, says } from '../fakes/scripted-model.ts';
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
  return async (
    more: Partial<Schedule> = {},
    how: { missed?: number; late?: boolean; made?: (task: string) => void } = {},
  ) => {
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
    const { missed = 0, late = false } = how;
    const fire = [{ at: (at += 1000), missed, by: null, late }];
    const { tasks, ...batch } = firingBatch(deps, standing, schedule, { skipped: null, fire });
    const events = batch.events.map((event) => (event.cause === 'evt_1' ? { ...event, cause: null } : event));
    assert.equal((await loop.store.commit({ ...batch, events })).ok, true);
    how.made?.(tasks[0]?.id ?? '');
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
    // Nor of the lists of those who do not ask for it.
    const listed = async (query: Parameters<typeof loop.views.runs>[0]) => {
      const { runs, total, probes = null } = await loop.views.runs(query);
      return [runs.length, total, probes];
    };
    assert.deepEqual(await listed({ probes: false }), [2, 2, 3]);
    assert.deepEqual(await listed({}), [5, 5, null]);
    assert.deepEqual(
      [await listed({ from: 'schedule' }), await listed({ from: '!schedule' })],
      [
        [5, 5, null],
        [0, 0, null],
      ],
    );
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

test('a person who waits for the answer of a schedule is told in a line that none comes: cancelled, given up', async () => {
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

/** A clock of a machine that can be moved on, and a loop whose models fail as long as they should. */
test('without a sandbox a script asks at each firing, until a rule names it; another command still asks', async () => {
  const { tool, ran } = shell([
    [true, 'fine'],
    [true, 'fine'],
  ]);
  await withLoop([], { tools: [tool] }, async (loop) => {
    loop.deps.sandboxed = () => false;
    const fire = firing(loop);
    const asked = await fire();
    assert.equal(asked.status, 'waiting');
    const [wait] = await loop.runtime.pending();
    assert.match(wait?.reason ?? '', /Nothing confines this command/);
    await loop.runtime.approve(wait?.id ?? '', 'approve', 'owner');
    assert.equal((await loop.settled(asked.task)).status, 'done');
    const match = { tool: 'shell', command: './scripts/probe.sh *' };
    const rule: Rule = { id: 'probe', verdict: 'allow', match, reason: 'I have read it.' };
    loop.governance.settings = { ...loop.governance.settings, rules: [rule] };
    assert.equal((await fire()).status, 'done');
    assert.deepEqual(ran, ['./scripts/probe.sh -v', './scripts/probe.sh -v']);
    const other = { kind: 'run' as const, command: 'scripts/other.sh' };
    assert.equal((await fire({ work: other })).status, 'waiting');
  });
});

async function withOutage(
  body: (it: {
    loop: Loop;
    outages: Outages;
    recover(): void;
    /** The tries that are on record, and when the next one is. */
    retried(): Promise<EventOf<'task.retried'>[]>;
    /** Time goes by until the next try, which is made. */
    passes(): Promise<void>;
    clock: { now(): number };
  }) => Promise<void>,
  failure: ModelEvent[] = fails('network'),
): Promise<void> {
  let [ahead, down] = [0, true];
  const clock = { ...systemClock, now: () => systemClock.now() + ahead };
  const options = { clock, nextTry: () => null };
  await withLoop(
    () => (down ? failure : says('Written.')),
    options,
    async (loop) => {
      const outages = new Outages({ store: loop.store, clock, timeText: (at) => loop.deps.timeText(at) });
      const retried = async (): Promise<EventOf<'task.retried'>[]> =>
        (await loop.events()).filter((event) => event.type === 'task.retried');
      const failures = async (): Promise<number> =>
        (await loop.events()).filter(({ type }) => type === 'model.failed' || type === 'model.answered').length;
      await body({
        loop,
        outages,
        clock,
        recover: () => void (down = false),
        retried,
        async passes() {
          const before = await failures();
          ahead += Math.max(0, ((await retried()).at(-1)?.data.notBefore ?? 0) - clock.now()) + 1;
          // Whoever looks at the queue looks now.
          await loop.runtime.pauseAgent('assistant', 'owner', '');
          await loop.runtime.resumeAgent('assistant', 'owner');
          await until(async () => (await failures()) > before, 'it is tried again');
        },
      });
    },
  );
}

const digest: Partial<Schedule> = { work: { kind: 'task', text: 'Write the digest.' } };

test('C F18 work by the clock waits an hour for a provider that is down, and goes on by itself; of all of it the owner hears once', () =>
  withOutage(async ({ loop, outages, recover, retried, passes, clock }) => {
    const begun = clock.now();
    const end = firing(loop)(digest);
    await until(async () => (await retried()).length === 1, 'it waits');
    await outages.look();
    assert.deepEqual(await loop.runtime.pending(), [], 'what passes by itself disturbs nobody');
    while (clock.now() - begun < 400_000) {
      const count = (await retried()).length;
      await passes();
      await until(async () => (await retried()).length > count, 'it waits again');
    }
    for (let n = 0; n < 3; n++) await outages.look();
    const [matter, ...others] = await loop.runtime.pending();
    assert.equal(others.length, 0);
    assert.match(matter?.text ?? '', /^The model provider scripted has not answered since \w+day /);
    assert.match(
      matter?.text ?? '',
      /1 piece of work waits for it: tsk_\S+ of assistant \(schedule:assistant\/probe\)\.$/,
    );
    // A process that is started anew knows of it.
    const later = new Outages({ store: loop.store, clock, timeText: (at) => loop.deps.timeText(at) });
    await later.look();
    assert.equal((await loop.runtime.pending()).length, 1);
    recover();
    await passes();
    assert.equal((await end).text, 'Written.');
    await later.look();
    assert.deepEqual(await loop.runtime.pending(), []);
    const settled = (await loop.events()).filter((event) => event.type === 'matter.settled');
    assert.deepEqual(
      settled.map(({ data }) => data.by),
      ['runtime'],
    );
    assert.ok((await retried()).every(({ data }) => data.attempt === 1));
  }));

test('after its patience work by the clock is given up, spread over all of it, and is one matter still', () =>
  withOutage(async ({ loop, outages, retried, passes, clock }) => {
    loop.governance.settings = { ...loop.governance.settings, patienceMs: 1_800_000, maxAttempts: 1 };
    const begun = clock.now();
    let task = '';
    const end = firing(loop)(digest, { made: (id) => void (task = id) });
    await until(async () => (await retried()).length === 1, 'it waits');
    while ((await loop.store.task(task))?.status === 'queued') {
      const count = (await retried()).length;
      await passes();
      await until(
        async () => (await retried()).length > count || (await loop.store.task(task))?.status === 'dead',
        'it is told',
      );
    }
    assert.equal((await end).status, 'dead');
    const tries = await retried();
    assert.ok(clock.now() - begun >= 1_800_000, `${clock.now() - begun}`);
    assert.ok(tries.length >= 4 && tries.length <= 12, `${tries.length}`);
    await outages.look();
    assert.deepEqual(
      (await loop.runtime.pending()).map(({ text }) => /1 piece of work had to be given up/.test(text)),
      [true],
    );
  }));

test('F12 what people asked for and an outage cost is one matter too, whatever came of it before', () =>
  withOutage(async ({ loop, outages, recover, clock }) => {
    loop.governance.settings = { ...loop.governance.settings, maxAttempts: 1 };
    const lost: string[] = [];
    for (const session of ['a', 'b', 'c']) lost.push(await loop.deliver('Sort the mail.', session));
    for (const task of lost) assert.equal((await loop.settled(task)).status, 'dead');
    assert.deepEqual(await loop.runtime.pending(), [], 'none for each of them');
    // A process that is started anew tells it as well.
    await new Outages({ store: loop.store, clock, timeText: (at) => loop.deps.timeText(at) }).look();
    await outages.look();
    const [matter, ...others] = await loop.runtime.pending();
    assert.deepEqual(others, []);
    assert.match(
      matter?.text ?? '',
      /^The model provider scripted has not answered .* 3 pieces of work had to be given up: /,
    );
    for (const task of lost) assert.ok(matter?.text.includes(`${task} of assistant (person:owner)`), task);
    assert.match(matter?.reason ?? '', /`ruche tasks retry ID`/);
    assert.deepEqual(new Set((await loop.views.failures(10)).map(({ task }) => task ?? '')), new Set(lost));
    recover();
    assert.equal((await loop.send('Hello')).status, 'done');
    await outages.look();
    assert.deepEqual(await loop.runtime.pending(), []);
  }));

test('B7 a provider that asks for an hour gets it, from people’s work too, and it is told until when', () =>
  withOutage(
    async ({ loop, recover, retried, passes, clock }) => {
      const task = await loop.deliver('hello');
      await until(async () => (await retried()).length === 1, 'it waits');
      const [event] = await retried();
      const wait = (event?.data.notBefore ?? 0) - clock.now();
      assert.ok(wait > 3_500_000 && wait <= 3_600_000, String(wait));
      assert.deepEqual([event?.data.attempt, event?.data.error], [1, 'model.rate']);
      const told = loop.deltas.flatMap((delta) => (delta.kind === 'retrying' ? [delta.text] : []));
      assert.match(told.at(-1) ?? '', /asks to be asked again no earlier than \w+day \d{4}-\d\d-\d\d \d\d:\d\d \(/);
      const waits = await loop.runtime.task(task);
      assert.deepEqual([waits?.status, waits?.later?.at], ['queued', event?.data.notBefore]);
      assert.match(waits?.later?.text ?? '', /\S/);
      assert.equal(loop.deltas.findLast((delta) => delta.kind === 'retrying')?.until, event?.data.notBefore);
      recover();
      await passes();
      assert.equal((await loop.settled(task)).text, 'Written.');
    },
    fails('rate', { retryAfter: 3_600_000 }),
  ));
