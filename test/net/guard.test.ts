import assert from 'node:assert/strict';
import { reaches } from '../../src/core/net/reach.ts';
import { execFile } from 'node:child_process';
import http from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Clock } from '../../src/core/ports/clock.ts';
import { openNet } from '../../src/net/guard.ts';
import { fails, netContract } from '../contracts/net.ts';
import { fakeNet } from '../fakes/net.ts';
import { certificate, get, keptLog, openLab, PUBLIC, realClock, serve, serveRaw, WHO } from './support.ts';

netContract('guard', (t) => {
  const guard = openNet({ clock: realClock, log: keptLog() });
  t.after(() => guard.close());
  return guard;
});
netContract('fake net', () => fakeNet());

test('A36 every spelling of a private address is blocked before anything is connected', async (t) => {
  const { net, resolved, dialled } = openLab(t);
  const hosts = [
    '127.1',
    '127.0.0.1',
    '0x7f.1',
    '0177.0.0.1',
    '2130706433',
    '127.0.0.1.',
    '１２７.0.0.1',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b:1::a00:1]',
    '[2002:7f00:1::]',
    '[2001:0:7f00:1::]',
    '[fe80::1]',
    '[fd00::1]',
    '[ff02::1]',
    '[2001:db8::1]',
    '169.254.169.254',
    '0.0.0.0',
    '10.0.0.1',
    '100.64.0.1',
    '172.16.0.1',
    '192.0.0.1',
    '192.168.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    'localhost',
    'localhost.',
    'a.localhost',
    'printer.local',
    'metadata.google.internal',
    'metadata',
  ];
  assert.equal(hosts.length, 35);
  for (const host of hosts) await fails(net.request(get(`http://${host}:8080/`), WHO), 'blocked');
  assert.deepEqual([resolved, dialled], [[], []]);
});

test('A36 one private address among the answers blocks the name', async (t) => {
  const { net, names, dialled } = openLab(t);
  const answers = [
    ['127.0.0.1'],
    [PUBLIC, '10.0.0.1'],
    ['::1'],
    ['::ffff:127.0.0.1'],
    ['fe80::1%eth0'],
    ['64:ff9b::7f00:1'],
    ['2002:7f00:1::'],
    ['2606:4700::1111', '169.254.169.254'],
    ['0.0.0.0'],
    ['nonsense'],
    ['192.88.99.1'],
    ['2620:4f:8000::1'],
  ];
  assert.equal(answers.length, 12);
  for (const answer of answers) {
    names.set('flip.example.org', answer);
    const { message } = await fails(net.request(get('http://flip.example.org/'), WHO), 'blocked');
    assert.match(message, /flip\.example\.org:80 is blocked: it leads to/);
  }
  names.set('flip.example.org', []);
  await fails(net.request(get('http://flip.example.org/'), WHO), 'dns');
  assert.deepEqual(dialled, []);
});

test('what a grant opens: the named host, or a name that leads to a named address, and nothing more', async (t) => {
  const server = await serve(t, (_request, response) => response.end('inside'));
  const { port } = server;
  const { net, names, dialled } = openLab(t);
  names.set('nas.local', ['192.168.0.5']);
  names.set('git.example.org', ['10.0.0.5']);
  names.set('cloud.local', ['169.254.169.254']);
  names.set('mixed.local', ['192.168.0.5', '169.254.169.254']);
  const rows: [host: string, privateHosts: string[], opens: boolean][] = [
    ['nas.local', ['nas.local'], true],
    ['nas.local', [`nas.local:${port}`], true],
    ['nas.local', ['nas.local:1'], false],
    ['nas.local', ['*.local'], false],
    ['nas.local', ['192.168.0.5'], false],
    ['192.168.0.5', ['192.168.0.5'], true],
    ['192.168.0.5', ['nas.local'], false],
    ['git.example.org', [], false],
    ['git.example.org', ['git.example.org'], true],
    ['git.example.org', ['10.0.0.5'], true],
    ['git.example.org', ['10.0.0.6'], false],
    ['cloud.local', ['cloud.local'], false],
    ['cloud.local', ['cloud.local', '169.254.169.254'], true],
    ['mixed.local', ['mixed.local'], false],
    ['[::1]', ['::1'], true],
    ['[::1]', [`[::1]:${port}`], true],
    ['[::ffff:127.0.0.1]', ['127.0.0.1'], false],
  ];
  assert.equal(rows.length, 17);
  for (const [host, privateHosts, opens] of rows) {
    const before = dialled.length;
    const work = net.request(get(`http://${host}:${port}/`), { ...WHO, privateHosts });
    if (opens) assert.equal(await (await work).text(), 'inside', host);
    else {
      await fails(work, 'blocked');
      assert.equal(dialled.length, before, host);
    }
  }
});

