import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';
import { modelsYaml, obedientModel } from '../fakes/obedient-model.ts';
import type { ModelServer } from '../fakes/model-server.ts';

const KEY = 'a-real-Key-0123456789';
const HOOK = 'hook-Secret-0123456789';
const hooked = (name: string, hook: string, secret: string): string =>
  AGENT.replace(
    '---\n',
    `---\ntriggers:\n  - { name: ${name}, on: webhook, hook: ${hook}, auth: bearer, secret: "${secret}", task: "{{name}}" }\n`,
  );

let model: ModelServer;
let home: Home;
before(async () => {
  model = await obedientModel();
  home = await Home.up({
    beside: [model],
    env: { HOOK_SECRET: HOOK, OTHER_SECRET: `${HOOK}-too`, TELEGRAM_BOT_TOKEN: '1:AAA-of-a-bot-that-is-not-there' },
    files: {
      'ruche.yaml': modelsYaml(model.baseUrl, 'channels: { telegram: { apiRoot: "http://127.0.0.1:1" } }\n').replace(
        'env:WIRE_KEY',
        'secret:wire',
      ),
      'agents/assistant/AGENT.md': hooked('one', 'shared', 'env:HOOK_SECRET'),
      'agents/other/AGENT.md': hooked('two', 'shared', 'env:OTHER_SECRET'),
      'agents/third/AGENT.md': hooked('three', 'own', 'env:HOOK_SECRET'),
    },
  });
});
after(() => home.close());

const post = (hook: string, secret: string): Promise<Response> =>
  fetch(`${home.url}/hooks/${hook}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: '{"title":"x"}',
  });

test('A52 one path that two triggers claim with different secrets is nobody’s', async () => {
  for (const secret of [HOOK, `${HOOK}-too`]) assert.equal((await post('shared', secret)).status, 401);
  assert.equal((await post('own', HOOK)).status, 202);
  assert.match((await home.cli('doctor')).out, /shared/);
});

test('A65 settings that were read and are saved keep the real value of a key, and its file keeps to its owner', async () => {
  await home.api('/api/secrets/wire', { value: KEY });
  assert.equal((await home.ask('hello')).text, 'You said: hello');
  const sent = (): string | undefined => model.requests.at(-1)?.headers['authorization'];
  assert.equal(sent(), `Bearer ${KEY}`);
  const shown = await home.api<Record<string, unknown>>('/api/secrets');
  assert.ok(!JSON.stringify(shown).includes(KEY));
  // What was shown comes back as it was, and as programs mask values.
  for (const body of [shown, { value: '' }, {}, { known: true }])
    assert.equal((await home.fetch('/api/secrets/wire', { method: 'POST', body: JSON.stringify(body) })).status, 400);
  const yaml = home.read('ruche.yaml');
  await home.api('/api/pairings', { channel: 'telegram' });
  home.write('ruche.yaml', `${yaml}concurrency: 7\n`);
  assert.equal((await home.ask('again')).text, 'You said: again');
  assert.equal(sent(), `Bearer ${KEY}`);
  assert.ok(!home.read('ruche.yaml').includes(KEY));
  assert.match(home.read('ruche.yaml'), /secret:wire/);
  for (const name of ['secrets.age', 'secrets.key', 'token', 'ruche.sqlite'])
    assert.equal(statSync(join(home.home, name)).mode & 0o77, 0, name);
});
