// Behind the proxies of docs/proxy.md, with the configurations and commands that stand there.
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT } from '../guards/source.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { until } from '../fakes/until.ts';
import { echo, TOKEN, withGateway, type Rig } from './help.ts';
import { fakeViews, withPage } from './views-kit.ts';

const NAME = 'ruche.example.org';
const run = promisify(execFile);
const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

/** The blocks of one language on the page, in their order. */
async function blocks(language: string): Promise<string[]> {
  const text = await readFile(join(ROOT, 'docs/proxy.md'), 'utf8');
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'gm'))].map(([, block = '']) => block);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Proxy {
  program: string;
  /** Writes what the page shows, for these ports. Gives the arguments that start it, and each command of the page as it is run here. */
  set(dir: string, port: number, gateway: number): Promise<{ start: string[]; commands: Record<string, string[]> }>;
}

/** Replaces what must be there, so that a test cannot pass by a page that says something else. */
const put = (text: string, from: string, to: string): string => {
  assert.ok(text.includes(from), `${from} is not on the page`);
  return text.replaceAll(from, to);
};

const NGINX: Proxy = {
  program: 'nginx',
  async set(dir, port, gateway) {
    const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
    const subject = ['-subj', `/CN=${NAME}`, '-days', '1', '-nodes', '-keyout', key, '-out', cert];
    await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', ...subject]);
    let [server = ''] = await blocks('nginx');
    server = put(server, 'listen 443', `listen 127.0.0.1:${port}`);
    server = put(server, `/etc/letsencrypt/live/${NAME}/fullchain.pem`, cert);
    server = put(server, `/etc/letsencrypt/live/${NAME}/privkey.pem`, key);
    server = put(server, '127.0.0.1:4747', `127.0.0.1:${gateway}`);
    const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (each) => `${each}_temp_path ${dir}/${each};`,
    );
    const user = process.getuid?.() === 0 ? 'user root;' : '';
    const main = `${user} daemon off; pid ${dir}/nginx.pid; error_log stderr; events {}`;
    await writeFile(join(dir, 'nginx.conf'), `${main} http { access_log off; ${temp.join(' ')}\n${server}\n}\n`);
    const where = ['-c', join(dir, 'nginx.conf'), '-e', 'stderr'];
    return { start: where, commands: { 'nginx -t': ['-t', ...where], 'nginx -s reload': ['-s', 'reload', ...where] } };
  },
};

const CADDY: Proxy = {
  program: 'caddy',
  async set(dir, port, gateway) {
    let [site = ''] = await blocks('caddy');
    site = put(site, `${NAME} {`, `https://${NAME}:${port} {`);
    site = put(site, '127.0.0.1:4747', `127.0.0.1:${gateway}`);
    const admin = `unix/${dir}/admin.sock`;
    const own = `admin ${admin}\nlocal_certs\nskip_install_trust\nauto_https disable_redirects\nstorage file_system ${dir}`;
    const file = join(dir, 'Caddyfile');
    await writeFile(file, `{\n${own}\n}\n${site}`);
    const where = ['--config', file];
    return {
      start: ['run', ...where],
      commands: {
        'caddy validate --config /etc/caddy/Caddyfile': ['validate', ...where],
        'caddy reload --config /etc/caddy/Caddyfile': ['reload', ...where, '--address', admin],
      },
    };
  },
};

interface Told {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** Asks through the proxy, as a browser does that has found its name. `enough`: an answer that has no end. */
function ask(
  port: number,
  path: string,
  init: { body?: unknown; headers?: Record<string, string>; enough?: RegExp; meanwhile?: () => void } = {},
): Promise<Told> {
  const body = init.body === undefined ? null : JSON.stringify(init.body);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        servername: NAME,
        rejectUnauthorized: false,
        agent: false,
        method: body === null ? 'GET' : 'POST',
        headers: {
          host: `${NAME}:${port}`,
          ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...init.headers,
        },
      },
      (answer) => {
        let text = '';
        const done = (): void => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text });
        answer.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          if (init.enough?.test(text)) {
            done();
            sent.destroy();
          }
        });
        answer.on('end', done);
        answer.on('error', () => undefined); // cut by ourselves
        init.meanwhile?.();
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

