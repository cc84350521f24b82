import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../src/config/settings.ts';
import { makeWorkspace } from './govern-kit.ts';
import { KNOWN } from '../fakes/known.ts';

const read = (levels: string) =>
  parseSettings(`escalation:\n  owner:\n${levels}`, 'ruche.yaml', { ...KNOWN, channels: ['chat'] });

test('a chain has levels with times and receivers', () => {
  const { settings, problems } = read(
    [
      '    - { after: 0m, to: "telegram:-100123_4" }',
      '    - { after: 0m, to: chat:owner }',
      '    - { after: 1h30m, to: agent:system }',
      '    - { after: 2h, to: "webhook:https://hooks.example.org/a?b=c", secret: "env:HOOK" }',
      '    - { after: 1d, to: deny }',
    ].join('\n'),
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(settings?.escalation, {
    owner: [
      { after: 0, to: 'telegram:-100123_4' },
      { after: 0, to: 'chat:owner' },
      { after: 5_400_000, to: 'agent:system' },
      { after: 7_200_000, to: 'webhook:https://hooks.example.org/a?b=c', secret: 'env:HOOK' },
      { after: 86_400_000, to: 'deny' },
    ],
  });
});

const BAD: [level: string, said: RegExp][] = [
  ['{ after: soon, to: deny }', /3 escalation\.owner\.0\.after must be a time such as 0m/],
  ['{ after: 400d, to: deny }', /3 escalation\.owner\.0\.after must be at most 366d/],
  ['{ to: deny }', /3 escalation\.owner\.0\.after is missing/],
  ['{ after: 1h, to: nobody }', /3 escalation\.owner\.0\.to must be CHANNEL:ADDRESS/],
  ['{ after: 1h, to: "telegrm:1" }', /3 .*to names the channel "telegrm".*Did you mean "telegram"/],
  ['{ after: 1h, to: "agent:The Boss" }', /3 .*to must be CHANNEL:ADDRESS/],
  ['{ after: 1h, to: "agent:Boss" }', /3 .*to "Boss" cannot be the name of an agent/],
  ['{ after: 1h, to: "webhook:ftp://x" }', /3 .*to cannot be posted to: only http/],
  ['{ after: 1h, to: "webhook:https://u:p@x.org" }', /3 .*to cannot be posted to: .*user name/],
  ['{ after: 1h, to: "chat:o", secret: "env:X" }', /3 .*secret has a meaning only for a webhook/],
  ['{ after: 1h, to: "webhook:https://x.org", secret: geheim }', /3 .*secret must name where the secret is/],
  ['{ after: 1h, to: deny }\n    - { after: 2h, to: chat:o }', /3 .*0\.to "deny" can only be the last level/],
  ['{ after: 2h, to: chat:o }\n    - { after: 1h, to: deny }', /4 escalation\.owner\.1\.after is earlier/],
];

test('what is wrong in a chain names line and key', () => {
  for (const [level, said] of BAD) {
    const { settings, problems } = read(`    - ${level}\n`);
    assert.equal(settings, null, level);
    const lines = problems.map(({ line, key, message }) => `${line} ${key} ${message}`);
    assert.equal(lines.length, 1, `${level}: ${lines.join('; ')}`);
    assert.match(lines[0] ?? '', said);
  }
  assert.equal(BAD.length, 13);
  assert.match(JSON.stringify(read('    []\n').problems), /must not be empty/);
  const name = parseSettings('channels: { webhook: { type: telegram } }\n', 'ruche.yaml', KNOWN);
  assert.match(JSON.stringify(name.problems), /cannot have this name/);
});

test('what stands saved is judged whole: levels, queues and skills of nobody, scripts that cannot run', async () => {
  const file = (text: string) => new TextEncoder().encode(text);
  const kit = await makeWorkspace({ 'ruche.yaml': '', 'agents/a/AGENT.md': '', 'scripts/x.sh': 'true\n' });
  try {
    const head = await kit.workspace.head();
    const entries = [
      '{ name: x, every: 1h, run: scripts/x.sh }',
      '{ name: y, every: 1h, run: scripts/none.sh -v }',
    ].map((each) => `  - ${each}\n`);
    const saved = {
      'ruche.yaml': "queues: { nobody: {} }\nescalation: { owner: [{ after: 1h, to: 'agent:b' }] }\n",
      'agents/a/AGENT.md': `---\ntools: [read]\nschedules:\n${entries.join('')}---\n`,
    };
    const standing = Object.entries(saved).map(([path, text]) => ({ path, bytes: file(text), clean: false }));
    const seen = await kit.reader.foresee(head, standing);
    assert.ok(seen.ok);
    const { problems, agents } = seen.governance;
    assert.deepEqual(problems.map(({ key, severity }) => `${severity} ${key}`).sort(), [
      'warning escalation.owner.0.to',
      'warning queues.nobody',
      'warning schedules.0.run',
      'warning schedules.1.run',
    ]);
    const scripts = await kit.reader.hindrances(head, agents);
    assert.match(scripts[0]?.message ?? '', /scripts\/x\.sh is not executable on main/);
    assert.match(scripts[1]?.message ?? '', /there is no script scripts\/none\.sh/);
    assert.equal(scripts.length, 2);
  } finally {
    await kit.remove();
  }
});

test('a level that leads to an agent who is not there is a warning with its line; the others hold', async () => {
  const kit = await makeWorkspace({
    'ruche.yaml': 'escalation:\n  owner:\n    - { after: 0m, to: agent:a }\n    - { after: 1m, to: agent:b }\n',
    'agents/a/AGENT.md': '---\nescalation: owner\n---\n',
    'agents/c/AGENT.md': '---\nescalation: none\n---\n',
  });
  try {
    const loaded = await kit.reader.load(await kit.workspace.head());
    assert.ok(loaded.ok);
    const { problems, settings, agents } = loaded.governance;
    assert.equal(settings.escalation?.['owner']?.length, 2);
    assert.deepEqual([...agents.keys()], ['a']);
    assert.deepEqual(
      problems.map(({ file, line, key, severity }) => [file, line, key, severity]),
      [
        ['ruche.yaml', 4, 'escalation.owner.1.to', 'warning'],
        ['agents/c/AGENT.md', 2, 'escalation', 'error'],
      ],
    );
  } finally {
    await kit.remove();
  }
});

test('a `to` that reaches nobody is a warning with its line when it is saved; the agent works', async () => {
  const to = (...entries: string[]): string => {
    const lines = entries.map((each, n) => `  - { name: s${n}, every: 1h, task: x, to: '${each}' }\n`);
    return `---\nschedules:\n${lines.join('')}triggers:\n  - { name: t, on: run.failed, task: x, to: 'agent:b' }\n---\n`;
  };
  const good = ['telegram:111', 'telegram:-100123_4', 'home-bot:222'];
  const bot = '  home-bot: { type: telegram, token: env:HOME_BOT }\n';
  const kit = await makeWorkspace({
    'ruche.yaml': `channels:\n${bot}`,
    'agents/a/AGENT.md': to(...good, 'owner', 'telegrm:1', 'telegram:anna', 'home-bot:@anna'),
  });
  try {
    const problems = async () => {
      const loaded = await kit.reader.load(await kit.workspace.head());
      assert.ok(loaded.ok);
      assert.deepEqual([...loaded.governance.agents.keys()], ['a']);
      return loaded.governance.problems.map(({ severity, line, message }) => [severity, line, message.slice(0, 36)]);
    };
    const lasting = [
      ['warning', 7, 'names the channel "telegrm", which i'],
      ['warning', 8, 'names "anna", which is not the numer'],
      ['warning', 9, 'names "@anna", which is not the nume'],
      ['warning', 11, '"agent:b" is not a person or chat: w'],
    ];
    assert.deepEqual(await problems(), [['warning', 6, 'reaches nobody yet: no channel in ru'], ...lasting]);
    // The agent's file is as it was, and what it names has come to be.
    await kit.commit({ 'ruche.yaml': `channels:\n${bot.replace(' }', ', owners: [5] }')}` });
    assert.deepEqual(await problems(), lasting);
  } finally {
    await kit.remove();
  }
});
