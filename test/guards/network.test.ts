import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { LOOPBACK_ONLY } from '../../scripts/testing/namespace.ts';

const open = process.env[LOOPBACK_ONLY] === undefined;
const skip = open ? 'the tests were not started by npm test, or this machine has no network namespaces' : false;

async function attempt(host: string, port: number): Promise<string> {
  const socket = connect({ host, port, timeout: 2000 });
  try {
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve('connected'));
      socket.once('timeout', () => resolve('timeout'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  } finally {
    socket.destroy();
  }
}

test('no test can reach a public or private address: the attempt fails at once', { skip }, async () => {
  for (const host of ['1.1.1.1', '192.0.2.1', '10.0.0.1', '169.254.169.254', '2606:4700:4700::1111']) {
    const started = performance.now();
    assert.match(await attempt(host, 80), /^(ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL)$/, host);
    assert.ok(performance.now() - started < 1000, host);
  }
});

test('loopback works', async () => {
  const server = createServer((socket) => socket.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  assert.equal(await attempt('127.0.0.1', (server.address() as AddressInfo).port), 'connected');
  server.close();
  await once(server, 'close');
});
