import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Weakness } from '../../src/core/api/policy.ts';
import { AGENT, Home } from '../fakes/home.ts';

const found = async (home: Home): Promise<Weakness[]> => {
  const { out, err, code } = await home.cli('doctor', '--security', '--json');
  assert.ok(code === 0 || code === 1, err);
  assert.notEqual(out, '', err);
  const list = JSON.parse(out) as Weakness[];
  assert.equal(code, list.length === 0 ? 0 : 1, out);
  for (const { what, instead } of list) assert.ok(what !== '' && instead !== '');
  return list;
};
const short = (list: readonly Weakness[]): string[] =>
  list.map(({ id, file, line, key }) => `${file}:${line} ${key} ${id}`);

/** A trust root, committed. */
async function withFiles(files: Record<string, string>, run: (home: Home) => Promise<void>, env = {}): Promise<void> {
  const home = new Home({ files: { 'ruche.yaml': '', 'agents/assistant/AGENT.md': AGENT, ...files }, env });
  try {
    await run(home);
  } finally {
    await home.close();
  }
}

for (const template of ['solo', 'network'])
  test(`a home made from the template ${template} weakens nothing, stopped or running`, async () => {
    const home = new Home();
    try {
      await home.start('--template', template);
      assert.deepEqual(short(await found(home)), []);
      await home.end('SIGTERM');
      const { out, code } = await home.cli('doctor', '--security');
      assert.deepEqual([out, code], ['✓ No default is weakened.\n', 0]);
    } finally {
      await home.close();
    }
  });

const WEAK = `models:
  providers:
    far: { type: openai-compatible, baseUrl: "http://models.example.org/v1", apiKey: env:FAR_KEY }
publicUrl: http://ruche.example.org
sandbox: none
network:
  - "*"
  - "*.com"
  - "*.example.org"
  - 192.168.1.5:8080
  - 169.254.169.254
timezone: Europe/Paris
concurrency: 3
maxAttempts: 3
patience: 1h
channels:
  telegram: { token: env:BOT, owners: [] }
secrets:
  github: { for: [assistant], host: api.github.com, header: Authorization, format: "Bearer {}" }
escalation:
  owner:
    - { after: 1m, to: "webhook:http://hooks.example.org/x", secret: env:HOOK }
    - { after: 1h, to: deny }
policy:
  rules:
    - { id: web, allow: { tool: fetch }, reason: why }
    - { id: stars, allow: { host: "*.org" }, reason: why }
    - { id: router, allow: { tool: fetch, host: "10.0.0.1" }, reason: why }
    - { id: people, allow: { tool: tell, to: "telegram:*" }, reason: why }
    - { id: talk, allow: { tool: tell }, reason: why }
    - { id: bash, allow: { tool: shell, command: "*" }, reason: why }
    - { id: all, allow: { tool: "*" }, reason: why }
    - { id: night, allow: { tool: fetch, hours: "22:00-06:00" }, reason: why }
  contacts: ["https://hooks.example.com/*", anna@example.org, "https://hooks.example.com/ours/*"]
`;
const WEAK_AGENT = `---
description: helps
network:
  - "*"
triggers:
  - { name: t, on: webhook, hook: h, auth: bearer, secret: env:HOOK, task: "{{name}}" }
---
You help.
`;

