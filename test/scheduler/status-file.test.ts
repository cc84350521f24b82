import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpOnly, NetError, type Net } from '../../src/core/ports/net.ts';
import { hostKind, parseTarget } from '../../src/core/net/host.ts';
import type { Rule } from '../../src/core/policy.ts';
import { type CheckResult, lookAtChecks } from '../../src/scheduler/upkeep/checks.ts';
import { StatusFile } from '../../src/scheduler/upkeep/status-file.ts';
import { withLoop } from '../agent/with-loop.ts';
import { says, fails } from '../fakes/scripted-model.ts';
import type { NewEvent } from '../../src/core/event.ts';
import { NO_USAGE } from '../../src/core/model.ts';
import type { Task } from '../../src/core/task.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { apply, commit, enqueue, newTask, random, settle, TestClock } from '../store/kit.ts';

/** One task of the queue at once. */
const ONE = { concurrency: 1, maxAttempts: null, input: null, state: 'open' } as const;

test('the status holds counts, names and ids of the last day, and nothing that anybody said', async () => {
  await withLoop([says('The secret is 42.'), says('I see.')], {}, async (loop) => {
    const clock = { now: () => Date.now() };
    const zone = (): string => 'UTC';
    let text = '';
    const checks: CheckResult[] = [{ url: 'https://a.example/', state: 'down', status: 503, days: 20, why: '' }];
    const file = { write: async (given: string) => void (text = given) };
    const status = new StatusFile({
      store: loop.store,
      clock,
      zone,
      file,
      paused: () => ['billing'],
      checks: () => checks,
    });
    await loop.send('What is the secret?');
    await status.write();
    assert.match(
      text,
      /^at \d{10}\ntime 20.*Z\nday 20\d\d-\d\d-\d\d\nqueued 0\nrunning 0\nwaiting 0\noldest_queued_seconds 0\npaused billing\ndone_24h 1\nfailed_24h 0\n/,
    );
    assert.match(text, /\nagent assistant 1 0 [\d.]+\n/);
    assert.match(text, /\ncheck down 503 20 https:\/\/a\.example\/\n$/);
    assert.doesNotMatch(text, /secret/);
    // What ends later is read on, and once.
    await loop.send('And now?');
    assert.match(await status.text(), /\ndone_24h 2\n/);
    // After a restart it is the same.
    const fresh = new StatusFile({ store: loop.store, clock, zone, file, paused: () => [], checks: () => [] });
    assert.match(await fresh.text(), /\npaused none\ndone_24h 2\n[^]*\nagent assistant 2 0 /);
    const tomorrow = { now: () => Date.now() + 90_000_000 };
    const later = new StatusFile({
      store: loop.store,
      clock: tomorrow,
      zone,
      file,
      paused: () => [],
      checks: () => [],
    });
    assert.match(await later.text(), /\ndone_24h 0\n/);
  });
});

test('a failed run is named, and a task that nothing holds back is counted from when it came', async () => {
  const open = Promise.withResolvers<void>();
  const script = [fails('auth'), [open.promise, ...says('Done.')], says('Done.')];
  await withLoop(script, { queues: { assistant: ONE } }, async (loop) => {
    const file = { write: async () => {} };
    const clock = { now: () => Date.now() + 90_000 };
    const zone = (): string => 'UTC';
    const deps = { store: loop.store, clock, zone, file, checks: () => [] };
    await loop.send('hello');
    const [busy, held] = [await loop.deliver('first', 'one'), await loop.deliver('second', 'two')];
    const text = await new StatusFile({ ...deps, paused: () => [] }).text();
    assert.match(text, /\nfailure 20\S+Z assistant tsk_\S+ model\.auth\n/);
    assert.match(text, /\noldest_queued_seconds (?:89|9\d)\n/);
    // What people have paused does not count, and neither does what waits for its turn in a conversation.
    assert.match(await new StatusFile({ ...deps, paused: () => ['assistant'] }).text(), /\noldest_queued_seconds 0\n/);
    open.resolve();
    for (const task of [busy, held]) assert.equal((await loop.settled(task)).status, 'done');
  });
});