test('A37 the connection goes to the address that was checked, and a later answer is checked again', async (t) => {
  const server = await serve(t, (_request, response) => response.end('ok'));
  const { net, names, resolved, dialled } = openLab(t);
  const url = `http://flip.example.org:${server.port}/`;
  assert.equal(await (await net.request(get(url), WHO)).text(), 'ok');
  assert.deepEqual([resolved.length, dialled], [1, [`${PUBLIC}:${server.port}`]]);
  names.set('flip.example.org', ['127.0.0.1']);
  await fails(net.request(get(url), WHO), 'blocked', /leads to 127\.0\.0\.1/);
  names.set('flip.example.org', ['1.1.1.1']);
  assert.equal(await (await net.request(get(url), WHO)).text(), 'ok');
  // A kept connection to the old address is not used for the new one.
  assert.deepEqual(dialled, [`${PUBLIC}:${server.port}`, `1.1.1.1:${server.port}`]);
  assert.equal(server.seen.length, 2);
});

test('A37 a redirect to a private address is blocked, and so is one that the caller refuses', async (t) => {
  let location = '';
  const server = await serve(t, (_request, response) => response.writeHead(302, { location }).end());
  const { net, names } = openLab(t);
  names.set('inside.example.org', ['10.0.0.1']);
  const url = `http://a.example.org:${server.port}/`;
  const bad = [
    'http://127.0.0.1/',
    '//localhost/',
    'http://[::1]/',
    'http://169.254.169.254/',
    'http://inside.example.org/',
  ];
  for (location of [...bad, 'file:///etc/passwd', 'http://user:pw@b.example.org/', 'gopher://b.example.org/'])
    await fails(net.request(get(url), WHO), 'blocked');
  location = 'http://b.example.org/';
  const asked: string[] = [];
  const onRedirect = (to: string): string => {
    asked.push(to);
    return 'it is not allowed';
  };
  await fails(net.request(get(url, { onRedirect }), WHO), 'redirect', /b\.example\.org was refused: it is not allowed/);
  assert.deepEqual(asked, ['http://b.example.org/']);
  await fails(
    net.request(get(url), { ...WHO, only: reaches(`a.example.org:${server.port}`) }),
    'blocked',
    /not among the hosts/,
  );
});

test('A37 proxies of the environment are ignored', async (t) => {
  const proxied: string[] = [];
  const proxy = http.createServer((request, response) => {
    proxied.push(request.url ?? '');
    response.end('from the proxy');
  });
  proxy.on('connect', (request, socket) => {
    proxied.push(request.url ?? '');
    socket.destroy();
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => proxy.close());
  const server = await serve(t, (_request, response) => response.end('straight'));
  const through = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const guard = fileURLToPath(new URL('../../src/net/guard.ts', import.meta.url));
  const support = fileURLToPath(new URL('./support.ts', import.meta.url));
  const script = `
    import { openNet } from ${JSON.stringify(guard)};
    import { get, keptLog, realClock, WHO } from ${JSON.stringify(support)};
    const host = '127.0.0.1:${server.port}';
    const net = openNet({ clock: realClock, log: keptLog() });
    const response = await net.request(get('http://' + host + '/'), { ...WHO, privateHosts: [host] });
    console.log(await response.text());
    net.close();`;
  const env = { HTTP_PROXY: through, HTTPS_PROXY: through, http_proxy: through, ALL_PROXY: through, NO_PROXY: '' };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    env: { PATH: process.env.PATH, ...env, NODE_USE_ENV_PROXY: '1' },
    timeout: 20_000,
  });
  assert.deepEqual([stdout.trim(), proxied], ['straight', []]);
});

