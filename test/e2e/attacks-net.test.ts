import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';
import type { ModelServer } from '../fakes/model-server.ts';
import { modelsYaml, obedientModel, order, orders } from '../fakes/obedient-model.ts';
import { until } from '../fakes/until.ts';

interface Site {
  url: string;
  port: number;
  hits: IncomingMessage[];
  close(): Promise<void>;
}

async function site(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Site> {
  const hits: IncomingMessage[] = [];
  const server: Server = createServer((request, response) => {
    hits.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}`, port, hits, close };
}

let server: ModelServer;
/** Nobody may ever come here. */
let secret: Site;
/** Opened by a rule that names it exactly. */
let open: Site;
let home: Home;
before(async () => {
  server = await obedientModel();
  secret = await site((_, response) => response.end('you have found the secret place'));
  open = await site((request, response) => {
    const path = request.url ?? '/';
    if (path.startsWith('/to?'))
      return void response.writeHead(302, { location: decodeURIComponent(path.slice(4)) }).end();
    if (path === '/endless') {
      const more = (): void =>
        void (response.write('x'.repeat(65_536)) ? setImmediate(more) : response.once('drain', more));
      return more();
    }
    if (path === '/base64') return void response.end(`data:image/png;base64,${'QUJD'.repeat(2_000_000)}`);
    response.end('an open page');
  });
  const rules = `policy:
  rules:
    - { id: open, allow: { tool: fetch, host: "127.0.0.1:${open.port}" }, reason: "A test's server." }
    - { id: api, allow: { tool: fetch, host: "api.example.com" }, reason: "An API." }
    - { id: glob, allow: { tool: fetch, host: "*.local" }, reason: "A glob opens nothing private." }
`;
  home = await Home.up({
    beside: [server, secret, open],
    env: {
      WIRE_KEY: 'a-key-0123456789',
      HTTP_PROXY: secret.url,
      HTTPS_PROXY: secret.url,
      ALL_PROXY: secret.url,
      http_proxy: secret.url,
    },
    files: { 'ruche.yaml': modelsYaml(server.baseUrl, rules), 'agents/assistant/AGENT.md': AGENT },
  });
});
after(() => home.close());

const fetched = async (url: string): Promise<string> => {
  const outcome = await home.ask(orders(order('fetch', { url })));
  assert.equal(outcome.status, 'done', `${url}: ${outcome.text}`);
  return outcome.text;
};

test('A36 no spelling of a private address is contacted', async () => {
  const { port } = secret;
  const hosts = [
    ...'127.0.0.1 127.1 0x7f.1 0x7f000001 2130706433 017700000001 127.0.0.1. 0 0.0.0.0 127.255.255.254'.split(' '),
    ...'localhost localhost. LOCALHOST x.localhost １２７.０.０.１ 127。0。0。1 ⓛocalhost'.split(' '),
    ...'[::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:0:0:1] [fe80::1] [fd00::1]'.split(' '),
    ...'[64:ff9b::7f00:1] [2002:7f00:1::] 169.254.169.254 10.0.0.1 192.168.0.1 172.16.0.1'.split(' '),
    ...'metadata.google.internal printer.local router'.split(' '),
  ];
  const outcome = await home.ask(orders(hosts.map((host) => order('fetch', { url: `http://${host}:${port}/` }))));
  assert.equal(outcome.status, 'done', outcome.text);
  const said = outcome.text.split('\n---\n');
  assert.equal(said.length, hosts.length);
  for (const [at, text] of said.entries())
    assert.match(text, /Denied by rule|not an absolute URL|Nothing was fetched/, hosts[at] ?? '');
  assert.deepEqual(secret.hits, []);
});

test('A37 a redirect leads nowhere that was not opened, and no proxy of the environment is used', async () => {
  assert.match(await fetched(`${open.url}/page`), /an open page/);
  const { port } = secret;
  for (const target of [
    secret.url,
    `http://localhost:${port}/`,
    `//127.1:${port}/`,
    `http://[::ffff:127.0.0.1]:${port}/`,
    'file:///etc/passwd',
    'http://169.254.169.254/latest',
  ])
    assert.match(await fetched(`${open.url}/to?${encodeURIComponent(target)}`), /Nothing was fetched/, target);
  assert.match(
    await fetched(`${open.url}/to?${encodeURIComponent(`${open.url}/page`)}`),
    /an open page/,
    'one that was is followed',
  );
  assert.deepEqual(secret.hits, []);
});

test('A39 A40 the model’s own connection obeys the guard too: its key goes to no other place', async () => {
  server.next({ status: 307, headers: { location: `${secret.url}/v1/chat/completions` }, pieces: [] });
  const outcome = await home.ask('hello', 'redirected');
  assert.deepEqual(secret.hits, [], 'the key was not taken elsewhere');
  assert.ok(!outcome.text.includes('a-key-0123456789'), outcome.text);
  assert.equal((await home.ask('hello', 'again')).text, 'You said: hello');
});

test('A41 hosts are compared whole: neither a prefix, a suffix, a user name nor a port beside is enough', async () => {
  const { port } = open;
  const urls = [
    `http://127.0.0.1:${port}@localhost:${secret.port}/`,
    `http://127.0.0.1:${port}:x@127.0.0.1:${secret.port}/`,
    `http://localhost:${secret.port}\\@127.0.0.1:${port}/`,
    `http://127.0.0.1.nip.local:${secret.port}/`,
    `http://127.0.0.1:${secret.port}#@127.0.0.1:${port}/`,
    `http://127.0.0.1:${secret.port}/?x=127.0.0.1:${port}`,
    `http://localhost:${port}/`,
  ];
  for (const url of urls) assert.match(await fetched(url), /Denied by rule|Nothing was fetched/, url);
  for (const host of ['api.example.com.evil.com', 'evil-api.example.com', 'xapi.example.com', 'example.com']) {
    const outcome = await home.ask(orders(order('fetch', { url: `http://${host}/` })));
    assert.equal(outcome.status, 'waiting', `${host}: a person is asked`);
    await home.answer(outcome.waits[0]?.id ?? '', 'deny');
    await home.settled(outcome.task);
  }
  assert.deepEqual(secret.hits, []);
});

test('A42 a tool that reaches the gateway itself brings no credentials of anybody', async () => {
  assert.match(await fetched(`${home.url}/api/status`), /Denied by rule/);
  const rule = `    - { id: own, allow: { tool: fetch, host: "${new URL(home.url).host}" }, reason: "Oneself." }\n`;
  home.write('ruche.yaml', home.read('ruche.yaml') + rule);
  const applied = async (): Promise<boolean> => (await fetched(`${home.url}/healthz`)).includes('HTTP 200');
  await until(applied, 'the rule is in force');
  for (const path of ['/api/status', '/v1/models', '/api/pending', '/metrics'])
    assert.match(await fetched(home.url + path), /HTTP 401/, path);
  for (const { headers } of open.hits) {
    assert.deepEqual(
      Object.keys(headers).filter((name) => /auth|cookie|token|key/.test(name)),
      [],
    );
    assert.ok(![home.token, 'a-key-0123456789'].some((key) => JSON.stringify(headers).includes(key)));
  }
});

test('A43 an endless body and a huge one are cut, soon and small', async () => {
  const before = performance.now();
  for (const path of ['/endless', '/base64']) {
    const text = await fetched(open.url + path);
    assert.match(text, /was cut|left out|Shown are the first/, text.slice(0, 300));
    assert.ok(text.length < 40_000, `${path}: ${text.length} characters for the model`);
  }
  assert.ok(performance.now() - before < 60_000);
  assert.equal((await home.status()).ready, true);
});
