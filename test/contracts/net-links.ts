import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { WebSocketServer } from 'ws';
import { parseReach, type Reach, type ReachSource } from '../../src/core/net/reach.ts';
import type { Dial, ForWhom, Net, WebSocketRequest } from '../../src/core/ports/net.ts';
import { serve, serveRaw } from '../net/support.ts';
import { at, fails, forPort } from './net.ts';

const list = (...sources: (string | ReachSource)[]): Reach[] => sources.flatMap((source) => parseReach(source) ?? []);

const link = (port: number, more: Partial<Dial> = {}): Dial => ({
  host: '127.0.0.1',
  port,
  tls: null,
  timeoutMs: 30_000,
  idleMs: null,
  maxBytes: null,
  ...more,
});

const socketTo = (port: number, more: Partial<WebSocketRequest> = {}): WebSocketRequest => ({
  url: `ws://127.0.0.1:${port}/chat`,
  timeoutMs: 30_000,
  idleMs: null,
  maxMessageBytes: 1000,
  ...more,
});

const text = async (socket: Socket): Promise<string> => Buffer.concat(await socket.toArray()).toString();

/** Why it ended. */
async function endOf(socket: Socket): Promise<unknown> {
  socket.resume();
  const [error] = (await once(socket, 'error')) as unknown[];
  return error;
}

/** What lists of hosts, ports, methods and paths keep, at each hop. */
export function netListContract(name: string, open: (t: TestContext) => Net): void {
  test(`${name}: a list names ports, methods and paths, and what it does not name is not contacted`, async (t) => {
    const server = await serve(t, (_request, response) => response.end('ok'));
    const { port } = server;
    const guard = open(t);
    const host = '127.0.0.1';
    const rows: [entry: string | ReachSource, path: string, method: string, passes: boolean][] = [
      [`${host}:${port}`, '/x', 'GET', true],
      [`${host}:${port + 1}`, '/x', 'GET', false],
      [{ host, ports: [port] }, '/x', 'POST', true],
      [{ host, methods: ['GET'] }, '/x', 'GET', true],
      [{ host, methods: ['GET'] }, '/x', 'POST', false],
      [{ host, paths: ['/x/'] }, '/x/1?q=/../', 'GET', true],
      [{ host, paths: ['/x/'] }, '/xy', 'GET', false],
      [{ host, paths: ['/x/'] }, '/x/../y', 'GET', false],
      [{ host, paths: ['/x/'] }, '/x/%2e%2e/y', 'GET', false],
      [{ host, paths: ['/x/'] }, '/x/%2e%2e%2fy', 'GET', false],
      [{ host, paths: ['/x/'] }, '/x/..%5cy', 'GET', false],
      [{ host, paths: ['/x/'] }, '/x//y', 'GET', false],
      [{ host, paths: ['/x/'], ask: true }, '/x/1', 'GET', true],
      ['127.0.0.*', '/x', 'GET', true],
      ['*.0.0.2', '/x', 'GET', false],
    ];
    let passed = 0;
    for (const [entry, path, method, passes] of rows) {
      const request = at(port, { url: `http://${host}:${port}${path}`, method });
      const work = guard.request(request, forPort(port, { only: list(entry) }));
      if (passes) assert.equal(await (await work).text(), 'ok', path);
      else await fails(work, 'blocked');
      passed += passes ? 1 : 0;
      assert.equal(server.seen.length, passed, `${JSON.stringify(entry)} ${path}`);
    }
    const override = at(port, { headers: { 'x-http-method-override': 'DELETE' } });
    await fails(
      guard.request(override, forPort(port, { only: list({ host, methods: ['GET'] }) })),
      'blocked',
      /header/,
    );
    assert.equal(await (await guard.request(override, forPort(port, { only: list(host) }))).text(), 'ok');
  });

  test(`${name}: the list holds at each hop of a redirect`, async (t) => {
    let location = '';
    const server = await serve(t, (request, response) => {
      if (request.url === '/from') response.writeHead(302, { location }).end();
      else response.end('there');
    });
    const other = await serve(t, (_request, response) => response.end('other'));
    const { port } = server;
    const guard = open(t);
    const only = list({ host: '127.0.0.1', ports: [port], methods: ['GET'], paths: ['/from', '/to/'] });
    const follow = (): Promise<Response> =>
      guard.request(
        at(port, { url: `http://127.0.0.1:${port}/from`, maxRedirects: 3 }),
        forPort(port, { only, privateHosts: ['127.0.0.1'] }),
      );
    location = '/to/1';
    assert.equal(await (await follow()).text(), 'there');
    for (location of ['/elsewhere', '/to/%2e%2e/x', `http://127.0.0.1:${other.port}/to/1`, `http://[::1]:${port}/to/1`])
      await fails(follow(), 'blocked');
    assert.equal(other.seen.length, 0);
  });

  test(`${name}: an address inside another one is the address it is`, async (t) => {
    const server = await serve(t, (_request, response) => response.end('ok'));
    const guard = open(t);
    const nobody: ForWhom = { ...forPort(server.port), privateHosts: [] };
    for (const host of [
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[64:ff9b::7f00:1]',
      '0x7f000001',
      '2130706433',
      '127.1',
    ])
      await fails(guard.request(at(server.port, { url: `http://${host}:${server.port}/` }), nobody), 'blocked');
    for (const host of ['::ffff:127.0.0.1', '::1', '127.0.0.1', 'localhost', '169.254.169.254'])
      await fails(guard.dial(link(server.port, { host }), nobody), 'blocked');
    assert.equal(server.seen.length, 0);
  });
}

