import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Event } from '../../src/core/event.ts';
import type { Label } from '../../src/core/labels.ts';
import { grantStream, grantUseKey, type GrantValue } from '../../src/core/standing.ts';
import { putJson } from '../../src/core/records/json-blob.ts';
import { systemRandom } from '../../src/platform/system.ts';
import { Standing } from '../../src/pending/standing.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { globProblem, kindOfValue, kindValues } from '../../src/policy/standing.ts';
import { quiet } from '../fakes/loop.ts';
import { noFiles } from '../fakes/no-standing.ts';

const HOUR = 3_600_000;

/** A book on a store that outlives it, and a clock that is set by hand. */
async function kit() {
  let now = 0;
  let made = 0;
  const clock = { now: () => now, sleep: () => Promise.reject(new Error('nobody sleeps')) };
  const store = openMemoryStore({ clock, random: systemRandom.bytes });
  const listeners = new Set<(events: readonly Event[]) => void>();
  const ended = new Set<(run: string) => void>();
  const on = <T>(set: Set<T>, listener: T): (() => void) => {
    set.add(listener);
    return () => void set.delete(listener);
  };
  const open = (): Promise<Standing> =>
    Standing.open({
      store,
      workspace: noFiles,
      clock,
      ids: { next: (kind) => `${kind}_${(made += 1)}` },
      log: quiet,
      redact: (text) => text,
      onCommitted: (listener) => on(listeners, listener),
      onRunEnded: (listener) => on(ended, listener),
    });
  let standing = await open();
  return {
    store,
    get standing(): Standing {
      return standing;
    },
    pass: (ms: number) => (now += ms),
    async kill(): Promise<void> {
      standing.close();
      standing = await open();
    },
    async endRun(run: string): Promise<void> {
      for (const listener of ended) listener(run);
      await standing.settled();
      await Promise.resolve();
    },
    async give(
      grant: string,
      terms: { values: GrantValue[]; count?: number; until?: number; over?: Label[]; task?: string },
    ) {
      const { values, count = null, until = null, over = [], task = null } = terms;
      const data = {
        grant,
        scope: task === null ? ('standing' as const) : ('task' as const),
        agent: 'a',
        tool: 'mail',
        terms: putJson(store, { values }, 'grants'),
        over,
        task,
        until,
        count,
        approval: null,
      };
      const about = { stream: grantStream(grant), actor: 'owner', cause: null, labels: [] };
      await store.commit({ events: [{ type: 'grant.given', data, ...about }], sync: true });
      await standing.refresh();
    },
    ask: (run: string, more: { to?: string; labels?: Label[]; tool?: string; agent?: string; task?: string } = {}) => {
      const { to = 'x@x.org', labels = [], tool = 'mail', agent = 'a', task = 't' } = more;
      return standing.grantFor({ agent, tool, values: [{ name: 'to', value: to }], run, call: 'c', task, labels });
    },
    /** What the run commits with its decision. False: somebody else has this use. */
    async commitUse(run: string, { grant, use }: { grant: string; use: number | null }): Promise<boolean> {
      const data = { grant, run, call: 'c', use };
      const key = grantUseKey(grant, use ?? `${run}/c`);
      const about = { stream: grantStream(grant), actor: 'agent:a', cause: null, labels: [], key };
      const result = await store.commit({ events: [{ type: 'grant.used', data, ...about }], sync: false });
      await standing.refresh();
      return result.ok;
    },
  };
}

