import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { EgressHandle } from '../../src/core/ports/egress.ts';
import type { JobResult, Sandbox } from '../../src/core/ports/sandbox.ts';
import { openBwrap } from '../../src/sandbox/bwrap.ts';
import { findForwarder, type Forwarder, forwarderWords } from '../../src/sandbox/network.ts';
import { openUnconfined } from '../../src/sandbox/none.ts';
import { handleAt } from '../fakes/no-egress.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { until } from '../fakes/until.ts';
import { bwrapHere, limits, machine, processesWith, realClock, sandboxHome } from '../fakes/sandbox-home.ts';
import type { SandboxHome } from '../fakes/sandbox-home.ts';

const { features, skip } = await bwrapHere();
const noPerl = requirePeer(
  'perl',
  await access('/usr/bin/perl').then(
    () => true,
    () => false,
  ),
);
const FORWARDERS: [Forwarder, string | false][] = [
  [{ kind: 'perl', program: '/usr/bin/perl' }, noPerl],
  [{ kind: 'node', program: process.execPath }, false],
];

/** Says everything again, and goodbye when the other side has ended. */
async function echo(dir: string): Promise<net.Server> {
  await rm(join(dir, 'proxy.sock'), { force: true });
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => socket.write(bytes));
    socket.on('end', () => socket.end('bye'));
  });
  server.listen(join(dir, 'proxy.sock'));
  await once(server, 'listening');
  return server;
}

const stop = async (server: net.Server): Promise<void> => {
  server.close();
  await once(server, 'close');
};

