import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLogins, sessionsFile } from '../../src/gateway/http/logins.ts';
import { privateFile } from '../../src/platform/replace.ts';
import { systemRandom } from '../../src/platform/system.ts';
import { echo, raw, realClock, recordedLog, TOKEN, withGateway, type Rig } from './help.ts';
import { until } from '../fakes/until.ts';
import { memoryKeep, withPage } from './views-kit.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

/** Logs in as a browser would; gives the cookie as it is sent back. */
async function enter({ gateway }: Pick<Rig, 'gateway'>): Promise<string> {
  const code = gateway.loginLink()?.split('#')[1];
  const answer = await fetch(`${gateway.url}/api/sessions`, {
    method: 'POST',
    headers: { ...JSON_TYPE, origin: gateway.url },
    body: JSON.stringify({ code }),
  });
  assert.equal(answer.status, 200);
  const header = answer.headers.get('set-cookie') ?? '';
  assert.match(header, /^ruche_[\w-]{8}=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=2592000$/);
  return header.split(';')[0] ?? '';
}

test('a login link makes one session, once, and the session counts as the owner', async () => {
  await withPage((page) =>
    withGateway(
      echo,
      async (rig) => {
        const { gateway, call, runtime } = rig;
        const link = gateway.loginLink() ?? '';
        assert.match(link, new RegExp(`^${gateway.url}/login#[\\w-]{22}$`));
        const code = link.split('#')[1];
        const send = (): Promise<Response> =>
          fetch(`${gateway.url}/api/sessions`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ code }) });
        const first = await send();
        assert.equal(first.status, 200);
        const cookie = (first.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
        for (let n = 0; n < 2; n++) {
          const again = await send();
          assert.equal(again.status, 401);
          assert.equal(again.headers.get('set-cookie'), null);
        }
        const me = await fetch(`${gateway.url}/api/me`, { headers: { cookie } });
        const told = (await me.json()) as { who: string; by: string; until: number };
        assert.deepEqual([told.who, told.by], ['owner', 'session']);
        assert.ok(told.until > Date.now() + 29 * 86_400_000);
        assert.equal(((await (await call('/api/me')).json()) as { by: string }).by, 'token');
        const sent = await fetch(`${gateway.url}/api/messages`, {
          method: 'POST',
          headers: { ...JSON_TYPE, cookie, origin: gateway.url },
          body: JSON.stringify({ agent: 'assistant', text: 'hello' }),
        });
        assert.equal(sent.status, 202);
        assert.equal(runtime.deliveries[0]?.message.sender, 'owner');

        const out = await fetch(`${gateway.url}/api/logout`, {
          method: 'POST',
          headers: { ...JSON_TYPE, cookie, origin: gateway.url },
          body: '{}',
        });
        assert.match(out.headers.get('set-cookie') ?? '', /=; .*Max-Age=0$/);
        const after = await fetch(`${gateway.url}/api/me`, { headers: { cookie } });
        assert.equal(after.status, 401);
        assert.match(after.headers.get('set-cookie') ?? '', /Max-Age=0/);
      },
      page,
    ),
  );
});

test('only the token makes a link: a stolen session cannot make another', async () => {
  await withPage((page) =>
    withGateway(
      echo,
      async (rig) => {
        const cookie = await enter(rig);
        const { gateway, call } = rig;
        const headers = { ...JSON_TYPE, cookie, origin: gateway.url };
        assert.equal((await fetch(`${gateway.url}/api/logins`, { method: 'POST', headers, body: '{}' })).status, 403);
        const made = await call('/api/logins', { body: {} });
        const { path, code } = (await made.json()) as { path: string; code: string };
        assert.equal(path, `/login#${code}`);
        const open = await fetch(`${gateway.url}/api/logins`, { method: 'POST', headers: JSON_TYPE, body: '{}' });
        assert.equal(open.status, 401);
      },
      page,
    ),
  );
});