test('each run is counted once, even if several look at the same time and whatever ends meanwhile', async () => {
  await withLoop([says('One.'), says('Two.'), says('Three.')], {}, async (loop) => {
    await loop.send('first');
    let late = true;
    const store = new Proxy(loop.store, {
      get: (each, name) => {
        const value: unknown = Reflect.get(each, name, each);
        if (name !== 'head') return typeof value === 'function' ? (value.bind(each) as unknown) : value;
        return async () => {
          const head = await each.head();
          if (late) await loop.send('second, behind the head');
          late = false;
          return head;
        };
      },
    });
    const clock = { now: () => Date.now() };
    const zone = (): string => 'UTC';
    const status = new StatusFile({
      store,
      clock,
      zone,
      file: { write: async () => {} },
      paused: () => [],
      checks: () => [],
    });
    assert.match(await status.text(), /\ndone_24h 2\n/);
    await loop.send('third');
    for (const text of await Promise.all([status.text(), status.text()])) assert.match(text, /\ndone_24h 3\n/);
    assert.match(await status.text(), /\ndone_24h 3\n/);
  });
});

test('the day is that of the network, and what is of before is written anew before something begins', async () => {
  await withLoop([], {}, async (loop) => {
    let now = Date.UTC(2026, 10, 30, 23, 30);
    const written: string[] = [];
    const file = { write: async (given: string) => void written.push(/^day (.*)$/m.exec(given)?.[1] ?? '') };
    const deps = { store: loop.store, clock: { now: () => now }, file, paused: () => [], checks: () => [] };
    const status = new StatusFile({ ...deps, zone: () => 'Europe/Paris' });
    await status.refresh();
    await status.refresh();
    assert.deepEqual(written, ['2026-12-01']);
    now += 9 * 3_600_000;
    await status.refresh();
    // A clock that is put back has other facts, too.
    now -= 24 * 3_600_000;
    await status.refresh();
    assert.deepEqual(written, ['2026-12-01', '2026-12-01', '2026-11-30']);
    assert.match(await new StatusFile({ ...deps, zone: () => 'America/New_York' }).text(), /^day 2026-11-30$/m);
  });
});

const target = (url: string): string => {
  const parsed = parseTarget(url);
  return parsed.ok ? parsed.target.host : '';
};

/** Answers by host; private hosts need a grant, as the guard has it. */
function fakeNet(status: Record<string, number>): { net: Net; asked: string[] } {
  const asked: string[] = [];
  const net = httpOnly(async ({ url, onCertificate }, { privateHosts }) => {
    const host = target(url);
    asked.push(url);
    if (hostKind(host) !== 'public' && !privateHosts.some((each) => each.startsWith(host)))
      throw new NetError('blocked', `${host} is private`);
    if (status[host] === undefined) throw new NetError('connect', `${host} cannot be\nreached`);
    if (url.startsWith('https')) onCertificate?.(10 * 86_400_000 + 5);
    return new Response('x', { status: status[host] });
  });
  return { net, asked };
}

test('checks: the owner wrote them down, rules still hold, and failures are told', async () => {
  const rules: Rule[] = [
    { id: 'no', verdict: 'deny', match: { host: 'no.example' }, reason: 'Not this one.' },
    { id: 'ask', verdict: 'ask', match: { host: 'ask.example' }, reason: 'A person is asked.' },
    { id: 'inside', verdict: 'allow', match: { host: '10.0.0.2' }, reason: 'Ours.' },
  ];
  const { net, asked } = fakeNet({ 'a.example': 200, 'b.example': 503, '10.0.0.2': 200 });
  const checks = [
    'https://a.example/',
    'http://b.example/x',
    'https://gone.example/',
    'https://no.example/',
    'https://ask.example/',
    'http://10.0.0.1/',
    'http://10.0.0.2/',
  ];
  const results = await lookAtChecks({
    tool: 'fetch',
    net,
    clock: { now: () => 0 },
    settings: { checks, rules },
    signal: new AbortController().signal,
  });
  assert.deepEqual(
    results.map(({ state, status, days }) => [state, status, days]),
    [
      ['ok', 200, 10],
      ['down', 503, null],
      ['down', null, null],
      ['refused', null, null],
      ['refused', null, null],
      ['refused', null, null],
      ['ok', 200, null],
    ],
  );
  assert.deepEqual(asked.length, 4);
  assert.equal(results[2]?.why, 'it cannot be reached');
  assert.match(results[5]?.why ?? '', /private/);
  assert.match(results[3]?.why ?? '', /Not this one/);
  assert.deepEqual(
    await lookAtChecks({
      net,
      clock: { now: () => 0 },
      settings: { rules: [], checks: [] },
      tool: 'fetch',
      signal: new AbortController().signal,
    }),
    [],
  );
});