for (const proxy of [NGINX, CADDY])
  test(
    `${proxy.program}, as docs/proxy.md sets it: the page, a Secure login, streams and large bodies come through`,
    { skip: requirePeer(proxy.program, has(proxy.program)) || requirePeer('openssl', has('openssl')) },
    async () => {
      const dir = await mkdtemp(join(tmpdir(), 'ruche-proxy-'));
      const port = await freePort();
      const publicUrl = `https://${NAME}:${port}`;
      const views = fakeViews();
      try {
        await withPage((page) =>
          withGateway(
            echo,
            (rig) => behind(rig, { proxy, dir, port, publicUrl, change: (seq) => views.change({ seq }) }),
            { ...page, views, publicUrl: () => publicUrl },
          ),
        );
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    },
  );

interface Place {
  proxy: Proxy;
  dir: string;
  port: number;
  publicUrl: string;
  change: (seq: number) => void;
}

async function behind(rig: Rig, { proxy, dir, port, publicUrl, change }: Place): Promise<void> {
  const env = { ...process.env, HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir };
  await mkdir(dir, { recursive: true });
  const { start, commands } = await proxy.set(dir, port, rig.gateway.port);
  const child = spawn(proxy.program, start, { env, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    const health = (): Promise<string> =>
      ask(port, '/healthz').then(
        ({ text }) => text,
        () => '',
      );
    await until(async () => (await health()) === 'ok\n', `${proxy.program} answers`);
    const page = await readFile(join(ROOT, 'docs/proxy.md'), 'utf8');
    for (const [said, args] of Object.entries(commands)) {
      assert.ok(page.includes(`\n${said}\n`), `${said} is not on the page`);
      await run(proxy.program, args, { env });
    }
    await checked(rig, port, publicUrl, change);
  } finally {
    child.kill();
    await ended;
  }
}

async function checked(rig: Rig, port: number, publicUrl: string, change: (seq: number) => void): Promise<void> {
  const at = ['--resolve', `${NAME}:${port}:127.0.0.1`];
  const { stdout } = await run('curl', ['-s', '-k', ...at, `${publicUrl}/healthz`]);
  assert.equal(stdout, 'ok\n');
  assert.match((await ask(port, '/')).text, /<title>the page/);
  const link = rig.gateway.loginLink() ?? '';
  assert.ok(link.startsWith(`${publicUrl}/login#`), link);
  const origin = { origin: publicUrl };
  const entered = await ask(port, '/api/sessions', { body: { code: link.split('#')[1] }, headers: origin });
  assert.equal(entered.status, 200, entered.text);
  const [given = ''] = entered.headers['set-cookie'] ?? [];
  assert.match(given, /; Path=\/; HttpOnly; SameSite=Strict; Secure; Max-Age=2592000$/);
  const cookie = given.split(';')[0] ?? '';
  assert.match((await ask(port, '/api/me', { headers: { cookie } })).text, /"by":"session"/);
  // 25 MB of files are 34 MB in base64.
  const file = { name: 'a.bin', mediaType: 'application/octet-stream', data: 'AAAA'.repeat(8_000_000) };
  const message = { agent: 'assistant', text: 'look', files: [file] };
  const sent = await ask(port, '/api/messages', { body: message, headers: { ...origin, cookie } });
  assert.equal(sent.status, 202, sent.text);
  const foreign = { cookie, origin: `http://${NAME}:${port}` };
  const refused = await ask(port, '/api/messages', { body: { agent: 'assistant', text: 'x' }, headers: foreign });
  assert.match(refused.text, /"wrong_origin"/);
  // Told while the stream is open: nobody between has kept it back.
  const live = await ask(port, '/api/live', {
    headers: { cookie },
    enough: /event: changed/,
    meanwhile: () => change(7),
  });
  assert.match(live.text, /event: changed/);
  const token = { authorization: `Bearer ${TOKEN}` };
  assert.match((await ask(port, '/v1/models', { headers: token })).text, /"assistant"/);
}