/** What the user of connections that are not HTTP may rely on. */
export function netLinkContract(name: string, open: (t: TestContext) => Net): void {
  test(`${name}: a dialled socket carries bytes both ways, and only where the grant and the list say so`, async (t) => {
    const port = await serveRaw(t, (socket) => socket.end('welcome'));
    const guard = open(t);
    const host = '127.0.0.1';
    const refused: Partial<ForWhom>[] = [
      { privateHosts: [] },
      { only: [] },
      { only: list(`${host}:${port + 1}`) },
      { only: list({ host, methods: ['GET'] }) },
      { only: list({ host, paths: ['/'] }) },
    ];
    for (const more of refused) await fails(guard.dial(link(port), forPort(port, more)), 'blocked');
    await fails(guard.dial(link(port, { host: '127.0.0.*' }), forPort(port)), 'blocked');
    const socket = await guard.dial(link(port), forPort(port, { only: list(`${host}:${port}`) }));
    socket.write('hello');
    assert.equal(await text(socket), 'welcome');
  });

  test(`${name}: a caller that looks at each request may dial where methods and paths are named`, async (t) => {
    const port = await serveRaw(t, (socket) => socket.end('welcome'));
    const only = list({ host: '127.0.0.1', methods: ['GET'], paths: ['/x'] });
    const guard = open(t);
    const bad = link(port, { http: { method: 'POST', path: '/x' } });
    await fails(guard.dial(bad, forPort(port, { only })), 'blocked');
    const socket = await guard.dial(link(port, { http: { method: 'GET', path: '/x' } }), forPort(port, { only }));
    socket.write('x');
    assert.equal(await text(socket), 'welcome');
  });

  test(`${name}: a dialled socket has limits of bytes and of silence, and its signal ends it`, async (t) => {
    const port = await serveRaw(t, (socket) => void socket.write('x'.repeat(5000)));
    const guard = open(t);
    const large = await guard.dial(link(port, { maxBytes: 4000, idleMs: 20_000 }), forPort(port));
    large.write('go');
    await fails(Promise.reject(await endOf(large)), 'too-large');
    const silent = await guard.dial(link(port, { idleMs: 100 }), forPort(port));
    await fails(Promise.reject(await endOf(silent)), 'timeout');
    const cut = new AbortController();
    const aborted = await guard.dial(link(port, { signal: cut.signal }), forPort(port));
    const ending = endOf(aborted);
    cut.abort();
    await fails(Promise.reject(await ending), 'aborted');
    await fails(guard.dial(link(port, { signal: AbortSignal.abort() }), forPort(port)), 'aborted');
  });

  test(`${name}: a WebSocket carries text and bytes, and nothing that the list does not name`, async (t) => {
    const server = await serve(t, (_request, response) => response.writeHead(302, { location: '/chat' }).end());
    const chats = await socketServer(t, (said, answer) => answer(said));
    const guard = open(t);
    const only = list({ host: '127.0.0.1', ports: [chats.port], paths: ['/chat'] });
    const chat = await guard.websocket(
      socketTo(chats.port, { protocols: ['bee'], headers: { authorization: 'Bearer x' } }),
      forPort(chats.port, { only }),
    );
    assert.equal(chat.protocol, 'bee');
    await chat.send('hello');
    await chat.send(new Uint8Array([1, 2, 3]));
    const reader = chat.messages.getReader();
    assert.deepEqual([(await reader.read()).value, (await reader.read()).value], ['hello', Buffer.from([1, 2, 3])]);
    chat.close();
    assert.equal((await reader.read()).done, true);
    assert.deepEqual(chats.seen, ['/chat Bearer x']);
    const other = socketTo(chats.port, { url: `ws://127.0.0.1:${chats.port}/other` });
    await fails(guard.websocket(other, forPort(chats.port, { only })), 'blocked');
    const past = socketTo(chats.port, { headers: { 'x-original-url': '/other' } });
    await fails(guard.websocket(past, forPort(chats.port, { only })), 'blocked', /header/);
    await fails(guard.websocket(socketTo(chats.port), forPort(chats.port, { privateHosts: [] })), 'blocked');
    await fails(guard.websocket(socketTo(chats.port, { headers: { Host: 'x' } }), forPort(chats.port)), 'protocol');
    await fails(guard.websocket(socketTo(server.port), forPort(server.port)), 'redirect');
    await fails(guard.websocket(socketTo(1, { url: 'http://user:x@127.0.0.1/' }), forPort(1)), 'blocked');
    assert.equal(chats.seen.length, 1);
  });

  test(`${name}: a message that is too long, and a server that is not one, end a WebSocket`, async (t) => {
    const chats = await socketServer(t, (_said, answer) => answer(Buffer.alloc(1001)));
    const guard = open(t);
    const chat = await guard.websocket(socketTo(chats.port), forPort(chats.port));
    await chat.send('more');
    await fails(chat.messages.getReader().read(), 'too-large');
    const page = await serve(t, (_request, response) => response.end('a page'));
    await fails(guard.websocket(socketTo(page.port), forPort(page.port)), 'protocol', /status 200/);
    const raw = await serveRaw(t, (socket) => socket.destroy());
    await fails(guard.websocket(socketTo(raw), forPort(raw)), 'connect');
  });

  test(`${name}: a reader that leaves a WebSocket ends it, with what still lies in it`, async (t) => {
    const chats = await socketServer(t, (_said, answer) => {
      for (let n = 0; n < 100; n += 1) answer(Buffer.alloc(1000, n));
    });
    const guard = open(t);
    const chat = await guard.websocket(socketTo(chats.port), forPort(chats.port));
    await chat.send('more');
    const reader = chat.messages.getReader();
    assert.equal((await reader.read()).value?.length, 1000);
    await reader.cancel();
    // Its own end comes before the other side hears of it.
    await chats.closed;
  });
}

async function socketServer(
  t: TestContext,
  heard: (said: string | Buffer, answer: (text: string | Buffer) => void) => void,
): Promise<{ port: number; seen: string[]; closed: Promise<void> }> {
  const seen: string[] = [];
  const closed = Promise.withResolvers<void>();
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (socket, request) => {
    seen.push(`${request.url} ${request.headers.authorization ?? ''}`.trim());
    socket.on('error', () => undefined);
    socket.once('close', () => closed.resolve());
    socket.on('message', (data, binary) =>
      heard(binary ? (data as Buffer) : (data as Buffer).toString(), (answer) => socket.send(answer)),
    );
  });
  await once(server, 'listening');
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { port: address.port, seen, closed: closed.promise };
}