test('A03 a change by a session needs the Origin of our own page', async () => {
  await withPage((page) =>
    withGateway(
      echo,
      async (rig) => {
        const cookie = await enter(rig);
        const { gateway, runtime } = rig;
        const body = JSON.stringify({ agent: 'assistant', text: 'hello' });
        const send = (headers: Record<string, string>): Promise<Response> =>
          fetch(`${gateway.url}/api/messages`, { method: 'POST', headers: { ...JSON_TYPE, cookie, ...headers }, body });
        const refused: Record<string, string>[] = [
          {},
          { origin: 'null' },
          { origin: 'http://evil.example' },
          // Another program of this machine: a browser sends it our cookie, because cookies know no ports.
          { origin: gateway.url.replace(/\d+$/, '1') },
          { origin: gateway.url.replace('127.0.0.1', 'localhost') },
          { origin: gateway.url, 'sec-fetch-site': 'same-site' },
          { origin: gateway.url, 'sec-fetch-site': 'cross-site' },
        ];
        for (const headers of refused) assert.equal((await send(headers)).status, 403, JSON.stringify(headers));
        assert.equal(refused.length, 7);
        assert.equal(runtime.deliveries.length, 0);
        // Reading by another page is refused as well, and no answer may be read there.
        for (const site of ['cross-site', 'same-site'])
          assert.match(
            await raw(
              gateway.port,
              `GET /api/conversations HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\nCookie: ${cookie}\r\nSec-Fetch-Site: ${site}\r\nSec-Fetch-Mode: navigate\r\nConnection: close\r\n\r\n`,
            ),
            /^HTTP\/1\.1 403 /,
          );
        const own = await fetch(`${gateway.url}/api/conversations`, { headers: { cookie } });
        assert.equal(own.status, 200);
        assert.equal(own.headers.get('access-control-allow-origin'), null);
        assert.equal(own.headers.get('cross-origin-resource-policy'), 'same-origin');
        assert.equal((await send({ origin: gateway.url })).status, 202);
      },
      page,
    ),
  );
});

