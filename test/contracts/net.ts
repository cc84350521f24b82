import assert from 'node:assert/strict';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { type ForWhom, type Net, NetError, type NetRequest } from '../../src/core/ports/net.ts';
import { reaches } from '../../src/core/net/reach.ts';
import { serve, serveRaw } from '../net/support.ts';

const LIMITS = { maxBytes: 1_000_000, timeoutMs: 60_000, idleMs: 30_000, maxRedirects: 0 };

/** Asserts that the work fails with a NetError of this code. */
export async function fails(work: Promise<unknown>, code: NetError['code'], message = /./): Promise<NetError> {
  const error = await work.then(
    () => assert.fail(`it succeeded, where ${code} was expected`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof NetError, `no NetError: ${String(error)}`);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return error;
}

/** May reach that port of this machine. */
export const forPort = (port: number, more: Partial<ForWhom> = {}): ForWhom => ({
  who: 'model:test',
  agent: null,
  run: null,
  privateHosts: [`127.0.0.1:${port}`],
  only: null,
  ...more,
});
export const at = (port: number, more: Partial<NetRequest> = {}): NetRequest => ({
  url: `http://127.0.0.1:${port}/x?y=z`,
  ...LIMITS,
  ...more,
});

/** What the user of a Net may rely on. `open` is given nothing: the servers are on 127.0.0.1. */
export function netContract(name: string, open: (t: TestContext) => Net): void {
  test(`${name}: method, headers and body arrive, and so does the answer`, async (t) => {
    const server = await serve(t, (_request, response) => {
      response.writeHead(418, { 'x-answer': 'yes' });
      response.end('Grüße');
    });
    const request = at(server.port, { method: 'POST', headers: { 'X-Ask': 'a' }, body: '{"é":1}' });
    const response = await open(t).request(request, forPort(server.port));
    assert.equal(response.status, 418);
    assert.equal(response.headers.get('x-answer'), 'yes');
    assert.equal(await response.text(), 'Grüße');
    assert.equal(server.seen.length, 1);
    const [seen] = server.seen;
    assert.deepEqual([seen?.method, seen?.url, seen?.body, seen?.headers['x-ask']], ['POST', '/x?y=z', '{"é":1}', 'a']);
  });

  test(`${name}: a body streams while the server still writes`, async (t) => {
    let go: (() => void) | undefined;
    const server = await serve(t, (_request, response) => {
      response.write('one');
      go = () => response.end('two');
    });
    const { body } = await open(t).request(at(server.port), forPort(server.port));
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    assert.equal(Buffer.from((await reader.read()).value as Uint8Array).toString(), 'one');
    assert.ok(go);
    go();
    assert.equal(Buffer.from((await reader.read()).value as Uint8Array).toString(), 'two');
    assert.equal((await reader.read()).done, true);
  });

  test(`${name}: a private address needs the grant of its host and port, and the list its entry`, async (t) => {
    const server = await serve(t, (_request, response) => response.end('ok'));
    const guard = open(t);
    const { port } = server;
    await fails(guard.request(at(port), forPort(port, { privateHosts: [] })), 'blocked');
    await fails(guard.request(at(port), forPort(port + 1)), 'blocked');
    await fails(guard.request(at(port), forPort(port, { only: [] })), 'blocked');
    await fails(guard.request(at(port), forPort(port, { only: reaches('example.org') })), 'blocked');
    assert.equal(server.seen.length, 0);
    const response = await guard.request(at(port), forPort(port, { only: reaches(`127.0.0.1:${port}`) }));
    assert.equal(await response.text(), 'ok');
  });

  test(`${name}: a redirect that may not be followed is an error`, async (t) => {
    const server = await serve(t, (_request, response) => response.writeHead(302, { location: '/y' }).end());
    await fails(open(t).request(at(server.port), forPort(server.port)), 'redirect');
    assert.equal(server.seen.length, 1);
  });

  test(`${name}: a body over the limit is cut with an error`, async (t) => {
    const server = await serve(t, (_request, response) => response.end('x'.repeat(5000)));
    const response = await open(t).request(at(server.port, { maxBytes: 4999 }), forPort(server.port));
    await fails(response.text(), 'too-large');
    const exact = await open(t).request(at(server.port, { maxBytes: 5000 }), forPort(server.port));
    assert.equal((await exact.text()).length, 5000);
  });

  test(`${name}: silence in the middle of a body is a timeout`, async (t) => {
    const server = await serve(t, (_request, response) => void response.write('x'));
    const response = await open(t).request(at(server.port, { idleMs: 80 }), forPort(server.port));
    await fails(response.text(), 'timeout');
  });

  test(`${name}: a server that hangs up or is not there is a connection error`, async (t) => {
    const port = await serveRaw(t, (socket) => socket.destroy());
    await fails(open(t).request(at(port), forPort(port)), 'connect');
    const closed = net.createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port: dead } = closed.address() as net.AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    await fails(open(t).request(at(dead), forPort(dead)), 'connect');
  });

  test(`${name}: an abort before, and while waiting`, async (t) => {
    const server = await serve(t, () => undefined);
    const before = AbortSignal.abort(new Error('stop'));
    await fails(open(t).request(at(server.port, { signal: before }), forPort(server.port)), 'aborted');
    assert.equal(server.seen.length, 0);
    const later = new AbortController();
    const waiting = open(t).request(at(server.port, { signal: later.signal }), forPort(server.port));
    while (server.seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
    later.abort();
    await fails(waiting, 'aborted');
  });
}
