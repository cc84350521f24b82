import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonDepth } from '../../src/core/text/json.ts';
import { echo, raw, TOKEN, withGateway } from './help.ts';

interface ErrorBody {
  error: { message: string; code: string; type: string };
}

const chat = '/v1/chat/completions';

test('Bad bodies get a clear 4xx and nothing is accepted', async () => {
  await withGateway(echo, async ({ call, runtime, gateway }) => {
    const wrong: [string, number, RegExp][] = [
      ['', 400, /not JSON/],
      ['{', 400, /not JSON/],
      ['{"messages": [}', 400, /not JSON/],
      ['[]', 400, /must be a JSON object/],
      ['null', 400, /must be a JSON object/],
      ['"text"', 400, /must be a JSON object/],
      [`{"a":${'['.repeat(100_000)}`, 400, /deeper than 64/],
      [`{"a":${'{"a":'.repeat(65)}1${'}'.repeat(66)}`, 400, /deeper than 64/],
    ];
    const huge = (megabytes: number): string => `{"messages":"${'x'.repeat(megabytes * 1024 * 1024)}"}`;
    for (const path of [chat, '/api/messages'])
      for (const [body, status, message] of [
        ...wrong,
        // A message may have at most files.
        path === chat
          ? ([huge(9), 413, /larger than 8388608 bytes/] as const)
          : ([huge(37), 413, /larger than 37748736 bytes/] as const),
      ]) {
        const answer = await call(path, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
        assert.equal(answer.status, status, body.slice(0, 40));
        const { error } = (await answer.json()) as ErrorBody;
        assert.match(error.message, message);
        assert.equal(answer.headers.get('x-should-retry'), 'false');
      }
    const utf8 = Buffer.concat([
      Buffer.from('{"agent":"assistant","text":"'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('"}'),
    ]);
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const broken = await fetch(`${gateway.url}/api/messages`, { method: 'POST', headers, body: utf8 });
    assert.equal(broken.status, 400);
    assert.match(((await broken.json()) as ErrorBody).error.message, /UTF-8/);
    const zipped = await call(chat, { body: {}, headers: { 'content-encoding': 'gzip' } });
    assert.equal(zipped.status, 415);
    assert.equal(runtime.deliveries.length, 0);
  });
});

test('A body without a length is cut at the limit too', async () => {
  await withGateway(
    echo,
    async ({ gateway: { port }, runtime }) => {
      const piece = `400\r\n${'x'.repeat(0x400)}\r\n`;
      const answer = await raw(
        port,
        `POST /api/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${piece.repeat(8)}0\r\n\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 413 /);
      assert.equal(runtime.deliveries.length, 0);
    },
    { limits: { uploadBytes: 4096 } },
  );
});

test('A message of 1 MB passes; one the engine does not take is a clear 413', async () => {
  await withGateway(echo, async ({ call, runtime }) => {
    const megabyte = 'ž'.repeat(512 * 1024);
    const answer = await call(chat, { body: { messages: [{ role: 'user', content: megabyte }] } });
    assert.equal(answer.status, 200);
    assert.equal(runtime.deliveries[0]?.message.text, megabyte);
    const more = await call('/api/messages', { body: { agent: 'assistant', text: 'x'.repeat(2_000_001) } });
    assert.equal(more.status, 413);
    assert.match(((await more.json()) as ErrorBody).error.message, /too large/);
  });
});

test('Wrong types, and text that cannot be stored', async () => {
  await withGateway(echo, async ({ call, runtime }) => {
    const wrong: [object, string][] = [
      [{}, 'agent'],
      [{ agent: 5, text: 'x' }, 'agent'],
      [{ agent: 'assistant' }, 'text'],
      [{ agent: 'assistant', text: ['x'] }, 'text'],
      [{ agent: 'assistant', text: ' \n' }, 'text'],
      [{ agent: 'assistant', text: 'x', session: 5 }, 'session'],
      [{ agent: 'assistant', text: 'x', id: {} }, 'id'],
      [JSON.parse('{"__proto__": {"agent": "assistant", "text": "x"}}') as object, 'agent'],
    ];
    for (const [body, param] of wrong) {
      const answer = await call('/api/messages', { body });
      assert.equal(answer.status, 400, JSON.stringify(body));
      assert.equal(((await answer.json()) as { error: { param: string } }).error.param, param);
    }
    assert.equal(runtime.deliveries.length, 0);
    const lone = await call('/api/messages', {
      method: 'POST',
      body: '{"agent":"assistant","text":"a\\ud800b"}',
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(lone.status, 202);
    assert.equal(runtime.deliveries[0]?.message.text, 'a\ufffdb');
  });
});

test('Headers that are too large, and bytes that are not HTTP', async () => {
  await withGateway(echo, async ({ gateway: { port }, call }) => {
    assert.match(
      await raw(port, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
      /^HTTP\/1\.1 431 /,
    );
    assert.match(await raw(port, '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n'), /^HTTP\/1\.1 400 /);
    assert.match(
      await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n'),
      /^HTTP\/1\.1 400 /,
    );
    assert.equal((await call('/healthz')).status, 200);
  });
});

test('The depth of JSON is what a recursive look would find', () => {
  const deep = (value: unknown): number =>
    value !== null && typeof value === 'object' ? 1 + Math.max(0, ...Object.values(value).map(deep)) : 0;
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
      assert.equal(jsonDepth(JSON.stringify(value), 1_000), deep(value));
    }),
  );
  assert.equal(jsonDepth('["[[[\\"[["]', 100), 1);
});
