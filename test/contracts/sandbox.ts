import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { BOUNDARIES, type Boundary, type BoundaryName } from '../../src/core/ports/boundary.ts';
import { SandboxError, type Job, type JobResult, type Sandbox } from '../../src/core/ports/sandbox.ts';
import type { BwrapFeatures } from '../../src/sandbox/bwrap.ts';
import { limits, processesWith, realClock, sandboxHome, type SandboxHome } from '../fakes/sandbox-home.ts';
import { until } from '../fakes/until.ts';
import type { RuntimeOrder } from '../fakes/sandbox-runtime.ts';

export interface SandboxSuite {
  kind: 'bwrap' | 'container' | 'none';
  skip: string | false;
  features: BwrapFeatures | null;
  /** What each command is run in, where that has to be said. */
  sandbox?: Job['sandbox'];
  /** Milliseconds that a start may take on a busy machine; limits of time count them. */
  startMs?: number;
  open(shells: string, boundary: Boundary): Promise<Sandbox>;
}

const SHELL_BOUNDARIES = BOUNDARIES.filter((name) => name.startsWith('shell.'));
const POLICY = new URL('../sandbox/fixtures/host-env-policy.json', import.meta.url);
const RUNTIME = fileURLToPath(new URL('../fakes/sandbox-runtime.ts', import.meta.url));
/** A length of sleep nobody else uses, so that it can be found among the processes. */
const nap = (name: number): string => `${name}.${process.pid}`;
const quiet = (): void => undefined;
const never = (): AbortSignal => new AbortController().signal;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

/** Runs a runtime of its own until it ends or is killed. */
async function runtime(
  order: RuntimeOrder,
  onOutput: (text: string) => boolean,
): Promise<{ signal: string | null; text: string }> {
  // The last is a file it did not ask for, as a service manager or a terminal may leave one open.
  const stdio = Array.from({ length: 41 }, (_, number) => (number === 1 || number === 40 ? 'pipe' : 'ignore'));
  const child = spawn(process.execPath, ['--no-warnings', RUNTIME, JSON.stringify(order)], { stdio });
  let printed = '';
  child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
    printed += piece;
    if (onOutput(printed)) child.kill('SIGKILL');
  });
  await once(child, 'close');
  return { signal: child.signalCode, text: printed };
}

