// A tool, a messenger and a provider that Ruche has never heard of: each is one file, and one line of what the composition is given.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startApp } from '../../src/app/app.ts';
import { BUILTIN, knownOf } from '../../src/app/builtin.ts';
import { editorSchemas } from '../../src/config/schemas.ts';
import { parseSettings } from '../../src/config/settings.ts';
import { systemClock as clock } from '../../src/platform/system.ts';
import { initWorkspace } from '../../src/workspace/init.ts';
import { namesFor } from '../../web/lib/words.ts';
import { quiet } from '../fakes/loop.ts';
import { until } from '../fakes/until.ts';
import { platform, toyMessenger } from './toy-messenger.ts';
import { asked, toyProvider } from './toy-provider.ts';
import { stamped, stampTool } from './toy-tool.ts';

const builtin = {
  ...BUILTIN,
  tools: [...BUILTIN.tools, stampTool],
  messengers: [...BUILTIN.messengers, toyMessenger],
  providers: [...BUILTIN.providers, toyProvider],
};

const SETTINGS = `channels:
  toy: { room: kitchen, owners: [U02ABC, "@a:b.org"] }
policy:
  rules: [{ id: stamps, ask: { tool: stamp }, reason: Stamps need a person. }]
`;

async function say(sender: string, text: string): Promise<void> {
  const host = await platform.host.promise;
  const externalId = `m${(platform.count += 1)}`;
  await host.deliver({ sender, chat: 'den', text, files: [], replyTo: 'den', externalId });
}

const heard = (what: RegExp) =>
  until(
    () => platform.sent.map(({ part }) => part).find((part) => part.kind === 'text' && what.test(part.text)),
    String(what),
  );

test('settings with its ids are read, and a wrong one is told with file, line and key', () => {
  const read = (owner: string, more = '') =>
    parseSettings(
      `channels:\n  toy:\n    room: hall\n    owners:\n      - ${owner}\n${more}`,
      'ruche.yaml',
      knownOf(builtin),
    );
  assert.deepEqual(read('"@a:b.org"').settings?.channels, [
    {
      name: 'toy',
      type: 'toy',
      secrets: { key: 'env:TOY_KEY' },
      owners: ['@a:b.org'],
      agent: null,
      settings: { room: 'hall' },
    },
  ]);
  const [wrong] = read('bob').problems;
  assert.deepEqual([wrong?.file, wrong?.line, wrong?.key], ['ruche.yaml', 5, 'channels.toy.owners.0']);
  assert.match(wrong?.message ?? '', /must be an id such as U02ABC or @a:b\.org.*ruche pair toy/);
  const [type] = read('U02ABC', '  other: { type: toi }\n').problems;
  assert.match(`${type?.line} ${type?.key} ${type?.message}`, /^6 channels\.other\.type .*Did you mean "toy"/);
  const [key] = parseSettings('channels: { toy: { room: a, rom: b } }\n', 'ruche.yaml', knownOf(builtin)).problems;
  assert.match(`${key?.key} ${key?.message}`, /^channels\.toy\.rom .*Did you mean "room"/);
});

test('a message of such a person reaches an agent, which uses the tool once a person has approved it, and answers', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-declared-'));
  const env = {
    PATH: process.env['PATH'],
    HOME: dir,
    OLLAMA_HOST: '127.0.0.1:1',
    TOY_KEY: 'toy-key-0123456789',
    PARROT_KEY: 'parrot-0123456789',
  };
  const workspace = join(dir, 'workspace');
  const files = { 'ruche.yaml': SETTINGS, 'agents/assistant/AGENT.md': '---\n---\nYou help.\n' };
  const bytes = Object.entries(files).map(([path, text]) => [path, Buffer.from(text)] as const);
  await initWorkspace({ dir: workspace, files: new Map(bytes), env, clock });
  const app = await startApp({
    version: '0.1.0',
    home: join(dir, 'home'),
    workspace,
    template: join(import.meta.dirname, '../../templates/solo'),
    host: '127.0.0.1',
    port: 0,
    token: () => 'token-of-the-test-0123456789',
    env,
    platform: 'none',
    machine: { arch: process.arch, uid: 1000 },
    log: quiet,
    builtin,
  });
  try {
    await say('U0STRANGER', 'Stamp it');
    await say('U02ABC', 'Stamp it');
    const question = await heard(/Stamps need a person/);
    assert.deepEqual(stamped, []);
    const [button] = question.kind === 'text' ? question.buttons.filter(({ label }) => label === 'Approve') : [];
    assert.ok(button);
    const host = await platform.host.promise;
    await host.press({ sender: '@a:b.org', chat: 'den', replyTo: 'den', action: button.action, externalId: 'p1' });
    await heard(/It is stamped\./);
    assert.deepEqual(stamped, ['A letter']);
    assert.deepEqual(new Set(asked), new Set(['parrot http://127.0.0.1:9/parrot env:PARROT_KEY grey']));
    assert.equal((await app.runtime.status()).model, 'parrot/grey');
    assert.deepEqual(
      new Set(platform.sent.map(({ to, room, key }) => `${to} ${room} ${key}`)),
      new Set(['den kitchen toy-key-0123456789']),
    );

    const { channels } = await app.runtime.status();
    const [{ since = 0, lastIn = null, lastOut = null, ...toy } = {}, ...others] = channels;
    assert.deepEqual([toy, others], [{ name: 'toy', title: 'Toy chat', problem: null, lastError: null }, []]);
    assert.ok(
      since !== null && since <= (lastIn ?? 0) && since <= (lastOut ?? 0),
      'it was up before it took and sent something',
    );
    assert.equal(namesFor(channels).sender('toy:@a:b.org'), 'Toy chat @a:b.org');
    const pairing = await app.runtime.pair('toy');
    assert.ok(pairing.ok);
    await say('U0NEWONE', pairing.code);
    await heard(/You are now an owner/);
    assert.match(await readFile(join(workspace, 'ruche.yaml'), 'utf8'), /U0NEWONE/);
    const none = await app.runtime.pair('toys');
    assert.match(none.ok ? '' : none.message, /Unknown channel "toys"\. Did you mean "toy"/);
  } finally {
    await app.close('the test is over');
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
});

test('settings name the provider as its type and as its own, and a slip is told', () => {
  const read = (text: string) => parseSettings(text, 'ruche.yaml', knownOf(builtin));
  assert.deepEqual(read('models: { strong: [parrot/macaw] }\n').settings?.tiers.strong, ['parrot/macaw']);
  const own = 'models: { providers: { polly: { type: parrot, apiKey: "env:POLLY" } }, standard: [polly/grey] }\n';
  assert.deepEqual(read(own).settings?.providers[0], {
    name: 'polly',
    type: 'parrot',
    baseUrl: null,
    apiKey: 'env:POLLY',
  });
  const [slip] = read('models: { providers: { polly: { type: parot } } }\n').problems;
  assert.match(`${slip?.key} ${slip?.message}`, /^models\.providers\.polly\.type .*parrot/);
  const schema = JSON.stringify(editorSchemas(builtin)['ruche.schema.json']);
  assert.match(schema, /"enum":\[[^\]]*"parrot"/);
});