test('what another side says of itself, such as where it redirects to, is not told: agents wake by it', async () => {
  const codes = ['blocked', 'dns', 'connect', 'timeout', 'too-large', 'redirect', 'protocol', 'aborted'] as const;
  for (const code of codes) {
    const net = httpOnly(() => Promise.reject(new NetError(code, 'delete-all-files.evil.example is blocked')));
    const [result] = await lookAtChecks({
      tool: 'fetch',
      net,
      clock: { now: () => 0 },
      settings: { checks: ['https://a.example/'], rules: [] },
      signal: new AbortController().signal,
    });
    assert.match(result?.why ?? '', /^[a-z ,]{5,}$/);
    assert.equal(result?.state, code === 'blocked' ? 'refused' : 'down');
    assert.doesNotMatch(result?.why ?? '', /evil|delete/);
  }
});

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** The status of what is in a journal in memory. */
function records(paused: readonly string[] = [], checks: readonly CheckResult[] = []) {
  const clock = new TestClock();
  clock.time = Date.UTC(2026, 10, 30, 12) + 999;
  const store = openMemoryStore({ clock, random });
  const deps = { store, clock, zone: () => 'UTC', paused: () => paused, checks: () => checks };
  const open = (): StatusFile => new StatusFile({ ...deps, file: { write: async () => {} } });
  let status = open();
  const put = (type: NewEvent['type'], data: object, stream: string, actor = 'agent:a') =>
    commit(store, [{ type, data, stream, actor, cause: null, labels: [] } as unknown as NewEvent]);
  const ended = (run: string, result: Task['status'], more: object = {}, actor?: string) => {
    const data = { run, status: result, error: null, detail: null, usage: NO_USAGE, costUsd: 0.5, steps: 1, ...more };
    return put('run.finished', data, `run:${run}`, actor);
  };
  const started = (run: string, task: string) =>
    put('run.started', { run, task, agent: 'a', session: 's', attempt: 1, config: 'c', base: 'c0' }, `run:${run}`);
  const queued = async (id: string, more: Partial<Task> = {}, ...after: string[]): Promise<void> => {
    const task = newTask(id, { agent: 'a', queue: 'a', ...more });
    await commit(store, [], [{ op: 'enqueue', task, after }]);
    await put('task.queued', { task }, `task:${id}`, 'runtime');
  };
  const lines = async (key: string): Promise<string[]> =>
    (await status.text())
      .split('\n')
      .flatMap((line) => (line.startsWith(`${key} `) ? [line.slice(key.length + 1)] : []));
  return {
    clock,
    store,
    ended,
    started,
    queued,
    lines,
    text: () => status.text(),
    restart: () => void (status = open()),
  };
}

test('each line of the status, whole', async () => {
  const checks: CheckResult[] = [
    { url: 'https://a.example/', state: 'ok', status: 200, days: 0, why: '' },
    { url: 'https://b.example/', state: 'refused', status: null, days: null, why: 'Not this one.' },
  ];
  const it = records(['x', 'y'], checks);
  await it.started('r1', 'tsk_1');
  await it.ended('r1', 'failed', { error: 'model.rate' });
  it.clock.time += 2 * HOUR;
  await it.ended('r2', 'done');
  await it.ended('r3', 'dead', {}, 'agent:b');
  await it.ended('r4', 'cancelled', {}, 'runtime');
  await enqueue(it.store, newTask('w', { agent: 'b' }), newTask('r'));
  await it.store.claim({ worker: 'w', now: it.clock.time, leaseMs: HOUR });
  await apply(it.store, { op: 'park', task: 'w' });
  await it.store.claim({ worker: 'w', now: it.clock.time, leaseMs: HOUR });
  await it.queued('q');
  it.clock.time += 2_000;
  assert.equal(
    await it.text(),
    [
      'at 1796047202',
      'time 2026-11-30T14:00:02.999Z',
      'day 2026-11-30',
      'queued 1',
      'running 1',
      'waiting 1',
      'oldest_queued_seconds 2',
      'paused x y',
      'done_24h 1',
      'failed_24h 2',
      'failed_1h 1',
      'cancelled_24h 1',
      'cost_usd_24h 2.0000',
      'unpriced_24h 0',
      'agent a 1 1 1.0000',
      'agent b 0 1 0.5000',
      'agent runtime 0 1 0.5000',
      'waits b w',
      'failure 2026-11-30T12:00:00.999Z a tsk_1 model.rate',
      'failure 2026-11-30T14:00:00.999Z b r3 unknown',
      'check ok 200 0 https://a.example/',
      'check refused - - https://b.example/ Not this one.',
      '',
    ].join('\n'),
  );
});

