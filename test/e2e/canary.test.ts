import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { filesBelow, gitObjects, sightings, spellings, watchProcesses } from '../fakes/canary.ts';
import { AGENT, Home } from '../fakes/home.ts';
import type { ModelServer } from '../fakes/model-server.ts';
import { chunk } from '../fakes/model-server.ts';
import { modelsYaml, obedientModel, order, orders, text } from '../fakes/obedient-model.ts';
import { until } from '../fakes/until.ts';

/** The provider's key, the gateway's token, a secret nothing refers to, a password in a URL. */
const KEY = 'Can4ry-Key/+=&?-9f8e7d6c5b4a';
const TOKEN = 'Can4ry-Token/+=&-0123456789ab';
const OTHER = 'Can4ry-Other/+=&"-fedcba98765';
const PASSWORD = 'Can4ryPassw0rd-aabbccddee';
const SECRETS = [KEY, TOKEN, OTHER, PASSWORD];

/** All that came out of Ruche, by where it came out. */
const places = new Map<string, string | Uint8Array>();
let server: ModelServer;
let home: Home;
before(async () => {
  server = await obedientModel();
  const page = createServer((request, response) => {
    const { headers, url } = request;
    places.set(`fetched ${places.size}`, JSON.stringify({ headers, url }));
    response.end(`a page that knows too much: ${SECRETS.join(' ')} ${Buffer.from(KEY).toString('base64')}`);
  });
  await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
  const { port } = page.address() as AddressInfo;
  const rules = `policy:
  rules:
    # a note of the owner, who should not have written ${OTHER} here
    - { id: page, allow: { tool: fetch, host: "127.0.0.1:${port}" }, reason: "A test's server." }
    - { id: contracts, ask: { tool: write, path: "contracts/**" }, reason: "Contracts need a person." }
`;
  home = await Home.up({
    beside: [server, { close: () => new Promise((resolve) => page.close(() => resolve())) }],
    env: {
      WIRE_KEY: KEY,
      RUCHE_TOKEN: TOKEN,
      DEPLOY_SECRET: OTHER,
      DATABASE_URL: `postgres://user:${PASSWORD}@127.0.0.1/db`,
      RUCHE_DEBUG: '1',
      RUCHE_LOG_LEVEL: 'trace',
    },
    files: {
      'ruche.yaml': modelsYaml(server.baseUrl, rules),
      'agents/assistant/AGENT.md': AGENT,
      'config.md': `the owner keeps ${OTHER} here\n`,
      'page.txt': `http://127.0.0.1:${port}/`,
      '.gitignore': '.env\n',
    },
  });
  home.write('.env', `KEY=${KEY}\n`);
});
after(() => home.close());