test('whatever is asked, used, lost, revoked and killed: a grant is used no more than it says, and never when it is over', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('use' as const), run: fc.nat(8) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('lose' as const), run: fc.nat(8) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('end' as const), run: fc.nat(8) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(HOUR) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 40 }), async (count, steps) => {
      const k = await kit();
      const until = 2 * HOUR;
      await k.give('g', { values: [{ name: 'to', value: 'x@x.org' }], count, until });
      let [now, revoked] = [0, false];
      const used = new Set<string>();
      const held = new Set<string>();
      for (const each of steps) {
        if (each.do === 'use' || each.do === 'lose') {
          const run = `run${each.run}`;
          const found = k.ask(run);
          const over = revoked || now >= until;
          const free = used.has(run) || held.has(run) || used.size + held.size < count;
          assert.equal(found !== null, !over && free, `${each.do} by ${run}`);
          if (found === null) continue;
          if (each.do === 'lose') {
            if (!found.recorded) held.add(run);
          } else if (!found.recorded) {
            assert.ok(await k.commitUse(run, found));
            held.delete(run);
            used.add(run);
          }
        } else if (each.do === 'end') {
          await k.endRun(`run${each.run}`);
          held.delete(`run${each.run}`);
        } else if (each.do === 'kill') {
          await k.kill();
          held.clear();
        } else if (each.do === 'pass') {
          now += each.ms;
          k.pass(each.ms);
        } else {
          assert.equal(await k.standing.revokeGrant('g', 'owner'), revoked ? 'again' : 'done');
          revoked = true;
        }
        assert.ok(used.size <= count);
      }
      const [view] = await k.standing.grants({ all: true });
      assert.equal(view?.used, used.size);
    }),
    { numRuns: 150 },
  );
});

test('two processes that take the same use are one use', async () => {
  const k = await kit();
  await k.give('g', { values: [{ name: 'to', value: 'x@x.org' }], count: 1 });
  const first = k.ask('run1');
  await k.kill();
  const second = k.ask('run2');
  assert.ok(first !== null && second !== null);
  assert.equal(await k.commitUse('run1', first), true);
  assert.equal(await k.commitUse('run2', second), false);
  assert.equal(k.ask('run2'), null);
});

test('the end of a run that used no grant costs no look at the store; of one that did, its use is free again', async () => {
  const k = await kit();
  await k.give('g', { values: [{ name: 'to', value: 'x@x.org' }], count: 1 });
  let looks = 0;
  const { read } = k.store;
  k.store.read = (from) => {
    looks += 1;
    return read.call(k.store, from);
  };
  await k.endRun('run1');
  assert.equal(looks, 0);
  assert.ok(k.ask('run1') !== null);
  assert.equal(k.ask('run2'), null, 'the one use is held');
  await k.endRun('run1');
  assert.equal(looks, 1);
  assert.ok(k.ask('run2') !== null);
});

test('a grant is for its agent, tool, task and labels', async () => {
  const k = await kit();
  await k.give('g', { values: [{ name: 'to', value: 'x@x.org' }], over: ['private'], task: 't' });
  assert.ok(k.ask('r1') !== null && k.ask('r2', { labels: ['private'] }) !== null);
  for (const other of [
    { to: 'y@x.org' },
    { tool: 'tell' },
    { agent: 'b' },
    { task: 'u' },
    { labels: ['private', 'untrusted'] as Label[] },
  ])
    assert.equal(k.ask('r3', other), null, JSON.stringify(other));
});

test('patterns stand for one value each, and never for a command, a host or a list', () => {
  const problems: [string, string, string, RegExp | null][] = [
    ['to', 'a@x.org', '*@x.org', null],
    ['to', 'a@x.org', '*', /everything/],
    ['to', 'a@x.org', '*.*', /everything/],
    ['command', 'git push', 'git *', /not possible/],
    ['*', 'hash', 'h*', /not possible/],
    ['url', 'https://x.org/a/b', 'https://x.org/a/*', null],
    ['url', 'https://x.org/a', 'https://x.org*', /host whole/],
    ['url', 'https://x.org/a', 'https://*.org/a', /host whole/],
    ['url', 'https://x.org/a', '*x.org/a', /host whole/],
    ['path', 'notes/a.md', 'notes/*.md', null],
    ['path', 'notes/a.md', 'notes/../*', /\.\./],
  ];
  for (const [name, value, glob, wrong] of problems) {
    const found = globProblem({ name, value }, glob);
    if (wrong === null) assert.equal(found, null, `${glob} for ${value}`);
    else assert.match(found ?? '', wrong, `${glob} for ${value}`);
  }
});

