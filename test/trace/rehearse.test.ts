import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, Verdict } from '../../src/core/event.ts';
import type { DecisionRecord, PolicyCall, Rule } from '../../src/core/policy.ts';
import type { ReadFrom } from '../../src/core/ports/store.ts';
import { type ChangedDecision, type Governed, rehearse } from '../../src/trace/rehearse.ts';
import { eventOf } from '../fakes/event.ts';
import { anAgent, governing, SETTINGS } from '../fakes/governance.ts';
import { ask, deny, fetching, shell, TOOLS, writing } from '../policy/support.ts';

const governed = (rules: readonly Rule[], ...names: string[]): Governed =>
  governing(
    names.map((name) => anAgent({ name, tools: TOOLS })),
    { settings: { ...SETTINGS, rules } },
  );

interface Made {
  call: PolicyCall;
  verdict: Verdict;
  rule: string;
  at?: number;
  agent?: string;
  config?: string;
  kept?: 'facts' | 'none' | 'erased';
}

const recordOf = ({ call, agent = 'email', config = 'old' }: Made): DecisionRecord => ({
  agent,
  senders: [],
  config,
  call,
  facts: { sandboxed: true, labels: [], owners: [] },
});

/** A record of decisions. No two of them are read at a time. */
function storeOf(count: number, made: (n: number) => Made) {
  let reading = 0;
  const event = (n: number): Event => {
    const { call, verdict, rule, at = n, kept = 'facts' } = made(n);
    const facts = kept === 'none' ? {} : { facts: { hash: `${kept} ${n}`, size: 1, subject: 's' } };
    const data = { call: `c${n}`, tool: call.tool, verdict, rule, reason: 'Because.', ...facts };
    return eventOf(n, 'decision.made', data, { stream: 'run:run_1', at });
  };
  return {
    async *read({ after = 0, reverse = false }: ReadFrom) {
      for (let n = after + 1; n <= count; n++) yield event(reverse ? count + 1 - n : n);
    },
    async getBlob({ hash }: { hash: string }) {
      assert.equal((reading += 1), 1);
      const [kept, n] = hash.split(' ');
      await Promise.resolve();
      reading -= 1;
      return kept === 'erased' ? null : Buffer.from(JSON.stringify(recordOf(made(Number(n)))));
    },
  };
}

const decided = async (store: ReturnType<typeof storeOf>, changed: Governed, since = 0) => {
  const old = governed([ask({ path: 'contracts/**' })], 'email', 'old-hand');
  const changes: ChangedDecision[] = [];
  const summary = await rehearse({
    store,
    since,
    governedBy: async (commit) => (commit === 'old' ? old : null),
    changed,
    onChange: (change) => void changes.push(change),
  });
  return { changes, summary };
};

test('what cannot be judged is counted with its reason and ids, and never told as a change', async () => {
  const open = { call: writing('a'), verdict: 'allow' as const, rule: 'builtin:workspace-files' };
  const made: Made[] = [
    open,
    { ...open, kept: 'none' },
    { ...open, kept: 'erased' },
    { ...open, config: 'lost' },
    { ...open, agent: 'old-hand' },
    { call: fetching('https://x.org/'), verdict: 'deny', rule: 'builtin:approval-limit' },
    open,
  ];
  const store = storeOf(made.length, (n) => made[n - 1] ?? open);
  const changed = governed([deny({ effect: 'write' })], 'email');
  const { changes, summary } = await decided(store, changed);
  assert.deepEqual(
    changes.map(({ event, was, now, agent, what }) => [event, was.verdict, now.verdict, agent, what]),
    [
      ['evt_1', 'allow', 'deny', 'email', 'a'],
      ['evt_7', 'allow', 'deny', 'email', 'a'],
    ],
  );
  assert.deepEqual(summary.unjudged, {
    'no-facts': { count: 1, events: ['evt_2'] },
    erased: { count: 1, events: ['evt_3'] },
    'old-rules-gone': { count: 1, events: ['evt_4'] },
    'agent-gone': { count: 1, events: ['evt_5'] },
    'not-by-rules': { count: 1, events: ['evt_6'] },
  });
  assert.equal(summary.decisions, 7);
  assert.equal(summary.judged, 2);
});

test('only what is as old as asked for, also where a clock went back; another rule of the same verdict is only counted', async () => {
  const ask1 = ask({ path: 'contracts/**' });
  const made = (n: number): Made => ({
    call: shell('ls'),
    verdict: 'allow',
    rule: 'builtin:sandboxed-shell',
    at: n === 5 ? 1_000 : n * 1_000,
  });
  const strict = governed([{ id: 'ls', verdict: 'allow', match: { command: 'ls' }, reason: '' }, ask1], 'email');
  const { changes, summary } = await decided(storeOf(8, made), strict, 6_000);
  assert.deepEqual(changes, []);
  assert.deepEqual([summary.decisions, summary.judged, summary.otherRule], [3, 3, 3]);
});

test('what a grant let through is still let through where the rules ask, and not where they deny or ask two persons', async () => {
  const store = storeOf(2, (n) => ({ call: writing(`contracts/${n}`), verdict: 'allow', rule: 'grant:grt_1' }));
  const verdicts = async (rule: Rule) =>
    (await decided(store, governed([rule], 'email'))).changes.map(({ now }) => now.verdict);
  assert.deepEqual(await verdicts(ask({ path: 'contracts/*' })), []);
  assert.deepEqual(await verdicts(deny({ path: 'contracts/1' })), ['deny']);
  assert.deepEqual(await verdicts({ ...ask({ path: 'contracts/2' }), approvers: 2 }), ['ask']);
});

test('ten thousand decisions, one after the other', async () => {
  const made = (n: number): Made =>
    n % 3 === 0
      ? { call: shell(`git push ${n}`), verdict: 'allow', rule: 'builtin:sandboxed-shell' }
      : { call: writing(`notes/${n}.md`), verdict: 'allow', rule: 'builtin:workspace-files' };
  const rules = Array.from({ length: 50 }, (_, n) => deny({ path: `archive/${n}/**` }));
  const changed = governed([...rules, ask({ command: 'git push *' })], 'email');
  const { changes, summary } = await decided(storeOf(10_000, made), changed);
  assert.equal(changes.length, 3_333);
  assert.deepEqual(summary.agents['email'], { judged: 10_000, changes: { 'allow→ask': 3_333 } });
});