/** What every sandbox gives: commands that run once, within limits, found again after a crash. */
export function sandboxContract(suite: SandboxSuite): void {
  describe(`sandbox contract: ${suite.kind}`, { skip: suite.skip }, () => {
    let home: SandboxHome;
    let sandbox: Sandbox;
    let count = 0;
    const slow = suite.startMs !== undefined;
    const passed: BoundaryName[] = [];

    before(async () => {
      home = await sandboxHome();
      sandbox = await suite.open(home.shells, (name) => passed.push(name));
    });
    after(async () => {
      const keys = await sandbox.list();
      for (const key of keys) await sandbox.forget(key);
      const left = await processesWith(home.dir);
      const scope = createHash('sha256').update(home.shells).digest('hex').slice(0, 8);
      const parents = [suite.features?.cgroups.memory, suite.features?.cgroups.pids].filter(
        (parent) => typeof parent === 'string',
      );
      const groups = (await Promise.all(parents.map((parent) => readdir(parent)))).flat();
      await home.remove();
      assert.ok(keys.length > 15, 'too few commands for this to mean anything');
      assert.deepEqual(left, [], 'processes are left over');
      assert.deepEqual(
        groups.filter((name) => name.includes(scope)),
        [],
        'cgroups are left over',
      );
    });

    const job = async (command: string, own: Partial<Job['limits']> = {}): Promise<Job> => {
      const key = `job_${(count += 1)}`;
      const { sandbox: picked } = suite;
      return {
        key,
        command,
        checkout: await home.checkout(key),
        limits: { ...limits, ...own },
        network: null,
        sandbox: picked,
      };
    };
    const run = async (command: string, own: Partial<Job['limits']> = {}): Promise<JobResult> =>
      sandbox.exec(await job(command, own), quiet, never());

    test('gives exit code, output and errors in one stream', async () => {
      passed.length = 0;
      const result = await run('echo one; echo two >&2; echo three; exit 3');
      assert.deepEqual(
        { ...result, output: text(result.output) },
        {
          exit: 3,
          output: 'one\ntwo\nthree\n',
          outputSize: 14,
          cutAt: null,
          ended: 'itself',
        },
      );
      assert.deepEqual(passed, SHELL_BOUNDARIES);
    });

    test('a command that dies of a signal has 128 and its number', async () => {
      assert.equal((await run('kill -SEGV $$')).exit, 128 + 11);
    });

    test('bytes that are no text come through, and no input is waited for', async () => {
      const bytes = Array.from({ length: 256 }, (_, byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
      const result = await run(`cat; printf '${bytes}'`);
      assert.deepEqual(
        [...result.output],
        Array.from({ length: 256 }, (_, byte) => byte),
      );
    });

    test('works in the checkout, and Git knows where it is', async () => {
      const order = await job('cat a.txt; echo new >b.txt; git status --porcelain; git log --format=%s');
      const result = await sandbox.exec(order, quiet, never());
      assert.equal(text(result.output), 'one\n?? b.txt\nfirst\n');
      assert.equal(await readFile(join(order.checkout.dir, 'b.txt'), 'utf8'), 'new\n');
    });

    test('states: absent, running, finished, forgotten', async () => {
      const order = await job('echo up; while [ ! -e go ]; do sleep 0.01; done');
      assert.equal(await sandbox.find(order.key), 'absent');
      let seen = '';
      const going = sandbox.exec(order, (chunk) => (seen += text(chunk)), never());
      await until(() => seen === 'up\n', 'output while it runs');
      assert.equal(await sandbox.find(order.key), 'running');
      await writeFile(join(order.checkout.dir, 'go'), '');
      assert.equal((await going).exit, 0);
      assert.equal(await sandbox.find(order.key), 'finished');
      assert.ok((await sandbox.list()).includes(order.key));
      await sandbox.forget(order.key);
      assert.equal(await sandbox.find(order.key), 'absent');
      assert.ok(!(await sandbox.list()).includes(order.key));
      await sandbox.forget(order.key);
    });

    test('a key is started once, at the same time and later', async () => {
      const order = await job('echo x >>count; cat count');
      const results = await Promise.all([1, 2, 3].map(() => sandbox.exec(order, quiet, never())));
      results.push(await sandbox.exec(order, quiet, never()));
      results.push(await sandbox.adopt(order.key, order.limits, quiet, never()));
      assert.deepEqual(
        results.map((result) => text(result.output)),
        Array.from({ length: 5 }, () => 'x\n'),
      );
    });

    test('A32 a key that could be a path is refused', async () => {
      const order = await job('true');
      for (const key of ['../x', 'a/b', '', '.', '..', 'a b', 'x'.repeat(129), 'a\n'])
        await assert.rejects(sandbox.exec({ ...order, key }, quiet, never()), TypeError, key);
    });

    test('the time limit kills the whole tree', async () => {
      const result = await run(
        `sleep ${nap(7781)}1 & setsid sleep ${nap(7781)}2 & trap "" TERM; echo here; sleep ${nap(7781)}3; sleep ${nap(7781)}4`,
        { timeMs: 300 + (suite.startMs ?? 0) },
      );
      assert.equal(result.ended, 'timeout');
      assert.notEqual(result.exit, 0);
      assert.equal(text(result.output), 'here\n');
      await until(async () => (await processesWith(nap(7781))).length === 0, 'no process of it');
    });

    test('what a command leaves in the background dies with it', async () => {
      const result = await run(
        `setsid sleep ${nap(7782)}1 >/dev/null 2>&1 & (sleep ${nap(7782)}2 &) ; (setsid nohup sleep ${nap(7782)}3 &) ; echo done`,
      );
      assert.deepEqual([result.exit, text(result.output)], [0, 'done\n']);
      await until(async () => (await processesWith(nap(7782))).length === 0, 'no process of it');
    });

    test('an abort kills the tree and is a result', async () => {
      const order = await job(`echo up; sleep ${nap(7783)}1 & sleep ${nap(7783)}2`);
      const abort = new AbortController();
      const result = await sandbox.exec(order, () => abort.abort(), abort.signal);
      assert.deepEqual([result.exit, result.ended, text(result.output)], [137, 'aborted', 'up\n']);
      await until(async () => (await processesWith(nap(7783))).length === 0, 'no process of it');
      assert.equal(await sandbox.find(order.key), 'finished');
    });

    test('an abort at any moment of the start ends it', async () => {
      for (const ms of slow ? [0, 100, 300] : [0, 1, 3, 6, 10, 15]) {
        const abort = new AbortController();
        const going = sandbox.exec(await job(`sleep ${nap(7784)}`), quiet, abort.signal);
        setTimeout(() => abort.abort(), ms);
        assert.equal((await going).ended, 'aborted');
      }
      await until(async () => (await processesWith(nap(7784))).length === 0, 'no process of it');
    });

    test('aborted before the start, it never runs', async () => {
      const order = await job('echo ran >ran');
      assert.equal((await sandbox.exec(order, quiet, AbortSignal.abort())).ended, 'aborted');
      assert.equal(await sandbox.find(order.key), 'absent');
      assert.ok(!(await readdir(order.checkout.dir)).includes('ran'));
    });

    test('long output keeps both ends, is counted, and is bounded on disk', async () => {
      const order = await job('seq 1 5000000', { output: 65_536 });
      let most = 0;
      const watching = setInterval(() => {
        void size(join(home.shells, order.key)).then((bytes) => (most = Math.max(most, bytes)));
      }, 10);
      let live = 0;
      const result = await sandbox.exec(order, (chunk) => (live += chunk.length), never());
      clearInterval(watching);
      assert.equal(result.outputSize, 38_888_896);
      assert.ok(result.output.length <= 65_536 && result.output.length > 60_000, `${result.output.length} bytes`);
      assert.ok(live <= 65_536, `${live} bytes live`);
      assert.equal(result.cutAt, 32_768);
      assert.ok(text(result.output).startsWith('1\n2\n3\n'));
      assert.ok(text(result.output).endsWith('\n4999999\n5000000\n'));
      most = Math.max(most, await size(join(home.shells, order.key)));
      assert.ok(most < 30_000_000, `${most} bytes on disk`);
    });

    test('output up to the limit is kept whole', async () => {
      for (const output of [3892, 3893, 3894]) {
        const result = await run('seq 1 1000', { output });
        assert.equal(result.outputSize, 3893);
        assert.equal(result.cutAt === null, output >= 3893);
        assert.ok(result.output.length <= output);
      }
    });

    test('a trickle of output is put together', async () => {
      const result = await run('for i in $(seq 1 700); do echo $i; done', { output: 100_000 });
      assert.equal(text(result.output), Array.from({ length: 700 }, (_, index) => `${index + 1}\n`).join(''));
    });

    test('forgetting a running command kills it', async () => {
      const order = await job(`echo up; sleep ${nap(7785)}`);
      let up = false;
      const going = sandbox.exec(order, () => (up = true), never());
      await until(() => up, 'start');
      const [result] = await Promise.all([going, sandbox.forget(order.key)]);
      assert.equal(result.ended, 'aborted');
      assert.equal(await sandbox.find(order.key), 'absent');
    });

    test('when the wrapper itself is killed, the command is in doubt and runs no more', async () => {
      const order = await job(`echo up; sleep ${nap(7786)}`);
      let up = false;
      const going = sandbox.exec(order, () => (up = true), never());
      await until(() => up, 'start');
      const pid = Number((await readFile(join(home.shells, order.key, 'started'), 'utf8')).split(' ')[0]);
      process.kill(pid, 'SIGKILL');
      await assert.rejects(going, (error: unknown) => error instanceof SandboxError && error.code === 'doubt');
      assert.equal(await sandbox.find(order.key), 'doubt');
      await until(async () => (await processesWith(nap(7786))).length === 0, 'no process of it');
      await assert.rejects(sandbox.exec(order, quiet, never()), SandboxError);
    });

    test('killed at any moment of its start, the wrapper takes everything with it once somebody looks', async () => {
      const nap7 = nap(7789);
      for (const ms of slow ? [0, 80, 160, 320] : [0, 2, 4, 6, 8, 10, 12, 14, 18, 24]) {
        const order = await job(`sleep ${nap7}`);
        const going = sandbox.exec(order, quiet, never()).catch((error: unknown) => error);
        const started = join(home.shells, order.key, 'started');
        await until(async () => (await readFile(started, 'utf8').catch(() => '')) !== '', 'start');
        await realClock.sleep(ms);
        process.kill(Number((await readFile(started, 'utf8')).split(' ')[0]), 'SIGKILL');
        const error = await going;
        assert.ok(error instanceof SandboxError && error.code === 'doubt');
        // A program it had started may hold the lock for a moment longer.
        await until(async () => (await sandbox.find(order.key)) === 'doubt', 'doubt');
        await sandbox.forget(order.key);
      }
      await until(async () => (await processesWith(nap7)).length === 0, 'no process of it');
      await until(async () => (await processesWith(home.dir)).length === 0, 'no runner of it');
    });

    test('after a restart of the machine a finished command is in doubt: its files were not synced', async () => {
      const order = await job('true');
      await sandbox.exec(order, quiet, never());
      const file = join(home.shells, order.key, 'started');
      await writeFile(file, (await readFile(file, 'utf8')).replace(/ .*/, ' another-boot'));
      assert.equal(await sandbox.find(order.key), 'doubt');
    });

    test('a start that a crash has cut off is cancelled for good by looking', async () => {
      const order = await job('echo x >>count');
      await mkdir(join(home.shells, order.key));
      assert.equal(await sandbox.find(order.key), 'absent');
      assert.deepEqual((await readdir(join(home.shells, order.key))).sort(), ['lock', 'void']);
      assert.equal((await sandbox.exec(order, quiet, never())).exit, 0);
      assert.equal(await readFile(join(order.checkout.dir, 'count'), 'utf8'), 'x\n');
    });

    test('a command outlives a runtime that is killed, and is taken up with its whole output', async () => {
      const order = await job('echo x >>count; echo first; while [ ! -e go ]; do sleep 0.01; done; echo last');
      const { kind, features } = suite;
      const plan = { kind, shells: home.shells, features, job: order, killAt: null };
      const first = await runtime(plan, (printed) => printed.includes('first'));
      assert.equal(first.signal, 'SIGKILL');
      assert.equal(await sandbox.find(order.key), 'running');
      let seen = '';
      const going = sandbox.adopt(order.key, order.limits, (chunk) => (seen += text(chunk)), never());
      await until(() => seen === 'first\n', 'the output from before');
      await writeFile(join(order.checkout.dir, 'go'), '');
      const result = await going;
      assert.deepEqual([result.exit, text(result.output), seen], [0, 'first\nlast\n', 'first\nlast\n']);
      assert.equal(await readFile(join(order.checkout.dir, 'count'), 'utf8'), 'x\n');
    });

    test('open files the runtime was started with are not handed on', async () => {
      const order = await job('for file in /proc/self/fd/*; do readlink $file; done; echo end');
      const { kind, features } = suite;
      const plan = { kind, shells: home.shells, features, job: order, killAt: null };
      const { text: printed } = await runtime(plan, () => false);
      assert.match(printed, /^\/dev\/null\n(.*\n)*end\n/);
      assert.doesNotMatch(printed, /socket:/);
    });

    test('its time limit holds while the runtime is dead', async () => {
      const order = await job(`echo up; sleep ${nap(7787)}`, { timeMs: 300 + (suite.startMs ?? 0) });
      const { kind, features } = suite;
      await runtime({ kind, shells: home.shells, features, job: order, killAt: null }, (printed) =>
        printed.includes('up'),
      );
      await until(async () => (await sandbox.find(order.key)) === 'finished', 'the end');
      assert.equal((await sandbox.adopt(order.key, order.limits, quiet, never())).ended, 'timeout');
    });

    test('an adopted command can be aborted', async () => {
      const order = await job(`echo up; sleep ${nap(7788)}`);
      const { kind, features } = suite;
      await runtime({ kind, shells: home.shells, features, job: order, killAt: null }, (printed) =>
        printed.includes('up'),
      );
      const abort = new AbortController();
      const result = await sandbox.adopt(order.key, order.limits, () => abort.abort(), abort.signal);
      assert.equal(result.ended, 'aborted');
      await until(async () => (await processesWith(nap(7788))).length === 0, 'no process of it');
    });

    test('A24 nothing of the runtime’s environment reaches a command or what watches over it', async () => {
      const { keys, prefixes } = JSON.parse(await readFile(POLICY, 'utf8')) as { keys: string[]; prefixes: string[] };
      assert.deepEqual([keys.length, prefixes.length], [251, 7]);
      const canary = 'canary-in-the-environment';
      const names = [
        ...keys,
        ...prefixes.map((prefix) => `${prefix}RUCHE_TEST`),
        'OPENAI_API_KEY',
        'RUCHE_TOKEN',
        'SSH_AUTH_SOCK',
      ];
      const env = Object.fromEntries(names.map((name) => [name, canary]));
      const order = await job('env; echo up; while [ ! -e go ]; do sleep 0.01; done; cat /proc/[0-9]*/environ');
      const { kind, features } = suite;
      let around = '';
      const going = runtime({ kind, shells: home.shells, features, job: order, killAt: null, env }, () => false);
      const out = join(home.shells, order.key, 'out.0');
      await until(async () => (await readFile(out, 'utf8').catch(() => '')).includes('up'), 'start');
      // The programs the wrapper has started name its folder or the inner program's.
      const watching = [...(await processesWith(join(home.shells, order.key))), ...(await processesWith('ruche-run'))];
      for (const pid of watching) around += await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      await writeFile(join(order.checkout.dir, 'go'), '');
      const printed = (await going).text;
      assert.ok(watching.length > 1 && around.includes('PATH=') && printed.includes('PATH='));
      assert.ok(!around.includes(canary));
      if (kind === 'bwrap') assert.ok(!printed.includes(canary));
      const given = printed
        .slice(0, printed.indexOf('\nup'))
        .split('\n')
        .map((line) => line.slice(0, line.indexOf('=')));
      const own = kind === 'none' ? ['GIT_DIR', 'GIT_WORK_TREE', 'OLDPWD', 'RUCHE_JOB', 'TMPDIR'] : [];
      const usual = ['EMAIL', 'HOME', 'LANG', 'LOGNAME', 'PATH', 'PWD', 'RUCHE_STATUS', 'SHLVL', 'TERM', 'USER', '_'];
      const allowed = [...usual, ...own];
      assert.deepEqual(given.sort(), allowed.sort());
    });

    for (const killAt of suite.kind === 'bwrap' ? SHELL_BOUNDARIES : SHELL_BOUNDARIES.slice(1, 2))
      test(`killed at ${killAt}, the command has run exactly once after the restart`, async () => {
        const order = await job('echo x >>count; sleep 0.05; echo end');
        const { kind, features } = suite;
        const plan = { kind, shells: home.shells, features, job: order };
        const killed = await runtime({ ...plan, killAt }, () => false);
        assert.equal(killed.signal, 'SIGKILL');
        const resumed = await runtime({ ...plan, killAt: null }, () => false);
        assert.match(resumed.text, new RegExp(`0 ${Buffer.from('end\n').toString('base64')}\\]`));
        assert.equal(await readFile(join(order.checkout.dir, 'count'), 'utf8'), 'x\n');
      });
  });
}

/** Bytes of the files in a folder, the fifo left out. */
async function size(dir: string): Promise<number> {
  const sizes = await Promise.all(
    (await readdir(dir).catch(() => [])).map(
      async (name) => (await stat(join(dir, name)).catch(() => null))?.size ?? 0,
    ),
  );
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}
