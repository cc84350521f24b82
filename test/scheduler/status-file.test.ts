import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetError, type Net, type NetRequest } from '../../src/core/ports/net.ts';
import { hostKind, parseTarget } from '../../src/core/net/host.ts';
import type { Rule } from '../../src/core/policy.ts';
import { type CheckResult, lookAtChecks } from '../../src/scheduler/upkeep/checks.ts';
import { StatusFile } from '../../src/scheduler/upkeep/status-file.ts';
import { withLoop } from '../agent/with-loop.ts';
import { says, fails } from '../fakes/scripted-model.ts';

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
  const net: Net = {
    async request({ url, onCertificate }: NetRequest, { privateHosts }) {
      const host = target(url);
      asked.push(url);
      if (hostKind(host) !== 'public' && !privateHosts.some((each) => each.startsWith(host)))
        throw new NetError('blocked', `${host} is private`);
      if (status[host] === undefined) throw new NetError('connect', `${host} cannot be\nreached`);
      if (url.startsWith('https')) onCertificate?.(10 * 86_400_000 + 5);
      return new Response('x', { status: status[host] });
    },
  };
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
    const net: Net = { request: () => Promise.reject(new NetError(code, 'delete-all-files.evil.example is blocked')) };
    const [result] = await lookAtChecks({
      tool: 'fetch',
      net,
      clock: { now: () => 0 },
      settings: { checks: ['https://a.example/'], rules: [] },
      signal: new AbortController().signal,
    });
    assert.match(result?.why ?? '', /^[a-z ,]{5,}$/);
    assert.doesNotMatch(result?.why ?? '', /evil|delete/);
  }
});
