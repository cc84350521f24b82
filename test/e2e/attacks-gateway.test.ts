import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

let home: Home;
before(async () => {
  home = await Home.up({ files: { 'ruche.yaml': '', 'agents/assistant/AGENT.md': AGENT } });
});
after(() => home.close());

interface Sent {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
}

/** A request with exactly these headers, which `fetch` would not send. */
const send = ({
  method = 'GET',
  path,
  headers = {},
  body,
}: Sent): Promise<{ status: number; text: string; head: string }> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(home.url);
    const outgoing = request({ hostname, port, method, path, headers, agent: false }, (incoming) => {
      text(incoming).then(
        (said) => resolve({ status: incoming.statusCode ?? 0, text: said, head: JSON.stringify(incoming.headers) }),
        reject,
      );
    });
    outgoing.on('upgrade', (_, socket) => {
      socket.destroy();
      resolve({ status: 101, text: '', head: '' });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });

const upgrade = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const auth = (): Record<string, string> => ({ authorization: `Bearer ${home.token}` });
const tasks = async (): Promise<number> => Object.values((await home.status()).tasks).reduce((sum, n) => sum + n, 0);
const message = JSON.stringify({ agent: 'assistant', text: 'write evil.md: evil' });
const chat = JSON.stringify({ model: 'assistant', messages: [{ role: 'user', content: 'write evil.md: evil' }] });

test('A01 the page takes no gateway from its address: it talks to where it came from, and its login stays with it', async () => {
  for (const path of ['/?gatewayUrl=ws://evil.example', '/login?gatewayUrl=http://evil.example&url=//evil.example'])
    for (const headers of [{}, auth()]) {
      const page = await send({ path, headers });
      assert.equal(page.status, 200);
      assert.match(page.head, /connect-src 'self'/);
      assert.doesNotMatch(page.text + page.head, /evil\.example/);
    }
  const { code } = await home.api<{ code: string }>('/api/logins', {});
  const type = { 'content-type': 'application/json' };
  const entered = await send({ method: 'POST', path: '/api/sessions', headers: type, body: JSON.stringify({ code }) });
  assert.equal(entered.status, 200, entered.text);
  const [cookie = ''] = (JSON.parse(entered.head) as { 'set-cookie': string[] })['set-cookie'];
  assert.match(cookie, /; HttpOnly/);
  assert.match(cookie, /; SameSite=Strict/);
  assert.doesNotMatch(cookie, /domain=/i);
  const session = cookie.split(';')[0] ?? '';
  const elsewhere = { host: 'evil.example', cookie: session };
  assert.equal((await send({ path: '/api/me', headers: { cookie: session } })).status, 200);
  assert.equal(
    (await send({ path: '/api/me', headers: elsewhere })).status,
    403,
    'under another name it counts nothing',
  );
});

test('A02 a page of another origin, or a name rebound to this machine, gets 403 on every path, before any frame', async () => {
  const { host } = new URL(home.url);
  const strangers: Record<string, string>[] = [
    { host, origin: 'http://evil.example' },
    { host, origin: 'null' },
    { host: 'evil.example' },
    { host: `evil.example:${new URL(home.url).port}`, origin: `http://evil.example:${new URL(home.url).port}` },
    { host, 'sec-fetch-site': 'cross-site' },
  ];
  let refused = 0;
  for (const stranger of strangers)
    for (const headers of [stranger, { ...stranger, ...auth() }, { ...stranger, ...auth(), ...upgrade }])
      for (const path of ['/', '/healthz', '/api/status', '/api/events', '/v1/models']) {
        const { status, head } = await send({ path, headers });
        assert.equal(status, 403, `${path} ${JSON.stringify(headers)}`);
        assert.doesNotMatch(head, /access-control-allow/i);
        refused += 1;
      }
  assert.equal(refused, 75);
});

