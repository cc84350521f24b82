// Secrets given by every door, and every surface that there is. Endpoints, commands, tools and files are asked of the product, so that a new one joins
// by itself; one that is not driven fails the test.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { DEFAULT_LIMITS, type GatewayContext } from '../../src/gateway/http/context.ts';
import { endpointsOf } from '../../src/gateway/routes.ts';
import { systemClock } from '../../src/platform/system.ts';
import { filesBelow, gitObjects, sightings, watchProcesses } from '../fakes/canary.ts';
import { Home } from '../fakes/home.ts';
import type { ModelServer, RawRequest } from '../fakes/model-server.ts';
import { obedientModel, order, orders, text } from '../fakes/obedient-model.ts';
import { ANNA, startTelegram, type TelegramFake } from '../fakes/telegram/telegram.ts';
import { until } from '../fakes/until.ts';

/** By the door through which it comes. */
const CANARIES = {
  env: 'Can4ry-environment/+=&?-e0f1a2b3c4d5',
  token: 'Can4ry-gateway/+=&-77889900aabb',
  older: 'Can4ry-older-home/+=&?-1a2b3c4d5e6f',
  vault: 'Can4ry-vault-pipe/+=&?-a1b2c3d4e5f6',
  file: 'Can4ry-vault-file/+=&?-0f1e2d3c4b5a',
  page: 'Can4ry-web-page/+=&?-aabbccddeeff01',
  hook: 'Can4ry-webhook-in/+=&?-112233445566',
  told: 'Can4ry-webhook-out/+=&?-665544332211',
};
const secrets: string[] = Object.values(CANARIES);

/** All that came out of Ruche, by surface and place. */
const places = new Map<string, string | Uint8Array>();
const SURFACES = [
  'endpoint',
  'command',
  'tool',
  'model',
  'telegram',
  'webhook',
  'file',
  'git',
  'process',
  'output',
] as const;
const put = (surface: (typeof SURFACES)[number], place: string, content: string | Uint8Array): void =>
  void places.set(`${surface}: ${place} #${places.size}`, content);

const agent = (more: string): string => `---\ndescription: helps\n${more}---\nYou help.\n`;
const settings = (server: ModelServer, telegram: TelegramFake, told: string): string => `models:
  providers:
    wire: { type: openai-compatible, baseUrl: "${server.baseUrl}", apiKey: env:WIRE_KEY }
    second: { type: openai-compatible, baseUrl: "${server.baseUrl}", apiKey: secret:piped }
    third: { type: openai-compatible, baseUrl: "${server.baseUrl}", apiKey: home:older }
    fourth: { type: openai-compatible, baseUrl: "${server.baseUrl}", apiKey: secret:filed }
  standard: [wire/obedient]
channels:
  telegram: { owners: ["${ANNA}"], apiRoot: "${telegram.url}", token: secret:bot }
escalation:
  owner: [ { after: 0s, to: "webhook:${told}", secret: secret:told } ]
policy:
  rules:
    - { id: hooks, allow: { to: "webhook:${told}" }, reason: "A test's server." }
    - { id: shell, allow: { tool: shell }, reason: "A test's commands." }
`;

