import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApprovalVerdict } from '../../src/core/agreed.ts';
import type { Event } from '../../src/core/event.ts';
import type { PolicyCall } from '../../src/core/policy.ts';
import type { ReadFrom } from '../../src/core/ports/store.ts';
import { policyStats } from '../../src/views/policy-stats.ts';
import { eventOf } from '../fakes/event.ts';
import { fetching, shell } from '../policy/support.ts';

const MINUTE = 60_000;

/** A journal of asks: by rule, what was called, who answered what and after how many minutes; null: nobody. */
class Journal {
  readonly events: Event[] = [];
  readonly #calls: PolicyCall[] = [];

  add(
    rule: string,
    call: PolicyCall,
    answer: { verdict: ApprovalVerdict; by?: string; minutes: number } | null,
    at = 0,
  ) {
    const n = this.#calls.push(call);
    const stream = `run:run_${n}`;
    const put = (type: Event['type'], data: unknown, when = at): void =>
      void this.events.push(eventOf(this.events.length + 1, type, data as never, { stream, at: when }));
    const facts = { hash: `${n}`, size: 1, subject: 's' };
    put('run.started', { run: `run_${n}` });
    put('decision.made', { call: 's1c1', tool: call.tool, verdict: 'ask', rule, reason: '', facts });
    put('approval.asked', { approval: `apr_${n}`, call: 's1c1', tool: call.tool, shown: facts });
    if (answer === null) return;
    const { verdict, by = 'owner', minutes } = answer;
    put('approval.answered', { approval: `apr_${n}`, verdict, by, reason: null }, at + minutes * MINUTE);
  }

  async *read({ after = 0, types, reverse }: ReadFrom) {
    const fitting = this.events.filter(({ seq, type }) => seq > after && (types?.includes(type) ?? true));
    yield* reverse === true ? fitting.toReversed() : fitting;
  }

  getBlob = async ({ hash }: { hash: string }) => {
    const call = this.#calls[Number(hash) - 1];
    return Buffer.from(JSON.stringify({ agent: 'email', senders: [], config: 'c', call, facts: {} }));
  };
}

test('by rule: how often, answered how and how fast; a runtime that answers is nobody', async () => {
  const journal = new Journal();
  const [yes, no] = ['approve', 'deny'] as const;
  journal.add('before', shell('ls'), { verdict: yes, minutes: 1 }, 0);
  const later = 100 * MINUTE;
  for (const minutes of [1, 2, 3, 4, 50])
    journal.add('builtin:public-network', fetching('https://x.org/'), { verdict: yes, minutes }, later);
  journal.add('contracts', shell('a'), { verdict: yes, minutes: 1 }, later);
  journal.add('contracts', shell('b'), { verdict: no, minutes: 3 }, later);
  journal.add('contracts', shell('c'), { verdict: no, by: 'runtime', minutes: 99 }, later);
  journal.add('contracts', shell('d'), null, later);
  const { runs, asks, per100, rules } = await policyStats(journal, later);
  assert.deepEqual([runs, asks, per100], [9, 9, 100]);
  const [network, contracts] = rules;
  assert.equal(rules.length, 2);
  assert.deepEqual(
    [network?.asked, network?.approved, network?.medianMs, network?.p90Ms],
    [5, 5, 3 * MINUTE, 50 * MINUTE],
  );
  assert.deepEqual(network?.spare, { by: 'allow', match: { host: 'x.org', tool: 'fetch' }, count: 5, of: 5 });
  const { approved, denied, nobody, medianMs, patience } = contracts ?? assert.fail();
  assert.deepEqual([approved, denied, nobody, medianMs, patience], [1, 1, 2, MINUTE, false]);
});

test('a raise that was asked for counts as budget, a landing as landing', async () => {
  const facts = { hash: '1', size: 1, subject: 's' };
  const events = ['budget', 'landing'].map((call, n) =>
    eventOf(
      n + 1,
      'approval.asked',
      { approval: `apr_${n}`, call, tool: call, shown: facts },
      { stream: 'run:r', at: 0 },
    ),
  );
  const read = async function* () {
    yield* events;
  };
  const { rules } = await policyStats({ read, getBlob: async () => null }, 0);
  assert.deepEqual(rules.map(({ rule }) => rule).toSorted(), ['budget', 'landing']);
});

test('five times yes are enough to tell, one no is enough not to; an empty record has no share', async () => {
  const journal = new Journal();
  const yes = { verdict: 'approve', minutes: 1 } as const;
  for (let n = 0; n < 4; n++) journal.add('mine', shell(`ls ${n}`), yes);
  const patience = async (): Promise<boolean | undefined> => (await policyStats(journal, 0)).rules[0]?.patience;
  assert.equal(await patience(), false);
  journal.add('mine', shell('ls 0'), yes);
  const [mine] = (await policyStats(journal, 0)).rules;
  assert.deepEqual(mine?.spare, { by: 'narrow', match: { command: 'ls 0', tool: 'shell' }, count: 2, of: 5 });
  journal.add('mine', shell('rm a'), { verdict: 'deny', minutes: 1 });
  assert.equal(await patience(), false);
  assert.equal((await policyStats(new Journal(), 0)).per100, null);
});