test('runs whose cost is not known whole are counted, and told by agent', async () => {
  const it = records();
  for (const [run, actor, more] of [
    ['r1', 'agent:b', { unpriced: true }],
    ['r2', 'agent:a', { unpriced: true }],
    ['r3', 'agent:c', {}],
    ['r4', 'agent:b', { unpriced: true }],
  ] as const)
    await it.ended(run, 'done', more, actor);
  assert.deepEqual([await it.lines('unpriced_24h'), await it.lines('unpriced')], [['3'], ['a 1', 'b 2']]);
});

test('a run counts for a day, a failure for an hour, to the millisecond, read on or read anew', async () => {
  for (const anew of [false, true]) {
    const it = records();
    await it.ended('r1', 'failed');
    const counts = async (): Promise<string[]> => {
      if (anew) it.restart();
      return [...(await it.lines('failed_24h')), ...(await it.lines('failed_1h'))];
    };
    assert.deepEqual(await counts(), ['1', '1']);
    it.clock.time += HOUR - 1;
    assert.deepEqual(await counts(), ['1', '1']);
    it.clock.time += 1;
    assert.deepEqual(await counts(), ['1', '0']);
    it.clock.time += 23 * HOUR - 1;
    assert.deepEqual(await counts(), ['1', '0']);
    it.clock.time += 1;
    assert.deepEqual(await counts(), ['0', '0']);
  }
});

test('the newest twenty failures are named, also after a restart, and twenty of what waits', async () => {
  const it = records();
  for (let n = 0; n < 22; n += 1) {
    await it.started(`r${n}`, `tsk_${n}`);
    await it.ended(`r${n}`, 'failed');
    await enqueue(it.store, newTask(`w${n}`, { agent: 'a' }));
    await it.store.claim({ worker: 'w', now: it.clock.time, leaseMs: HOUR });
    await apply(it.store, { op: 'park', task: `w${n}` });
  }
  for (let times = 0; times < 2; times += 1) {
    assert.deepEqual(
      (await it.lines('failure')).map((line) => line.split(' ')[2]),
      Array.from({ length: 20 }, (_, n) => `tsk_${n + 2}`),
    );
    assert.equal((await it.lines('waits')).length, 20);
    it.restart();
  }
});

test('the oldest that waits is the first that nothing holds back', async () => {
  const oldest = async (
    put: (it: ReturnType<typeof records>) => Promise<void>,
    paused: string[] = [],
  ): Promise<string> => {
    const it = records(paused);
    await put(it);
    it.clock.time += 10_000;
    await it.queued('next', { lane: 'next' });
    it.clock.time += 5_000;
    return (await it.lines('oldest_queued_seconds'))[0] ?? '';
  };
  assert.equal(await oldest((it) => it.queued('t')), '15');
  assert.equal(await oldest((it) => it.queued('t', { queue: 'outbox' })), '5');
  assert.equal(await oldest((it) => it.queued('t', { queue: 'p' }), ['p']), '5');
  assert.equal(await oldest((it) => it.queued('t', { attempt: 2 })), '5');
  assert.equal(await oldest((it) => it.queued('t', { notBefore: it.clock.time + 15_001 })), '5');
  assert.equal(await oldest((it) => it.queued('t', { notBefore: it.clock.time + 15_000 })), '0');
  assert.equal(await oldest((it) => it.queued('t', { notBefore: it.clock.time + 3_000 })), '12');
  for (const parks of [true, false])
    assert.equal(
      await oldest(async (it) => {
        await enqueue(it.store, newTask('busy', { lane: 'l' }));
        await it.store.claim({ worker: 'w', now: it.clock.time, leaseMs: HOUR });
        if (parks) await apply(it.store, { op: 'park', task: 'busy' });
        await it.queued('t', { lane: 'l' });
      }),
      '5',
    );
  assert.equal(
    await oldest(async (it) => {
      await enqueue(it.store, newTask('before', { lane: 'before', queue: 'outbox' }));
      await it.queued('t', {}, 'before');
    }),
    '5',
  );
  const none = records();
  await none.queued('t');
  await apply(none.store, settle('t'));
  assert.deepEqual(await none.lines('oldest_queued_seconds'), ['0']);
});

