import assert from 'node:assert/strict';
import { once } from 'node:events';
import tls from 'node:tls';
import { test } from 'node:test';
import { type AddressInfo } from 'node:net';
import { parseReach, reaches } from '../../src/core/net/reach.ts';
import type { Sent } from '../../src/core/net/sent.ts';
import type { Dial } from '../../src/core/ports/net.ts';
import { openNet } from '../../src/net/guard.ts';
import { fails } from '../contracts/net.ts';
import { netLinkContract, netListContract } from '../contracts/net-links.ts';
import { fakeNet } from '../fakes/net.ts';
import { until } from '../fakes/until.ts';
import { certificate, get, keptLog, openLab, PUBLIC, realClock, serve, serveRaw, WHO } from './support.ts';

for (const contract of [netListContract, netLinkContract]) {
  contract('guard', (t) => {
    const guard = openNet({ clock: realClock, log: keptLog() });
    t.after(() => guard.close());
    return guard;
  });
  contract('fake net', () => fakeNet());
}

const LINK = { timeoutMs: 30_000, idleMs: null, maxBytes: null, tls: null };
const link = (host: string, port: number, more: Partial<Dial> = {}): Dial => ({ host, port, ...LINK, ...more });

test('a dialled connection goes to the address that was checked, and to none that a name turns into', async (t) => {
  const port = await serveRaw(t, (socket) => socket.end('hello'));
  const { net, names, dialled } = openLab(t);
  const socket = await net.dial(link('a.example.org', port), WHO);
  socket.end('x');
  assert.equal(Buffer.concat(await socket.toArray()).toString(), 'hello');
  names.set('a.example.org', ['127.0.0.1']);
  await fails(net.dial(link('a.example.org', port), WHO), 'blocked', /leads to 127\.0\.0\.1/);
  names.set('a.example.org', [PUBLIC, '::ffff:10.0.0.1']);
  await fails(net.dial(link('a.example.org', port), WHO), 'blocked');
  const only = reaches('*.example.org');
  for (const host of ['example.org', 'notexample.org', 'a.example.org.evil.net'])
    await fails(net.dial(link(host, port), { ...WHO, only }), 'blocked', /not among the hosts/);
  const below = await net.dial(link('b.c.Example.ORG.', port), { ...WHO, only });
  below.destroy();
  assert.deepEqual(dialled, [`${PUBLIC}:${port}`, `${PUBLIC}:${port}`]);
});

test('TLS of a dialled connection is checked against the host, whatever the environment says', async (t) => {
  const pair = certificate('DNS:a.example.org');
  if (pair === null) return t.skip('there is no openssl on this machine');
  const server = tls.createServer({ ...pair, ALPNProtocols: ['imap'] }, (socket) => socket.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const trusting = openLab(t, { ca: [pair.cert] });
  const socket = await trusting.net.dial(link('a.example.org', port, { tls: { alpn: ['imap'] } }), WHO);
  assert.equal((socket as tls.TLSSocket).alpnProtocol, 'imap');
  assert.equal(Buffer.concat(await socket.toArray()).toString(), 'hello');
  const encrypted = link('other.test', port, { tls: {} });
  await fails(trusting.net.dial(encrypted, WHO), 'connect', /certificate is not trusted/);
  await fails(openLab(t).net.dial(link('a.example.org', port, { tls: {} }), WHO), 'connect');
});

test('what left is on record: for whom, where, how much and how it ended, and nothing else', async (t) => {
  const sent: Sent[] = [];
  const server = await serve(t, (request, response) => {
    if (request.url?.startsWith('/secret-path') === true) response.writeHead(302, { location: '/to' }).end();
    else response.end('y'.repeat(5000));
  });
  const raw = await serveRaw(t, (socket) => socket.end('welcome'));
  const { net, names } = openLab(t, { record: (each) => void sent.push(each) });
  names.set('inside.example.org', ['10.0.0.1']);
  const who = { ...WHO, agent: 'ada', run: 'run_1' };
  const url = `http://a.example.org:${server.port}/secret-path?token=SECRET`;
  const ask = get(url, { method: 'POST', headers: { 'x-secret': 'SECRET' }, body: 'z'.repeat(3000) });
  await (await net.request(ask, who)).text();
  await (await net.request(get(url), who)).body?.cancel();
  await fails(net.request(get(`http://inside.example.org:${server.port}/`), who), 'blocked');
  await fails((await net.request(get(url, { maxBytes: 10 }), who)).text(), 'too-large');
  const socket = await net.dial(link('b.example.org', raw), { ...who, who: 'channel:mail' });
  socket.end('hello');
  await socket.toArray();
  await until(() => sent.length >= 8);
  const rows = sent.map(({ host, kind, method = '', outcome }) => [host, kind, method, outcome].join(' '));
  assert.deepEqual(rows, [
    'a.example.org request POST ok',
    'a.example.org request GET ok',
    'a.example.org request GET ok',
    'a.example.org request GET ok',
    'inside.example.org request GET blocked',
    'a.example.org request GET ok',
    'a.example.org request GET too-large',
    'b.example.org dial  ok',
  ]);
  const [post, to, , , blocked, , , dialled] = sent;
  assert.ok(post && to && blocked && dialled);
  assert.deepEqual([post.who, post.agent, post.run, post.port], ['tool:fetch', 'ada', 'run_1', server.port]);
  assert.ok(post.bytesOut > 3000 && post.bytesOut < 4000, `${post.bytesOut}`);
  assert.ok(to.bytesIn > 5000 && to.bytesIn < 6000, `${to.bytesIn}`);
  assert.ok(to.bytesOut > 50 && to.bytesOut < 1000, `${to.bytesOut}`);
  assert.deepEqual([blocked.bytesOut, blocked.bytesIn], [0, 0]);
  assert.deepEqual([dialled.who, dialled.bytesOut, dialled.bytesIn], ['channel:mail', 5, 7]);
  assert.doesNotMatch(JSON.stringify(sent), /secret/i);
  await fails(net.request(get('http://a.example.org:1/', { method: 'POST', body: 'z'.repeat(3000) }), who), 'connect');
  await until(() => sent.length >= 9);
  assert.deepEqual([sent[8]?.outcome, sent[8]?.bytesOut], ['connect', 0], 'nothing left: nobody took it');
});

test('each request of a kept connection counts its own bytes, and closing ends what still runs', async (t) => {
  const sent: Sent[] = [];
  const server = await serve(t, (request, response) => {
    if (request.url === '/hangs') response.write('x');
    else response.end('y'.repeat(1000));
  });
  const guard = openNet({
    clock: realClock,
    log: keptLog(),
    record: (each) => void sent.push(each),
  });
  const local = { ...WHO, privateHosts: ['127.0.0.1'], only: [parseReach('127.0.0.1')!] };
  const url = (path: string): string => `http://127.0.0.1:${server.port}${path}`;
  for (let index = 0; index < 3; index++) await (await guard.request(get(url('/')), local)).text();
  const hangs = await guard.request(get(url('/hangs')), local);
  assert.equal(server.connections(), 1);
  assert.equal(sent.length, 3);
  guard.close();
  assert.equal(sent.length, 4);
  assert.equal(new Set(sent.slice(0, 3).map(({ bytesOut, bytesIn }) => `${bytesOut} ${bytesIn}`)).size, 1);
  assert.equal(sent[3]?.outcome, 'aborted');
  await hangs.body?.cancel();
});
