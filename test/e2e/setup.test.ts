import assert from 'node:assert/strict';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LLMock } from '@copilotkit/aimock';
import type { ModelsView, SetupResult } from '../../src/core/api/views.ts';
import { filesBelow, gitObjects, sightings } from '../fakes/canary.ts';
import { AGENT, Home } from '../fakes/home.ts';
import { modelServer } from '../fakes/model-server.ts';
import { line } from '../fakes/wires/ollama.ts';

// First use: nothing is configured, a person gives a key on the web page, and goes on without a restart.

const KEY = 'sk-ant-Can4ry-Setup-Key-0123456789';
let mock: LLMock;
let home: Home;
before(async () => {
  mock = new LLMock({ port: 0, logLevel: 'silent' });
  mock.onMessage('Are you there', { content: 'Yes, I am here.' });
  mock.onMessage('who answers', { content: 'The one you gave a key for.' });
  await mock.start();
  home = await Home.up({
    beside: [{ close: () => mock.stop() }],
    env: { RUCHE_LOG_LEVEL: 'trace' },
    files: { 'ruche.yaml': '', 'agents/assistant/AGENT.md': AGENT },
  });
});
after(() => home.close());

const setup = (more: object): Promise<SetupResult> =>
  home.api('/api/setup', { kind: 'key', provider: 'anthropic', key: KEY, baseUrl: mock.url, ...more });

test('what does not work is not kept, and says which field to mend', async () => {
  assert.equal((await home.status()).model, 'demo/demo');
  const wrong = await setup({ baseUrl: 'http://127.0.0.1:1' });
  assert.ok(!wrong.ok && wrong.field === 'baseUrl', JSON.stringify(wrong));
  const short = await setup({ key: 'two words' });
  assert.ok(!short.ok && short.field === 'key', JSON.stringify(short));
  const refused = await home.fetch('/api/setup', { method: 'POST', body: '{"kind":"magic"}' });
  assert.equal(refused.status, 400);
  assert.equal((await home.status()).model, 'demo/demo');
  assert.deepEqual(
    [...filesBelow(home.home).keys()].filter((path) => /keys\.json|secrets|models\.json/.test(path)),
    [],
  );
});

test('a key that works is used by the next message without a restart, and after one', async () => {
  const result = await setup({});
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual([result.model, result.said], ['anthropic/claude-sonnet-5-5', 'Yes, I am here.']);
  const outcome = await home.ask('who answers?');
  assert.equal(outcome.text, 'The one you gave a key for.');
  assert.equal((await home.status()).model, 'anthropic/claude-sonnet-5-5');
  await home.end('SIGTERM');
  await home.start();
  assert.equal((await home.ask('who answers?')).text, 'The one you gave a key for.');
  const [called] = await home.events('model.called');
  assert.equal(called?.data['provider'], 'anthropic');
});

test('ruche models lists it with price, window and what it can do, and tests it', async () => {
  const { code, out } = await home.cli('models', '--test');
  assert.equal(code, 0, out);
  assert.match(out, /^anthropic\/claude-sonnet-5-5 answers\.$/m);
  assert.match(
    out,
    /anthropic\/claude-sonnet-5-5 +light 2, standard, strong 2 +1M +images, thinks +2 \/ 0\.1 \/ 10 +works: /,
  );
  assert.match(out, /anthropic +home +secret:anthropic +http:\/\/127\.0\.0\.1:\d+/);
  const view = JSON.parse((await home.cli('models', '--json')).out) as ModelsView;
  assert.deepEqual([view.model, view.demo], ['anthropic/claude-sonnet-5-5', false]);
  assert.ok(view.models.every(({ problem }) => problem === ''));
});

test('the key is in the vault, which only its owner may open, and nowhere in the open', async () => {
  for (const name of ['secrets.age', 'secrets.key', 'models.json'])
    assert.equal(statSync(join(home.home, name)).mode & 0o777, 0o600);
  const places = new Map<string, string | Uint8Array>(filesBelow(home.dir));
  places.set('workspace, unpacked', gitObjects(home.workspace));
  places.set('journal.git, unpacked', gitObjects(join(home.home, 'journal.git')));
  places.set('output', `${home.out}${home.err}`);
  assert.ok(places.size > 20, `${places.size} places`);
  assert.deepEqual(sightings(places, [KEY]), []);
});

test('an Ollama on this machine is offered, used after a yes that is kept, and goes on in a home that used it before', async () => {
  const ollama = await modelServer(({ path }) => {
    const headers = { 'content-type': 'application/json' };
    if (path === '/api/tags') return { headers, pieces: ['{"models":[{"name":"qwen3:8b"}]}'] };
    if (path === '/api/show') return { headers, pieces: ['{"capabilities":["tools"],"model_info":{}}'] };
    return { pieces: [line({ content: 'From Ollama.' }), line({}, { done: true, done_reason: 'stop' })] };
  });
  const env = { OLLAMA_HOST: new URL(ollama.baseUrl).origin };
  const own = await Home.up({ env, beside: [ollama], files: { 'ruche.yaml': '', 'agents/assistant/AGENT.md': AGENT } });
  try {
    const offered = /Ollama with qwen3:8b at http:\S+\. It is not used until you say so: .* models --use ollama/;
    assert.match(own.out, offered);
    for (const command of ['status', 'doctor']) assert.match((await own.cli(command)).out, offered);
    assert.equal((await own.status()).model, 'demo/demo');
    await own.ask('hello');
    assert.ok(ollama.requests.every(({ path }) => path !== '/api/chat'));
    assert.match((await own.cli('models', '--use', 'olama')).err, /No olama was found/);
    assert.equal((await own.cli('models', '--use', 'ollama')).out, 'ollama/qwen3:8b answers from now on.\n');
    await own.end('SIGTERM');
    await own.start();
    assert.equal((await own.ask('hello')).text, 'From Ollama.');
    await own.end('SIGTERM');
    rmSync(join(own.home, 'models.json'));
    await own.start();
    assert.equal((await own.ask('hello')).text, 'From Ollama.', 'a home of the time before there was a question');
    assert.doesNotMatch(own.out, offered);
  } finally {
    await own.close();
  }
});
