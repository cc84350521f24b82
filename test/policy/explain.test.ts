import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Rule } from '../../src/core/policy.ts';
import { decide } from '../../src/policy/decide.ts';
import { explain, type Places } from '../../src/policy/explain.ts';
import { allow, ask, deny, facts, fetching, mailing, reading, shell, writing } from './support.ts';

const NOWHERE: Places = { ofRule: () => null, ofBuiltin: () => null };

test('what is explained is what is decided, whatever the rules; nothing that spoke is named as nearly', () => {
  const calls = [
    reading('a'),
    writing('notes/x.md'),
    shell('git push'),
    fetching('https://x.org/'),
    mailing({ to: 'a:b' }),
  ];
  const patterns = fc.constantFrom<Rule['match'][]>(
    { path: 'notes/**' },
    { tool: 'shell', command: 'git *' },
    { host: 'x.org' },
    { host: '*.x.org' },
    { to: 'a:*', effect: 'send' },
    {},
  );
  const rules = fc.array(
    fc.tuple(fc.constantFrom(allow, ask, deny), patterns).map(([of, match]) => of(match)),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(fc.constantFrom(...calls), rules, rules, fc.boolean(), (call, own, agentRules, sandboxed) => {
      const given = facts({ rules: own, agentRules, sandboxed });
      const { decision, others, nearly, otherwise } = explain(call, given, NOWHERE, 'email');
      const made = decide(call, given);
      assert.deepEqual([decision.verdict, decision.rule, decision.reason], [made.verdict, made.rule, made.reason]);
      const spoke = new Set([decision, ...others].map(({ rule }) => rule));
      assert.ok(nearly.every(({ rule }) => !spoke.has(rule)));
      // A change that changes nothing is none.
      assert.ok(otherwise.every(({ verdict }) => verdict !== made.verdict));
    }),
    { numRuns: 1_000 },
  );
});

test('what would have to be otherwise: two changes where one is not enough', () => {
  const given = facts({ rules: [deny({ host: 'x.org' })] });
  const { otherwise } = explain(fetching('https://x.org/'), given, NOWHERE, 'email');
  assert.deepEqual(
    otherwise.map(({ verdict }) => verdict),
    ['ask', 'allow'],
  );
  assert.match(otherwise[1]?.what ?? '', /^without the rule .* and with this rule in ruche\.yaml$/);
  const critical = [{ name: 'to', value: 'a:b', vouched: null }];
  const open = facts({ rules: [allow({ tool: 'mail' })], labels: ['private', 'untrusted'], critical });
  const told = explain(mailing({ to: 'a:b' }), open, NOWHERE, 'email');
  assert.equal(told.decision.verdict, 'ask');
  assert.ok(told.otherwise.some(({ what, verdict }) => /without the label/.test(what) && verdict === 'allow'));
});
