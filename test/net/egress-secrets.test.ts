import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import type { SecretBinding } from '../../src/core/agent.ts';
import { openAuthority } from '../../src/net/egress/certificates.ts';
import { type Misdirected, openInjection } from '../../src/secrets/injection.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { type List, openEgressLab, read } from './egress-support.ts';
import { makeBare, serveGit } from './git-backend.ts';
import { certificate, serve } from './support.ts';

const VALUE = 'ghp_S3cretValue+with/odd=chars';
const HOST = 'api.bound.example';
const SECRET = Buffer.alloc(32, 7);
const run = promisify(execFile);
const made = certificate(`DNS:${HOST},DNS:other.example`);
const skip = requirePeer('openssl', made !== null);
const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const noCurl = skip || requirePeer('curl', has('curl'));
const noPython = skip || requirePeer('python3', has('python3'));

type Outside = (made: { key: string; cert: string }) => Promise<{ port: number }>;

/** A server of the outside, the proxy of a command before it, and what was reported. */
async function lab(
  t: TestContext,
  handler: Parameters<typeof serve>[1] | null,
  { list = [HOST], outside, ...changed }: Partial<SecretBinding> & { list?: List; outside?: Outside } = {},
) {
  assert.ok(made !== null);
  const server = handler === null ? { seen: [], port: 0, ...(await outside?.(made)) } : await serve(t, handler, made);
  const binding: SecretBinding = {
    name: 'github',
    for: ['coder'],
    host: HOST,
    ports: [server.port],
    methods: null,
    path: '/repos/our/',
    header: 'authorization',
    format: 'Bearer {}',
    value: 'secret:github',
    ...changed,
  };
  const secrets = { bindings: [binding], value: VALUE };
  const misdirected: Misdirected[] = [];
  const injection = openInjection({
    bindings: () => secrets.bindings,
    resolve: async () => secrets.value,
    peek: async () => secrets.value,
    hide: () => undefined,
    key: SECRET,
    misdirected: (what) => misdirected.push(what),
  });
  const proxy = await openEgressLab(t, list, { injection, guard: { ca: [made.cert] } });
  const ca = readFileSync(proxy.handle.ca ?? '', 'utf8');
  const placeholder = proxy.handle.variables?.['RUCHE_SECRET_GITHUB'] ?? '';
  return { ...proxy, server, secrets, misdirected, injection, placeholder, ca };
}

type Lab = Awaited<ReturnType<typeof lab>>;

/** A tunnel to the host with TLS inside, as the command's client makes it. */
async function connected(at: Lab, servername = HOST): Promise<tls.TLSSocket> {
  const tunnel = await at.connect();
  tunnel.write(`CONNECT ${HOST}:${at.server.port} HTTP/1.1\r\nHost: ${HOST}:${at.server.port}\r\n${at.auth}\r\n`);
  assert.match(await read(tunnel, '\r\n\r\n'), /^HTTP\/1\.1 200 /);
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ socket: tunnel, servername, ca: at.ca });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}

/** The whole answer to raw bytes; the connection is ended behind them. */
async function raw(at: Lab, text: string, then: readonly string[] = []): Promise<string> {
  const socket = await connected(at);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  socket.write(text);
  for (const piece of then) {
    await new Promise((resolve) => void setImmediate(resolve));
    socket.write(piece);
  }
  await closed;
  return Buffer.concat(chunks).toString('latin1');
}