test('each planted weakness is named with its file, line and key, and nothing else is', () =>
  withFiles({ 'ruche.yaml': WEAK, 'agents/assistant/AGENT.md': WEAK_AGENT }, async (home) => {
    const list = await found(home);
    assert.deepEqual(short(list), [
      'ruche.yaml:5 sandbox sandbox-none',
      'ruche.yaml:7 network.0 network-broad',
      'ruche.yaml:8 network.1 network-broad',
      'ruche.yaml:10 network.3 private-open',
      'ruche.yaml:11 network.4 metadata-open',
      'agents/assistant/AGENT.md:4 network.0 network-broad',
      'ruche.yaml:26 policy.rules.0 rule-any-host',
      'ruche.yaml:27 policy.rules.1 rule-any-host',
      'ruche.yaml:28 policy.rules.2 private-open',
      'ruche.yaml:29 policy.rules.3 rule-anybody',
      'ruche.yaml:30 policy.rules.4 rule-anybody',
      'ruche.yaml:31 policy.rules.5 rule-any-command',
      'ruche.yaml:32 policy.rules.6 rule-any-host',
      'ruche.yaml:32 policy.rules.6 rule-anybody',
      'ruche.yaml:33 policy.rules.7 rule-any-host',
      'ruche.yaml:34 policy.contacts.0 contact-broad',
      'ruche.yaml:19 secrets.github secret-broad',
      'ruche.yaml:3 models.providers.far.apiKey key-in-environment',
      'ruche.yaml:17 channels.telegram.token key-in-environment',
      'ruche.yaml:22 escalation.owner.0.secret key-in-environment',
      'agents/assistant/AGENT.md:6 triggers.0.secret key-in-environment',
      'ruche.yaml:4 publicUrl plain-http',
      'ruche.yaml:3 models.providers.far.baseUrl plain-http',
      'ruche.yaml:22 escalation.owner.0.to plain-http',
      'ruche.yaml:17 channels.telegram no-owner',
    ]);
    const { out } = await home.cli('doctor', '--security');
    assert.match(out, /^! ruche\.yaml:5: sandbox: nothing confines .* \[sandbox-none\]\n {4}Remove the line/m);
  }));

const NARROW = `models:
  providers:
    near: { type: openai-compatible, baseUrl: "http://127.0.0.1:9/v1", apiKey: secret:near }
publicUrl: https://ruche.example.org
network:
  - "*.example.org"
  - { host: "*.com", ask: true }
  - { host: 192.168.1.5, ports: [8080], ask: true }
channels:
  telegram: { token: secret:bot, owners: ["1"] }
secrets:
  github: { for: [assistant], host: api.github.com, methods: [GET], path: /repos/our/, header: Authorization, format: "Bearer {}" }
escalation:
  owner:
    - { after: 1m, to: "webhook:https://hooks.example.org/x", secret: secret:hook }
policy:
  rules:
    - { id: web, allow: { tool: fetch, host: "docs.example.org" }, reason: why }
    - { id: below, allow: { tool: fetch, host: "*.docs.example.org" }, reason: why }
    - { id: talk, allow: { tool: tell, to: "telegram:5" }, reason: why }
    - { id: status, allow: { tool: shell, command: "git status *" }, reason: why }
    - { id: files, allow: { effect: write, path: "**" }, reason: why }
    - { id: asks, ask: { host: "*" }, reason: why }
    - { id: router, ask: { host: "10.0.0.1:8080" }, reason: why }
    - { id: denies, deny: { tool: "*", host: "*.evil.example" }, reason: why }
  contacts: [anna@example.com, "https://hooks.example.org/ours/*"]
`;

test('what is written as it says instead is no weakness', () =>
  withFiles({ 'ruche.yaml': NARROW }, async (home) => assert.deepEqual(short(await found(home)), [])));

test('an agent without a sandbox, a key of the environment, an open home and an address that others reach are named', () =>
  withFiles(
    { 'agents/assistant/AGENT.md': AGENT.replace('---\n', '---\nsandbox: none\n') },
    async (home) => {
      await home.start('--host', '0.0.0.0');
      chmodSync(home.home, 0o755);
      chmodSync(join(home.home, 'logs'), 0o755);
      const list = await found(home);
      assert.deepEqual(
        list.map(({ id, file }) => `${file} ${id}`),
        [
          'agents/assistant/AGENT.md sandbox-none',
          ' key-in-environment',
          ' bind-beyond-loopback',
          ' home-open',
          ' file-open',
        ],
      );
      assert.match(list[1]?.what ?? '', /^ANTHROPIC_API_KEY /);
      assert.match(list[3]?.instead ?? '', /chmod go= /);
    },
    { ANTHROPIC_API_KEY: 'sk-ant-not-a-key-0123456789' },
  ));

test('files that are wrong are said to be wrong, and not taken for sound', () =>
  withFiles({ 'ruche.yaml': 'sandbox: [\n' }, async (home) => {
    const { code, err } = await home.cli('doctor', '--security');
    assert.deepEqual([code, /ruche\.yaml/.test(err)], [1, true]);
  }));
