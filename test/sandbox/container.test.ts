import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, readFile, readdir, readlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { type Job, type JobResult, type Sandbox, SandboxError } from '../../src/core/ports/sandbox.ts';
import { openContainers } from '../../src/sandbox/container/container.ts';
import { isolationContract } from '../contracts/isolation.ts';
import { sandboxContract } from '../contracts/sandbox.ts';
import { engineOptions, imageHere, smallImageHere } from '../fakes/container-image.ts';
import { limits, processesIn, processesWith, realClock, type SandboxHome, sandboxHome } from '../fakes/sandbox-home.ts';
import { handleAt } from '../fakes/no-egress.ts';
import { until } from '../fakes/until.ts';

const { image, skip } = await imageHere();
const small = await smallImageHere();
const podman = async (...args: string[]): Promise<string> => (await promisify(execFile)('podman', args)).stdout;

sandboxContract({
  kind: 'container',
  skip,
  features: null,
  startMs: 3000,
  sandbox: { kind: 'container', image },
  open: (dir, boundary) => openContainers({ ...engineOptions, dir, boundary, clock: realClock }),
});

isolationContract({
  who: 'a container',
  skip,
  weak: false,
  sandbox: { kind: 'container', image },
  startMs: 3000,
  // Of /sys there is what every container has; /proc/kcore is empty.
  bare: ['/sys', '/proc/kcore'],
  files: /^(pipe:\[\d+\]|\/run\/init)$/,
  open: (dir) => openContainers({ ...engineOptions, dir, boundary: () => undefined, clock: realClock }),
});