/** The proxy on a loopback port, as the forwarder of the sandbox has it: its address with the token. */
async function loopback(t: TestContext, { handle }: Lab): Promise<string> {
  const door = net.createServer((client) => {
    const proxy = net.connect(join(handle.dir, 'proxy.sock'));
    for (const [from, to] of [
      [client, proxy],
      [proxy, client],
    ] as const)
      from.on('error', () => to.destroy()).pipe(to);
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  t.after(() => door.close());
  return `http://ruche:${handle.token}@127.0.0.1:${(door.address() as AddressInfo).port}`;
}

const request = (at: Lab, line: string, headers: readonly string[] = []): string =>
  `${line} HTTP/1.1\r\nHost: ${HOST}:${at.server.port}\r\nConnection: close\r\n${headers.map((each) => `${each}\r\n`).join('')}\r\n`;

/** Several requests on one connection. */
function session(t: TestContext, at: Lab) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = (_options, created) => {
    void connected(at).then((made) => created?.(null, made));
    return null;
  };
  t.after(() => agent.destroy());
  return (path: string, options: { method?: string; headers?: Record<string, string>; body?: string } = {}) =>
    new Promise<{ status: number; headers: http.IncomingHttpHeaders; body: string }>((resolve, reject) => {
      const { body, ...rest } = options;
      const host = `${HOST}:${at.server.port}`;
      const sent = http.request({ agent, path, ...rest, headers: { host, ...rest.headers } }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
}

test('where TLS ends, the credential is put on the wire, and nothing of it comes back', { skip }, async (t) => {
  const at = await lab(t, (request, response) => {
    const sent = request.headers.authorization ?? 'none';
    response.writeHead(200, 'OK', { 'x-echo': sent, etag: '"1"' });
    // In two pieces, so that neither holds it whole.
    response.write(Buffer.concat([Buffer.from([0, 255, 254]), Buffer.from(`you sent ${sent.slice(0, 20)}`)]));
    setImmediate(() => response.end(`${sent.slice(20)} ${Buffer.from(sent).toString('base64')} end`));
  });
  const ask = session(t, at);
  const mine = `Bearer ${at.placeholder}`;
  const first = await ask('/repos/our/x?q=1', {
    headers: { authorization: mine, 'accept-encoding': 'gzip', range: 'bytes=0-3' },
  });
  const [seen] = at.server.seen;
  assert.equal(seen?.headers.authorization, `Bearer ${VALUE}`);
  assert.deepEqual(
    [seen?.url, seen?.headers['accept-encoding'], seen?.headers.range],
    ['/repos/our/x?q=1', 'identity', undefined],
  );
  assert.equal(first.headers['x-echo'], mine);
  assert.ok(first.body.includes(`you sent ${mine}`) && first.body.endsWith(' end'), first.body);
  assert.ok(!JSON.stringify(first).includes('S3cretValue'));
  assert.ok(!first.body.includes(Buffer.from(VALUE).toString('base64').slice(4, 24)), 'in base64 neither');
  // Somebody else's key does not go there, whatever is set.
  for (const authorization of ['Bearer foreign', 'Basic Zm9vOmJhcg=='])
    assert.equal((await ask('/repos/our/', { headers: { authorization } })).status, 200);
  assert.deepEqual(new Set(at.server.seen.map(({ headers }) => headers.authorization)), new Set([`Bearer ${VALUE}`]));
  // From the next request on, in the middle of a connection.
  at.secrets.value = 'rotated-value-2';
  const rotated = await ask('/repos/our/');
  assert.equal(at.server.seen.at(-1)?.headers.authorization, 'Bearer rotated-value-2');
  assert.ok(!rotated.body.includes('rotated-value'));
  at.secrets.bindings = [];
  await ask('/repos/our/');
  assert.equal(at.server.seen.at(-1)?.headers.authorization, undefined);
  assert.deepEqual([at.misdirected, at.handle.refused()], [[], []]);
});

test('an answer that is packed all the same is unpacked and looked through', { skip }, async (t) => {
  const pack: Record<string, (text: string) => Buffer> = {
    gzip: zlib.gzipSync,
    'x-gzip': zlib.gzipSync,
    deflate: zlib.deflateSync,
    br: zlib.brotliCompressSync,
  };
  const at = await lab(t, (request, response) => {
    const [kind = '', how] = (request.url ?? '').split('/').slice(-2);
    const bytes = pack[kind]?.(`you sent ${request.headers.authorization ?? ''}.`) ?? Buffer.from('packed');
    response.writeHead(200, { 'content-encoding': kind });
    response.end(how === 'cut' ? bytes.subarray(0, -4) : how === 'empty' ? undefined : bytes);
  });
  const ask = session(t, at);
  for (const kind of Object.keys(pack)) {
    const { status, body } = await ask(`/repos/our/${kind}/whole`);
    assert.deepEqual([status, body], [200, `you sent Bearer ${at.placeholder}.`], kind);
    assert.deepEqual(
      await ask(`/repos/our/${kind}/empty`).then((answer) => [answer.status, answer.body]),
      [200, ''],
      kind,
    );
  }
  const zstd = await ask('/repos/our/zstd/whole');
  assert.equal(zstd.status, 502);
  assert.match(zstd.body, /the answer is packed/);
  // Its chunks have no end, so it does not look like a whole one.
  assert.doesNotMatch(await raw(at, request(at, 'GET /repos/our/gzip/cut')), /\r\n0\r\n\r\n$/);
});

test('an answer in a form that nobody could look through is refused, and none is asked for', { skip }, async (t) => {
  const answers: Record<string, (credential: string, response: http.ServerResponse) => void> = {
    part: (credential, response) => void response.writeHead(206, { 'content-range': 'bytes 0-3/99' }).end(credential),
    wide: (credential, response) =>
      void response.writeHead(200, { 'content-type': 'text/plain; charset="UTF-16"' }).end(credential),
    mainframe: (_, response) => void response.writeHead(200, { 'content-type': 'text/plain;charset=IBM037' }).end('x'),
    switched: (credential, { socket }) =>
      void socket?.end(`HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${credential}`),
  };
  answers.half = (credential, { socket }) => void socket?.end(`HTTP/1.1 101 ${credential}\r\n\r\n${credential}`);
  const at = await lab(t, (request, response) => {
    const answer = answers[(request.url ?? '').split('/').at(-1) ?? ''];
    if (answer !== undefined) return answer(request.headers.authorization ?? '', response);
    response.end(JSON.stringify(request.headers));
  });
  for (const kind of Object.keys(answers))
    assert.match(
      await raw(at, request(at, `GET /repos/our/${kind}`)),
      /^HTTP\/1\.1 502 [^]*(?:not asked for|in a charset)/,
      kind,
    );
  const chosen = [
    'Range: bytes=0-3',
    'Request-Range: bytes=0-3',
    'A-IM: gzip',
    'Accept-Charset: utf-16',
    'If-Range: x',
  ];
  const arrived = await raw(at, request(at, 'GET /repos/our/x', chosen));
  assert.match(arrived, /200 OK/);
  assert.doesNotMatch(arrived, /"(?:range|request-range|a-im|accept-charset|if-range)"/);
});

test('a value comes back neither as a header’s name, nor in another case, nor in UTF-16', { skip }, async (t) => {
  const value = 'deadbeefcafe0123456789abcdef0042';
  const at = await lab(t, (request, response) => {
    const sent = (request.headers.authorization ?? '').replace('Bearer ', '');
    response.setHeader(`x-${sent}`, '1');
    response.end(Buffer.concat([Buffer.from(sent.toUpperCase()), Buffer.from(sent, 'utf16le')]));
  });
  at.secrets.value = value;
  const answer = await raw(at, request(at, 'GET /repos/our/x'));
  assert.match(answer, /200 OK[^]*ruche-secret\.github\.[0-9a-f]{32}/);
  assert.ok(!answer.replaceAll('\0', '').toLowerCase().includes(value), answer);
});

test('headers that CGI takes for another one are no way round', { skip }, async (t) => {
  const seen: string[][] = [];
  const at = await lab(
    t,
    (request, response) => {
      seen.push(request.rawHeaders);
      response.end();
    },
    { header: 'x-api-key', format: '{}', methods: ['GET'] },
  );
  assert.match(await raw(at, request(at, 'GET /repos/our/x', ['X_Api_Key: foreign-0123'])), /200 OK/);
  assert.deepEqual([seen.length, seen[0]?.includes(VALUE), seen[0]?.includes('foreign-0123')], [1, true, false]);
  assert.match(
    await raw(at, request(at, 'GET /mine', ['X_Api-Key: foreign-0123'])),
    /403 [^]*set by the secret github/,
  );
  assert.match(
    await raw(at, request(at, 'GET /repos/our/x', ['X_HTTP_Method_Override: DELETE'])),
    /403 [^]*another request/,
  );
  assert.equal(seen.length, 1);
});

test(
  'a path that a server could read as another, or another method, never carries the credential',
  { skip },
  async (t) => {
    const at = await lab(t, (_request, response) => response.end('ok'), { methods: ['GET'] });
    const tricks =
      '/repos/our/../theirs /repos/our/%2e%2e/theirs /repos/our/%2E%2e%2ftheirs /repos/our/..%2ftheirs /repos/our//../theirs ' +
      '/repos//our/x //repos/our/x /repos/our/;/../theirs /repos/our/..;/theirs /repos/our/%252e%252e/theirs ' +
      '/repos/our/\\..\\theirs /repos/ours /repos/our /Repos/our/x /';
    for (const path of tricks.split(' ')) await raw(at, request(at, `GET ${path}`));
    await raw(at, request(at, 'POST /repos/our/x', ['Content-Length: 0']));
    assert.ok(at.server.seen.length > 5, 'the others are requests without a credential');
    for (const { url, headers } of at.server.seen) assert.equal(headers.authorization, undefined, url);
    for (const name of ['X-HTTP-Method-Override: DELETE', 'X-Original-URL: /theirs', 'X-Rewrite-Url: /theirs'])
      assert.match(
        await raw(at, request(at, 'GET /repos/our/x', [name])),
        /^HTTP\/1\.1 403 [^]*could have the server read another/,
      );
    // Where the credential does not go, no other goes in its header.
    const own = await raw(at, request(at, 'GET /theirs', ['Authorization: Bearer foreign']));
    assert.match(own, /^HTTP\/1\.1 403 [^]*the header authorization is set by the secret github alone/);
    assert.ok(at.server.seen.every(({ headers }) => headers.authorization === undefined));
  },
);

test('what a connection is for is the one place that its requests can name', { skip }, async (t) => {
  const at = await lab(t, (_request, response) => response.end('ok'));
  const { port } = at.server;
  const bad = [
    'GET / HTTP/1.1\r\nHost: other.example\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: ${HOST}:1\r\nConnection: close\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: ${HOST}:${port}\r\nHost: other.example\r\n\r\n`,
    `GET https://other.example/ HTTP/1.1\r\nHost: ${HOST}:${port}\r\n\r\n`,
    `OPTIONS * HTTP/1.1\r\nHost: ${HOST}:${port}\r\n\r\n`,
  ];
  for (const text of bad) assert.match(await raw(at, text), /^HTTP\/1\.1 40[03] /, text);
  const upgrade = request(at, 'GET /repos/our/', ['Upgrade: websocket']).replace(
    'Connection: close',
    'Connection: Upgrade',
  );
  assert.match(await raw(at, upgrade), /^HTTP\/1\.1 403 [^]*a WebSocket cannot be looked through/);
  assert.doesNotMatch(
    await raw(at, `CONNECT other.example:443 HTTP/1.1\r\nHost: ${HOST}:${port}\r\n\r\n`),
    /^HTTP\/1\.1 2/,
  );
  for (const both of ['Content-Length: 5\r\nTransfer-Encoding: chunked', 'Transfer-Encoding: chunked, identity'])
    assert.doesNotMatch(await raw(at, request(at, 'POST /', [both])), /^HTTP\/1\.1 200/);
  await assert.rejects(connected(at, 'other.example'));
  assert.deepEqual(at.server.seen, []);
});

test('the rules for methods and paths hold for each request', { skip }, async (t) => {
  const list = [{ host: HOST, methods: ['GET'], paths: ['/repos'] }];
  const at = await lab(t, (_request, response) => response.end('ok'), { list });
  const ask = session(t, at);
  assert.equal((await ask('/repos/our/x')).status, 200);
  const write = await ask('/repos/our/x', { method: 'POST', body: 'x' });
  assert.equal(write.status, 403);
  assert.equal((await ask('/users')).status, 403);
  assert.deepEqual([at.server.seen.length, at.handle.refused().length], [1, 1]);
});

test(
  'a placeholder of another run, or in what it does not belong to, stops the request and is reported',
  { skip },
  async (t) => {
    const at = await lab(t, (_request, response) => response.end('ok'));
    const theirs = at.injection.placeholders('coder', 'run_2').get('github') ?? '';
    const basic = Buffer.from(`user:${theirs}`).toString('base64');
    const ask = session(t, at);
    for (const [name, value] of [
      ['authorization', `Bearer ${theirs}`],
      ['authorization', `Basic ${basic}`],
      ['x-y', theirs],
    ] as const)
      assert.equal((await ask('/repos/our/', { headers: { [name]: value } })).status, 403, name);
    assert.equal((await ask(`/repos/our/?key=${encodeURIComponent(theirs)}`)).status, 403);
    // Its own goes through where its secret is bound, and nowhere else, not even on this host.
    assert.equal((await ask(`/repos/our/?key=${at.placeholder}`)).status, 200);
    assert.equal((await ask('/theirs', { headers: { 'x-y': at.placeholder } })).status, 403);
    assert.equal(
      (await ask('/theirs', { headers: { 'x-y': Buffer.from(at.placeholder).toString('base64') } })).status,
      403,
    );
    const half = theirs.length / 2;
    const chunked = request(at, 'POST /repos/our/', ['Transfer-Encoding: chunked']);
    const pieces = [theirs.slice(0, half), theirs.slice(half)].map(
      (piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`,
    );
    assert.match(await raw(at, chunked, [...pieces, '0\r\n\r\n']), /^HTTP\/1\.1 403 /);
    const arrived = at.server.seen
      .map(({ url, body, headers }) => `${url} ${body} ${JSON.stringify(headers)}`)
      .join('\n');
    assert.ok(!arrived.includes(theirs) && !arrived.includes(basic));
    assert.ok(at.misdirected.length >= 7);
    assert.deepEqual(at.misdirected[0], { agent: 'coder', run: 'run_1', names: ['github'], host: HOST });
  },
);

test('curl uploads what is large, with 100-continue and in chunks', { skip: noCurl }, async (t) => {
  const at = await lab(t, (request, response) =>
    response.end(`${request.method} ${request.headers.authorization === `Bearer ${VALUE}`}`),
  );
  const dir = mkdtempSync(join(tmpdir(), 'ruche-inspect-'));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'big'), Buffer.alloc(8_000_000, 'x'));
  const to = ['-sS', '--cacert', at.handle.ca ?? '', '--proxy', await loopback(t, at)];
  const url = `https://${HOST}:${at.server.port}/repos/our/big`;
  for (const how of [
    ['-H', 'Expect: 100-continue'],
    ['-H', 'Transfer-Encoding: chunked'],
  ]) {
    const { stdout } = await run('curl', [...to, ...how, '-T', join(dir, 'big'), url]);
    assert.equal(stdout, 'PUT true');
  }
  assert.deepEqual(
    at.server.seen.map(({ body }) => body.length),
    [8_000_000, 8_000_000],
  );
});

test('Git clones and pushes, and Python fetches, as if they had the credential', { skip: noPython }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'ruche-git-'));
  t.after(() => rmSync(dir, { recursive: true }));
  makeBare(join(dir, 'repos/our/demo.git'));
  const at = await lab(t, null, { outside: (made) => serveGit(t, dir, `Bearer ${VALUE}`, made) });
  const proxy = await loopback(t, at);
  const env = {
    PATH: process.env['PATH'],
    HOME: dir,
    HTTPS_PROXY: proxy,
    GIT_SSL_CAINFO: at.handle.ca ?? '',
    SSL_CERT_FILE: at.handle.ca ?? '',
    GIT_TERMINAL_PROMPT: '0',
  };
  const url = `https://${HOST}:${at.server.port}/repos/our/demo.git`;
  const git = (...args: string[]) =>
    run('git', ['-c', 'user.name=x', '-c', 'user.email=x@x', ...args], { env, cwd: dir });
  await git('clone', '-q', url, 'one');
  writeFileSync(join(dir, 'one/big'), randomBytes(3_000_000));
  await git('-C', 'one', 'add', '-A');
  await git('-C', 'one', 'commit', '-q', '-m', 'Big');
  await git('-C', 'one', 'push', '-q', 'origin', 'HEAD:main');
  await git('clone', '-q', url, 'two');
  assert.deepEqual(readFileSync(join(dir, 'two/big')), readFileSync(join(dir, 'one/big')));
  assert.ok(!readFileSync(join(dir, 'one/.git/config'), 'utf8').includes('S3cret'));
  const python = `import urllib.request as u; print(u.urlopen('${url}/info/refs?service=git-upload-pack').status)`;
  const { stdout } = await run('python3', ['-c', python], { env: { ...env, https_proxy: proxy } });
  assert.equal(stdout.trim(), '200');
});

test('an authority counts for its hosts only, and the same command gets the same one again', () => {
  const open = (name: string) =>
    openAuthority({ secret: SECRET, name, hosts: [HOST, '127.0.0.1', '::1'] }, () => 1.8e12);
  const first = new X509Certificate(open('call_1').cert);
  assert.ok(first.ca);
  const again = open('call_1');
  for (const host of [HOST, '127.0.0.1', '::1']) {
    const leaf = new X509Certificate(again.leaf(host).cert);
    assert.ok(leaf.verify(first.publicKey) && leaf.checkIssued(first), host);
    assert.equal(net.isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host), host);
  }
  assert.ok(!new X509Certificate(again.leaf(HOST).cert).verify(new X509Certificate(open('call_2').cert).publicKey));
});

test('a client does not take a leaf of the authority for any other host', async (t) => {
  const authority = openAuthority({ secret: SECRET, name: 'call_1', hosts: [HOST] }, Date.now);
  for (const [host, fits] of [
    [HOST, true],
    ['evil.example', false],
    ['127.0.0.1', false],
    ['::1', false],
  ] as const) {
    const server = tls.createServer(authority.leaf(host), (socket) => socket.end('hi'));
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const name = net.isIP(host) === 0 ? { servername: host } : { checkServerIdentity: () => undefined };
    const said = await new Promise<string>((resolve) => {
      const socket = tls.connect({ port, host: '127.0.0.1', ca: [authority.cert], ...name });
      socket.once('secureConnect', () => resolve('trusted'));
      socket.once('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? ''));
      socket.once('close', () => resolve('closed'));
      t.after(() => socket.destroy());
    });
    assert.equal(said === 'trusted', fits, `${host}: ${said}`);
  }
});
