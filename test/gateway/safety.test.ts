import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { failureLimit } from '../../src/gateway/http/access.ts';
import { GatewayRefused, startGateway } from '../../src/gateway/server.ts';
import { refuseToListen } from '../../src/gateway/http/access.ts';
import { effort } from '../fakes/effort.ts';
import { fakeJournal, fakeRuntime, type Script } from '../fakes/runtime.ts';
import { openRedactor } from '../../src/secrets/redactor.ts';
import { countingIds, echo, raw, realClock, recordedLog, TOKEN, withGateway } from './help.ts';
import { withPage } from './views-kit.ts';
import { until } from '../fakes/until.ts';

const line = (answer: string): string => answer.split('\r\n')[0] ?? '';

test('A02 an upgrade from another origin, or to a rebound name, gets 403 before any frame', async () => {
  await withGateway(echo, async ({ gateway: { port }, runtime }) => {
    const upgrade = (host: string, extra: string): string =>
      `GET /api/events HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${extra}\r\n`;
    const token = `Authorization: Bearer ${TOKEN}\r\n`;
    const mine = `127.0.0.1:${port}`;
    const refused = [
      upgrade(mine, `${token}Origin: http://evil.example\r\n`),
      upgrade(mine, `${token}Origin: null\r\n`),
      upgrade('evil.example', token),
      upgrade(`evil.example:${port}`, `${token}Origin: http://evil.example:${port}\r\n`),
      upgrade(`localhost.evil.example:${port}`, token),
      upgrade('[::ffff:10.0.0.1]', token),
      upgrade(`10.0.0.1:${port}`, token),
      upgrade(`127.0.0.1.evil.example:${port}`, token),
    ];
    for (const bytes of refused) {
      const answer = await raw(port, bytes);
      assert.match(line(answer), /^HTTP\/1\.1 403 /, bytes);
      assert.doesNotMatch(answer, /101|Sec-WebSocket-Accept|Access-Control/i);
    }
    assert.equal(refused.length, 8);
    assert.match(line(await raw(port, upgrade(mine, ''))), / 401 /);
    assert.match(line(await raw(port, upgrade(mine, token))), / 426 /);
    assert.equal(runtime.deliveries.length, 0);
  });
});