let server: ModelServer;
let telegram: TelegramFake;
let home: Home;
before(async () => {
  server = await obedientModel();
  telegram = await startTelegram({ clock: systemClock, token: '7000001:AACanary-token_of_surfaces' });
  secrets.push(telegram.token);
  const told = createServer((request, response) => {
    const { authorization, ...others } = request.headers;
    if (authorization !== `Bearer ${CANARIES.told}`) put('webhook', 'authorization', String(authorization));
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      put('webhook', 'sent', JSON.stringify(others) + body);
      response.end(`thank you, bearer of ${CANARIES.told}`);
    });
  });
  await new Promise<void>((resolve) => told.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(told.address() as AddressInfo).port}/told`;
  home = new Home({
    beside: [server, telegram, { close: () => new Promise((resolve) => told.close(() => resolve())) }],
    env: { WIRE_KEY: CANARIES.env, RUCHE_TOKEN: CANARIES.token, RUCHE_DEBUG: '1', RUCHE_LOG_LEVEL: 'trace' },
    files: {
      'ruche.yaml': settings(server, telegram, url),
      'agents/assistant/AGENT.md': agent(
        'triggers:\n  - { name: evening, on: webhook, hook: evening, auth: bearer, secret: secret:hook, task: "Heard {{body.word}}." }\n',
      ),
      'agents/second/AGENT.md': agent('model: second/obedient\n'),
      'agents/third/AGENT.md': agent('model: third/obedient\n'),
      'agents/fourth/AGENT.md': agent('model: fourth/obedient\n'),
      '.gitignore': '/tasks/\n',
    },
  });
  mkdirSync(home.home, { mode: 0o700 });
  const keys = JSON.stringify({ format: 1, keys: { older: CANARIES.older } });
  writeFileSync(join(home.home, 'keys.json'), keys, { mode: 0o600 });
});
after(() => home.close());

async function command(input: string | null, ...args: string[]): Promise<void> {
  const { out, err } = await home.cliWith(input, ...args);
  put('command', `ruche ${args[0]}`, out + err);
}

/** A request and all that it is answered; a stream as far as it comes within a moment. */
async function fetched(method: string, path: string, body?: unknown, route = path): Promise<string> {
  const leaving = new AbortController();
  const patience = setTimeout(() => leaving.abort(), 200);
  let said = '';
  try {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await home.fetch(path, { method, ...sent, signal: leaving.signal });
    said = JSON.stringify([...response.headers]);
    for await (const piece of response.body ?? []) said += Buffer.from(piece as Uint8Array).toString();
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
  } finally {
    clearTimeout(patience);
  }
  put('endpoint', `${method} ${route}`, said);
  return said;
}

const all = secrets.join(' ');

test('A64 secrets by every door; every endpoint, command, tool and file; none of them says one', async (context) => {
  const watch = watchProcesses([`WIRE_KEY=${CANARIES.env}`, `RUCHE_TOKEN=${CANARIES.token}`], home.dir);
  // Doors that are open before the start.
  for (const [name, value] of [
    ['piped', CANARIES.vault],
    ['hook', CANARIES.hook],
    ['told', CANARIES.told],
    ['bot', telegram.token],
  ] as const)
    await command(`${value}\n`, 'secrets', 'set', name);
  writeFileSync(join(home.dir, 'given'), CANARIES.file);
  await command(null, 'secrets', 'set', 'filed', '--from-file', join(home.dir, 'given'));
  writeFileSync(join(home.dir, 'given'), '');
  await home.start();
  // The page's door, while it runs: a provider that wants this key, and repeats it.
  const repeating = ({ headers }: RawRequest) => text(`your key is ${headers.authorization}`);
  server.next(repeating);
  const given = await home.api<{ ok: boolean }>('/api/setup', {
    kind: 'url',
    baseUrl: server.baseUrl,
    model: 'q',
    key: CANARIES.page,
  });
  assert.ok(given.ok, JSON.stringify(given));

  const used = await drive(repeating);
  const routes = await everyEndpoint(used);
  const commands = await everyCommand();
  put('output', 'ruche up', home.out + home.err);
  const running = filesIn();
  // A crash leaves no report beside the home, and nothing in it.
  await home.end('SIGKILL');
  await home.start();
  await home.ask('after the crash');
  await home.end('SIGTERM');
  put('output', 'ruche up', home.out + home.err);
  for (const [path, bytes] of [...running, ...filesIn()]) put('file', path, bytes);
  for (const dir of [home.workspace, join(home.home, 'journal.git')]) put('git', dir, gitObjects(dir));
  for (const content of watch.stop()) put('process', content.split('\n', 3).join(' '), content);
  const keysUsed = new Set<string>();
  for (const { path, headers, body } of server.requests) {
    const { authorization, ...others } = headers;
    keysUsed.add(authorization ?? '');
    put('model', path, JSON.stringify({ path, others, body }));
  }
  for (const { method, params } of telegram.calls) put('telegram', method, JSON.stringify(params));
  assert.deepEqual(
    [CANARIES.env, CANARIES.vault, CANARIES.older, CANARIES.file, CANARIES.page].filter(
      (key) => !keysUsed.has(`Bearer ${key}`),
    ),
    [],
    'every key has gone to its provider',
  );
  assert.deepEqual(sightings(places, secrets), []);
  assert.ok(
    [...places.values()].some((content) => Buffer.from(content as Uint8Array).includes('[redacted]')),
    'there was something to take out',
  );
  const counts = SURFACES.map(
    (name) => [name, [...places.keys()].filter((key) => key.startsWith(`${name}: `)).length] as const,
  );
  for (const [name, count] of counts) assert.ok(count > 0, `nothing was seen of ${name}`);
  const told = counts.map(([name, count]) => `${name} ${count}`).join(', ');
  context.diagnostic(
    `${secrets.length} secrets, ${places.size} places: ${told}; ${routes} endpoints, ${commands} commands, ${used.tools} tools`,
  );
});

/** Every file beside the owner's own secrets, which are encrypted, and the token, which is the home's. */
const filesIn = (): [string, Uint8Array][] => [...filesBelow(home.dir)];

/** Messages over every way in, with every tool that the model is offered, each told every secret. */
async function drive(repeating: (request: RawRequest) => ReturnType<typeof text>) {
  const task = await home.say(`remember ${all}`);
  await home.settled(task);
  const [request] = server.requests.slice(-1);
  const offered = (request?.body['tools'] ?? []) as {
    function: { name: string; parameters: { properties?: object } };
  }[];
  assert.ok(offered.length >= 8, `${offered.length} tools`);
  for (const {
    function: { name, parameters },
  } of offered) {
    const args = Object.fromEntries(Object.keys(parameters.properties ?? {}).map((key) => [key, `${key} ${all}`]));
    const asked = await home.ask(orders(order(name, args)));
    put('tool', name, asked.text ?? '');
    await settleAll();
  }
  const shell = `env; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'; printf %s '${CANARIES.vault}' | rev; printf %s '${CANARIES.page}' | base64 -w0`;
  put('tool', 'shell', (await home.ask(orders(order('shell', { command: shell })))).text ?? '');
  for (const name of ['second', 'third', 'fourth']) {
    server.next(repeating);
    await home.ask('what is your key?', undefined, name);
    server.next((sent) => ({
      status: 401,
      pieces: [JSON.stringify({ error: { message: `bad key ${sent.headers.authorization}` } })],
    }));
    await home.ask('and now?', undefined, name);
  }
  telegram.write({ text: `over Telegram ${all}` });
  await until(() => telegram.said(ANNA).length > 0, 'an answer over Telegram');
  for (const bearer of [CANARIES.hook, CANARIES.told]) {
    const headers = { authorization: `Bearer ${bearer}` };
    const response = await home.fetch('/hooks/evening', {
      method: 'POST',
      body: JSON.stringify({ word: all }),
      headers,
    });
    put('endpoint', 'POST /hooks/:name', JSON.stringify([...response.headers]) + (await response.text()));
  }
  const inbox = home.path('tasks/assistant/inbox');
  mkdirSync(inbox, { recursive: true });
  writeFileSync(join(inbox, 'wrong.json'), JSON.stringify({ text: 'x', unknown: 'y' }));
  await home.ask(orders(order('ask', { question: `is it ${all}?` })));
  await until(() => [...places.keys()].some((place) => place.startsWith('webhook: sent')), 'the owner is told');
  await settleAll();
  return { task, tools: offered.length };
}

