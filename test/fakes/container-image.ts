import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, cp, mkdir, mkdtemp, realpath, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { machine } from './sandbox-home.ts';
import { requirePeer } from './require-peer.ts';

const exec = promisify(execFile);

/** How the suites reach podman: as a runtime would, but for the environment, which is that of the test. */
export const engineOptions = {
  path: '/usr/local/bin:/usr/bin:/bin:/usr/sbin',
  platform: process.platform,
  machine,
  env: { HOME: process.env['HOME'], XDG_RUNTIME_DIR: process.env['XDG_RUNTIME_DIR'] },
};

/** What the suites start inside. An image of the machine's own programs needs no registry. */
const PROGRAMS =
  'sh bash cat chmod chown chroot curl cut date dmesg echo env false getent git grep head hostname id ln ls mkdir mknod mount mv nohup nsenter perl printf prlimit readlink renice rm rmdir sed seq setpriv setsid sleep sort stat su sysctl tail touch true umount uname unshare wc'.split(
    ' ',
  );

/** What people use in commands with a network. Git speaks HTTPS through a program of its own, npm is a folder. */
const CLIENTS = ['curl', 'mktemp', 'node'];

const run = async (program: string, ...args: string[]): Promise<string> =>
  (await exec(program, args, { maxBuffer: 1 << 24 })).stdout.trim();

/** The libraries a program names, and the loader. */
async function libraries(program: string): Promise<string[]> {
  const printed = await run('ldd', program).catch(() => '');
  return [...printed.matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) => path ?? []);
}

async function copyInto(root: string, path: string): Promise<void> {
  const to = join(root, path);
  await mkdir(dirname(to), { recursive: true });
  await copyFile(await realpath(path), to);
}

async function addClients(root: string): Promise<string[]> {
  const npm = dirname(dirname(await realpath('/usr/bin/npm')));
  await cp(npm, join(root, 'usr/lib/npm'), { recursive: true, verbatimSymlinks: true });
  await symlink('../lib/npm/bin/npm-cli.js', join(root, 'usr/bin/npm'));
  const helper = join(await run('git', '--exec-path'), 'git-remote-https');
  return [...CLIENTS.map((name) => `/usr/bin/${name}`), helper];
}

async function build(root: string, clients: boolean): Promise<void> {
  await chmod(root, 0o755);
  for (const folder of ['usr/bin', 'usr/lib', 'usr/lib64']) await mkdir(join(root, folder), { recursive: true });
  for (const name of ['bin', 'lib', 'lib64']) await symlink(`usr/${name}`, join(root, name));
  const found = await Promise.all(
    PROGRAMS.map((name) => run('sh', '-c', 'command -v "$1"', 'sh', `/usr/bin/${name}`).catch(() => '')),
  );
  const files = new Set(found.filter((path) => path !== ''));
  const perl = await run(
    'perl',
    '-MSocket',
    '-e',
    'print join "\\n", grep { m{^/} } values %INC, map { (glob "$_/auto/Socket/*.so") } @INC',
  ).catch(() => '');
  for (const path of perl.split('\n')) if (path !== '') files.add(path);
  if (clients) for (const path of await addClients(root)) files.add(path);
  const needed = await Promise.all([...files].map(libraries));
  for (const path of needed.flat()) files.add(path);
  for (const path of files) await copyInto(root, path);
}

/** Busybox alone: no bash, no Git, no /etc. */
async function buildSmall(root: string): Promise<void> {
  await chmod(root, 0o755);
  await mkdir(join(root, 'bin'));
  await copyFile('/bin/busybox', join(root, 'bin', 'busybox'));
  for (const name of ['sh', 'cat', 'id', 'mkdir']) await symlink('busybox', join(root, 'bin', name));
}

async function made(clients: boolean): Promise<string> {
  // What it is made of: another Git or Perl is another image.
  const versions = await Promise.all(
    ['git', 'bash', 'perl'].map((name) => stat(`/usr/bin/${name}`).then(({ size, mtimeMs }) => `${size} ${mtimeMs}`)),
  );
  const tag = createHash('sha256')
    .update(JSON.stringify([PROGRAMS, clients && CLIENTS, versions, 4]))
    .digest('hex')
    .slice(0, 12);
  return importOnce('localhost/ruche-test', tag, (root) => build(root, clients));
}

/** Makes an image once a machine. Rejects if podman cannot. */
async function importOnce(name: string, tag: string, fill: (root: string) => Promise<void>): Promise<string> {
  const tagged = `${name}:${tag}`;
  const digest = (): Promise<string> => run('podman', 'image', 'inspect', '--format', '{{.Digest}}', tagged);
  const known = await digest().catch(() => '');
  if (known !== '') return `${name}@${known}`;
  const root = await mkdtemp(join(tmpdir(), 'ruche-image-'));
  try {
    await fill(root);
    const tar = spawn('tar', ['-C', root, '--owner=0', '--group=0', '-c', '.'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const load = spawn('podman', ['import', '-', tagged], { stdio: [tar.stdout, 'ignore', 'ignore'] });
    const [code] = (await once(load, 'close')) as [number];
    if (code !== 0) throw new Error('podman import failed');
    return `${name}@${await digest()}`;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** An image with nothing but busybox, and the reason to skip where it cannot be made. */
export async function smallImageHere(): Promise<{ image: string; skip: string | false }> {
  const there = await Promise.all([run('podman', '--version'), stat('/bin/busybox')]).then(
    () => true,
    () => false,
  );
  const skip = requirePeer('podman or busybox-static', there);
  return { image: skip === false ? await importOnce('localhost/ruche-small', '1', buildSmall) : '', skip };
}

/** The image of the suites, and the reason to skip where podman is not there. With `clients`: curl, npm and Git over HTTPS. */
export async function imageHere({ clients = false } = {}): Promise<{ image: string; skip: string | false }> {
  const there = await run('podman', '--version').then(
    () => true,
    () => false,
  );
  const skip = requirePeer('podman', there);
  return skip === false ? { image: await made(clients), skip } : { image: '', skip };
}