test('A02 plain requests under a rebound name are refused too, even on the open paths', async () => {
  await withGateway(echo, async ({ gateway: { port } }) => {
    const get = (path: string, host: string): Promise<string> =>
      raw(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close\r\n\r\n`);
    for (const path of ['/healthz', '/readyz', '/api/status', '/v1/models'])
      assert.match(line(await get(path, `rebound.example:${port}`)), / 403 /, path);
    for (const host of [
      `127.0.0.1:${port}`,
      `localhost:${port}`,
      `LOCALHOST:${port}`,
      `[::1]:${port}`,
      'localhost:8080',
      '127.0.0.1',
    ])
      assert.match(line(await get('/api/status', host)), / 200 /, host);
    const two = `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n`;
    assert.match(line(await raw(port, two)), / 400 /);
    const absolute = `GET http://evil.example/healthz HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`;
    assert.match(line(await raw(port, absolute)), / 400 /);
  });
});

test('A configured name is ours, with http and https pages of it', async () => {
  await withGateway(
    echo,
    async ({ gateway: { port } }) => {
      const get = (host: string, origin: string): Promise<string> =>
        raw(port, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\nConnection: close\r\n\r\n`);
      assert.match(line(await get('ruche.example', 'https://ruche.example')), / 200 /);
      assert.match(line(await get('ruche.example:8443', 'http://ruche.example:8443')), / 200 /);
      assert.match(line(await get('ruche.example', 'https://other.example')), / 403 /);
      assert.match(line(await get(`127.0.0.1:${port}`, 'https://ruche.example')), / 403 /);
    },
    { hosts: ['ruche.example'] },
  );
});

test('A03 a cross-site POST to a mutation is refused, with and without a token', async () => {
  await withGateway(echo, async ({ gateway, runtime, call }) => {
    const body = { agent: 'assistant', text: 'hello' };
    const own = gateway.url;
    const refused: [number, Record<string, string>][] = [
      [403, { origin: 'http://evil.example' }],
      [403, { origin: 'null' }],
      [403, { origin: own.replace('127.0.0.1', 'localhost') }],
      [403, { origin: own.replace('http:', 'https:') }],
      [403, { 'sec-fetch-site': 'cross-site' }],
      [403, { 'sec-fetch-site': 'same-site' }],
      [401, { authorization: '' }],
      [401, { authorization: 'Basic b3duZXI6b3duZXI=' }],
      [415, { 'content-type': 'text/plain' }],
      [415, { 'content-type': 'application/x-www-form-urlencoded' }],
      [415, { 'content-type': 'multipart/form-data; boundary=x' }],
    ];
    const paths = ['/api/messages', '/v1/chat/completions', '/api/approvals/apr_1', '/api/questions/qst_1'];
    for (const path of paths)
      for (const [status, headers] of refused) {
        const answer = await call(path, { body, headers });
        assert.equal(answer.status, status, `${path} ${JSON.stringify(headers)}`);
        assert.equal(answer.headers.get('access-control-allow-origin'), null);
        await answer.text();
      }
    const simple = await fetch(`${own}/api/messages`, { method: 'POST', body: JSON.stringify(body) });
    assert.equal(simple.status, 401);
    assert.equal((await call('/api/tasks/tsk_1/cancel', { method: 'POST' })).status, 415);
    assert.equal(
      (await call('/api/messages', { method: 'OPTIONS' })).headers.get('access-control-allow-methods'),
      null,
    );
    assert.equal(runtime.deliveries.length, 0);
    assert.equal((await call('/api/messages', { body, headers: { origin: own } })).status, 202);
    assert.equal(runtime.deliveries.length, 1);
  });
});

test('A06 forwarding headers grant nothing and do not get round the count of failures', async () => {
  await withGateway(
    echo,
    async ({ call }) => {
      for (const name of ['x-forwarded-for', 'x-real-ip', 'forwarded', 'x-forwarded-host', 'x-original-url']) {
        const answer = await call('/api/status', { headers: { authorization: '', [name]: '127.0.0.1' } });
        assert.equal(answer.status, 401, name);
      }
      const rebound = await call('/healthz', { headers: { 'x-forwarded-host': 'evil.example' } });
      assert.equal(rebound.status, 200);
      const seen = new Set<number>();
      for (let i = 0; i < 10; i += 1) {
        const headers = { authorization: 'Bearer wrong', 'x-forwarded-for': `10.0.0.${i}` };
        seen.add((await call('/api/status', { headers })).status);
      }
      assert.deepEqual([...seen], [401, 429]);
    },
    { limits: { failures: { burst: 3, perSecond: 0.001 } } },
  );
});

test('A09 a thousand wrong tokens are counted, and the right one is let in meanwhile', async () => {
  let now = 1_000_000;
  const clock = { ...realClock, now: () => now };
  await withGateway(
    echo,
    async ({ call }) => {
      const counts = new Map<number, number>();
      for (let i = 0; i < 1_000; i += 1) {
        const { status } = await call('/api/status', { headers: { authorization: `Bearer guess-${i}` } });
        counts.set(status, (counts.get(status) ?? 0) + 1);
      }
      assert.equal(counts.get(401), 20);
      assert.equal(counts.get(429), 980);
      const wrong = await call('/api/status', { headers: { authorization: 'Bearer guess' } });
      assert.equal(wrong.headers.get('retry-after'), '1');
      assert.equal((await call('/healthz')).status, 200);
      for (let i = 0; i < 50; i += 1) assert.equal((await call('/api/status')).status, 200);
      now += 1_000;
      assert.equal((await call('/api/status', { headers: { authorization: 'Bearer guess' } })).status, 401);
    },
    { clock },
  );
});

test('A09 a token that can be guessed is counted like any guess', async () => {
  const limits = { failures: { burst: 2, perSecond: 0.001 } };
  await withGateway(
    echo,
    async ({ call }) => {
      const statuses: number[] = [];
      for (const guess of ['a', 'b', 'weak'])
        statuses.push((await call('/api/status', { headers: { authorization: `Bearer ${guess}` } })).status);
      assert.deepEqual(statuses, [401, 401, 429]);
    },
    { limits, token: () => 'weak' },
  );
});

test('A09 connections on which nothing is asked make room for those who ask', async () => {
  await withGateway(
    async () => new Promise(() => undefined),
    async ({ gateway: { port }, call, runtime }) => {
      const body = { user: 'a', messages: [{ role: 'user', content: 'wait' }] };
      const working = call('/v1/chat/completions', { body }).then(
        () => 'answered',
        () => 'cut',
      );
      await until(() => runtime.deliveries.length === 1);
      const half = Array.from({ length: 60 }, () => createConnection(port, '127.0.0.1'));
      for (const socket of half) {
        socket.on('error', () => undefined);
        socket.write('GET /healthz HT');
      }
      for (const socket of half) if (socket.connecting) await once(socket, 'connect');
      for (let n = 0; n < 20; n += 1) assert.equal((await call('/api/status')).status, 200);
      const early = await Promise.race([working, Promise.resolve('at work')]);
      assert.equal(early, 'at work', 'what is at work is not cut');
      for (const socket of half) socket.destroy();
    },
    { limits: { connections: 8, closeMs: 50 } },
  );
});

test('A09 the count of failures is bounded in memory and fair between addresses', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 200 }),
      (burst, gaps) => {
        const limit = failureLimit({ burst, perSecond: 5 });
        let now = 0;
        let paid = 0;
        for (const gap of gaps) {
          now += gap;
          if (limit.pay('10.1.1.1', now) === 0) paid += 1;
        }
        assert.ok(paid <= burst + (now / 1000) * 5 + 1e-6);
        assert.equal(limit.pay('10.1.1.2', now), 0);
      },
    ),
  );
  const limit = failureLimit({ burst: 1, perSecond: 0.001 });
  assert.equal(limit.pay('2001:db8:1:2:aaaa::1', 0), 0);
  assert.ok(limit.pay('2001:db8:1:2:bbbb::2', 0) > 0, 'one /64 is one address');
  assert.ok(limit.pay('2001:db8:1:2:bbbb::2', -100_000) > 0, 'a clock set back gives nothing');
});

const EACH = effort(40, 200);

test('A09 thousands of upgrades before any token stay bounded, and the gateway answers afterwards', async () => {
  await withGateway(
    echo,
    async ({ gateway: { port }, call }) => {
      let open = 0;
      let most = 0;
      let done = 0;
      const one = (): Promise<void> =>
        new Promise((resolve) => {
          const socket = createConnection(port, '127.0.0.1', () => {
            most = Math.max(most, (open += 1));
            socket.write(
              `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
            );
            socket.once('close', () => (open -= 1));
          });
          socket.on('data', () => undefined);
          socket.on('error', () => undefined);
          socket.on('close', () => {
            done += 1;
            resolve();
          });
        });
      const worker = async (): Promise<void> => {
        for (let i = 0; i < EACH; i += 1) await one();
      };
      await Promise.all(Array.from({ length: 50 }, worker));
      assert.equal(done, 50 * EACH);
      assert.ok(most > 0);
      assert.equal((await call('/api/status')).status, 200);
    },
    { limits: { connections: 64 } },
  );
});