async function settleAll(): Promise<void> {
  for (const { id, kind } of await home.pending())
    if (kind === 'question')
      await fetched('POST', `/api/questions/${id}`, { text: `it is ${all}` }, '/api/questions/:id');
    else await fetched('POST', `/api/approvals/${id}`, { verdict: 'deny', reason: all }, '/api/approvals/:id');
}

/** Every endpoint, with secrets for its names and in its body, and with what there is. */
async function everyEndpoint({ task }: { task: string }): Promise<number> {
  const none = {} as GatewayContext['views'] & object;
  const context = { limits: DEFAULT_LIMITS, proof: 'x', views: none, desk: {}, secrets: {}, logins: {}, runtime: {} };
  const endpoints = endpointsOf(context as unknown as GatewayContext);
  assert.ok(endpoints.length > 40, `${endpoints.length} endpoints`);
  const { runs } = await home.api<{ runs: { run: string }[] }>('/api/runs');
  for (const { method, segments } of endpoints) {
    const route = segments.join('/');
    // The key stays as it is: a new one is another test's matter, and would end the watch over this one.
    for (const fill of [
      CANARIES.page,
      route.includes('/runs/') ? (runs[0]?.run ?? '') : route.includes('/tasks/') ? task : 'assistant',
    ]) {
      const path = segments.map((name) => (name.startsWith(':') ? encodeURIComponent(fill) : name)).join('/');
      const body = {
        text: all,
        agent: all,
        value: 'short',
        ref: all,
        kind: all,
        channel: all,
        verdict: all,
        code: all,
        model: all,
        messages: [{ role: 'user', content: all }],
      };
      await fetched(method, path, method === 'POST' ? body : undefined, route);
    }
  }
  for (const path of ['/', '/app.js', `/${encodeURIComponent(CANARIES.vault)}`, '/api/events?after=0', '/api/live'])
    await fetched('GET', path);
  return endpoints.length;
}

/** Every command that the help names, but for those that begin or end something. */
async function everyCommand(): Promise<number> {
  const { out } = await home.cli('--help');
  const names = [...out.matchAll(/^ {2}([a-z]+) (?:\[|<| )/gm)].map(([, name = '']) => name);
  assert.ok(names.length > 20, `${names.length} commands`);
  const others = ['up', 'down', 'init', 'simulate'];
  const driven = names.filter((each) => !others.includes(each));
  for (const name of driven)
    for (const args of [[], ['--json']]) await command(name === 'chat' ? `say ${all}\n` : '', name, ...args);
  await command('', 'log', '--json', '--limit', '0');
  await command('', 'ask', 'assistant', 'say something');
  for (const { name } of (await home.api<{ secrets: { name: string }[] }>('/api/secrets')).secrets)
    await command('', 'secrets', 'show-use', name);
  return names.length;
}
