import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { parseReach, type Reach } from '../../src/core/net/reach.ts';
import type { Egress, EgressHandle } from '../../src/core/ports/egress.ts';
import type { Sandbox } from '../../src/core/ports/sandbox.ts';
import { openEgress } from '../../src/net/egress/egress.ts';
import { openNet } from '../../src/net/guard.ts';
import { openBwrap } from '../../src/sandbox/bwrap.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { bwrapHere, git, limits, machine, realClock, sandboxHome, type SandboxHome } from '../fakes/sandbox-home.ts';
import { NO_SECRETS } from '../net/egress-support.ts';
import { answerGit } from '../net/git-backend.ts';
import { certificate, keptLog } from '../net/support.ts';

const { features, skip } = await bwrapHere();
/** Clients in the sandbox are the machine's, so they lie below /usr. */
const has = (program: string): boolean => {
  try {
    execFileSync('/bin/sh', ['-c', `PATH=/usr/local/bin:/usr/bin:/bin command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
};
const pair = certificate('IP:127.0.0.1,DNS:registry.test');
const noTls = requirePeer('openssl', pair !== null);
const without = (program: string): string | false => noTls || requirePeer(program, has(program));

interface Lab {
  home: SandboxHome;
  sandbox: Sandbox;
  egress: Egress & { close(): Promise<void> };
  guard: ReturnType<typeof openNet>;
  /** Ports of two servers with TLS that say their own name. */
  ports: [number, number];
  close(): Promise<void>;
}

async function openLab(): Promise<Lab> {
  assert.ok(features && pair);
  const home = await sandboxHome();
  const sandbox = await openBwrap({ dir: home.shells, boundary: () => undefined, clock: realClock, features, machine });
  const resolve = async (host: string): Promise<string[]> => {
    assert.equal(host, 'registry.test', 'no other name is looked up');
    return ['127.0.0.1'];
  };
  const guard = openNet({ clock: realClock, log: keptLog(), resolve });
  const egress = openEgress({
    dir: join(home.dir, 'egress'),
    key: Buffer.alloc(32, 5),
    net: guard,
    clock: realClock,
    injection: NO_SECRETS,
  });
  const repositories = join(home.dir, 'repositories');
  await mkdir(repositories);
  await git(home.dir, 'clone', '-q', '--bare', home.workspace, join(repositories, 'project.git'));
  const servers = ['first', 'second'].map((name) =>
    https.createServer({ key: pair.key, cert: pair.cert }, (request, response) => {
      const url = request.url ?? '';
      if (url.startsWith('/project.git/')) return answerGit(repositories, url, request, response);
      if (url.startsWith('/away?'))
        return response.writeHead(302, { location: decodeURIComponent(url.slice(6)) }).end();
      if (url === '/thing')
        return response.end(
          JSON.stringify({
            name: 'thing',
            'dist-tags': { latest: '1.2.3' },
            versions: {
              '1.2.3': { name: 'thing', version: '1.2.3', dist: { tarball: 'https://127.0.0.1/x.tgz', shasum: '' } },
            },
          }),
        );
      return response.end(`${name} server\n`);
    }),
  );
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const [one = 0, two = 0] = servers.map((server) => (server.address() as AddressInfo).port);
  return {
    home,
    sandbox,
    egress,
    guard,
    ports: [one, two],
    async close() {
      await egress.close();
      guard.close();
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
      await home.remove();
    },
  };
}

describe('programs in the sandbox, by the proxy of their command', { skip: skip || noTls }, () => {
  let lab: Lab;
  let count = 0;
  before(async () => {
    lab = await openLab();
  });
  after(() => lab.close());

  /** Opens a way out for places of this machine, as an owner names them in ruche.yaml. */
  const wayOut = (key: string, places: readonly string[]): Promise<EgressHandle> => {
    const only = places.map((place) => parseReach(place) as Reach);
    const forWhom = () => ({ who: 'tool:shell', agent: 'coder', run: 'run', privateHosts: places, only });
    return lab.egress.open(key, { agent: 'coder', run: 'run', forWhom, denied: () => null });
  };
  const run = async (
    command: string,
    places: readonly string[],
    files: (dir: string) => Promise<unknown> = async () => undefined,
  ): Promise<{ exit: number; text: string; refused: readonly string[] }> => {
    const key = `way_${(count += 1)}`;
    const checkout = await lab.home.checkout(key);
    await writeFile(join(checkout.dir, 'ca.pem'), pair?.cert ?? '');
    await files(checkout.dir);
    const network = await wayOut(key, places);
    const job = { key, command, checkout, limits: { ...limits, memory: 1 << 30 }, network };
    const { exit, output } = await lab.sandbox.exec(job, () => undefined, new AbortController().signal);
    await lab.sandbox.forget(key);
    await lab.egress.forget(key);
    return { exit, text: Buffer.from(output).toString(), refused: network.refused() };
  };
  const first = (): string => `127.0.0.1:${lab.ports[0]}`;
  const second = (): string => `127.0.0.1:${lab.ports[1]}`;

  test('curl reaches what the list names and nothing else', { skip: without('curl') }, async () => {
    const { text, refused } = await run(
      `export CURL_CA_BUNDLE=ca.pem; curl -sS https://${first()}/; curl -sS https://${second()}/`,
      [first()],
    );
    assert.match(text, /^first server\ncurl: .*403/);
    assert.match(refused.join(), new RegExp(`^${second()}: it is not among the hosts`));
  });

  test('git clones over HTTPS from a server with its own CA', async () => {
    const { text, exit } = await run(
      `export GIT_SSL_CAINFO=/workspace/ca.pem; git clone -q https://${first()}/project.git /tmp/p && cat /tmp/p/a.txt && git -C /tmp/p log --format=%s`,
      [first()],
    );
    assert.deepEqual([exit, text], [0, 'one\nfirst\n']);
  });

  test('npm asks its registry, by a name that only the guard looks up', { skip: without('npm') }, async () => {
    const registry = `registry.test:${lab.ports[0]}`;
    const { text } = await run(
      `npm view thing version --registry https://${registry}/ --cafile ca.pem --no-update-notifier`,
      [registry],
    );
    assert.match(text, /^1\.2\.3$/m);
  });

  test('Python’s urllib goes through it', { skip: without('python3') }, async () => {
    const { text } = await run(
      `SSL_CERT_FILE=ca.pem python3 -c 'import urllib.request as u; print(u.urlopen("https://${first()}/").read().decode())'`,
      [first()],
    );
    assert.equal(text, 'first server\n\n');
  });

  test('Node’s fetch goes through it', async () => {
    const { text } = await run(
      `NODE_EXTRA_CA_CERTS=ca.pem ./node -e 'fetch("https://${first()}/").then(r => r.text()).then(console.log, e => console.log(e.cause))'`,
      [first()],
      (dir) => copyFile(process.execPath, join(dir, 'node')),
    );
    assert.equal(text, 'first server\n\n');
  });

  test('several commands with different lists at once reach each its own', { skip: without('curl') }, async () => {
    const lists = [[first()], [second()], [first(), second()], []];
    const command = `for at in ${first()} ${second()}; do curl -s --cacert ca.pem https://$at/ || echo none; done`;
    const texts = await Promise.all([...lists, ...lists].map(async (list) => (await run(command, list)).text));
    const expected = ['first server\nnone\n', 'none\nsecond server\n', 'first server\nsecond server\n', 'none\nnone\n'];
    assert.deepEqual(texts, [...expected, ...expected]);
  });

  test('the token of another command opens nothing', { skip: without('curl') }, async () => {
    const other = await wayOut('other', [first(), second()]);
    const { text } = await run(
      `curl -s -o /dev/null -w '%{http_connect}' -x http://ruche:${other.token}@127.0.0.1:3128 https://${second()}/`,
      [first()],
    );
    assert.equal(text, '407');
    await lab.egress.forget('other');
  });

  test(
    'A37 A39 nothing else gets out, by any other way: who listens there hears not a byte',
    { skip: without('python3') || without('curl') },
    async (t) => {
      const heard: string[] = [];
      const silent = net.createServer((socket) => {
        heard.push('a connection');
        socket.destroy();
      });
      silent.listen(0, '::');
      await once(silent, 'listening');
      t.after(() => silent.close());
      const { port } = silent.address() as AddressInfo;
      const datagrams = dgram.createSocket('udp4', (bytes) => heard.push(`a datagram: ${bytes.toString('hex')}`));
      datagrams.bind(0, '127.0.0.1');
      await once(datagrams, 'listening');
      t.after(() => datagrams.close());
      const udp = datagrams.address().port;
      const abstract = net.createServer(() => heard.push('an abstract socket'));
      const name = `ruche-${process.pid}`;
      abstract.listen(`\0${name}`);
      await once(abstract, 'listening');
      t.after(() => abstract.close());
      const python = (program: string): string => `timeout 5 python3 -c '${program}'`;
      const tcp = (family: string, host: string): string =>
        python(
          `import socket; s=socket.socket(socket.${family}); s.settimeout(2); s.connect(("${host}",${port})); s.send(b"x"); print("OUT")`,
        );
      const viaProxy = (said: string, sni: string): string =>
        python(
          `import os,socket,ssl,base64; s=socket.create_connection(("127.0.0.1",3128)); a=base64.b64encode(os.environ["HTTP_PROXY"].split("//")[1].split("@")[0].encode()).decode(); s.send(("${said}\\r\\nProxy-Authorization: Basic "+a+"\\r\\n\\r\\n").encode()); r=s.recv(500); c=ssl._create_unverified_context(); w=c.wrap_socket(s,server_hostname=${sni}) if b" 200 " in r else None; print("OUT" if w else "no")`,
        );
      const attempts = [
        tcp('AF_INET', '127.0.0.1'),
        tcp('AF_INET6', '::1'),
        tcp('AF_INET', '0.0.0.0'),
        python(
          `import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.sendto(b"x",("127.0.0.1",${udp})); s.settimeout(1); s.recv(1); print("OUT")`,
        ),
        python(
          `import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.sendto(b"x",("192.0.2.1",53)); print("OUT")`,
        ),
        python('import socket; socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_ICMP); print("OUT")'),
        python('import socket; socket.socket(socket.AF_PACKET,socket.SOCK_RAW); print("OUT")'),
        python('import socket; socket.socket(40,socket.SOCK_STREAM).connect((2,1024)); print("OUT")'),
        python(`import socket; s=socket.socket(socket.AF_UNIX); s.connect("\\0${name}"); s.send(b"x"); print("OUT")`),
        python('import socket; print("OUT", socket.getaddrinfo("secret.example.org", 443))'),
        python(
          'import socket; s=socket.socket(socket.AF_UNIX); s.connect("/run/systemd/resolve/io.systemd.Resolve"); print("OUT")',
        ),
        `curl -sS --noproxy '*' -m 3 http://127.0.0.1:${port}/ && echo OUT`,
        `curl -sS --noproxy '*' -m 3 http://[::1]:${port}/ && echo OUT`,
        `curl -sSf -m 3 http://127.0.0.1:${port}/ && echo OUT`,
        `curl -sSf -m 3 http://2130706433:${port}/ && echo OUT`,
        `curl -sSf -m 3 http://localhost:${port}/ && echo OUT`,
        `curl -sSf -m 3 --proxytunnel http://127.0.0.1:${port}/ && echo OUT`,
        `curl -sSf -m 3 -k --connect-to ::127.0.0.1:${port} https://${first()}/ && echo OUT`,
        `curl -sSf -m 3 --proxytunnel -x "$HTTP_PROXY" --preproxy "$HTTP_PROXY" http://127.0.0.1:${port}/ && echo OUT`,
        `curl -sSf -m 3 -x http://127.0.0.1:${port} https://${first()}/ && echo OUT`,
        `curl -sSf -m 3 -L --cacert ca.pem 'https://${first()}/away?http%3A%2F%2F127.0.0.1%3A${port}%2F' && echo OUT`,
        `curl -sSf -m 3 -H 'Host: 127.0.0.1:${port}' http://${first()}/ && echo OUT`,
        viaProxy(`CONNECT ${first()} HTTP/1.1\\r\\nHost: ${first()}`, '"evil.example.org"'),
        viaProxy(`CONNECT 127.0.0.1:3128 HTTP/1.1\\r\\nHost: x`, 'None'),
        `for p in /proc/[0-9]*/root/proc/net/tcp; do grep -q :$(printf %04X ${port}) $p && echo OUT; done`,
        `ls /proc/1/root/home /proc/self/root/var/run/docker.sock 2>/dev/null && echo OUT`,
        `nsenter -t 1 -n true && echo OUT`,
        `unshare -Urn true && echo OUT`,
      ];
      const script = attempts
        .map((attempt, index) => `( ${attempt} ) >out 2>/dev/null; grep -q OUT out && echo ${index}`)
        .join('\n');
      const { text } = await run(`${script}\necho end`, [first()]);
      const through = text.trim().split('\n').slice(0, -1);
      assert.deepEqual(
        through.map((index) => attempts[Number(index)]),
        [],
      );
      assert.deepEqual(heard, []);
      // Proof that who listens would have heard.
      const socket = net.connect(port, '127.0.0.1');
      await once(socket, 'close');
      assert.deepEqual(heard, ['a connection']);
    },
  );

  test(
    'the runtime dies: a command is refused at once, goes on, and finds its way again with the rules as they are then',
    { skip: without('curl') },
    async () => {
      const key = 'survivor';
      const checkout = await lab.home.checkout(key);
      await writeFile(join(checkout.dir, 'ca.pem'), pair?.cert ?? '');
      const network = await wayOut(key, [first(), second()]);
      const ask = `curl -s --cacert ca.pem -m 5 https://${first()}/ || echo none; curl -s --cacert ca.pem -m 5 https://${second()}/ || echo none`;
      const wait = (name: string): string => `until [ -e ${name} ]; do sleep 0.02; done`;
      const command = `${ask}; touch up; ${wait('dead')}; ${ask}; touch lost; ${wait('back')}; ${ask}`;
      const job = { key, command, checkout, limits, network };
      let said = '';
      const heard = new Map<number, () => void>();
      const lines = (n: number): Promise<void> => new Promise((resolve) => heard.set(n, resolve));
      const [up, lost] = [lines(2), lines(4)];
      const going = lab.sandbox.exec(
        job,
        (chunk) => {
          said += Buffer.from(chunk).toString();
          heard.get(said.split('\n').length - 1)?.();
        },
        new AbortController().signal,
      );
      await up;
      await lab.egress.close();
      await writeFile(join(checkout.dir, 'dead'), '');
      await lost;
      // What the owner removed meanwhile is gone.
      await wayOut(key, [second()]);
      await writeFile(join(checkout.dir, 'back'), '');
      const { output } = await going;
      assert.equal(Buffer.from(output).toString(), 'first server\nsecond server\nnone\nnone\nnone\nsecond server\n');
      await lab.sandbox.forget(key);
      await lab.egress.forget(key);
    },
  );
});