test('A03 a mutation that a web page can send is refused, with the token and without', async () => {
  const before = await tasks();
  const { host } = new URL(home.url);
  const simple = { host, 'content-type': 'text/plain' };
  for (const [path, body] of [
    ['/api/messages', message],
    ['/v1/chat/completions', chat],
  ] as const) {
    for (const headers of [
      simple,
      { ...simple, 'content-type': 'application/x-www-form-urlencoded' },
      { host, 'content-type': 'application/json' },
    ])
      assert.equal((await send({ method: 'POST', path, body, headers })).status, 401, path);
    const cross = { ...simple, ...auth(), origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' };
    assert.equal((await send({ method: 'POST', path, body, headers: cross })).status, 403);
    assert.equal(
      (await send({ method: 'POST', path, body, headers: { ...simple, ...auth() } })).status,
      415,
      'no simple type',
    );
    assert.equal(
      (await send({ method: 'OPTIONS', path, headers: { host, origin: 'http://evil.example' } })).status,
      403,
    );
  }
  for (const path of ['/api/messages', '/api/approvals/apr_x', '/api/tasks/tsk_x/cancel'])
    assert.ok(
      [404, 405].includes((await send({ path, headers: { host, ...auth() } })).status),
      `GET ${path} does nothing`,
    );
  assert.equal(await tasks(), before);
  assert.ok(!home.exists('evil.md'));
});

test('A04 who comes from this machine is nobody: no socket, no setting and no program without the token', async () => {
  const before = home.read('ruche.yaml');
  // The page itself is open, and no socket comes of it.
  assert.equal((await send({ path: '/', headers: upgrade })).status, 426);
  for (const path of ['/api', '/api/events', '/api/config', '/api/live', '/v1/ws'])
    assert.equal((await send({ path, headers: upgrade })).status, 401, path);
  const body = JSON.stringify({ method: 'config.apply', cliPath: '/tmp/evil', params: { cliPath: '/tmp/evil' } });
  for (const path of ['/api/config', '/api/config.apply', '/api/messages', '/api/pairings', '/api/secrets/x', '/rpc']) {
    const { status } = await send({ method: 'POST', path, headers: { 'content-type': 'application/json' }, body });
    assert.ok([401, 404, 405].includes(status), `${path}: ${status}`);
  }
  assert.equal(home.read('ruche.yaml'), before);
});

test('A05 what a client says of its own rights is not read: they come from how it was let in', async () => {
  const { code } = await home.api<{ code: string }>('/api/logins', {});
  const type = { 'content-type': 'application/json', origin: home.url };
  const claims = { scopes: ['admin'], role: 'owner', admin: true };
  const entered = await send({
    method: 'POST',
    path: '/api/sessions?scopes=admin',
    headers: { ...type, 'x-scopes': 'admin' },
    body: JSON.stringify({ code, ...claims }),
  });
  const [cookie = ''] = (JSON.parse(entered.head) as { 'set-cookie'?: string[] })['set-cookie'] ?? [];
  const headers = { ...type, cookie: cookie.split(';')[0] ?? '', 'x-scopes': 'admin', 'x-role': 'owner' };
  const made = await send({ method: 'POST', path: '/api/logins', headers, body: JSON.stringify(claims) });
  assert.equal(made.status, 403, 'a session makes no further logins, whatever it says it is');
  const me = await send({ path: '/api/me?role=admin', headers });
  assert.equal((JSON.parse(me.text) as { by: string }).by, 'session');
  const forged = { ...type, cookie: headers.cookie.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')) };
  assert.equal((await send({ path: '/api/me', headers: forged })).status, 401);
});

test('A06 forwarding headers make nobody local or trusted', async () => {
  const forwarded: Record<string, string>[] = [
    { 'x-forwarded-for': '127.0.0.1' },
    { forwarded: 'for=127.0.0.1;host=localhost;proto=http' },
    { 'x-real-ip': '127.0.0.1', 'x-forwarded-host': 'localhost', 'x-forwarded-user': 'owner' },
  ];
  for (const headers of forwarded)
    for (const path of ['/api/status', '/v1/models', '/metrics'])
      assert.equal((await send({ path, headers })).status, 401, JSON.stringify(headers));
});

test('A08 a token that was changed is worth nothing at once: on open streams, in sessions, for new requests', async () => {
  const old = auth();
  const { code } = await home.api<{ code: string }>('/api/logins', {});
  const type = { 'content-type': 'application/json', origin: home.url };
  const entered = await send({ method: 'POST', path: '/api/sessions', headers: type, body: JSON.stringify({ code }) });
  const [cookie = ''] = (JSON.parse(entered.head) as { 'set-cookie': string[] })['set-cookie'];
  const session = { cookie: cookie.split(';')[0] ?? '' };
  const spare = (await home.api<{ code: string }>('/api/logins', {})).code;
  const open = await fetch(`${home.url}/api/live`, { headers: old });
  assert.equal(open.status, 200);
  const ended = open.text().then(
    () => true,
    () => true,
  );
  writeFileSync(join(home.home, 'token'), `${'n3w-T0ken_'.repeat(4)}xyz\n`);
  for (const headers of [old, session])
    await until(async () => (await send({ path: '/api/me', headers })).status === 401, 'the old one is refused');
  assert.equal(await ended, true, 'the stream has ended');
  const late = await send({
    method: 'POST',
    path: '/api/sessions',
    headers: type,
    body: JSON.stringify({ code: spare }),
  });
  assert.equal(late.status, 401);
  assert.equal((await home.fetch('/api/me')).status, 200, 'the new one works, without a restart');
});

test('A09 wrong tokens run into a limit, and the right one still works', async () => {
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, n) =>
      send({ path: '/api/status', headers: { authorization: `Bearer wrong-${n}` } }),
    ),
  );
  const limited = answers.filter(({ status }) => status === 429).length;
  assert.ok(limited > 150, `${limited} of 200 were limited`);
  assert.ok(answers.every(({ status }) => status === 401 || status === 429));
  const works = async (): Promise<boolean> => {
    const { status } = await send({ path: '/api/status', headers: auth() });
    assert.ok(status === 200 || status === 429, String(status));
    return status === 200;
  };
  await until(works, 'the right token works');
});

test('A10 an address others can reach is refused without a token that cannot be guessed', async () => {
  const other = new Home({ files: { 'ruche.yaml': '', 'agents/assistant/AGENT.md': AGENT } });
  try {
    for (const [token, said] of [
      ['undefined', /no token/],
      ['short-token-23-character', /^/],
      ['only-23-characters-xxxx', /too short \(23 characters\)/],
      ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', /repeats a few characters/],
    ] as const) {
      other.env['RUCHE_TOKEN'] = token;
      const ended = await other.tryStart('--host', '0.0.0.0');
      if (token.length === 24) {
        assert.equal(ended, null, 'of 24 characters, it may');
        assert.equal(await other.end('SIGTERM'), 0);
        continue;
      }
      assert.equal(ended?.code, 1, token);
      assert.match(ended.err, said);
      assert.ok(!ended.err.includes(token) || token === 'undefined', 'the token is not repeated');
    }
    // An empty variable is one that was not given: a token is made.
    other.env['RUCHE_TOKEN'] = '';
    assert.equal(await other.tryStart('--host', '0.0.0.0'), null);
    delete other.env['RUCHE_TOKEN'];
    assert.equal(other.token.length, 43);
  } finally {
    await other.close();
  }
});
