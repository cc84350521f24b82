import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Verdict } from '../../src/core/event.ts';
import { parseReach, type Reach, reaches } from '../../src/core/net/reach.ts';
import type { PolicyCall, PolicyFacts, Rule } from '../../src/core/policy.ts';
import { decide } from '../../src/policy/decide.ts';
import { hiddenPath, netGrant, redirectPolicy } from '../../src/policy/grant.ts';
import { TOOLS } from './support.ts';
import { effort, tries } from '../fakes/effort.ts';
import { workClock } from '../fakes/work-ms.ts';

const STRICT: Record<Verdict, number> = { allow: 0, ask: 1, deny: 2 };

/** Mostly what a good call holds: else nearly every case is denied for some part of it. */
const mostly = <T>(good: readonly T[], bad: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: fc.constantFrom(...bad) });

const paths = mostly(['a', 'a/b', 'notes/x.md', '', '/workspace/a', 'caf\u00e9'], ['../x', '.git/x']);
const pathPatterns = fc.constantFrom('**', 'a/**', '*', 'notes/*.md', '../x', 'a', 'caf\u00e9');
const commands = fc.constantFrom(
  'ls',
  'ls -l',
  'ls; rm a',
  'echo $(rm a)',
  "sh -c 'rm a'",
  'echo a > b',
  'env rm',
  '',
  'rm a',
);
const commandPatterns = fc.constantFrom('*', 'ls *', 'rm *', 'echo *', 'sh *', 'ls');
const urls = mostly(
  ['https://x.org/a', 'https://a.x.org'],
  ['http://127.0.0.1:80/', 'http://localhost', 'x', 'ftp://x.org', 'http://u@x.org'],
);
const hostPatterns = fc.constantFrom('*', 'x.org', '*.x.org', '127.0.0.1', 'localhost:80', 'x.org:443', 'https://bad');
const effects = fc.constantFrom<PolicyCall['effect']>('read', 'write', 'send', 'exec');
const tools = mostly(TOOLS, ['nosuch', 'config.patch']);

const rules: fc.Arbitrary<Rule> = fc.record({
  id: fc.string({ minLength: 1, maxLength: 4 }),
  verdict: fc.constantFrom<Verdict>('allow', 'ask', 'deny'),
  reason: fc.constantFrom('', 'Because.'),
  match: fc.record(
    {
      tool: tools,
      effect: effects,
      path: pathPatterns,
      command: commandPatterns,
      host: hostPatterns,
      labels: fc.constantFrom(['untrusted'] as const, ['private', 'untrusted'] as const),
      sender: fc.constantFrom('agent:*', 'telegram:1', '*'),
      queue: fc.constantFrom('a', 'b*'),
      hours: fc.constantFrom('00:00-12:00', '12:00-24:00', 'night'),
      costOver: fc.constantFrom(0, 1),
      args: fc.constantFrom<Record<string, string>>({ to: '*@x.org' }, { to: 'a*', url: '*' }),
    },
    { requiredKeys: [] },
  ),
});
const calls: fc.Arbitrary<PolicyCall> = fc.record(
  { tool: tools, effect: effects, paths: fc.array(paths, { maxLength: 3 }), command: commands, url: urls },
  { requiredKeys: ['tool', 'effect'] },
);
const entries: fc.Arbitrary<Reach> = fc
  .record({ host: hostPatterns, methods: fc.constantFrom(undefined, ['GET'], ['POST']), ask: fc.boolean() })
  .map((source) => parseReach(source) ?? { ...reaches('x.org')[0]!, verdict: 'ask' });