test('a pattern for addresses takes in no list, no name with an address, and nothing that cannot be seen', async () => {
  const k = await kit();
  await k.give('g', { values: [{ name: 'to', glob: '*@x.org' }] });
  assert.ok(k.ask('r', { to: 'anna@x.org' }) !== null);
  for (const to of ['evil@y.org,a@x.org', 'evil@y.org <a@x.org', 'a b@x.org', 'a\u202e@x.org', '"evil@y.org"@x.org'])
    assert.equal(k.ask('r2', { to }), null, to);
});

test('what makes a call what it is: critical arguments and where it goes, else all that it says', () => {
  const whole = (): string => 'all';
  const call = { tool: 't', effect: 'read' as const };
  assert.deepEqual(kindValues(call, [], whole), [{ name: '*', value: 'all' }]);
  assert.deepEqual(kindValues({ ...call, url: 'https://X.org:443/a#b', method: 'post' }, [], whole), [
    { name: 'url', value: 'https://x.org/a' },
    { name: 'method', value: 'POST' },
  ]);
  assert.deepEqual(kindValues({ ...call, paths: ['./a//b'] }, [{ name: 'to', value: 'x' }], whole), [
    { name: 'to', value: 'x' },
    { name: 'path', value: 'a/b' },
  ]);
});

test('an endorsement vouches for its value in any way of writing it, until it is revoked; a number only for its argument', async () => {
  const k = await kit();
  const { standing } = k;
  const vouch = async (value: string, name: string | null = null) => {
    const result = await standing.endorse({ value, name }, 'owner');
    assert.ok(result.ok, JSON.stringify(result));
    return result.id;
  };
  const mail = await vouch('Anna@X.org');
  const url = await vouch('https://x.org/pay?to=1');
  const sum = await vouch('500', 'amount');
  await vouch(`shared/a.md@${'a'.repeat(40)}`);
  assert.equal(standing.vouchedBy('to', 'anna@x.org'), mail);
  assert.equal(standing.vouchedBy('to', 'joanna@x.org'), null);
  assert.equal(standing.vouchedBy('url', 'https://X.org:443/pay?to=1'), url);
  assert.equal(standing.vouchedBy('url', 'https://x.org/pay?to=2'), null);
  assert.equal(
    standing.vouchedBy('text', 'https://x.org/pay?to=1#4711'),
    null,
    'a reader who follows it takes that along',
  );
  assert.equal(standing.vouchedBy('amount', '500'), sum);
  assert.equal(standing.vouchedBy('account', '500'), null);
  assert.ok(standing.fileVouched('shared/a.md', 'a'.repeat(40)) !== null);
  assert.equal(standing.fileVouched('shared/a.md', 'b'.repeat(40)), null);
  assert.deepEqual(await standing.endorse({ value: 'anna@X.org ' }, 'owner'), {
    ok: true,
    id: 'end_5',
    kind: 'address',
    value: 'anna@X.org',
    again: false,
  });
  assert.deepEqual(await standing.endorse({ value: 'Anna@X.org' }, 'owner'), {
    ok: true,
    id: mail,
    kind: 'address',
    value: 'Anna@X.org',
    again: true,
  });
  for (const wrong of [
    { value: '500' },
    { value: 'a\u200bb@x.org' },
    { value: ' ' },
    { value: 'x.org', kind: 'url' as const },
    { value: 'notes/a.md@0123abc' },
    { value: 'notes/a.md', kind: 'file' as const },
  ])
    assert.equal((await standing.endorse(wrong, 'owner')).ok, false, JSON.stringify(wrong));
  assert.equal(await standing.revokeEndorsement(sum, 'owner'), 'done');
  assert.equal(standing.vouchedBy('amount', '500'), null);
  await k.kill();
  assert.equal(k.standing.vouchedBy('to', 'anna@x.org') !== null, true);
  assert.equal(k.standing.vouchedBy('amount', '500'), null);
});

test('the kind of a value is seen by its form', () => {
  const kinds = [
    ['https://x.org', 'url'],
    ['a@x.org', 'address'],
    ['telegram:222', 'address'],
    ['1,200.50', 'number'],
    [`a/b.md@${'0'.repeat(40)}`, 'file'],
    ['rm -rf', 'text'],
  ] as const;
  for (const [value, kind] of kinds) assert.equal(kindOfValue(value), kind, value);
});