test('what is of this very moment is not written again, to the millisecond', async () => {
  const { store, clock } = records();
  let written = 0;
  const file = { write: async () => void (written += 1) };
  const status = new StatusFile({ store, clock, zone: () => 'Nowhere/Town', paused: () => [], checks: () => [], file });
  await status.refresh();
  clock.time += 999;
  await status.refresh();
  assert.equal(written, 1);
  clock.time += 1;
  await status.refresh();
  assert.equal(written, 2);
  assert.match(await status.text(), /^day 2026-11-30$/m, 'a zone that nobody knows has the day of the network');
});

test('a check is told whole: what was asked of the net, and whose rules hold', async () => {
  const requests: unknown[] = [];
  let cancelled = 0;
  const { signal } = new AbortController();
  const net = httpOnly(async ({ onCertificate, onRedirect, ...request }, grant) => {
    requests.push(request, grant);
    onCertificate?.(2 * 24 * HOUR - 1);
    onCertificate?.(9 * 24 * HOUR);
    assert.equal(onRedirect?.('https://a.example/x'), null);
    assert.notEqual(onRedirect?.('https://other.example/'), null);
    if (request.url.endsWith('gone')) throw new NetError('timeout', 'x');
    if (request.url.endsWith('bug')) throw new TypeError('x is not a function');
    return {
      status: request.url.endsWith('400') ? 400 : 399,
      body: { cancel: async () => void (cancelled += 1) },
    } as unknown as Response;
  });
  const look = (checks: string[], rules: Rule[] = []) =>
    lookAtChecks({ tool: 'fetch', net, clock: { now: () => 0 }, settings: { checks, rules }, signal });
  const url = 'https://a.example/';
  assert.deepEqual(await look([url, `${url}400`, `${url}gone`]), [
    { url, state: 'ok', status: 399, days: 1, why: '' },
    { url: `${url}400`, state: 'down', status: 400, days: 1, why: '' },
    { url: `${url}gone`, state: 'down', status: null, days: 1, why: 'it did not answer in time' },
  ]);
  const limits = { maxBytes: 65_536, timeoutMs: 15_000, idleMs: 15_000, maxRedirects: 3 };
  assert.deepEqual(requests.slice(0, 2), [
    { url, ...limits, signal },
    { privateHosts: [], only: null, who: 'checks', agent: null, run: null },
  ]);
  assert.equal(cancelled, 2, 'nobody reads on');
  await assert.rejects(() => look([`${url}bug`]), /x is not a function/);
  const deny = (more: Partial<Rule>): Rule => ({
    id: 'no',
    verdict: 'deny',
    match: {},
    reason: ` Not\n ${'x'.repeat(200)}`,
    ...more,
  });
  const [refused] = await look([url], [deny({ match: { tool: 'fetch' } })]);
  assert.deepEqual([refused?.state, refused?.why.slice(0, 6), refused?.why.length], ['refused', 'Not xx', 160]);
  const [other] = await look([url], [deny({ match: { tool: 'shell' } })]);
  assert.equal(other?.state, 'ok');
});

test('a check without a body, of a certificate that has ended, and a reason that is cut in a character', async () => {
  const { signal } = new AbortController();
  const net = httpOnly(async ({ onCertificate }) => {
    onCertificate?.(3 * 24 * HOUR);
    return { status: 204, body: null } as Response;
  });
  const url = 'https://a.example/';
  const look = (rules: Rule[]) =>
    lookAtChecks({
      tool: 'fetch',
      net,
      clock: { now: () => 5 * 24 * HOUR },
      settings: { checks: [url], rules },
      signal,
    });
  assert.deepEqual(await look([]), [{ url, state: 'ok', status: 204, days: -2, why: '' }]);
  const reason = `${'x'.repeat(159)}\u{1F600}`;
  const [refused] = await look([{ id: 'no', verdict: 'deny', match: { tool: 'fetch' }, reason }]);
  assert.equal(refused?.why, `${'x'.repeat(159)}\uFFFD`);
});