const someFacts: fc.Arbitrary<PolicyFacts> = fc.record({
  rules: fc.array(rules, { maxLength: 4 }),
  agentRules: fc.array(rules, { maxLength: 2 }),
  tools: mostly([TOOLS], [['read', 'config.patch'], []]),
  network: fc.oneof(fc.constant(null), fc.constant(reaches('*')), fc.array(entries, { maxLength: 2 })),
  leave: fc.boolean(),
  sandboxed: fc.boolean(),
  labels: fc.subarray(['private', 'untrusted'] as const),
  sender: fc.constantFrom(undefined, 'agent:a', 'telegram:1'),
  queue: fc.constantFrom(undefined, 'a', 'bb'),
  at: fc.constantFrom(undefined, 0, 13 * 3_600_000),
  zone: fc.constantFrom('UTC', 'Europe/Paris', 'nowhere'),
  costUsd: fc.constantFrom(undefined, 0, 0.5, 2),
  critical: fc.array(
    fc.record({
      name: fc.constantFrom('to', 'url'),
      value: fc.constantFrom('a@x.org', 'b@y.org'),
      vouched: fc.constantFrom(null, 'owner' as const),
    }),
    { maxLength: 3 },
  ),
});

const RUNS = tries(300, 2000);

/** Runs the property and insists that verdicts of each kind came up, so that none of them holds for want of cases. */
function holds<T>(arbitrary: fc.Arbitrary<T>, verdictOf: (value: T) => Verdict): void {
  const seen = { allow: 0, ask: 0, deny: 0 };
  fc.assert(
    fc.property(arbitrary, (value) => {
      seen[verdictOf(value)]++;
    }),
    RUNS,
  );
  assert.ok(Math.min(seen.allow, seen.ask, seen.deny) > effort(2, 20), JSON.stringify(seen));
}

test('one more deny or ask rule never widens, in either file', () => {
  holds(fc.tuple(calls, someFacts, rules, fc.boolean(), fc.nat(5)), ([call, facts, extra, own, at]) => {
    const before = decide(call, facts).verdict;
    const rule: Rule = { ...extra, verdict: extra.verdict === 'allow' ? 'deny' : extra.verdict };
    const grown = own
      ? { ...facts, agentRules: facts.agentRules.toSpliced(at, 0, rule) }
      : { ...facts, rules: facts.rules.toSpliced(at, 0, rule) };
    const after = decide(call, grown).verdict;
    // An ask rule that names a private host exactly is what opens it to a question: the one thing that widens.
    const opens =
      !own && rule.verdict === 'ask' && rule.match.host !== undefined && before === 'deny' && after === 'ask';
    assert.ok(opens || STRICT[after] >= STRICT[before], `${before} became ${after}`);
    return before;
  });
});

test('rules, network list and tools of an agent never widen', () => {
  holds(fc.tuple(calls, someFacts), ([call, facts]) => {
    const free = decide(call, { ...facts, agentRules: [], network: null }).verdict;
    const bound = decide(call, { ...facts, leave: false }).verdict;
    assert.ok(STRICT[bound] >= STRICT[free], `${free} became ${bound}`);
    const fewer = decide(call, { ...facts, leave: false, tools: facts.tools.slice(1) }).verdict;
    assert.ok(STRICT[fewer] >= STRICT[bound]);
    return free;
  });
});

test('a list of its own spares an agent only the question about what is outside', () => {
  holds(fc.tuple(calls, someFacts), ([call, facts]) => {
    const asked = decide(call, { ...facts, leave: false });
    const { verdict } = decide(call, { ...facts, leave: true });
    const spared = asked.rule === 'builtin:public-network' && verdict === 'allow';
    assert.ok(spared || STRICT[verdict] >= STRICT[asked.verdict], `${asked.rule} became ${verdict}`);
    return asked.verdict;
  });
});

test('the order of rules and of paths plays no part in the verdict', () => {
  holds(fc.tuple(calls, someFacts), ([call, facts]) => {
    const turned = {
      ...facts,
      rules: facts.rules.toReversed(),
      agentRules: facts.agentRules.toReversed(),
      network: facts.network?.toReversed() ?? null,
    };
    const swapped = call.paths === undefined ? call : { ...call, paths: call.paths.toReversed() };
    const { verdict } = decide(call, facts);
    assert.equal(decide(swapped, turned).verdict, verdict);
    return verdict;
  });
});

test('more labels never widen, a sandbox never narrows', () => {
  holds(fc.tuple(calls, someFacts), ([call, facts]) => {
    const { verdict } = decide(call, facts);
    assert.ok(STRICT[decide(call, { ...facts, labels: ['private', 'untrusted'] }).verdict] >= STRICT[verdict]);
    assert.ok(STRICT[decide(call, { ...facts, sandboxed: true }).verdict] <= STRICT[verdict]);
    return verdict;
  });
});