test('A09 connections, slow headers and requests under way have bounds', async () => {
  await withGateway(
    async () => new Promise(() => undefined),
    async ({ gateway: { port }, call, runtime }) => {
      const idle = Array.from({ length: 4 }, () => createConnection(port, '127.0.0.1'));
      const closed = idle.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
      for (const socket of idle) socket.on('error', () => undefined);
      idle[0]?.write('GET /healthz HT');
      for (const socket of idle) socket.resume();
      await Promise.all(closed);
      const held = ['a', 'b'].map((user) =>
        call('/v1/chat/completions', { body: { user, messages: [{ role: 'user', content: 'wait' }] } }),
      );
      await until(() => runtime.deliveries.length === 2);
      const third = await call('/v1/models');
      assert.equal(third.status, 503);
      assert.equal(third.headers.get('x-should-retry'), 'true');
      void Promise.allSettled(held);
    },
    { limits: { headersMs: 300, requests: 2, connections: 6, closeMs: 50 } },
  );
});

test('A09 codes that strangers bring slowly take no place of those who are logged in', () =>
  withPage((options) =>
    withGateway(
      echo,
      async ({ gateway: { port }, call }) => {
        const head = 'POST /api/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
        const slow = Array.from({ length: 12 }, () => createConnection(port, '127.0.0.1'));
        let refused = 0;
        for (const socket of slow) {
          socket.on('error', () => undefined);
          socket.once('data', (data) => (refused += Number(String(data).startsWith('HTTP/1.1 503'))));
          socket.write(`${head}Content-Length: 900\r\n\r\n{`);
        }
        await until(() => refused >= 4);
        assert.equal((await call('/api/status')).status, 200);
        for (const socket of slow) socket.destroy();
      },
      { ...options, limits: { unproved: 3, requests: 8, closeMs: 50 } },
    ),
  ));

