import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { ask, clientHello, connectTo, extension, openEgressLab, read, serverName, status } from './egress-support.ts';
import { certificate, serve } from './support.ts';

test('a tunnel carries TLS to its host, end to end', async (t) => {
  const pair = certificate('DNS:good.org');
  if (pair === null) return t.skip('openssl is not on this machine');
  const server = await serve(t, (_request, response) => response.end('secret answer'), pair);
  const lab = await openEgressLab(t, [`good.org:${server.port}`]);
  const socket = await lab.connect();
  socket.write(connectTo(lab, `good.org:${server.port}`));
  assert.equal(await read(socket, '\r\n\r\n'), 'HTTP/1.1 200 Connection established\r\n\r\n');
  const secure = tls.connect({ socket, servername: 'good.org', ca: pair.cert });
  await once(secure, 'secureConnect');
  secure.write(`GET / HTTP/1.1\r\nHost: good.org\r\nConnection: close\r\n\r\n`);
  assert.match(await read(secure, 'secret answer'), /secret answer/);
  assert.deepEqual(lab.handle.refused(), []);
  assert.deepEqual(lab.dialled, [`93.184.216.34:${server.port}`]);
});

/** What a server behind a tunnel gets for these first bytes, and what the agent is told. */
async function opened(
  t: test.TestContext,
  list: (port: number) => string,
  first: Uint8Array | string,
): Promise<{ got: string; told: string[] }> {
  let got = '';
  const server = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      got += bytes.toString('latin1');
      socket.end('thanks');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const own = (server.address() as net.AddressInfo).port;
  const entry = list(own);
  const lab = await openEgressLab(t, [entry]);
  const host = entry.replace(/:\d+$/, '');
  lab.allow([entry], [`127.0.0.1:${own}`]);
  const socket = await lab.connect();
  socket.write(connectTo(lab, `${host}:${own}`));
  await read(socket, '\r\n\r\n');
  socket.end(first);
  socket.resume();
  await once(socket, 'close');
  return { got, told: [...lab.handle.refused()] };
}

test('domain fronting: a tunnel whose TLS asks for another server, hides it or cannot be read is cut', async (t) => {
  const named = (port: number): string => `good.org:${port}`;
  const good = clientHello([extension(10, Buffer.from([0, 2, 0, 29])), serverName('good.org')]);
  for (const hello of [good, clientHello([serverName('GOOD.org')]), clientHello([serverName('good.org')], 7)])
    assert.deepEqual(await opened(t, named, hello), { got: hello.toString('latin1'), told: [] });
  const wrong: [string, Uint8Array, RegExp][] = [
    ['another name', clientHello([serverName('evil.org')]), /asks for another server, evil\.org/],
    ['a name below', clientHello([serverName('a.good.org')]), /another server/],
    ['a trailing dot', clientHello([serverName('good.org.')]), /cannot be read/],
    ['no name', clientHello([extension(10, Buffer.from([0, 2, 0, 29]))]), /does not say which server/],
    ['no extensions', clientHello([]), /does not say which server/],
    ['two names', clientHello([serverName('good.org'), serverName('evil.org')]), /comes twice/],
    ['an encrypted hello', clientHello([serverName('good.org'), extension(0xfe0d, Buffer.alloc(40))]), /hides/],
    ['an encrypted name', clientHello([serverName('good.org'), extension(0xffce, Buffer.alloc(40))]), /hides/],
    ['a NUL in the name', clientHello([serverName('good.org\0.evil.org')]), /cannot be read/],
    [
      'a second message',
      Buffer.concat([
        good.subarray(0, 3),
        Buffer.from([0, good.length - 5 + 4]),
        good.subarray(5),
        Buffer.from([1, 0, 0, 0]),
      ]),
      /more follows/,
    ],
    ['no hello', Buffer.from([0x16, 3, 1, 0, 4, 2, 0, 0, 0]), /ClientHello/],
    [
      'an alert in between',
      Buffer.concat([clientHello([serverName('good.org')], 7).subarray(0, 12), Buffer.from([0x15, 3, 1, 0, 2, 1, 0])]),
      /does not belong to a handshake/,
    ],
  ];
  for (const [name, hello, why] of wrong) {
    const { got, told } = await opened(t, named, hello);
    assert.equal(got, '', `${name}: not a byte arrives`);
    assert.match(told.join('\n'), why, name);
  }
  const address = (port: number): string => `127.0.0.1:${port}`;
  const nameless = clientHello([extension(10, Buffer.from([0, 2, 0, 29]))]);
  assert.equal(
    (await opened(t, address, nameless)).got,
    nameless.toString('latin1'),
    'an address has no name to ask for',
  );
  assert.equal((await opened(t, address, good)).got, '', 'and none may be asked for there');
});