test('nobody who vouches narrows, and more cost never widens', () => {
  holds(fc.tuple(calls, someFacts), ([call, facts]) => {
    const { verdict } = decide(call, facts);
    const critical = (facts.critical ?? []).map((each) => ({ ...each, vouched: 'owner' as const }));
    assert.ok(STRICT[decide(call, { ...facts, critical }).verdict] <= STRICT[verdict]);
    const none = (facts.critical ?? []).map((each) => ({ ...each, vouched: null }));
    assert.ok(STRICT[decide(call, { ...facts, critical: none }).verdict] >= STRICT[verdict]);
    assert.ok(STRICT[decide(call, { ...facts, costUsd: 1000 }).verdict] >= STRICT[verdict]);
    return verdict;
  });
});

test('without a matching allow rule only the built-in cases are allowed', () => {
  holds(fc.tuple(calls, someFacts), ([call, facts]) => {
    const decision = decide(call, { ...facts, rules: facts.rules.filter((rule) => rule.verdict !== 'allow') });
    if (decision.verdict === 'allow') {
      const builtin = decision.rule.replace('builtin:', '');
      assert.ok(['workspace-files', 'question', 'sandboxed-shell', 'agent-network'].includes(builtin));
      assert.ok(call.url === undefined || (facts.leave === true && facts.network !== null));
      assert.ok(TOOLS.includes(call.tool));
    }
    return decision.verdict;
  });
});

test('any strings at all get a verdict with a rule and a reason, the same each time', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string());
  const wild = fc.record({
    call: fc.record(
      {
        tool: fc.oneof(tools, text),
        effect: effects,
        paths: fc.array(text, { maxLength: 3 }),
        command: text,
        url: text,
      },
      { requiredKeys: ['tool', 'effect'] },
    ),
    match: fc.record({ tool: text, path: text, command: text, host: text }, { requiredKeys: [] }),
    verdict: fc.constantFrom<Verdict>('allow', 'ask', 'deny'),
    network: fc.option(
      fc.array(
        text.map((host): Reach => ({ host, ports: null, methods: null, paths: null, verdict: 'allow' })),
        {
          maxLength: 2,
        },
      ),
    ),
    sandboxed: fc.boolean(),
  });
  let count = 0;
  fc.assert(
    fc.property(wild, ({ call, match, verdict, network, sandboxed }) => {
      const rule = { id: 'r', verdict, match, reason: 'R.' };
      const facts = { rules: [rule], agentRules: [rule], tools: TOOLS, network, sandboxed, labels: [] };
      const decision = decide(call, facts);
      assert.deepEqual(decide(call, facts), decision);
      assert.ok(decision.rule === 'r' || /^builtin:[a-z-]+$/.test(decision.rule));
      assert.ok(decision.reason.length > 0 && decision.reason.length < 1000);
      assert.doesNotMatch(decision.reason, /[\p{Cc}\u202a-\u202e]/u);
      netGrant(facts);
      redirectPolicy(call, facts)(call.url ?? '');
      hiddenPath(call, facts)(call.paths?.[0] ?? '');
      count++;
    }),
    RUNS,
  );
  assert.ok(count >= RUNS.numRuns);
});

test('a shell line made of anything is read in the time its length takes', () => {
  const worked = workClock();
  for (const unit of [
    "'",
    '"',
    '\\',
    '$(',
    '`',
    '<<',
    '>',
    '&>',
    '2>',
    ';',
    '|',
    '{',
    'env ',
    'sh -c "',
    '#\n',
    '~',
    ' (',
  ])
    decide(
      { tool: 'shell', effect: 'exec', command: unit.repeat(65_536 / unit.length) },
      {
        rules: [{ id: 'r', verdict: 'deny', match: { command: 'rm * -rf *' }, reason: '' }],
        agentRules: [],
        tools: TOOLS,
        network: null,
        sandboxed: false,
        labels: [],
      },
    );
  assert.ok(worked() < 5000, `${worked()} ms`);
});
