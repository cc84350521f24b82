import assert from 'node:assert/strict';
import { once } from 'node:events';
import { access, readdir } from 'node:fs/promises';
import net from 'node:net';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import tls from 'node:tls';
import { gzipSync } from 'node:zlib';
import { openEnding } from '../../src/net/egress/ending.ts';
import { BOUNDS, dial, type Session } from '../../src/net/egress/session.ts';
import { fails } from '../contracts/net.ts';
import { ask, connectTo, listOf, NO_SECRETS, openEgressLab, read, status } from './egress-support.ts';
import { openLab, realClock, serve, serveRaw, WHO } from './support.ts';

test('a plain request goes on without what belongs to the proxy, and its answer comes back as it is', async (t) => {
  const body = gzipSync('zipped');
  const server = await serve(t, (_request, response) => {
    response.writeHead(201, [
      'Content-Encoding',
      'gzip',
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
      'Keep-Alive',
      'timeout=9',
    ]);
    response.end(body);
  });
  const lab = await openEgressLab(t, [`example.org:${server.port}`]);
  const url = `http://example.org:${server.port}/a/b?c=d`;
  const answer = await lab.say(
    ask(
      lab,
      url,
      'X-Own: 1\r\nCookie: k=v\r\nTE: trailers\r\nX-Gone: 1\r\nConnection: X-Gone, Host, Cookie\r\nTransfer-Encoding: chunked\r\nProxy-Connection: keep-alive\r\n',
      'POST',
    ) + '3\r\nabc\r\n0\r\n\r\n',
  );
  assert.match(answer, /^HTTP\/1\.1 201 Created\r\n/);
  assert.match(answer, /Content-Encoding: gzip\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
  assert.ok(!/timeout=9/.test(answer));
  assert.ok(answer.includes(body.toString('latin1')));
  const [seen] = server.seen;
  assert.deepEqual([seen?.method, seen?.url, seen?.body], ['POST', '/a/b?c=d', 'abc']);
  assert.deepEqual(seen?.headers, {
    host: `example.org:${server.port}`,
    'x-own': '1',
    cookie: 'k=v',
    connection: 'close',
    'transfer-encoding': 'chunked',
  });
  assert.deepEqual(lab.handle.refused(), []);
});

test('several requests go over one connection, each judged by itself', async (t) => {
  const server = await serve(t, (request, response) => response.end(`at ${request.url}`));
  const lab = await openEgressLab(t, [`one.org:${server.port}`]);
  const one = ask(lab, `http://one.org:${server.port}/1`).replace('Connection: close\r\n', '');
  const two = ask(lab, `http://two.org:${server.port}/2`).replace('Connection: close\r\n', '');
  const answer = await lab.say(one + two);
  assert.match(answer, /at \/1/);
  assert.match(answer, /HTTP\/1\.1 403 Forbidden/);
  assert.deepEqual(
    server.seen.map(({ url }) => url),
    ['/1'],
  );
});

test('the proxy demands the token of its command', async (t) => {
  const server = await serve(t, (_request, response) => response.end('in'));
  const lab = await openEgressLab(t, [`example.org:${server.port}`]);
  let opened = false;
  const other = await lab.egress.open('run_2-call_1', {
    agent: 'x',
    run: 'r',
    forWhom: () => (opened ? assert.fail('asked') : { ...WHO, only: [] }),
    denied: () => null,
  });
  opened = true;
  const wrong = [
    '',
    'Proxy-Authorization: Basic\r\n',
    `Proxy-Authorization: Bearer ${lab.handle.token}\r\n`,
    `Authorization: ${lab.auth.slice('Proxy-Authorization: '.length)}`,
    lab.auth + lab.auth,
    `Proxy-Authorization: Basic ${Buffer.from(`other:${lab.handle.token}`).toString('base64')}\r\n`,
    `Proxy-Authorization: Basic ${Buffer.from(`ruche:${other.token}`).toString('base64')}\r\n`,
    `Proxy-Authorization: Basic ${Buffer.from(`ruche:${lab.handle.token}x`).toString('base64')}\r\n`,
  ];
  for (const auth of wrong)
    for (const said of [
      ask({ ...lab, auth }, `http://example.org:${server.port}/`),
      connectTo({ ...lab, auth }, `example.org:${server.port}`),
    ]) {
      const answer = await lab.say(said);
      assert.equal(status(answer), '407', auth);
      assert.match(answer, /\r\nproxy-authenticate: Basic realm="Ruche"\r\n/i);
    }
  assert.notEqual(other.token, lab.handle.token);
  assert.equal(status(await lab.say(ask(lab, `http://example.org:${server.port}/`), other)), '407');
  assert.deepEqual([server.connections(), lab.dialled, lab.resolved], [0, [], []]);
});

test('A41 only what the list names is reached, and the agent is told once what is not', async (t) => {
  const server = await serve(t, (_request, response) => response.end('in'));
  const { port } = server;
  const lab = await openEgressLab(t, [
    `good.org:${port}`,
    `*.wide.org:${port}`,
    { host: 'asks.org', ports: [port], ask: true },
  ]);
  for (const host of ['good.org', 'GOOD.org', 'good.org.', 'a.wide.org', 'a.b.wide.org'])
    assert.match(await lab.say(ask(lab, `http://${host}:${port}/`)), /200 OK[^]*in$/, host);
  for (const host of ['bad.org', 'good.org.bad.org', 'xgood.org', 'wide.org', 'wide.org.bad.org', 'asks.org']) {
    assert.equal(status(await lab.say(ask(lab, `http://${host}:${port}/`))), '403', host);
    assert.equal(status(await lab.say(connectTo(lab, `${host}:${port}`))), '403', host);
  }
  assert.equal(status(await lab.say(connectTo(lab, 'good.org:1'))), '403');
  assert.match(
    await lab.say(ask(lab, `http://bad.org:${port}/`)),
    /Ruche: bad\.org:\d+ is refused: it is not among the hosts that coder may reach; the owner can add it under network/,
  );
  const refused = lab.handle.refused();
  assert.equal(refused.length, 7);
  assert.match(
    refused.at(-2) ?? '',
    /^asks\.org:\d+: a person is asked for it each time, which a command cannot do: use fetch$/,
  );
  assert.deepEqual(
    lab.resolved.filter((host) => /bad|xgood|^wide|asks/.test(host)),
    [],
    'no name is looked up for what is refused',
  );
});

test('so many tries to leave the list go on record, and later ones are refused all the same', async (t) => {
  const recorded: string[] = [];
  const guard = { record: ({ host }: { host: string }) => void recorded.push(host) };
  const lab = await openEgressLab(t, ['good.org'], { bounds: { strays: 3 }, guard });
  for (let n = 0; n < 6; n += 1) assert.equal(status(await lab.say(connectTo(lab, `n${n}.org:443`))), '403');
  assert.deepEqual([recorded, lab.resolved], [['n0.org', 'n1.org', 'n2.org'], []]);
});

test('what is refused is bounded', async (t) => {
  const lab = await openEgressLab(t, ['good.org']);
  for (let n = 0; n < 30; n += 1) await lab.say(connectTo(lab, `n${n}.org:443`));
  assert.equal(lab.handle.refused().length, 11);
  assert.equal(lab.handle.refused().at(-1), 'and 20 more');
});

test('methods and paths of an entry are held for plain HTTP', async (t) => {
  const server = await serve(t, (request, response) =>
    response.end(String(request.headers['x-http-method-override'] ?? 'plain')),
  );
  const { port } = server;
  const lab = await openEgressLab(t, [{ host: 'api.org', ports: [port], methods: ['GET'], paths: ['/repos/our'] }]);
  const at = `http://api.org:${port}`;
  assert.match(await lab.say(ask(lab, `${at}/repos/our/x?y=/z`)), /plain$/);
  assert.match(await lab.say(ask(lab, `${at}/repos/other/../our/x`)), /plain$/);
  for (const header of ['X-HTTP-Method-Override: DELETE', 'X_Original_URL: /admin', 'Destination: /admin'])
    assert.match(
      await lab.say(ask(lab, `${at}/repos/our`, `${header}\r\n`)),
      /^HTTP\/1\.1 403 [^]*could name another method or path/,
      header,
    );
  assert.deepEqual(
    server.seen.map(({ url }) => url),
    ['/repos/our/x?y=/z', '/repos/our/x'],
  );
  for (const path of [
    '/',
    '/repos/ours',
    '/repos/our/../x',
    '/repos/our/%2e%2e/x',
    '/repos/our%2f..%2fx',
    '/repos//our/x',
    '/repos/our/..%5cx',
    '/x?/repos/our',
    '/%72epos/%252e/our',
  ])
    assert.equal(status(await lab.say(ask(lab, at + path))), '403', path);
  assert.equal(status(await lab.say(ask(lab, `${at}/repos/our/x`, 'Content-Length: 0\r\n', 'POST'))), '403');
  assert.equal(server.seen.length, 2);
});

test('A36 another spelling of an address opens nothing, nor does the proxy itself', async (t) => {
  const server = await serve(t, (_request, response) => response.end('in'));
  const { port } = server;
  const lab = await openEgressLab(t, ['*']);
  const hosts = [
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '0177.0.0.1',
    '2130706433',
    '0.0.0.0',
    '0',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    'localhost',
    'localhost.',
    'x.localhost',
    '169.254.169.254',
    '10.0.0.1',
    '192.168.0.1',
    '[fd00::1]',
    '[fe80::1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    'printer',
    'nas.local',
  ];
  for (const host of hosts)
    for (const at of [port, 3128]) {
      assert.equal(status(await lab.say(connectTo(lab, `${host}:${at}`))), '403', host);
      const plain = `GET http://${host}:${at}/ HTTP/1.1\r\nHost: ${host}:${at}\r\nConnection: close\r\n${lab.auth}\r\n`;
      assert.equal(status(await lab.say(plain)), '403', host);
    }
  for (const place of [
    'example.org',
    'example.org:',
    'example.org:0',
    'example.org:65536',
    'example.org:443x',
    ':443',
    'a b:443',
    'user@example.org:443',
    'example.org:443/x',
    'http://example.org:443',
    '[::1%25lo]:443',
    'exa%6dple.org:443',
    'ex..org:443',
    '/x:1',
  ])
    assert.match(
      status(await lab.say(connectTo(lab, place).replace(/\r\nHost: [^\r]*/, '\r\nHost: x'))),
      /^400$/,
      place,
    );
  assert.deepEqual([lab.dialled, server.connections()], [[], 0]);
  lab.allow(['127.0.0.1'], [`127.0.0.1:${port}`]);
  assert.match(await lab.say(ask(lab, `http://127.0.0.1:${port}/`)), /in$/, 'what the owner has named is reached');
});

test('A37 a name that leads to a private address is refused after it was looked up', async (t) => {
  const lab = await openEgressLab(t, ['*']);
  lab.names.set('rebind.org', ['93.184.216.34', '127.0.0.1']);
  assert.match(await lab.say(connectTo(lab, 'rebind.org:443')), /^HTTP\/1\.1 403[^]*127\.0\.0\.1, which is not public/);
  lab.names.set('none.org', []);
  assert.equal(status(await lab.say(connectTo(lab, 'none.org:443'))), '502');
  assert.deepEqual(lab.dialled, []);
});

test('a request that two servers could read differently is refused', async (t) => {
  const server = await serve(t, (_request, response) => response.end('in'));
  const { port } = server;
  const lab = await openEgressLab(t, [`good.org:${port}`, `*.evil.org:${port}`]);
  const at = `http://good.org:${port}/`;
  const host = `Host: good.org:${port}\r\n`;
  const raw = (first: string, headers: string, body = ''): string =>
    `${first} HTTP/1.1\r\n${lab.auth}${headers}Connection: close\r\n\r\n${body}`;
  const cases: [string, string][] = [
    ['two Host headers', raw(`GET ${at}`, host + host)],
    ['another Host', raw(`GET ${at}`, `Host: a.evil.org:${port}\r\n`)],
    ['another port in Host', raw(`GET ${at}`, 'Host: good.org:81\r\n')],
    ['no port in Host', raw(`GET ${at}`, 'Host: good.org\r\n')],
    ['no Host', raw(`GET ${at}`, '')],
    ['an empty Host', raw(`GET ${at}`, 'Host:\r\n')],
    ['a Host with a user', raw(`GET ${at}`, `Host: x@good.org:${port}\r\n`)],
    [
      'a length and chunks',
      raw(`POST ${at}`, `${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n`, '0\r\n\r\nGET'),
    ],
    ['two lengths', raw(`POST ${at}`, `${host}Content-Length: 3\r\nContent-Length: 4\r\n`, 'abcd')],
    ['a list of lengths', raw(`POST ${at}`, `${host}Content-Length: 3, 3\r\n`, 'abc')],
    ['a signed length', raw(`POST ${at}`, `${host}Content-Length: +3\r\n`, 'abc')],
    ['chunks twice', raw(`POST ${at}`, `${host}Transfer-Encoding: chunked, chunked\r\n`, '0\r\n\r\n')],
    ['an unknown coding', raw(`POST ${at}`, `${host}Transfer-Encoding: gzip, chunked\r\n`, '0\r\n\r\n')],
    [
      'a coding that is not the last',
      raw(`POST ${at}`, `${host}Transfer-Encoding: chunked, identity\r\n`, '0\r\n\r\n'),
    ],
    ['a blank before the colon', raw(`POST ${at}`, `${host}Transfer-Encoding : chunked\r\n`, '0\r\n\r\n')],
    ['a folded header', raw(`GET ${at}`, `${host}X-A: b\r\n c\r\n`)],
    ['a bare newline', raw(`GET ${at}`, `${host}X-A: b\nX-B: c\r\n`)],
    ['a NUL', raw(`GET ${at}`, `${host}X-A: b\0c\r\n`)],
    ['HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`],
    ['an origin form', raw('GET /', host)],
    ['a path of two slashes', raw('GET //good.org/', host)],
    ['https without a tunnel', raw(`GET https://good.org:${port}/`, host)],
    ['ftp', raw(`GET ftp://good.org:${port}/`, host)],
    ['a user in the URL', raw(`GET http://good.org:${port}@a.evil.org/`, host)],
    ['CONNECT with a body', raw(`CONNECT good.org:${port}`, `${host}Content-Length: 3\r\n`, 'abc')],
    ['CONNECT with chunks', raw(`CONNECT good.org:${port}`, `${host}Transfer-Encoding: chunked\r\n`, '0\r\n\r\n')],
    ['TRACE', raw(`TRACE ${at}`, host)],
  ];
  for (const [name, said] of cases) assert.match(status(await lab.say(said)), /^4\d\d$/, name);
  assert.equal(server.connections(), 0);
  const longHead = raw(`GET ${at}`, `${host}X-Long: ${'x'.repeat(40_000)}\r\n`);
  assert.equal(status(await lab.say(longHead)), '431');
  const smuggled = raw(
    `POST ${at}`,
    `${host}Transfer-Encoding: chunked\r\n`,
    `0\r\n\r\nGET http://b.evil.org:${port}/ HTTP/1.1\r\nHost: b.evil.org:${port}\r\n\r\n`,
  );
  await lab.say(smuggled);
  assert.deepEqual(
    server.seen.map(({ headers }) => headers.host),
    [`good.org:${port}`],
    'what follows is a request of its own, without the token',
  );
});

test('a change of the rules holds for the next connection', async (t) => {
  const server = await serve(t, (_request, response) => response.end('in'));
  const lab = await openEgressLab(t, [`one.org:${server.port}`]);
  const say = async (host: string): Promise<string> =>
    status(await lab.say(ask(lab, `http://${host}:${server.port}/`)));
  assert.deepEqual([await say('one.org'), await say('two.org')], ['200', '403']);
  lab.allow([`two.org:${server.port}`]);
  assert.deepEqual([await say('one.org'), await say('two.org')], ['403', '200']);
  lab.allow([]);
  assert.deepEqual([await say('one.org'), await say('two.org')], ['403', '403']);
});

test('a command opened again has the same socket and token, and nothing that was removed meanwhile', async (t) => {
  const server = await serve(t, (_request, response) => response.end('in'));
  const lab = await openEgressLab(t, [`one.org:${server.port}`]);
  const held = await lab.connect();
  held.write(connectTo(lab, `one.org:${server.port}`));
  await read(held, '\r\n\r\n');
  const lost = once(held.resume(), 'close');
  await lab.egress.close();
  await lost;
  assert.deepEqual(await lab.egress.list(), ['run_1-call_1'], 'the folder stays for the command that goes on');
  await assert.rejects(lab.connect().then((socket) => once(socket, 'close')));
  const forWhom = () => ({ who: 'tool:shell', agent: 'coder', run: 'run_1', privateHosts: [], only: [] });
  const again = await lab.egress.open('run_1-call_1', { agent: 'coder', run: 'run_1', forWhom, denied: () => null });
  assert.deepEqual([again.dir, again.token], [lab.handle.dir, lab.handle.token]);
  assert.deepEqual(await readdir(again.dir), ['proxy.sock']);
  assert.equal(status(await lab.say(ask(lab, `http://one.org:${server.port}/`), again)), '403');
  await lab.egress.forget('run_1-call_1');
  await assert.rejects(access(again.dir));
  assert.deepEqual(await lab.egress.list(), []);
  await lab.egress.forget('run_1-call_1');
  await assert.rejects(
    lab.egress.open('../x', { agent: 'coder', run: 'run_1', forWhom, denied: () => null }),
    /not a key/,
  );
});

test('a command has only so many connections and bytes', async (t) => {
  const server = await serve(t, (_request, response) => response.end('x'.repeat(400_000)));
  const list = [`good.org:${server.port}`];
  const few = await openEgressLab(t, list, { bounds: { connections: 2 } });
  const held = [await few.connect(), await few.connect()];
  assert.equal(await few.say('x'), '', 'a third is closed at once');
  for (const socket of held) socket.destroy();
  assert.deepEqual(few.handle.refused(), ['a connection: a command may have 2 at once']);
  const lab = await openEgressLab(t, list, { bounds: { totalBytes: 1_000_000 } });
  const sizes: number[] = [];
  for (let n = 0; n < 4; n += 1) sizes.push((await lab.say(ask(lab, `http://good.org:${server.port}/`))).length);
  assert.deepEqual(
    sizes.map((size) => size > 400_000),
    [true, true, false, false],
    String(sizes),
  );
  assert.deepEqual(lab.handle.refused(), ['more bytes: a command may carry 1000000 bytes in all']);
});

test('an answer that is cut does not look like a whole one', async (t) => {
  const port = await serveRaw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', () => socket.destroy());
  });
  const lab = await openEgressLab(t, [`good.org:${port}`]);
  const answer = await lab.say(ask(lab, `http://good.org:${port}/`));
  assert.ok(!answer.endsWith('0\r\n\r\n'), answer);
  const odd = await serveRaw(t, (socket) =>
    socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'),
  );
  lab.allow([`good.org:${odd}`]);
  assert.equal(status(await lab.say(ask(lab, `http://good.org:${odd}/`))), '502');
  const nonsense = await serveRaw(t, (socket) => socket.end('nonsense\r\n\r\n'));
  lab.allow([`good.org:${nonsense}`]);
  assert.equal(status(await lab.say(ask(lab, `http://good.org:${nonsense}/`))), '502');
  for (const line of [
    'HTTP/1.1 200 O\x01K',
    'HTTP/1.1 099 Low',
    'HTTP/1.1 000 None',
    'HTTP/1.1 999 High',
    'HTTP/1.1 200 \xff\x00',
  ]) {
    const strange = await serveRaw(t, (socket) =>
      socket.end(Buffer.from(`${line}\r\nContent-Length: 0\r\n\r\n`, 'latin1')),
    );
    lab.allow([`good.org:${strange}`]);
    assert.match(status(await lab.say(ask(lab, `http://good.org:${strange}/`))), /^(502|999)$/, line);
  }
  lab.allow(['good.org:1']);
  assert.equal(status(await lab.say(connectTo(lab, 'good.org:1'))), '502');
});