test('other protocols pass only where the list names the port', async (t) => {
  const ssh = 'SSH-2.0-OpenSSH_9.2\r\n';
  assert.deepEqual(await opened(t, (port) => `good.org:${port}`, ssh), { got: ssh, told: [] });
  const { got, told } = await opened(t, () => 'good.org', ssh);
  assert.equal(got, '');
  assert.match(told.join(), /only HTTP and TLS are possible there; an entry under network that names the port/);
});

test('a server that speaks first is heard before the client has said anything', async (t) => {
  const server = net.createServer((socket) => {
    socket.write('220 mail\r\n');
    socket.once('data', (bytes) => socket.end(`got ${bytes.toString()}`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const lab = await openEgressLab(t, [`mail.org:${port}`]);
  const socket = await lab.connect();
  socket.write(connectTo(lab, `mail.org:${port}`));
  assert.match(await read(socket, '220 mail\r\n'), /220 mail/);
  socket.write('EHLO me\r\n');
  assert.equal(await read(socket, 'got EHLO me\r\n'), 'got EHLO me\r\n');
});

test('plain HTTP in a tunnel is read like any other, so its Host has to be that of the tunnel', async (t) => {
  const server = await serve(t, (request, response) => response.end(`at ${request.url}`));
  const { port } = server;
  const lab = await openEgressLab(t, ['good.org']);
  const through = async (said: string): Promise<string> => lab.say(connectTo(lab, `good.org:${port}`) + said);
  assert.match(
    await through(`GET /x HTTP/1.1\r\nHost: good.org:${port}\r\nConnection: close\r\n\r\n`),
    /200 OK[^]*at \/x$/,
  );
  const before = server.seen.length;
  for (const said of [
    'GET /x HTTP/1.1\r\nHost: evil.org\r\nConnection: close\r\n\r\n',
    '\r\n\r\nGET /x HTTP/1.1\r\nHost: evil.org\r\nConnection: close\r\n\r\n',
    'get\t/x HTTP/1.1\r\nHost: evil.org\r\nConnection: close\r\n\r\n',
    `GET http://evil.org/x HTTP/1.1\r\nHost: good.org:${port}\r\nConnection: close\r\n\r\n`,
    'CONNECT evil.org:443 HTTP/1.1\r\nHost: evil.org:443\r\n\r\n',
    `GET @evil.org/x HTTP/1.1\r\nHost: good.org:${port}\r\nConnection: close\r\n\r\n`,
  ]) {
    const answer = (await through(said)).split('\r\n\r\n').slice(1).join('\r\n\r\n');
    assert.ok(answer === '' || /^HTTP\/1\.1 4\d\d /.test(answer), said + answer);
  }
  assert.equal(server.seen.length, before);
});

test('a WebSocket is opened over plain HTTP where the list allows its host', async (t) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (bytes) => {
      const head = bytes.toString();
      assert.match(head, /^GET \/chat HTTP\/1\.1\r\n/);
      assert.match(head, /\r\nconnection: upgrade\r\nupgrade: websocket\r\n/);
      assert.ok(!/proxy-/i.test(head));
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhello',
      );
      socket.on('data', (more) => socket.end(`echo ${more.toString()}`));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const lab = await openEgressLab(t, [`good.org:${port}`]);
  const upgrade = 'Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n';
  const url = `http://good.org:${port}/chat`;
  const socket = await lab.connect();
  socket.write(ask(lab, url, upgrade).replace('Connection: close', 'Connection: Upgrade'));
  assert.match(
    await read(socket, 'hello'),
    /^HTTP\/1\.1 101 Switching Protocols\r\n[^]*Sec-WebSocket-Accept: x\r\n\r\nhello/,
  );
  socket.write('ping');
  assert.equal(await read(socket, 'echo ping'), 'echo ping');
  const bad = ask(lab, 'http://bad.org/chat', upgrade).replace('Connection: close', 'Connection: Upgrade');
  assert.equal(status(await lab.say(bad)), '403');
});

test('a request to switch that has a body is a plain request', async (t) => {
  const server = await serve(t, (request, response, body) =>
    response.end(`${request.headers.upgrade ?? 'none'} ${body}`),
  );
  const lab = await openEgressLab(t, [`good.org:${server.port}`]);
  const said = ask(lab, `http://good.org:${server.port}/`, 'Upgrade: websocket\r\nContent-Length: 3\r\n', 'POST');
  assert.match(
    await lab.say(`${said.replace('Connection: close', 'Connection: close, Upgrade')}abc`),
    /200 OK[^]*none abc$/,
  );
});

test('no other protocol is switched to', async (t) => {
  const server = await serve(t, (request, response) =>
    response.end(`${request.headers.upgrade ?? 'none'} ${String(request.headers['http2-settings'] ?? 'none')}`),
  );
  const lab = await openEgressLab(t, [`good.org:${server.port}`]);
  const h2c = ask(
    lab,
    `http://good.org:${server.port}/`,
    'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n',
  ).replace('Connection: close', 'Connection: close, Upgrade, HTTP2-Settings');
  assert.match(await lab.say(h2c), /200 OK[^]*none none$/);
});