test('A40 across origins only harmless headers survive, within one origin all do', async (t) => {
  const second = await serve(t, (_request, response) => response.end('there'));
  const first = await serve(t, (request, response) => {
    const location = request.url === '/same' ? '/next' : `http://b.example.org:${second.port}/`;
    response.writeHead(request.url === '/next' ? 200 : 302, { location, 'set-cookie': 'session=1' }).end('here');
  });
  const { net } = openLab(t);
  const headers = {
    Authorization: 'Bearer SECRET',
    Cookie: 'a=SECRET',
    'X-Api-Key': 'SECRET',
    'x-custom': 'SECRET',
    Referer: 'SECRET',
    Accept: 'text/html',
    'Accept-Language': 'fr',
    'User-Agent': 'mine',
  };
  const crossed = await net.request(get(`http://a.example.org:${first.port}/`, { headers }), WHO);
  assert.equal(await crossed.text(), 'there');
  assert.deepEqual([crossed.url, crossed.redirected], [`http://b.example.org:${second.port}/`, true]);
  const { host, connection, 'accept-encoding': encoding, ...rest } = second.seen[0]?.headers ?? {};
  assert.deepEqual([host, connection, encoding], [`b.example.org:${second.port}`, 'keep-alive', 'gzip, deflate, br']);
  assert.deepEqual(rest, { accept: 'text/html', 'accept-language': 'fr', 'user-agent': 'mine' });
  const same = await net.request(get(`http://a.example.org:${first.port}/same`, { headers }), WHO);
  assert.equal(await same.text(), 'here');
  const last = first.seen.at(-1)?.headers;
  assert.deepEqual([last?.authorization, last?.['x-api-key'], last?.cookie], ['Bearer SECRET', 'SECRET', 'a=SECRET']);
  assert.equal(same.headers.get('set-cookie'), null, 'cookies are not handed on');
});