test('behind a proxy the public name and its origin are ours, whatever Host it hands on, and nothing else is', async () => {
  const publicUrl = 'https://ruche.example.org';
  await withPage((page) =>
    withGateway(
      echo,
      async ({ gateway }) => {
        const enterAs = async (host: string, origin: string): Promise<string> => {
          const code = gateway.loginLink()?.split('#')[1];
          const body = JSON.stringify({ code });
          const head = `POST /api/sessions HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\nContent-Type: application/json\r\n`;
          return raw(gateway.port, `${head}Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        };
        assert.match(gateway.loginLink() ?? '', /^https:\/\/ruche\.example\.org\/login#[\w-]{22}$/);
        const own = `127.0.0.1:${gateway.port}`;
        for (const host of ['ruche.example.org', 'ruche.example.org:8443', own])
          assert.match(await enterAs(host, publicUrl), /^HTTP\/1\.1 200 [^]*set-cookie: [^\n]*; Secure;/i, host);
        // On this machine it goes on without TLS, and without a cookie that only TLS carries.
        const local = await enterAs(own, `http://${own}`);
        assert.match(local, /^HTTP\/1\.1 200 /);
        assert.doesNotMatch(local, /Secure/);
        const refused = [
          ['ruche.example.org', 'http://ruche.example.org', 'wrong_origin'],
          ['ruche.example.org', 'https://ruche.example.org:8443', 'wrong_origin'],
          ['ruche.example.org', 'https://evil.example', 'wrong_origin'],
          [own, 'https://ruche.example.org.evil.example', 'wrong_origin'],
          ['evil.ruche.example.org', publicUrl, 'wrong_host'],
          ['evil.example', publicUrl, 'wrong_host'],
        ];
        for (const [host = '', origin = '', code = ''] of refused)
          assert.match(await enterAs(host, origin), new RegExp(`^HTTP/1\\.1 403 [^]*"${code}"`), `${host} ${origin}`);
      },
      { ...page, publicUrl: () => publicUrl },
    ),
  );
});

test('A02 a rebound name reaches neither the page nor a session', async () => {
  await withPage((page) =>
    withGateway(
      echo,
      async (rig) => {
        const cookie = await enter(rig);
        const { port } = rig.gateway;
        for (const path of ['/', '/login', '/api/me', '/api/live'])
          assert.match(
            await raw(
              port,
              `GET ${path} HTTP/1.1\r\nHost: evil.example:${port}\r\nCookie: ${cookie}\r\nConnection: close\r\n\r\n`,
            ),
            /^HTTP\/1\.1 403 /,
            path,
          );
        const code = rig.gateway.loginLink()?.split('#')[1];
        const body = JSON.stringify({ code });
        const request = `POST /api/sessions HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
        const answer = await raw(port, request);
        assert.match(answer, /^HTTP\/1\.1 403 /);
        assert.doesNotMatch(answer, /set-cookie/i);
      },
      page,
    ),
  );
});

test('guesses of codes and cookies are limited, together with those of tokens', async () => {
  await withPage((page) =>
    withGateway(
      echo,
      async ({ gateway, call }) => {
        const guess = (n: number): Promise<Response> =>
          n % 2 === 0
            ? fetch(`${gateway.url}/api/sessions`, {
                method: 'POST',
                headers: JSON_TYPE,
                body: JSON.stringify({ code: `guess-${n}` }),
              })
            : call('/api/me', { headers: { authorization: `Bearer wrong-${n}` } });
        const statuses: number[] = [];
        for (let n = 0; n < 8; n++) statuses.push((await guess(n)).status);
        assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
      },
      { ...page, limits: { failures: { burst: 5, perSecond: 0.0001 } } },
    ),
  );
});

test('A08 streams and waits end with their session: logged out, expired, or under another token', async () => {
  const ways: [
    how: string,
    end: (rig: Rig, cookie: string, world: { now: number; token: string }) => Promise<unknown>,
  ][] = [
    [
      'logout',
      ({ gateway }, cookie) =>
        fetch(`${gateway.url}/api/logout`, {
          method: 'POST',
          headers: { ...JSON_TYPE, cookie, origin: gateway.url },
          body: '{}',
        }),
    ],
    ['expiry', async (_rig, _cookie, world) => void (world.now += 31 * 86_400_000)],
    ['another token', async (_rig, _cookie, world) => void (world.token = `${TOKEN}-changed`)],
  ];
  for (const [how, end] of ways)
    await withPage(async (page) => {
      const world = { now: Date.now(), token: TOKEN };
      await withGateway(
        () => new Promise(() => undefined),
        async (rig) => {
          const { gateway, call, runtime } = rig;
          const cookie = await enter(rig);
          const sent = await call('/api/messages', { body: { agent: 'assistant', text: 'hello' } });
          const { task } = (await sent.json()) as { task: string };
          const chat = JSON.stringify({ user: 'me', stream: true, messages: [{ role: 'user', content: 'hello' }] });
          const asked: [path: string, init?: RequestInit][] = [
            ['/api/live'],
            ['/api/events'],
            [`/api/tasks/${task}/stream`],
            [`/api/tasks/${task}/wait?seconds=50`],
            ['/v1/chat/completions', { method: 'POST', body: chat }],
          ];
          const read = async ([path, init]: (typeof asked)[number]): Promise<number> => {
            const headers = { ...JSON_TYPE, cookie, origin: gateway.url };
            const answer = await fetch(gateway.url + path, { ...init, headers });
            await answer.text();
            return answer.status;
          };
          const all = Promise.all(asked.map(read));
          await until(() => runtime.deliveries.length === 2);
          await until(() => runtime.state.listeners() >= 2);
          await end(rig, cookie, world);
          assert.deepEqual(await all, [200, 200, 200, 401, 401], how);
          const me = await fetch(`${gateway.url}/api/me`, { headers: { cookie } });
          assert.equal(me.status, 401, how);
          const old = await call('/api/status');
          assert.equal(old.status, how === 'another token' ? 401 : 200, how);
        },
        { ...page, token: () => world.token, clock: { ...realClock, now: () => world.now } },
      );
    });
});

test('A08 a login link of the token before logs nobody in', async () => {
  await withPage(async (page) => {
    let token = TOKEN;
    await withGateway(
      echo,
      async ({ gateway }) => {
        const code = gateway.loginLink()?.split('#')[1];
        token = `${TOKEN}-changed`;
        const init = { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ code }) };
        assert.equal((await fetch(`${gateway.url}/api/sessions`, init)).status, 401);
      },
      { ...page, token: () => token },
    );
  });
});

test('a right code and a right session are let in while others guess', async () => {
  await withPage((page) =>
    withGateway(
      echo,
      async (rig) => {
        const cookie = await enter(rig);
        for (let n = 0; n < 5; n++) await rig.call('/api/me', { headers: { authorization: `Bearer wrong-${n}` } });
        assert.equal((await rig.call('/api/me', { headers: { authorization: 'Bearer wrong' } })).status, 429);
        assert.equal((await fetch(`${rig.gateway.url}/api/me`, { headers: { cookie } })).status, 200);
        await enter(rig);
      },
      { ...page, limits: { failures: { burst: 3, perSecond: 0.0001 } } },
    ),
  );
});

test('codes and sessions end in time, and are bounded', async () => {
  let now = 1_000;
  const keep = memoryKeep();
  const clock = { ...realClock, now: () => now };
  const options = {
    keep,
    bytes: systemRandom.bytes,
    token: () => TOKEN,
    ended: () => undefined,
    clock,
    log: recordedLog(),
  };
  const logins = await openLogins(options);
  const late = logins.code();
  now += 10 * 60_000;
  assert.equal(await logins.enter(late, false), null);
  const value = async (): Promise<string> =>
    logins.cookieIn((await logins.enter(logins.code(), false))?.split(';')[0]) ?? assert.fail('no cookie');
  const first = await value();
  const until = logins.until(first) ?? 0;
  assert.equal(until, now + 30 * 86_400_000);
  assert.ok(
    keep.kept.every(({ hash }) => !hash.includes(first) && hash.length === 43),
    'only hashes are kept',
  );
  // A restart knows it; another token does not even look at it.
  const again = await openLogins(options);
  assert.equal(again.until(first), until);
  const cookie = `x=1; ${(await again.enter(again.code(), false))?.split(';')[0]}; y=2`;
  assert.ok(again.cookieIn(cookie));
  const other = await openLogins({ ...options, token: () => `${TOKEN}-new` });
  assert.equal(other.cookieIn(cookie), null);
  // Not under the name that it has now either.
  assert.equal(other.until(again.cookieIn(cookie) ?? ''), null);
  for (let n = 0; n < 120; n++) await value();
  assert.equal(keep.kept.length, 100);
  assert.equal(logins.until(first), null, 'the oldest has ended');
  const codes = Array.from({ length: 30 }, () => logins.code());
  assert.equal(await logins.enter(codes[0] ?? '', false), null);
  assert.ok(await logins.enter(codes.at(-1) ?? '', false));
  const last = await value();
  now += 30 * 86_400_000;
  assert.equal(logins.until(last), null);
});

test('sessions are kept for their owner only; a file that others can read, or a broken one, counts as none', async () => {
  const home = await mkdtemp(join(tmpdir(), 'ruche-sessions-'));
  try {
    const log = recordedLog();
    const keep = sessionsFile(privateFile(join(home, 'sessions.json')), log);
    assert.deepEqual(await keep.load(), []);
    await keep.save([{ hash: 'h', until: 5 }]);
    const path = join(home, 'sessions.json');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await keep.load(), [{ hash: 'h', until: 5 }]);
    assert.match(await readFile(path, 'utf8'), /^\{"version":1,"sessions":\[/);
    await chmod(path, 0o644);
    assert.deepEqual(await keep.load(), []);
    await chmod(path, 0o600);
    for (const text of ['', '{', '[]', '{"version":2,"sessions":[]}', '{"version":1}']) {
      await writeFile(path, text);
      assert.deepEqual(await keep.load(), [], text);
    }
    assert.equal(log.lines.filter(({ level }) => level === 'warn').length, 6);
    // A disk that takes nothing keeps nobody out.
    const failing = { load: async () => [], save: () => Promise.reject(new Error('disk full')) };
    const logins = await openLogins({
      keep: failing,
      bytes: systemRandom.bytes,
      token: () => TOKEN,
      ended: () => undefined,
      clock: realClock,
      log,
    });
    assert.ok(await logins.enter(logins.code(), false));
    assert.match(JSON.stringify(log.lines.at(-1)), /disk full.*a restart ends them/);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