describe('a command in a container', { skip }, () => {
  let home: SandboxHome;
  let sandbox: Sandbox;
  let count = 0;
  const picked = { kind: 'container', image };

  before(async () => {
    home = await sandboxHome();
    sandbox = await openContainers({ ...engineOptions, dir: home.shells, boundary: () => undefined, clock: realClock });
  });
  after(async () => {
    for (const key of await sandbox.list()) await sandbox.forget(key);
    await home.remove();
  });

  const job = async (command: string, own: Partial<Job> = {}): Promise<Job> => {
    const key = `own_${(count += 1)}`;
    return { key, command, checkout: await home.checkout(key), limits, network: null, sandbox: picked, ...own };
  };
  const exec = (order: Job, onOutput: (chunk: Uint8Array) => void = () => undefined): Promise<JobResult> =>
    sandbox.exec(order, onOutput, new AbortController().signal);
  const textOf = ({ output }: JobResult): string => Buffer.from(output).toString();
  const names = (): Promise<string> => podman('ps', '--all', '--format', '{{.Names}}');

  test('is nobody outside, leaves its files to the runtime’s user, with links and rights as it made them', async () => {
    const order = await job(
      'echo x >new; ln -s /etc/shadow link; mkdir -p d/e; chmod 700 d; echo y >d/e/f; chmod 4755 new; echo up; while [ ! -e go ]; do sleep 0.02; done',
    );
    let up = false;
    const going = exec(order, () => (up = true));
    await until(() => up, 'start');
    const [name = ''] = (await names()).split('\n').filter((each) => each.endsWith(`-${order.key}`));
    const pid = (await podman('inspect', '--format', '{{.State.Pid}}', name)).trim();
    const uids = /^Uid:\s+(.*)$/m
      .exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]
      ?.split(/\s+/)
      .map(Number);
    assert.equal(uids?.length, 4);
    assert.ok(!uids.includes(0), `as ${uids.join(' ')}`);
    assert.match(name, /^ruche-[0-9a-f]{8}-own_\d+$/);
    await writeFile(join(order.checkout.dir, 'go'), '', { mode: 0o666 });
    assert.equal((await going).exit, 0);
    for (const path of ['new', 'link', 'd', 'd/e', 'd/e/f', 'a.txt']) {
      const { uid, gid } = await lstat(join(order.checkout.dir, path));
      assert.deepEqual([uid, gid], [process.getuid?.(), process.getgid?.()], path);
    }
    const mode = async (path: string): Promise<number> => (await lstat(join(order.checkout.dir, path))).mode & 0o7777;
    assert.equal(await mode('d'), 0o700);
    if (process.getuid?.() === 0) assert.equal((await mode('new')) & 0o4000, 0, 'no program of root’s');
    assert.equal(await readlink(join(order.checkout.dir, 'link')), '/etc/shadow');
    assert.equal(await names().then((list) => list.includes(order.key)), false);
  });

  test('whose wrapper is killed is ended with its container at the next look', async () => {
    const order = await job('echo up; sleep 3600');
    let up = false;
    const going = exec(order, () => (up = true)).catch((error: unknown) => error);
    await until(() => up, 'start');
    const [pid] = (await readFile(join(home.shells, order.key, 'started'), 'utf8')).split(' ');
    process.kill(Number(pid), 'SIGKILL');
    assert.ok((await going) instanceof SandboxError);
    assert.equal(await sandbox.find(order.key), 'doubt');
    assert.ok(!(await names()).includes(order.key));
    const { uid } = await lstat(order.checkout.dir);
    assert.equal(uid, process.getuid?.());
  });

  test('whose engine is killed, as for want of memory, ends with it: no limit holds what nobody waits for', async () => {
    const order = await job('echo up; sleep 3600');
    let up = false;
    const going = exec(order, () => (up = true));
    await until(() => up, 'start');
    const mark = (await readFile(join(home.shells, order.key, 'client'), 'utf8')).trim();
    const client = await processesWith(mark);
    for (const pid of client) process.kill(pid, 'SIGKILL');
    assert.ok(client.length > 0);
    assert.equal((await going).exit, 137);
    assert.ok(!(await names()).includes(order.key));
  });

  test('reaches its proxy by the loopback, with the token in no argument list, and nothing without one', async () => {
    const dir = join(home.dir, 'egress');
    await mkdir(dir, { mode: 0o700 });
    await writeFile(join(dir, 'ca.pem'), 'certificates\n', { mode: 0o600 });
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', (bytes) => socket.end(`heard ${bytes.toString()}`));
    });
    server.listen(join(dir, 'proxy.sock'));
    await once(server, 'listening');
    const network = handleAt(dir, 'the-secret-token', join(dir, 'ca.pem'));
    const say = 'exec 3<>/dev/tcp/127.0.0.1/3128 && echo hello >&3 && cat <&3';
    const order = await job(`${say}; echo $https_proxy; cat $GIT_SSL_CAINFO; while [ ! -e go ]; do sleep 0.02; done`, {
      network,
    });
    let seen = '';
    const going = exec(order, (chunk) => (seen += Buffer.from(chunk).toString()));
    await until(() => seen.includes('certificates'), 'what it says');
    assert.deepEqual(await processesWith('the-secret-token'), []);
    assert.equal((await processesIn(dir)).length, 1, 'the forwarder');
    await writeFile(join(order.checkout.dir, 'go'), '', { mode: 0o666 });
    await going;
    assert.equal(seen, 'heard hello\nhttp://ruche:the-secret-token@127.0.0.1:3128\ncertificates\n');
    await until(async () => (await processesIn(dir)).length === 0, 'no forwarder');
    server.close();
    assert.match(textOf(await exec(await job(`${say} || echo none; ls /run`))), /refused[^]*none\ncommand\n/);
  });

  test('with a network ends where the container does not start, and says why', async () => {
    const network = handleAt(home.dir, 'x');
    const order = await job('echo ran', { network });
    const nowhere = { ...order.checkout, objects: join(home.dir, 'nowhere') };
    const result = await exec({ ...order, checkout: nowhere });
    assert.equal(result.exit, 125);
    assert.match(textOf(result), /^The container was not started\.\n[^]*no such file/);
  });

  test('runs in an image that has busybox and nothing else', { skip: small.skip }, async () => {
    const order = await job('id -un; echo new >new; cat new a.txt; exit 4', {
      sandbox: { kind: 'container', image: small.image },
    });
    const result = await exec(order);
    assert.deepEqual([result.exit, textOf(result)], [4, 'agent\nnew\none\n']);
  });

  test('is not run where the image is not there, and the way to fetch it is said', async () => {
    const missing = `localhost/ruche-none@sha256:${'0'.repeat(64)}`;
    const order = await job('echo ran >ran', { sandbox: { kind: 'container', image: missing } });
    await assert.rejects(
      exec(order),
      (error: unknown) =>
        error instanceof SandboxError &&
        error.code === 'start' &&
        error.message === `The image ${missing} is not on this machine. Fetch it: \`podman pull ${missing}\`.`,
    );
    assert.deepEqual(await readdir(order.checkout.dir), ['.git', 'a.txt']);
    assert.equal(await sandbox.find(order.key), 'absent');
  });
});
