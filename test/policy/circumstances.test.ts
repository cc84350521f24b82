import { test } from 'node:test';
import type { PolicyFacts } from '../../src/core/policy.ts';
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