test('A10 an address others can reach is refused without a token that cannot be guessed', async () => {
  const weak = [
    '',
    'undefined',
    'null',
    'short',
    'a'.repeat(24),
    'ab'.repeat(20),
    'x'.repeat(23),
    'with a space in its middle 123',
  ];
  const start = (host: string, token: string) =>
    startGateway({
      runtime: fakeRuntime(echo),
      store: fakeJournal(),
      token: () => token,
      host,
      port: 0,
      clock: realClock,
      ids: countingIds(),
      log: recordedLog(),
      redact: (text) => text,
    });
  for (const host of ['0.0.0.0', '::', '192.0.2.1'])
    for (const token of weak)
      await assert.rejects(start(host, token), (error: Error) => {
        assert.ok(error instanceof GatewayRefused);
        assert.equal(error.code, 'token');
        assert.match(error.message, /token/);
        assert.ok(token.length < 5 || token === 'null' || !error.message.includes(`"${token}"`));
        return true;
      });
  for (const token of ['', 'undefined', 'null']) await assert.rejects(start('127.0.0.1', token), /has no token/);
  assert.equal(refuseToListen('127.0.0.1', 'short'), null);
  assert.equal(refuseToListen('0.0.0.0', 'Zk3-9fQw81LmPq02_xYtRb7v'), null);
  const gateway = await start('0.0.0.0', 'Zk3-9fQw81LmPq02_xYtRb7v');
  await gateway.close();
});

test('Every answer carries the security headers, and none tells of the inside', async () => {
  await withGateway(echo, async ({ runtime, call, log }) => {
    runtime.agentsToday = async () => {
      throw new Error('secret detail at /home/someone/file.ts:12');
    };
    for (const [path, status] of [
      ['/api/agents', 500],
      ['/nowhere', 404],
      ['/api/status', 200],
    ] as const) {
      const answer = await call(path);
      assert.equal(answer.status, status);
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/);
      assert.equal(answer.headers.get('access-control-allow-origin'), null);
      assert.doesNotMatch(await answer.text(), /secret detail|file\.ts|at async/);
    }
    assert.equal(log.lines.filter((each) => each.level === 'error').length, 1, 'the log has what the answer lacks');
  });
});