test('A40 the method and the body after a redirect', async (t) => {
  let status = 0;
  let location = '/next';
  const server = await serve(t, (request, response) => {
    if (request.url === '/next') response.end('done');
    else response.writeHead(status, { location }).end();
  });
  const { net } = openLab(t);
  const rows: [status: number, method: string, then: string, body: string][] = [
    [301, 'POST', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [303, 'POST', 'GET', ''],
    [307, 'POST', 'POST', 'hi'],
    [308, 'POST', 'POST', 'hi'],
    [301, 'PUT', 'PUT', 'hi'],
    [303, 'PUT', 'GET', ''],
    [302, 'HEAD', 'HEAD', ''],
    [303, 'HEAD', 'HEAD', ''],
    [301, 'GET', 'GET', ''],
  ];
  assert.equal(rows.length, 10);
  for (const [code, method, then, body] of rows) {
    status = code;
    const sent = ['POST', 'PUT'].includes(method) ? { body: 'hi', headers: { 'Content-Type': 'text/x' } } : {};
    await (await net.request(get(`http://a.example.org:${server.port}/`, { method, ...sent }), WHO)).text();
    const last = server.seen.at(-1);
    assert.deepEqual([last?.method, last?.url, last?.body], [then, '/next', body], `${code} ${method}`);
    assert.equal(last?.headers['content-type'], body === '' ? undefined : 'text/x', `${code} ${method}`);
  }
  location = `http://b.example.org:${server.port}/next`;
  status = 307;
  const before = server.seen.length;
  await fails(
    net.request(get(`http://a.example.org:${server.port}/`, { method: 'POST', body: 'hi' }), WHO),
    'redirect',
    /with a body/,
  );
  assert.equal(server.seen.length, before + 1);
});

test('redirects: too many, a loop, nowhere, and answers that only look like one', async (t) => {
  const server = await serve(t, (request, response) => {
    const n = Number(request.url?.slice(1));
    if (request.url === '/bad') response.writeHead(302, { location: 'http://' }).end();
    else if (request.url === '/none') response.writeHead(302).end('no location');
    else if (request.url === '/304') response.writeHead(304, { location: '/1' }).end();
    else if (n === 3) response.end('three');
    else response.writeHead(302, { location: request.url === '/loop' ? '/loop' : `/${n + 1}` }).end();
  });
  const { net } = openLab(t);
  const url = (path: string): string => `http://a.example.org:${server.port}${path}`;
  assert.equal(await (await net.request(get(url('/0'), { maxRedirects: 3 }), WHO)).text(), 'three');
  await fails(net.request(get(url('/0'), { maxRedirects: 2 }), WHO), 'redirect', /more than 2 redirects/);
  await fails(net.request(get(url('/loop')), WHO), 'redirect', /more than 5 redirects/);
  await fails(net.request(get(url('/bad')), WHO), 'redirect', /no URL/);
  const nowhere = await net.request(get(url('/none')), WHO);
  assert.deepEqual([nowhere.status, await nowhere.text()], [302, 'no location']);
  const unchanged = await net.request(get(url('/304')), WHO);
  assert.deepEqual([unchanged.status, unchanged.body], [304, null]);
});

test('a caller cannot set what the guard decides, and no error tells a header', async (t) => {
  const { net, log, dialled } = openLab(t);
  const url = 'http://a.example.org/path?key=SECRET';
  const names = [
    'Host',
    'Connection',
    'Content-Length',
    'Transfer-Encoding',
    'TE',
    'Upgrade',
    'Expect',
    'Proxy-Authorization',
  ];
  for (const name of names) await fails(net.request(get(url, { headers: { [name]: 'SECRET' } }), WHO), 'protocol');
  for (const method of ['CONNECT', 'TRACE', 'GET\r\nx: y', ''])
    await fails(net.request(get(url, { method }), WHO), 'protocol');
  const smuggled: Record<string, string>[] = [
    { 'x-a': 'SECRET\r\nx-b: 1' },
    { 'x-a': 'SECRET\0' },
    { 'x a': 'SECRET' },
    { 'x-a': 'SECRET\u{1f41d}' },
  ];
  for (const headers of smuggled) await fails(net.request(get(url, { headers }), WHO), 'protocol');
  assert.deepEqual(dialled, []);
  const port = await serveRaw(t, (socket) => socket.end('HTTP/1.1 200 OK\r\nset-cookie: SECRET\r\nbad header\r\n\r\n'));
  const errors = [
    await fails(
      net.request(get(`http://a.example.org:${port}/?SECRET`, { headers: { authorization: 'SECRET' } }), WHO),
      'protocol',
    ),
    await fails(net.request(get('http://u:SECRET@a.example.org/'), WHO), 'blocked'),
  ];
  for (const error of errors) assert.doesNotMatch(JSON.stringify([error, error.message, error.cause]), /SECRET/);
  assert.ok(log.lines.length >= 5);
  assert.doesNotMatch(log.lines.join('\n'), /SECRET/);
});

test('answers that are not HTTP, or too much of it', async (t) => {
  const { net } = openLab(t);
  const rows: [answer: string, code: 'protocol' | 'too-large' | 'connect'][] = [
    ['HELO there\r\n\r\n', 'protocol'],
    ['HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx', 'protocol'],
    ['HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nxxx', 'protocol'],
    ['HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n', 'protocol'],
    ['HTTP/1.1 200 OK\r\ncontent-encoding: zstd\r\ncontent-length: 1\r\n\r\nx', 'protocol'],
    ['HTTP/1.1 200 OK\r\ncontent-encoding: gzip, gzip\r\ncontent-length: 1\r\n\r\nx', 'protocol'],
    [`HTTP/1.1 200 OK\r\nx-long: ${'x'.repeat(40_000)}\r\n\r\n`, 'too-large'],
    ['HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', 'protocol'],
    ['', 'connect'],
  ];
  assert.equal(rows.length, 9);
  for (const [answer, code] of rows) {
    const port = await serveRaw(t, (socket) => socket.end(answer));
    await fails(net.request(get(`http://a.example.org:${port}/`), WHO), code);
  }
  const port = await serveRaw(t, (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nxxx'));
  const short = await net.request(get(`http://a.example.org:${port}/`), WHO);
  await fails(short.text(), 'connect');
});

test('resolver and clock: a name that cannot be found, a resolver that hangs, a clock that jumps', async (t) => {
  const lost = openLab(t, { resolve: () => Promise.reject(new Error('ENOTFOUND SECRET')) });
  const { message } = await fails(lost.net.request(get('http://a.example.org/'), WHO), 'dns');
  assert.doesNotMatch(message, /SECRET/);
  const hangs = openLab(t, { resolve: () => new Promise(() => undefined) });
  await fails(hangs.net.request(get('http://a.example.org/', { timeoutMs: 30 }), WHO), 'timeout', /longer than 30 ms/);
  await fails(hangs.net.request(get('http://a.example.org/', { idleMs: 30 }), WHO), 'timeout', /nothing came/);
  const jumps: Clock = { ...realClock, now: () => Math.random() * 1e15 };
  const server = await serve(t, (_request, response) => response.end('ok'));
  const jumping = openLab(t, { clock: jumps });
  assert.equal(await (await jumping.net.request(get(`http://a.example.org:${server.port}/`), WHO)).text(), 'ok');
});

test('connections are kept for the same origin, addresses and grant, and for no other', async (t) => {
  const server = await serve(t, (_request, response) => response.end('ok'));
  const { net, names, dialled } = openLab(t);
  const ask = async (host: string, who = 'tool:fetch', more: { privateHosts?: string[] } = {}): Promise<void> => {
    const response = await net.request(get(`http://${host}:${server.port}/`), { ...WHO, ...more, who });
    assert.equal(await response.text(), 'ok');
  };
  for (let index = 0; index < 5; index++) await ask('a.example.org');
  assert.deepEqual([dialled.length, server.connections()], [1, 1]);
  await ask('b.example.org');
  assert.equal(dialled.length, 2, 'another name');
  await ask('a.example.org', 'model:x');
  assert.equal(dialled.length, 3, 'another one asks');
  await ask('a.example.org', 'tool:fetch', { privateHosts: ['127.0.0.1'] });
  assert.equal(dialled.length, 4, 'another grant');
  names.set('a.example.org', ['1.1.1.1']);
  await ask('a.example.org');
  assert.equal(dialled.length, 5, 'another address');
  for (let index = 0; index < 70; index++) await ask(`n${index}.example.org`);
  await ask('b.example.org');
  assert.equal(dialled.length, 76, 'the oldest were let go');
  assert.equal(server.connections(), dialled.length);
});

test('a kept connection that has died is replaced for GET', async (t) => {
  const sockets: { destroy(): void }[] = [];
  let answers = 0;
  const port = await serveRaw(t, (socket) => {
    sockets.push(socket);
    const answer = (): void => {
      answers++;
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nkeep-alive: timeout=100\r\n\r\nok');
    };
    // Answers once; whatever comes over the same connection then gets a reset.
    socket.once('data', () => socket.resetAndDestroy());
    answer();
  });
  const { net } = openLab(t);
  const url = `http://a.example.org:${port}/`;
  assert.equal(await (await net.request(get(url), WHO)).text(), 'ok');
  assert.equal(await (await net.request(get(url), WHO)).text(), 'ok');
  assert.deepEqual([sockets.length, answers], [2, 2]);
  assert.equal(await (await net.request(get(url), WHO)).text(), 'ok');
  await fails(net.request(get(url, { method: 'POST', body: 'x' }), WHO), 'connect').catch(() => undefined);
});

test('https: the certificate is checked for the name, whatever the address', async (t) => {
  const pair = certificate('DNS:secure.example.org,IP:127.0.0.1');
  if (pair === null) return t.skip('there is no openssl on this machine');
  let location = '';
  const server = await serve(
    t,
    (_request, response) => (location ? response.writeHead(302, { location }).end() : response.end('sealed')),
    pair,
  );
  const { port } = server;
  const trusting = openLab(t, { ca: [pair.cert] });
  let validTo = 0;
  const onCertificate = (end: number): void => void (validTo = end);
  const sealed = await trusting.net.request(get(`https://secure.example.org:${port}/`, { onCertificate }), WHO);
  assert.equal(await sealed.text(), 'sealed');
  assert.ok(validTo > Date.now(), 'it says when the certificate ends');
  assert.equal(server.seen[0]?.headers.host, `secure.example.org:${port}`);
  await fails(trusting.net.request(get(`https://other.example.org:${port}/`), WHO), 'connect', /certificate/);
  const local = { ...WHO, privateHosts: ['127.0.0.1'] };
  assert.equal(await (await trusting.net.request(get(`https://127.0.0.1:${port}/`), local)).text(), 'sealed');
  const doubting = openLab(t);
  await fails(doubting.net.request(get(`https://secure.example.org:${port}/`), WHO), 'connect', /certificate/);
  await fails(trusting.net.request(get(`http://secure.example.org:${port}/`), WHO), 'connect');
  location = `http://secure.example.org:${port}/`;
  await fails(trusting.net.request(get(`https://secure.example.org:${port}/`), WHO), 'redirect', /plain http/);
  const closed = openLab(t, { ca: [pair.cert] });
  await fails(closed.net.request(get('https://secure.example.org:1/'), WHO), 'connect', /ECONNREFUSED/);
});

test('the default connection uses the pinned addresses and tries the next one', async (t) => {
  const server = await serve(t, (_request, response) => response.end('ok'));
  const guard = openNet({ clock: realClock, log: keptLog(), resolve: async () => ['127.0.0.9', '127.0.0.1', '::1'] });
  t.after(() => guard.close());
  const grant = { ...WHO, privateHosts: ['nas.local'] };
  const response = await guard.request(get(`http://nas.local:${server.port}/`), grant);
  assert.equal(await response.text(), 'ok');
  assert.equal(server.seen[0]?.headers.host, `nas.local:${server.port}`);
});
