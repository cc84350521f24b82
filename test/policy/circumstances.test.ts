import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyFacts } from '../../src/core/policy.ts';
import { decide } from '../../src/policy/decide.ts';
import { hiddenPath } from '../../src/policy/grant.ts';
import { allow, ask, check, deny, facts, mailing } from './support.ts';

test('rules look at labels, sender, queue, hours, cost and critical arguments', () => {
  const open = allow({ tool: 'mail' });
  const seen = (more: Partial<PolicyFacts>): PolicyFacts => facts({ rules: [open], ...more });
  const to = (...values: string[]) => ({ critical: values.map((value) => ({ name: 'to', value, vouched: null })) });
  const night = Date.UTC(2026, 10, 30, 22, 30);
  check(
    [
      ['labels', mailing(), seen({ rules: [open, deny({ labels: ['untrusted'] })], labels: ['untrusted'] }), 'deny'],
      [
        'not all labels',
        mailing(),
        seen({ rules: [open, deny({ labels: ['private', 'untrusted'] })], labels: ['private'] }),
        'allow',
      ],
      ['sender', mailing(), seen({ rules: [open, deny({ sender: 'agent:*' })], sender: 'agent:email' }), 'deny'],
      [
        'by way of an agent',
        mailing(),
        seen({ rules: [open, deny({ sender: 'telegram:1' })], sender: 'agent:a', asker: 'telegram:1' }),
        'deny',
      ],
      [
        'allowed to a person alone',
        mailing(),
        seen({ rules: [allow({ tool: 'mail', sender: 'telegram:1' })], sender: 'agent:a', asker: 'telegram:1' }),
        'ask',
      ],
      ['other sender', mailing(), seen({ rules: [open, deny({ sender: 'agent:*' })], sender: 'telegram:1' }), 'allow'],
      ['nobody known', mailing(), seen({ rules: [open, deny({ sender: '*' })] }), 'allow'],
      ['queue', mailing(), seen({ rules: [open, ask({ queue: 'email' })], queue: 'email' }), 'ask'],
      [
        'hours of the zone',
        mailing(),
        seen({ rules: [open, deny({ hours: '23:00-07:00' })], at: night, zone: 'Europe/Paris' }),
        'deny',
      ],
      [
        'hours elsewhere',
        mailing(),
        seen({ rules: [open, deny({ hours: '23:00-07:00' })], at: night, zone: 'UTC' }),
        'allow',
      ],
      [
        'allowed at hours',
        mailing(),
        seen({ rules: [allow({ tool: 'mail', hours: '08:00-18:00' })], at: night, zone: 'UTC' }),
        'ask',
      ],
      ['hours that are none restrict always', mailing(), seen({ rules: [open, deny({ hours: 'night' })] }), 'deny'],
      ['cost', mailing(), seen({ rules: [open, ask({ costOver: 1 })], costUsd: 1.01 }), 'ask'],
      ['cost not over', mailing(), seen({ rules: [open, ask({ costOver: 1 })], costUsd: 1 }), 'allow'],
      [
        'one value is denied',
        mailing(),
        seen({ rules: [open, deny({ args: { to: '*@evil.org' } })], ...to('a@x.org', 'b@evil.org') }),
        'deny',
      ],
      [
        'every value is allowed',
        mailing(),
        seen({ rules: [allow({ args: { to: '*@x.org' } })], ...to('a@x.org', 'b@x.org') }),
        'allow',
      ],
      [
        'not every value',
        mailing(),
        seen({ rules: [allow({ args: { to: '*@x.org' } })], ...to('a@x.org', 'b@y.org') }),
        'ask',
      ],
      ['no value', mailing(), seen({ rules: [allow({ args: { to: '*' } })] }), 'ask'],
      [
        'an allow that labels would open',
        mailing(),
        seen({ rules: [allow({ tool: 'mail', labels: ['untrusted'] })], labels: ['untrusted'] }),
        'ask',
      ],
    ],
    19,
  );
});

test('what a folder hides by rules of hours is what a call for each path would be denied, or asked for, at that hour', () => {
  const list = { tool: 'list', effect: 'read' as const, paths: ['.'] };
  const night = Date.UTC(2026, 10, 30, 22, 30);
  const rules = [
    deny({ path: 'a/**', hours: '23:00-07:00' }),
    ask({ path: 'b/**', hours: '08:00-18:00' }),
    allow({ path: 'd/**', hours: '08:00-18:00' }),
  ];
  const hidden: string[] = [];
  for (const zone of ['UTC', 'Europe/Paris', 'Asia/Tokyo'])
    for (const own of ['rules', 'agentRules'] as const) {
      const about = facts({ [own]: rules, tools: ['list'], at: night, zone });
      const hides = hiddenPath(list, about);
      for (const path of ['a/x', 'b/x', 'c/x', 'd/x']) {
        assert.equal(
          hides(path),
          decide({ ...list, paths: [path] }, about).verdict !== 'allow',
          `${zone} ${own} ${path}`,
        );
        if (hides(path)) hidden.push(`${zone} ${own} ${path}`);
      }
    }
  assert.ok(hidden.includes('Europe/Paris rules a/x') && !hidden.includes('UTC rules a/x'), hidden.join(', '));
  const broken = facts({ rules: [deny({ path: 'c/**', hours: 'night' })], at: night, zone: 'UTC' });
  assert.equal(hiddenPath(list, broken)('a/x'), true, 'a rule that cannot be read restricts all that it may mean');
});