/** What comes back for the bytes; the code of the error if the connection is cut. */
async function talk(port: number, bytes: Uint8Array | string): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1' });
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  const end = new Promise<string | null>((resolve) => {
    socket.once('end', () => resolve(null));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
  socket.end(bytes);
  const failed = await end;
  socket.destroy();
  return failed ?? Buffer.concat(pieces).toString('latin1');
}

for (const [forwarder, missing] of FORWARDERS)
  test(
    `the forwarder in ${forwarder.kind} joins connections with the proxy, whichever side ends first, and those of a new one`,
    {
      skip: missing,
    },
    async (t) => {
      // Longer than the address of a socket may be.
      const dir = join(await mkdtemp(join(tmpdir(), 'ruche-forward-')), 'x'.repeat(120));
      await mkdir(dir);
      t.after(() => rm(join(dir, '..'), { recursive: true, force: true }));
      process.chdir(dir);
      t.after(() => process.chdir('/'));
      const [cwd = '', program = '', ...words] = forwarderWords(forwarder, dir, 0);
      const child = spawn(program, words, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
      t.after(() => child.kill('SIGKILL'));
      let said = '';
      child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
      await once(child.stdout, 'end');
      const port = Number(said);
      assert.ok(port > 0, 'it says its port and closes its output');
      assert.match(await talk(port, 'nobody there'), /^(ECONNRESET|EPIPE)$/);
      const first = await echo('.');
      const big = Buffer.alloc(3_000_000, 'x');
      assert.equal(await talk(port, big), `${big.toString()}bye`);
      assert.deepEqual(await Promise.all(['a', 'b', 'c'].map((text) => talk(port, text))), ['abye', 'bbye', 'cbye']);
      await stop(first);
      assert.match(await talk(port, 'between two'), /^(ECONNRESET|EPIPE)$/);
      const second = await echo('.');
      assert.equal(await talk(port, 'again'), 'againbye');
      const closing = net.createServer((socket) => socket.end('closed'));
      await stop(second);
      await rm('proxy.sock', { force: true });
      closing.listen('proxy.sock');
      await once(closing, 'listening');
      assert.equal(await talk(port, ''), 'closed');
      await stop(closing);
    },
  );

test('Perl is taken where there is one', { skip: noPerl }, async () => {
  assert.deepEqual(await findForwarder(), { kind: 'perl', program: '/usr/bin/perl' });
});

/** Runs in bash: says `hello` to whatever the variable names. */
const HELLO = 'exec 3<>"/dev/tcp/127.0.0.1/${HTTP_PROXY##*:}" && printf hello >&3 && head -c 5 <&3';

describe('a command with a way out', () => {
  let home: SandboxHome;
  let dir: string;
  let network: EgressHandle;
  let count = 0;

  before(async () => {
    home = await sandboxHome();
    dir = join(home.dir, 'egress');
    await mkdir(dir, { mode: 0o700 });
    network = handleAt(dir, 'the-token');
  });
  after(async () => {
    const left = await processesWith(home.dir);
    await home.remove();
    assert.deepEqual(left, [], 'no forwarder is left over');
  });

  const run = async (
    sandbox: Sandbox,
    command: string,
    own: EgressHandle | null,
  ): Promise<JobResult & { text: string }> => {
    const key = `net_${(count += 1)}`;
    const job = { key, command, checkout: await home.checkout(key), limits, network: own };
    const result = await sandbox.exec(job, () => undefined, new AbortController().signal);
    await sandbox.forget(key);
    return { ...result, text: Buffer.from(result.output).toString() };
  };
  const parts = () => ({ dir: home.shells, boundary: () => undefined, clock: realClock });

  for (const [forwarder, missing] of FORWARDERS)
    test(
      `reaches its proxy from bubblewrap by ${forwarder.kind} and nothing else, and ends without waiting for it`,
      {
        skip: skip || missing,
      },
      async () => {
        assert.ok(features);
        const found = async (): Promise<Forwarder> => forwarder;
        const sandbox = await openBwrap({ ...parts(), features, machine, forwarder: found });
        const server = await echo(dir);
        const result = await run(sandbox, `${HELLO}; echo; env | grep -i proxy=; exit 3`, network);
        const url = 'http://ruche:the-token@127.0.0.1:3128';
        assert.deepEqual([result.exit, result.ended], [3, 'itself']);
        const [said, ...told] = result.text.trim().split('\n');
        assert.equal(said, 'hello');
        const proxies = ['ALL', 'HTTPS', 'HTTP'].flatMap((name) => [`${name}_PROXY`, `${name.toLowerCase()}_proxy`]);
        const expected = [...proxies.map((name) => `${name}=${url}`), 'NODE_USE_ENV_PROXY=1', 'NO_PROXY=', 'no_proxy='];
        assert.deepEqual(told.toSorted(), expected.toSorted());
        await stop(server);
        const gone = await run(sandbox, `${HELLO} || echo refused; cut -d: -f1 -s /proc/net/dev`, network);
        assert.match(gone.text, /refused/);
        assert.match(gone.text, /\blo\n$/);
      },
    );

  test('has its token in no argument list, which other users of the machine can read', { skip }, async () => {
    assert.ok(features);
    const sandbox = await openBwrap({ ...parts(), features, machine });
    const own = handleAt(dir, 'token-that-nobody-reads');
    const key = `net_${(count += 1)}`;
    const checkout = await home.checkout(key);
    const command = 'echo up; while [ ! -e go ]; do sleep 0.02; done; echo "$HTTP_PROXY"';
    let text = '';
    const hear = (chunk: Uint8Array): void => void (text += Buffer.from(chunk).toString());
    const ran = sandbox.exec({ key, command, checkout, limits, network: own }, hear, new AbortController().signal);
    await until(() => text.includes('up'), 'start');
    assert.deepEqual(await processesWith(own.token), []);
    await writeFile(join(checkout.dir, 'go'), '', { mode: 0o666 });
    await ran;
    assert.match(text, /token-that-nobody-reads/);
    await sandbox.forget(key);
  });

  test('cannot touch the folder of its proxy', { skip }, async () => {
    assert.ok(features);
    const sandbox = await openBwrap({ ...parts(), features, machine });
    const server = await echo(dir);
    const { text } = await run(
      sandbox,
      'cd /run/egress && { rm -f proxy.sock; mv proxy.sock x; echo >x; ls; } 2>/dev/null',
      network,
    );
    assert.equal(text, 'proxy.sock\n');
    await stop(server);
  });

  test('one without has no trace of it', { skip }, async () => {
    assert.ok(features);
    const sandbox = await openBwrap({ ...parts(), features, machine });
    const { text } = await run(sandbox, `${HELLO}; env | grep -ci proxy; ls /run; ls -d /proc/[0-9]* | wc -l`, null);
    assert.match(text, /Connection refused|invalid port|No such file|syntax/i);
    assert.match(text, /\n0\ncommand\nobjects\n/);
    assert.ok(!text.includes('hello'));
  });

  test('without a sandbox it finds its proxy in its environment and leaves no process behind', async () => {
    const sandbox = await openUnconfined(parts());
    const server = await echo(dir);
    const result = await run(sandbox, `${HELLO}; echo; [ "$https_proxy" = "$HTTP_PROXY" ] && echo same`, network);
    assert.equal(result.text, 'hello\nsame\n');
    await stop(server);
  });
});
