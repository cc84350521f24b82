import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { webhook } from '../../src/channels/webhook.ts';
import type { Receipt } from '../../src/core/ports/channel.ts';
import { fakeNet } from '../fakes/net.ts';

async function withHook(body: (url: string, seen: { headers: IncomingHttpHeaders; body: string }[]) => Promise<void>) {
  const seen: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      seen.push({ headers: request.headers, body: text });
      response.writeHead(Number(request.url?.slice(1) ?? 500), { location: '/else' }).end('thanks');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const secrets = {
  resolve: async (ref: string): Promise<string> => {
    if (ref !== 'env:HOOK') throw new Error(`${ref} is not set`);
    return 's3cret';
  },
};
const options = { key: 'evt_7.0', again: false, draft: null };
const part = { kind: 'text', text: '{"a":1}', buttons: [] } as const;

test('a post carries its key and the secret of its address, and nothing else', async () => {
  await withHook(async (url, seen) => {
    const channel = webhook({ net: fakeNet(), secrets, secretOf: (to) => (to.endsWith('204') ? 'env:HOOK' : null) });
    assert.deepEqual(channel.split({ text: '{"a":1}', files: [], buttons: [] }), [part]);
    assert.deepEqual(await channel.send(`${url}/204`, part, options), { state: 'sent', id: null });
    assert.deepEqual(await channel.send(`${url}/200`, part, options), { state: 'sent', id: null });
    const [first, second] = seen;
    assert.deepEqual([first?.body, first?.headers['content-type']], ['{"a":1}', 'application/json']);
    assert.deepEqual(
      [first?.headers['idempotency-key'], first?.headers['authorization']],
      ['evt_7.0', 'Bearer s3cret'],
    );
    assert.equal(second?.headers['authorization'], undefined);
  });
});

test('what is of no use to be tried again is final; nothing of the path or the secret is told', async () => {
  await withHook(async (url) => {
    const net = fakeNet();
    const channel = webhook({ net, secrets, secretOf: (to) => (to.includes('secret') ? 'env:LOST' : null) });
    const cases: [to: string, final: boolean][] = [
      [`${url}/500`, false],
      [`${url}/503`, false],
      [`${url}/429`, false],
      [`${url}/404`, true],
      [`${url}/410`, true],
      [`${url}/302`, true],
      ['http://127.0.0.1:1/200?token=geheim', false],
      ['https://example.org/200', true],
      [`${url}/200?secret`, true],
      ['ftp://example.org', true],
    ];
    for (const [to, final] of cases) {
      const receipt: Receipt = await channel.send(to, part, options);
      assert.equal(receipt.state, 'failed', to);
      assert.equal(receipt.state === 'failed' && receipt.final, final, to);
      assert.doesNotMatch(JSON.stringify(receipt), /geheim|\/200|s3cret/);
    }
    assert.equal(cases.length, 10);
    assert.ok(net.asked.every(({ forWhom }) => forWhom.only?.length === 1 && forWhom.who === 'channel:webhook'));
  });
});

test('it receives nothing, and ends when it is to', async () => {
  const stop = new AbortController();
  const channel = webhook({ net: fakeNet(), secrets, secretOf: () => null });
  const running = channel.start(
    { deliver: () => Promise.reject(new Error('no')), press: () => Promise.reject(new Error('no')) },
    stop.signal,
  );
  stop.abort();
  await running;
});
