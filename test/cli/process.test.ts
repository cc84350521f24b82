import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../fakes/until.ts';

/** The bundle, where it is current. */
const MAIN = join(import.meta.dirname, '../../bin/ruche.js');

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

interface Running {
  child: ChildProcess;
  out(): string;
  ended: Promise<Ran>;
}

let folder = '';
const running = new Set<ChildProcess>();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ruche-process-'));
});
after(async () => {
  for (const child of running) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** The real program in a process of its own, in a folder of its own. */
function start(args: string[], env: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const ended = new Promise<Ran>((resolve) =>
    child.once('close', (code) => {
      running.delete(child);
      resolve({ code, out, err });
    }),
  );
  return { child, out: () => out, ended };
}

const ruche = (...args: string[]): Promise<Ran> => start(args).ended;

/** One line for a person, and no stack. */
function isOneClearMessage({ err }: Ran): void {
  assert.match(err, /^ruche: \S/);
  assert.equal(err.trim().split('\n').length, 1, err);
  assert.doesNotMatch(err, /\bat .*:\d+:\d+|node:internal/);
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

/** What below a folder others may read or enter. */
const openToOthers = (path: string): string[] =>
  readdirSync(path, { recursive: true, encoding: 'utf8' }).filter(
    (name) => (lstatSync(join(path, name)).mode & 0o077) !== 0 && !lstatSync(join(path, name)).isSymbolicLink(),
  );

test('init, up, ask, log, verify and a second up; SIGTERM ends it within 10 s with exit 0', async () => {
  const made = await ruche('init', 'net', '--template', 'solo');
  assert.equal(made.code, 0, made.err);
  const [home, workspace] = [join(folder, 'net/home'), join(folder, 'net/workspace')];
  assert.ok(existsSync(join(workspace, 'ruche.yaml')) && existsSync(home));
  isOneClearMessage(await ruche('init', 'net'));

  const place = ['--home', home, '--workspace', workspace];
  // Whichever user made the folder, and whatever the umask is: nobody else can enter the home.
  await chmod(home, 0o755);
  const umask = process.umask(0);
  const up = start(['up', ...place, '--port', '0']);
  process.umask(umask);
  await until(() => up.out().includes('Ctrl-C'));
  assert.match(up.out(), /Ruche listens at http:\/\/127\.0\.0\.1:\d+\n[^]*built-in demo[^]*ruche chat[^]*curl /);
  const token = (await readFile(join(home, 'token'), 'utf8')).trim();
  assert.equal((await stat(join(home, 'token'))).mode & 0o777, 0o600);

  const second = await ruche('up', ...place, '--port', '0');
  assert.equal(second.code, 1);
  isOneClearMessage(second);
  assert.match(second.err, /another ruche is running/);

  const asked = await ruche('ask', 'write a.md: hi, then read a.md', '--json', ...place);
  assert.equal(asked.code, 0, asked.err);
  const answer = JSON.parse(asked.out) as Record<string, unknown>;
  assert.deepEqual(Object.keys(answer), ['task', 'run', 'session', 'status', 'text', 'commit']);
  assert.match(String(answer['commit']), /^[0-9a-f]{40}/);
  assert.equal(await readFile(join(workspace, 'a.md'), 'utf8'), 'hi');

  assert.deepEqual([modeOf(home), modeOf(join(home, 'journal.git'))], [0o700, 0o700]);
  assert.deepEqual(openToOthers(join(home, 'journal.git')), []);
  for (const { name } of readdirSync(home, { withFileTypes: true }).filter((entry) => !entry.isDirectory()))
    assert.equal(modeOf(join(home, name)) & 0o077, 0, name);

  const [log, verified, doctor, status] = await Promise.all([
    ruche('log', ...place, '--run', String(answer['run'])),
    ruche('verify', ...place),
    ruche('doctor', ...place),
    ruche('status', ...place),
  ]);
  assert.match(log.out, /evt_\d+ .*started run_/);
  assert.equal(verified.code, 0, verified.out + verified.err);
  assert.equal(doctor.code, 0, doctor.out);
  assert.match(doctor.out, /✓ Gateway: running/);
  assert.match(status.out, /1 done/);
  for (const { out, err } of [{ out: up.out(), err: '' }, asked, log, verified, doctor, status, second])
    assert.ok(!`${out}${err}`.includes(token), 'the token was printed');

  // A command that works on is adopted by the next start; it must not hold this one.
  const working = start(['ask', 'assistant', 'run: sleep 12', ...place]);
  await until(() => existsSync(join(home, 'shells')) && readdirSync(join(home, 'shells')).length > 0);
  const from = performance.now();
  up.child.kill('SIGTERM');
  const end = await up.ended;
  assert.equal(end.code, 0, end.err);
  assert.ok(performance.now() - from < 10_000);
  await working.ended;
  assert.ok(!existsSync(join(home, 'gateway.json')));
  const gone = await ruche('ask', 'assistant', 'x', ...place);
  assert.equal(gone.code, 2);
  isOneClearMessage(gone);
});

test('In a folder with home/ and workspace/ commands use those two', async () => {
  await mkdir(join(folder, 'home'), { recursive: true });
  await mkdir(join(folder, 'workspace'), { recursive: true });
  const { err, code } = await ruche('status');
  assert.equal(code, 2);
  assert.ok(err.includes(join(folder, 'home')), err);
  await rm(join(folder, 'home'), { recursive: true });
  await rm(join(folder, 'workspace'), { recursive: true });
});

test('What keeps up from starting is one clear message and an exit code', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const address = taken.address();
  const port = String(typeof address === 'object' && address ? address.port : 0);
  const file = join(folder, 'a-file');
  const plain = join(folder, 'plain');
  const open = join(folder, 'open-home');
  await writeFile(file, 'x');
  await mkdir(plain);
  await writeFile(join(plain, 'x'), 'x');
  await mkdir(open);
  await writeFile(join(open, 'token'), 'x'.repeat(43));
  await chmod(join(open, 'token'), 0o644);
  const cases: [string[], Record<string, string>, RegExp][] = [
    [['--home', join(folder, 'h1'), '--port', port], {}, /Port \d+ .*is in use.*--port/],
    [['--home', join(file, 'h'), '--port', '0'], {}, /a-file.*is a file, not a folder/],
    [['--home', join(folder, 'h2'), '--workspace', plain, '--port', '0'], {}, /not the top folder of a Git repository/],
    [['--home', join(folder, 'h3'), '--port', '0', '--host', '0.0.0.0'], { RUCHE_TOKEN: 'short' }, /too short/],
    [['--home', join(folder, 'h4'), '--port', '0'], { RUCHE_TOKEN: 'undefined' }, /has no token/],
    [['--home', join(folder, 'h5'), '--template', 'nothing'], {}, /no template "nothing".*solo/],
    [['--home', join(folder, 'h6'), '--port', 'x'], {}, /Invalid --port "x"/],
    [['--home', open, '--port', '0'], {}, /can be read by other users/],
  ];
  try {
    const ran = await Promise.all(cases.map(([args, env]) => start(['up', ...args], env).ended));
    for (const [index, result] of ran.entries()) {
      const [args, , message] = cases[index] ?? assert.fail();
      assert.equal(result.code, 1, args.join(' '));
      isOneClearMessage(result);
      assert.match(result.err, message);
      assert.equal(result.out, '');
    }
    assert.equal(ran.length, 8);
  } finally {
    taken.close();
  }
});

test('A broken ruche.yaml is named with its file and line, by up and by doctor', async () => {
  const root = join(folder, 'broken');
  assert.equal((await ruche('init', root)).code, 0);
  const workspace = join(root, 'workspace');
  await writeFile(join(workspace, 'ruche.yaml'), 'concurrency: 5\nmodels:\n  standard: [nowhere/x\n');
  const who = ['-c', 'user.name=p', '-c', 'user.email=p@example.org'];
  const git = spawn('git', [...who, 'commit', '-qam', 'break it'], { cwd: workspace, stdio: 'ignore' });
  await new Promise((resolve) => git.once('close', resolve));
  const place = ['--home', join(root, 'home'), '--workspace', workspace];
  const [up, doctor] = await Promise.all([ruche('up', ...place, '--port', '0'), ruche('doctor', ...place)]);
  assert.equal(up.code, 1);
  assert.match(up.err, /ruche\.yaml/);
  assert.doesNotMatch(up.err, /\bat .*:\d+:\d+/);
  assert.equal(doctor.code, 1);
  assert.match(doctor.out, /✗ Configuration: error: ruche\.yaml:[34].*\n {4}\S/);
});

test('doctor sees what is saved and not committed: that is what the next start takes', async () => {
  const root = join(folder, 'saved');
  assert.equal((await ruche('init', root)).code, 0);
  const place = ['--home', join(root, 'home'), '--workspace', join(root, 'workspace')];
  await writeFile(join(root, 'workspace/ruche.yaml'), '\nconcurency: 5\n');
  await mkdir(join(root, 'workspace/agents/new'));
  await writeFile(join(root, 'workspace/agents/new/AGENT.md'), '---\nmodel: nowhere/x\n---\n');
  const { code, out } = await ruche('doctor', ...place);
  assert.equal(code, 1);
  assert.match(out, /✗ Configuration: error: ruche\.yaml:2 \(concurency\).*Did you mean "concurrency"/);
  assert.match(out, /✗ Configuration: error: agents\/new\/AGENT\.md:2 \(model\).*Known: .*openai,/);
  const verified = await ruche('verify', '--home', join(root, 'home'), '--workspace', join(root, 'nowhere'));
  assert.equal(verified.code, 1);
  isOneClearMessage(verified);
});

/** A small file system of its own, or the reason why there can be none here. */
async function mounted(
  name: string,
  options: string,
): Promise<{ dir: string; set(options: string): boolean; end(): void } | string> {
  const dir = join(folder, name);
  await mkdir(dir);
  const mount = (...args: string[]): boolean => spawnSync('mount', args, { stdio: 'ignore' }).status === 0;
  if (!mount('-t', 'tmpfs', '-o', options, 'tmpfs', dir)) return 'mounting needs root on Linux';
  return {
    dir,
    set: (changed) => mount('-o', `remount,${changed}`, dir),
    end: () => void spawnSync('umount', ['-l', dir]),
  };
}

test('A full disk and a read-only home are one clear message each, and doctor sees them', async (t) => {
  const disk = await mounted('disk', 'size=24m');
  if (typeof disk === 'string') return t.skip(disk);
  try {
    const home = join(disk.dir, 'h');
    const place = ['--home', home, '--workspace', join(folder, 'elsewhere')];
    await mkdir(home);
    await writeFile(join(disk.dir, 'filler'), Buffer.alloc(24 * 1024 * 1024)).catch(() => undefined); // until it is full
    const [full, fullDoctor] = [await ruche('up', ...place, '--port', '0'), await ruche('doctor', ...place)];
    assert.equal(full.code, 1);
    isOneClearMessage(full);
    assert.match(full.err, /full/);
    assert.match(fullDoctor.out, /✗ Home: .*: the disk is full\n/);
    await rm(join(disk.dir, 'filler'));
    assert.ok(disk.set('ro'));
    const [fixed, fixedDoctor] = [await ruche('up', ...place, '--port', '0'), await ruche('doctor', ...place)];
    assert.equal(fixed.code, 1);
    isOneClearMessage(fixed);
    assert.match(fixed.err, /read-only/);
    assert.match(fixedDoctor.out, /✗ Home: .*: the disk is read-only\n/);
    assert.equal(fixedDoctor.code, 1);
  } finally {
    disk.end();
  }
});

test('--help and a wrong command are quick and clear, and --version is the version', async () => {
  const [help, version, wrong, missing] = await Promise.all([
    ruche('--help'),
    ruche('--version'),
    ruche('frobnicate'),
    ruche('ask'),
  ]);
  assert.equal(help.code, 0);
  for (const command of [
    'up',
    'init',
    'ask',
    'answer',
    'approve',
    'deny',
    'chat',
    'approvals',
    'status',
    'doctor',
    'log',
    'verify',
  ])
    assert.match(help.out, new RegExp(`^ {2}${command} `, 'm'));
  const manifest = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    version: string;
  };
  assert.equal(version.out.trim(), manifest.version);
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /unknown command 'frobnicate'/);
  assert.equal(missing.code, 1);
  assert.match(missing.err, /What do you want to ask/);
});

test('down stops the network and comes back when it has ended; where none runs it says so', async () => {
  const args = ['--home', join(folder, 'down'), '--workspace', join(folder, 'down-workspace')];
  const up = start(['up', ...args, '--port', '0', '--template', 'solo']);
  await until(() => up.out().includes('listens at '), 'it listens');
  assert.deepEqual(await ruche('down', ...args), { code: 0, out: '', err: 'Stopped.\n' });
  assert.equal((await up.ended).code, 0);
  const home = join(folder, 'down');
  for (const stale of [null, '{"url":"http://127.0.0.1:1","pid":4194304}', 'not json']) {
    if (stale !== null) await writeFile(join(home, 'gateway.json'), stale);
    assert.deepEqual(await ruche('down', ...args), { code: 0, out: '', err: `Nothing is running for ${home}.\n` });
  }
  const never = await ruche('down', '--home', join(folder, 'never'));
  assert.deepEqual([never.code, never.err], [0, `Nothing is running for ${join(folder, 'never')}.\n`]);
});