test('for a client that left while its credential was looked up nothing is connected', async (t) => {
  const lab = openLab(t);
  const client = new net.Socket();
  client.destroy();
  const session: Session = {
    clock: realClock,
    tls: null,
    injection: NO_SECRETS,
    refused: () => undefined,
    strayed: () => true,
    grant: {
      agent: 'coder',
      run: 'run_1',
      forWhom: () => ({ ...WHO, only: listOf(['a.example.org']) }),
      denied: () => null,
    },
    net: lab.net,
    bounds: BOUNDS,
    signal: new AbortController().signal,
    carried: () => true,
    connected: () => undefined,
  };
  await fails(dial(session, client, { host: 'a.example.org', port: 443, tls: null }), 'aborted');
  assert.deepEqual(lab.dialled, []);
});

test('a command that asks for host after host below a pattern does not fill the memory with certificates', async () => {
  let now = Date.now();
  const only = listOf([{ host: '*.example.org', methods: ['GET'] }]);
  const grant = { agent: 'coder', run: 'run_1', forWhom: () => ({ ...WHO, only }), denied: () => null };
  const ending = openEnding('call_1', grant, {
    injection: NO_SECRETS,
    key: Buffer.alloc(32, 7),
    now: () => (now += 1),
  });
  assert.ok(ending !== null);
  const serialOf = async (host: string): Promise<string> => {
    const [client, proxy] = duplexPair();
    const socket = tls.connect({
      socket: client,
      servername: host,
      ca: ending.authority,
      checkServerIdentity: () => undefined,
    });
    const [ended] = await Promise.all([
      ending.end(proxy as net.Socket, { host, port: 443 }),
      once(socket, 'secureConnect'),
    ]);
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    ended.destroy();
    return serialNumber;
  };
  const first = await serialOf('a.example.org');
  assert.equal(await serialOf('a.example.org'), first, 'made once');
  for (let n = 0; n < 64; n += 1) await serialOf(`n${n}.example.org`);
  assert.notEqual(await serialOf('a.example.org'), first, 'and let go');
});