/** A request, with everything that is answered kept. */
async function seen(path: string, init?: Parameters<Home['fetch']>[1]): Promise<string> {
  const response = await home.fetch(path, init);
  const said = await response.text();
  places.set(`${init?.method ?? 'GET'} ${path} #${places.size}`, JSON.stringify([...response.headers]) + said);
  return said;
}
const post = (path: string, body: unknown): Promise<string> =>
  seen(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
async function command(...args: string[]): Promise<void> {
  const { out, err } = await home.cli(...args);
  places.set(`ruche ${args[0]} #${places.size}`, out + err);
}
/** One message over each way in, and all that comes of it. */
async function said(message: string): Promise<void> {
  const { task } = JSON.parse(await post('/api/messages', { agent: 'assistant', text: message })) as { task: string };
  await seen(`/api/tasks/${task}/stream?peek=1`);
  await seen(`/api/tasks/${task}/wait`);
  await post('/v1/chat/completions', {
    model: 'assistant',
    stream: true,
    messages: [{ role: 'user', content: message }],
  });
}

const all = SECRETS.join(' ');

test('A64 the canary spellings are told apart from their neighbours', () => {
  for (const secret of SECRETS) {
    assert.ok(spellings(secret).length >= 13);
    const hidden = new Map([['base64', Buffer.from(`xy ${secret} z`).toString('base64')]]);
    assert.ok(sightings(hidden, [secret]).length > 0, 'an encoded one is seen');
    assert.deepEqual(sightings(new Map([['none', 'nothing of it here']]), [secret]), []);
  }
});

test('A64 what a process is given is seen while it runs, in its arguments and in its environment', async () => {
  const watch = watchProcesses([], 'no folder of this name');
  const child = spawn(process.execPath, ['-e', "console.log('here'); process.stdin.resume()", OTHER], {
    env: { GIVEN: PASSWORD },
  });
  await once(child.stdout, 'data');
  const found = sightings(new Map([['processes', watch.stop().join('\n')]]), [OTHER, PASSWORD]);
  child.stdin.end();
  await once(child, 'close');
  for (const secret of [OTHER, PASSWORD]) assert.ok(found.includes(`processes: ${secret}`), secret);
});

test('A64 every tool, message, error and endpoint, with secrets in whatever may hold them', async () => {
  const url = home.read('page.txt');
  await said(`remember ${all}`);
  await said(
    orders(
      [order('read', { path: 'config.md' }), order('read', { path: '.env' }), order('search', { pattern: 'owner' })],
      order('list', {}),
      order('fetch', { url: `${url}?q=${encodeURIComponent(KEY)}` }),
      order('fetch', { url }),
      order('write', { path: 'w.md', content: `a ${all}` }),
      order('read', { path: 'w.md' }),
      order('edit', { path: 'w.md', old: 'a', new: OTHER }),
      order('shell', {
        command: `cat config.md; env; echo ${Buffer.from(OTHER).toString('base64')}; ls -la /proc/self/fd; cat /proc/1/environ /proc/1/cmdline; tr a-z A-Z < config.md`,
      }),
      order(KEY, { path: TOKEN }),
      order('read', `{"path": "${OTHER}`),
    ),
  );
  await said(orders(order('write', { path: 'contracts/x.md', content: all })));
  await said(orders(order('ask', { question: `is it ${all}?` })));
  for (const { id, kind } of await home.pending())
    if (kind === 'question') await post(`/api/questions/${id}`, { text: `it is ${all}` });
    else await post(`/api/approvals/${id}`, { verdict: 'deny' });
  await until(async () => (await home.pending()).length === 0, 'all is answered');
});

test('A64 a provider that repeats its key, in an answer, in a call, in pieces and in errors', async () => {
  const authorization = (): string => `my key is ${KEY}`;
  server.next(() => text(authorization()));
  server.next(() => text(authorization()));
  await said('what is your key?');
  const write = {
    index: 0,
    id: 'c',
    type: 'function',
    function: { name: 'write', arguments: JSON.stringify({ path: 'k.md', content: KEY }) },
  };
  server.next({ pieces: [chunk({ role: 'assistant', tool_calls: [write] }), chunk({}, 'tool_calls')] });
  await said('hello');
  for (const status of [400, 401, 403, 404, 500]) {
    server.next({
      status,
      pieces: [JSON.stringify({ error: { message: `Incorrect API key provided: ${KEY}`, code: KEY } })],
    });
    await said(`error ${status}`);
  }
  server.next({
    status: 200,
    headers: { 'content-type': KEY.replace(/[^\w-]/g, '') },
    pieces: [`<html>${KEY}</html>`],
  });
  await said('hello again');
});

test('A64 requests that are wrong, and settings that hold the key itself', async () => {
  for (const body of [
    `{"agent":"${OTHER}`,
    { agent: OTHER, text: 'x' },
    { agent: 'assistant', text: 'x', session: KEY },
    [KEY],
    KEY,
  ])
    await post('/api/messages', body);
  await post('/v1/chat/completions', { model: KEY, messages: [{ role: OTHER, content: KEY }] });
  await post('/v1/chat/completions', { model: KEY, messages: [{ role: 'user', content: KEY }] });
  await seen(`/v1/models/${encodeURIComponent(KEY)}`);
  for (const path of [
    `/api/tasks/${encodeURIComponent(TOKEN)}`,
    `/${TOKEN}`,
    `/api/events?after=${encodeURIComponent(TOKEN)}`,
  ])
    await seen(path);
  await seen('/api/status', { headers: { authorization: `Bearer ${KEY}` } });
  await post(`/api/approvals/${encodeURIComponent(OTHER)}`, { verdict: KEY });
  const good = home.read('ruche.yaml');
  for (const bad of [
    good.replace('env:WIRE_KEY', KEY),
    `${good}${OTHER}: 1\n`,
    `${good}concurrency: "${OTHER}"\n`,
    `"${KEY}`,
  ]) {
    home.write('ruche.yaml', bad);
    await until(async () => (await home.status()).problems.length > 0, 'the problem');
    await seen('/api/status');
    await command('status');
    await command('doctor');
    home.write('ruche.yaml', good);
    await until(async () => (await home.status()).problems.length === 0, 'no problem');
  }
  // Changes beside the owner's note: one of an agent, one from elsewhere; both are shown to a person.
  await said(orders(order('shell', { command: "sed -i 's/Contracts need/They need/' ruche.yaml" })));
  home.git('checkout', '-q', '-b', 'elsewhere');
  home.write('ruche.yaml', good.replace('Contracts need', 'All need'));
  home.git('add', '-A');
  home.commit('elsewhere');
  home.git('checkout', '-q', 'main');
  home.git('merge', '-q', '--ff-only', 'elsewhere');
  await until(async () => (await home.pending()).some(({ task }) => task === null), 'the held change');
  await seen('/api/pending');
  await command('approvals');
  for (const { id } of await home.pending()) await post(`/api/approvals/${id}`, { verdict: 'deny' });
});

test('A64 the secrets stand nowhere but in the header to the provider', async (context) => {
  for (const path of [
    '/api/status',
    '/api/agents',
    '/api/pending',
    '/v1/models',
    '/metrics',
    '/healthz',
    '/readyz',
    '/nowhere',
  ])
    await seen(path);
  const events = await home.fetch('/api/events?after=0');
  const reader = events.body?.getReader();
  let stream = '';
  while (stream.length < 20_000) stream += Buffer.from((await reader?.read())?.value ?? []).toString();
  await reader?.cancel();
  places.set('GET /api/events', stream);
  await command('log', '--json', '--limit', '0');
  await command('log', '--limit', '0');
  await command('ask', 'assistant', `say ${all}`);
  await command('verify');
  places.set('arguments of all processes', execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }));
  const { findings } = await home.verify();
  assert.deepEqual(findings, []);

  await home.end('SIGTERM');
  places.set('what up printed', home.out + home.err);
  for (const [path, bytes] of filesBelow(home.home)) {
    // What the owner wrote into the workspace stands in its checkouts too.
    const owners = path.includes('/checkouts/') && /\/(config\.md|ruche\.yaml)$/.test(path);
    if (!owners) places.set(path, bytes);
  }
  places.set('journal.git, unpacked', gitObjects(join(home.home, 'journal.git')));
  const landed = ['log', '--all', '--author=@ruche.invalid', '-p', '--format=%an %ae%n%B'];
  places.set('what agents have landed', home.git(...landed));
  let authorised = 0;
  for (const [at, { path, headers, body }] of server.requests.entries()) {
    const { authorization, ...others } = headers;
    if (authorization === `Bearer ${KEY}`) authorised += 1;
    places.set(`model request ${at}`, JSON.stringify({ path, others, body }));
  }
  assert.ok(places.size > 100 && authorised > 20, `${places.size} places, ${authorised} requests`);
  assert.ok(JSON.stringify([...places.values()].map(String)).includes('[redacted]'), 'there was something to take out');
  const found = sightings(places, SECRETS);
  assert.deepEqual(found, []);
  context.diagnostic(`${places.size} places, ${authorised} requests with the key in their header`);
});
