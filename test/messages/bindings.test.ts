import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Agent, Binding } from '../../src/core/agent.ts';
import { usualAgent } from '../../src/app/messengers.ts';
import { parseSettings } from '../../src/config/settings.ts';
import { SETTINGS } from '../fakes/governance.ts';
import { KNOWN } from '../fakes/known.ts';

const agents = new Map(['system', 'billing', 'email'].map((name) => [name, { name } as Agent]));

test('a chat belongs to the first binding that fits, with its topics; else to its channel, else to the front desk', () => {
  const bindings: Binding[] = [
    { channel: 'telegram', chat: '-100123', agent: 'billing' },
    { channel: 'telegram', chat: '5', agent: 'gone' },
    { channel: 'work', chat: null, agent: 'email' },
    { channel: null, chat: null, agent: 'system' },
  ];
  const cases: [string, string, string | null, string][] = [
    ['telegram', '-100123', null, 'billing'],
    ['telegram', '-100123_7', null, 'billing'],
    ['telegram', '-1001234', null, 'system'],
    ['telegram', '5', null, 'system'],
    ['telegram', '6', 'email', 'email'],
    ['work', '-100123', null, 'email'],
    ['other', '-100123', null, 'system'],
  ];
  for (const [channel, chat, own, expected] of cases)
    assert.equal(
      usualAgent({ settings: { ...SETTINGS, bindings }, agents }, own, channel, chat),
      expected,
      `${channel} ${chat}`,
    );
  assert.equal(usualAgent({ settings: SETTINGS, agents: new Map() }, null, 'telegram', '1'), '');
});

test('bindings are read, numbers of chats too; what cannot mean anything is refused', () => {
  const read = (yaml: string) => parseSettings(yaml, 'ruche.yaml', KNOWN);
  const { settings, problems } = read(
    'bindings: [ { channel: telegram, chat: -100123, agent: billing }, { agent: system } ]',
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(settings?.bindings, [
    { channel: 'telegram', chat: '-100123', agent: 'billing' },
    { channel: null, chat: null, agent: 'system' },
  ]);
  for (const [yaml, message] of [
    ['bindings: [ { channel: telegram } ]', /agent is missing|is missing/],
    ['bindings: [ { chat: "1", agent: a } ]', /needs the channel/],
    ['bindings: [ { agent: a, user: b } ]', /not a known key/],
    ['bindings: [ { channel: t, chat: "a b", agent: a } ]', /the platform's id/],
  ] as const)
    assert.match(read(yaml).problems[0]?.message ?? '', message, yaml);
});