test('Open paths answer without a token, everything else does not', async () => {
  await withGateway(echo, async ({ gateway, runtime, call }) => {
    assert.equal((await fetch(`${gateway.url}/healthz`)).status, 200);
    assert.equal((await fetch(`${gateway.url}/readyz`)).status, 200);
    for (const path of ['/', '/metrics', '/api/status', '/v1/models', '/healthz/', '/%68ealthz', '//healthz'])
      assert.equal((await fetch(`${gateway.url}${path}`)).status, 401, path);
    assert.equal((await fetch(`${gateway.url}/healthz`, { method: 'POST' })).status, 401);
    assert.match(await (await call('/metrics')).text(), /ruche_tasks/);
    runtime.state.ready = false;
    runtime.state.notReady = 'the journal is being checked';
    const notReady = await call('/readyz');
    assert.equal(notReady.status, 503);
    assert.deepEqual(await notReady.json(), { ready: false, reason: 'the journal is being checked' });
    assert.equal((await call('/healthz')).status, 200);
  });
});

test('A taken port is named, with what to do', async () => {
  await withGateway(echo, async ({ gateway: { port } }) => {
    const again = withGateway(echo, async () => assert.fail('it started'), { port });
    await assert.rejects(again, (error: Error) => {
      assert.ok(error instanceof GatewayRefused);
      assert.equal(error.code, 'port-taken');
      assert.match(error.message, new RegExp(`${port}.*--port`, 's'));
      return true;
    });
  });
});

test('No error repeats a secret, wherever a person has pasted it', async () => {
  const secret = 'sk-pasted.by/mistake-0123456789';
  const redactor = openRedactor();
  redactor.add(secret);
  const script: Script = async ({ text }) => {
    throw new Error(`the provider does not know ${text}`);
  };
  await withGateway(
    script,
    async ({ call }) => {
      const json = { 'content-type': 'application/json' };
      const message = (text: string) => ({ model: 'assistant', messages: [{ role: 'user', content: text }] });
      const pasted: [string, Parameters<typeof call>[1]?][] = [
        [`/api/tasks/${encodeURIComponent(secret)}`],
        [`/api/tasks/${Buffer.from(secret).toString('hex')}`],
        [`/v1/models/${encodeURIComponent(secret)}`],
        [`/api/agents/${encodeURIComponent(secret)}/pause`, { body: {} }],
        ['/v1/chat/completions', { body: { ...message('hello'), model: secret } }],
        ['/v1/chat/completions', { body: { messages: [{ role: 'user', content: [{ type: secret }] }] } }],
        ['/v1/chat/completions', { body: message(secret) }],
        ['/v1/chat/completions', { body: { ...message(secret), stream: true } }],
        ['/api/messages', { body: { agent: secret, text: 'hello' } }],
        ['/api/messages', { method: 'POST', body: `{"key": ${secret}}`, headers: json }],
        ['/api/messages', { method: 'POST', body: secret, headers: json }],
        ['/api/messages', { method: 'POST', body: `"${secret}`, headers: json }],
      ];
      for (const [path, init] of pasted) {
        const answer = await call(path, init);
        const said = await answer.text();
        assert.match(said, /"error"/, path);
        // Nor half of it: that would be as good as the whole to somebody who knows the other.
        for (let at = 0; at + 8 <= secret.length; at += 1)
          assert.ok(!said.includes(secret.slice(at, at + 8)), `${path} ${JSON.stringify(init)}: ${said}`);
      }
      const known = (await (await call('/api/tasks/tsk_that-is-no-secret')).json()) as { error: { message: string } };
      assert.equal(known.error.message, 'Unknown task "tsk_that-is-no-secret". List them with: ruche tasks.');
    },
    { redact: (text) => redactor.redact(text) },
  );
});
