import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Label } from '../../src/core/labels.ts';
import { namedPaths, speaksOfGit } from '../../src/policy/reads.ts';
import type { Files } from '../../src/core/files.ts';
import type { Checkouts } from '../../src/core/ports/workspace.ts';
import type { Sandbox } from '../../src/core/ports/sandbox.ts';
import type { ToolContext } from '../../src/core/ports/tool.ts';
import { BUILTIN, openSandbox } from '../../src/app/builtin.ts';
import { shellTool, type ShellInput } from '../../src/tools/shell.ts';
import { openCheckouts, type CheckoutPool } from '../../src/workspace/checkouts/checkouts.ts';
import { noEgress } from '../fakes/no-egress.ts';
import { limits, machine, processesWith, realClock } from '../fakes/sandbox-home.ts';
import { until } from '../fakes/until.ts';
import { cannotMount, tmpfs } from '../store/mounted.ts';
import { contextOf, openBench, type Bench } from './workspace.ts';

const skip = process.platform === 'linux' ? false : 'commands need Linux';
const OWN = { ...limits, timeMs: 10_000, output: 10_000 };
const BOUNDS = { maxFile: 2000, minFree: 0, maxBytes: 20_000_000, maxPaths: 2000 };
const say = (command: string, timeoutMs: number | null = null): ShellInput => ({ command, timeoutMs });

describe('shell', { skip }, () => {
  let root: string;
  let bench: Bench;
  let sandbox: Sandbox;
  let checkouts: CheckoutPool;
  let count = 0;

  /** As another process would open them after this one has died. */
  const openAgain = async (): Promise<{ sandbox: Sandbox; checkouts: CheckoutPool }> => {
    const path = process.env['PATH'] ?? '';
    const boundary = (): void => undefined;
    const dir = join(root, 'checkouts');
    return {
      sandbox: await openSandbox(BUILTIN, {
        dir: join(root, 'shells'),
        path,
        platform: 'linux',
        machine,
        boundary,
        clock: realClock,
      }),
      checkouts: await openCheckouts({
        workspace: bench.workspace,
        dir,
        boundary,
        clock: realClock,
        ...BOUNDS,
      }),
    };
  };
  const toolOf = (parts: { sandbox: Sandbox; checkouts: Checkouts }): ReturnType<typeof shellTool> =>
    shellTool({ ...parts, egress: noEgress, limits: OWN });

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'ruche-shell-'));
    bench = await openBench({
      'a.txt': 'one\n',
      'b.txt': 'two\n',
      '.gitignore': '*.log\n',
      '.env': 'PATH=/evil\nKEY=value\n',
    });
    ({ sandbox, checkouts } = await openAgain());
  });
  after(async () => {
    await toolOf({ sandbox, checkouts }).sweep?.(new Set());
    assert.deepEqual(await processesWith(root), []);
    await checkouts.close();
    await bench.close();
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  });

  const context = (files: Files, more: Partial<ToolContext> = {}): ToolContext =>
    contextOf(files, { key: `run_1-c${(count += 1)}`, ...more });
  const run = async (input: ShellInput, files?: Files, more: Partial<ToolContext> = {}) => {
    const ctx = context(files ?? (await bench.files()), more);
    const result = await toolOf({ sandbox, checkouts }).run(input, ctx);
    await toolOf({ sandbox, checkouts }).settled?.(ctx.key);
    return result;
  };
  const textOf = async (files: Files, path: string): Promise<string> =>
    Buffer.from((await files.read(path))?.bytes ?? []).toString('utf8');

  test('what a rule keeps from the file tools a command neither sees, nor finds in Git, nor changes', async () => {
    const files = await bench.files();
    const mayRead = (path: string): boolean => path !== 'b.txt';
    const mayWrite = (path: string): boolean => path !== 'a.txt';
    const look = await run(
      say('ls; cat .git/objects/info/alternates; git cat-file --batch-all-objects --batch-check; git log; echo end'),
      files,
      { mayRead },
    );
    assert.match(look.text, /a\.txt\n/);
    assert.doesNotMatch(look.text, /b\.txt|blob|Start/);
    assert.deepEqual(look.changes, [], 'a hidden file is not taken as removed');
    const write = await run(say('echo x >>a.txt; echo y >c.txt'), files, { mayRead, mayWrite });
    assert.equal(write.ok, false);
    assert.match(write.text, /a rule does not let a command change a\.txt/);
    assert.deepEqual(write.changes, []);
    const over = await run(say('echo z >b.txt; ls'), files, { mayRead });
    assert.equal(over.ok, false, 'nor written over unseen');
    assert.equal(await textOf(files, 'b.txt'), 'two\n');
  });

  test('what a command says has the labels of what it could read, and no others', async () => {
    const more: Partial<ToolContext> = {
      labelsOf: ({ path }) => (path === 'b.txt' ? ['untrusted'] : []),
      nameLabels: () => [],
      readBy: (command) => ({ named: namedPaths(command), past: speaksOfGit(command) ? ['private'] : [] }),
    };
    const labels = async (command: string): Promise<readonly Label[]> =>
      (await run(say(command), undefined, more)).labels;
    for (const command of [
      'cat b.txt',
      'cat *.txt',
      'sort <b.txt',
      'cat .//b.txt',
      'ln -s b.txt l; cat l',
      'sh -c "cat b*"',
    ])
      assert.deepEqual(await labels(command), ['untrusted'], command);
    for (const command of ['cat a.txt', 'echo hello >c.txt', 'ls -l', 'date', 'git status'])
      assert.deepEqual(await labels(command), command.startsWith('git') ? ['private'] : [], command);
    const files = await bench.files();
    await files.write('into', Buffer.from('.'), '120000');
    for (const [command, expected] of [
      ['cat into/b.txt', ['untrusted']],
      ['cat in*/b.txt', ['untrusted']],
      ['cat a.txt', []],
    ] as const)
      assert.deepEqual((await run(say(command), files, more)).labels, expected, command);
    // A program may open what its line does not name; what Git remembers counts only where the line speaks of Git.
    assert.deepEqual(await labels('env true'), ['untrusted']);
    assert.deepEqual(await labels('git log --oneline'), ['private', 'untrusted']);
    const { changes, labels: own } = await run(say("sed -i 's/two/2/' b.txt"), undefined, more);
    assert.deepEqual([changes.length, own], [1, ['untrusted']], 'as it was before it changed');
  });

  test('output, exit code, and what changed join the run', async () => {
    const files = await bench.files();
    const first = await run(
      say('cat a.txt; echo new >"c d.txt"; echo more >>a.txt; rm b.txt; echo x >x.log; echo err >&2'),
      files,
    );
    assert.deepEqual([first.ok, first.labels], [true, []]);
    assert.equal(
      first.text,
      'one\nerr\nexit 0\nchanged: a.txt, "c d.txt"\nremoved: b.txt\nnot kept (ignored by Git, or a repository): x.log',
    );
    assert.deepEqual(first.changes.map(({ path }) => path).sort(), ['a.txt', 'b.txt', 'c d.txt']);
    assert.equal(await textOf(files, 'a.txt'), 'one\nmore\n');
    const second = await run(say('cat a.txt; ls; cat .git/HEAD'), files);
    assert.equal(second.text, 'one\nmore\na.txt\nc d.txt\nref: refs/heads/main\nexit 0');
    assert.deepEqual(second.changes, []);
    assert.deepEqual(await checkouts.held(), []);
    assert.deepEqual(await sandbox.list(), []);
  });

  test('a command that fails is a result, and its changes are kept', async () => {
    const files = await bench.files();
    const result = await run(say('echo half >half; exit 3'), files);
    assert.deepEqual([result.ok, result.text], [false, 'exit 3\nchanged: half']);
    assert.equal(await textOf(files, 'half'), 'half\n');
  });

  test('what cannot be taken over is refused whole, with the reason', async () => {
    const files = await bench.files();
    const result = await run(say('echo small >small; seq 1 5000 >large'), files);
    assert.equal(result.ok, false);
    assert.match(result.text, /^exit 0\nnone of its changes were kept: .*large/);
    assert.deepEqual([files.changes(), result.changes], [[], []]);
  });

  test('bytes that are no text become readable, NUL goes', async () => {
    const pieces: string[] = [];
    const progress = (text: string): void => void pieces.push(text);
    const result = await run(say("printf 'a\\000b\\377c\\303\\251\\n'"), undefined, { progress });
    assert.equal(result.text, 'ab\ufffdcé\nexit 0');
    assert.equal(pieces.join(''), 'ab\ufffdcé\n');
  });

  test('of what a program redraws the last state is shown, and no colours', async () => {
    const bar = (count: number): string =>
      `echo begin; for i in $(seq 1 ${count}); do printf '\\r\\033[32m%d %%\\033[0m' "$i"; done; echo`;
    assert.equal((await run(say(bar(300)))).text, 'begin\n300 %\nexit 0');
    assert.match((await run(say(bar(3000)))).text, /^begin\n\n… \d+ bytes left out …\n3000 %\nexit 0$/);
  });

  test('long output says what is missing', async () => {
    const { text } = await run(say('seq 1 10000'));
    assert.match(text, /^1\n2\n[^]*\n… 38894 bytes left out …\n[^]*\n10000\nexit 0$/);
  });

  test('a call may ask for less time, not for more', async () => {
    const { ok, text } = await run(say('echo up; sleep 60', 200));
    assert.equal(ok, false);
    assert.match(text, /^up\nexit \d+: killed after 0\.2 s, the time limit$/);
    const short = shellTool({ sandbox, checkouts, egress: noEgress, limits: { ...OWN, timeMs: 200 } });
    const ctx = context(await bench.files());
    assert.match((await short.run(say('sleep 60', 600_000), ctx)).text, /after 0\.2 s/);
    await short.settled?.(ctx.key);
  });

  test('an abort kills the command and keeps nothing of it', async () => {
    const files = await bench.files();
    const abort = new AbortController();
    const result = await run(say('echo x >x; echo up; sleep 60'), files, {
      progress: () => abort.abort(),
      signal: abort.signal,
    });
    assert.deepEqual([result.ok, result.text], [false, 'up\nexit 137: aborted\nnone of its changes were kept']);
    assert.deepEqual(files.changes(), []);
  });

  test('a command that outgrows its bounds is ended, nothing of it is kept, and the next one works', async () => {
    const files = await bench.files();
    const large = await run(say('echo up; head -c 30000000 /dev/zero >large.log; sleep 60'), files);
    assert.deepEqual(
      [large.ok, large.text],
      [false, 'up\nexit 137: killed, because it wrote more than 20 MB\nnone of its changes were kept'],
    );
    const many = 'for at in $(seq 1 50); do mkdir -p .git/$at; touch $(seq -f ".git/$at/%.0f" 1 60); done; sleep 60';
    assert.match((await run(say(many), files)).text, /: killed, because it made more than 2000 files and folders\n/);
    assert.deepEqual(files.changes(), []);
    assert.deepEqual(await checkouts.held(), []);
    const next = await run(say('ls; echo x >x'), files);
    assert.equal(next.text, 'a.txt\nb.txt\nexit 0\nchanged: x');
  });

  test('a command that fills the disk is ended, the space is free again, and the next one works', async (t) => {
    const reason = cannotMount(root);
    if (reason) return t.skip(reason);
    const disk = tmpfs(join(root, 'small'), '64m');
    const pool = await openCheckouts({
      workspace: bench.workspace,
      dir: join(disk.dir, 'checkouts'),
      boundary: () => undefined,
      clock: realClock,
      minFree: 30_000_000,
    });
    const tool = toolOf({ sandbox, checkouts: pool });
    const files = await bench.files();
    const over = async (command: string): Promise<string> => {
      const ctx = context(files);
      const { text } = await tool.run(say(command), ctx);
      await tool.settled?.(ctx.key);
      return text;
    };
    try {
      const filled = await over('for at in 1 2 3; do head -c 90000000 /dev/zero >f$at.log; done 2>/dev/null; sleep 60');
      assert.match(filled, /killed, because less than 10 MB are free on the disk\nnone of its changes were kept$/);
      assert.match(await over('echo x >x'), /^exit 0\nchanged: x$/);
      // Somebody else's.
      writeFileSync(join(disk.dir, 'filler'), Buffer.alloc(60_000_000));
      assert.match(
        await over('true'),
        /^The command was not run, .*less than 10 MB are free on the disk of .*free some/,
      );
      rmSync(join(disk.dir, 'filler'));
      assert.match(await over('true'), /^exit 0$/);
    } finally {
      await pool.close();
      disk.unmount();
    }
  });

  test('A25 files of the workspace set no environment', async () => {
    const { text } = await run(say('cat .env; env'));
    assert.match(text, /^PATH=\/evil\nKEY=value\n/);
    assert.doesNotMatch(text.slice('PATH=/evil\nKEY=value\n'.length), /evil|KEY=/);
  });

  test('arguments are checked', () => {
    const { parse, facts } = toolOf({ sandbox, checkouts });
    assert.deepEqual(parse({ command: 'ls', timeout: 2.5 }), { ok: true, value: { command: 'ls', timeoutMs: 2500 } });
    assert.deepEqual(parse({ command: 'ls' }), { ok: true, value: { command: 'ls', timeoutMs: null } });
    const bad = [
      null,
      'ls',
      [],
      {},
      { command: 1 },
      { command: ' ' },
      { command: 'a\0b' },
      { command: 'x'.repeat(70_000) },
    ];
    const worse = [
      { command: 'ls', timeout: 0 },
      { command: 'ls', timeout: '5' },
      { command: 'ls', approved: true },
    ];
    for (const args of [...bad, ...worse]) assert.equal(parse(args).ok, false, JSON.stringify(args)?.slice(0, 60));
    assert.deepEqual(facts(say('rm -rf /')), { command: 'rm -rf /' });
  });

  test('after a crash: not started', async () => {
    const ctx = context(await bench.files());
    await checkouts.take(ctx.files.base, [], ctx.key);
    const again = await openAgain();
    assert.deepEqual(await toolOf(again).reconcile?.(say('true'), ctx), { state: 'not-started' });
    assert.deepEqual(await again.checkouts.held(), []);
    assert.deepEqual(await toolOf(again).reconcile?.(say('true'), ctx), { state: 'not-started' });
    await checkouts.recover([]);
  });

  test('after a crash: still running, then finished, with the same result until it is settled', async () => {
    const ctx = context(await bench.files());
    const command = 'echo x >>count; echo first; while [ ! -e go.log ]; do sleep 0.01; done; echo last';
    let up = false;
    // It dies while the command runs, so it never takes the result.
    const dead: Checkouts = {
      take: (...args) => checkouts.take(...args),
      watch: (...args) => checkouts.watch(...args),
      collect: () => new Promise(() => undefined),
      adopt: (key) => checkouts.adopt(key),
      release: (checkout) => checkouts.release(checkout),
      held: () => checkouts.held(),
    };
    void toolOf({ sandbox, checkouts: dead }).run(say(command), { ...ctx, progress: () => (up = true) });
    await until(() => up, 'start');
    const again = await openAgain();
    const files = await bench.files();
    const going = toolOf(again).reconcile?.(say(command), { ...ctx, files });
    const checkout = await again.checkouts.adopt(ctx.key);
    assert.ok(checkout);
    await writeFile(join(checkout.dir, 'go.log'), '');
    const found = await going;
    assert.ok(found?.state === 'done');
    assert.equal(
      found.result.text,
      'first\nlast\nexit 0\nchanged: count\nnot kept (ignored by Git, or a repository): go.log',
    );
    assert.equal(await textOf(files, 'count'), 'x\n');
    const later = await openAgain();
    const once = await toolOf(later).reconcile?.(say(command), { ...ctx, files: await bench.files() });
    assert.deepEqual(once, found);
    await toolOf(later).settled?.(ctx.key);
    await toolOf(later).settled?.(ctx.key);
    assert.deepEqual([await later.checkouts.held(), await later.sandbox.list()], [[], []]);
    await checkouts.recover([]);
  });

  test('when what watched over a command is killed, it is in doubt, and nothing of it is kept', async () => {
    const ctx = context(await bench.files());
    let up = false;
    const going = toolOf({ sandbox, checkouts }).run(say('echo x >x; echo up; sleep 60'), {
      ...ctx,
      progress: () => (up = true),
    });
    await until(() => up, 'start');
    const pid = (await readFile(join(root, 'shells', ctx.key, 'started'), 'utf8')).split(' ')[0];
    process.kill(Number(pid), 'SIGKILL');
    const result = await going;
    assert.equal(result.ok, false);
    assert.match(result.text, /^The command started, but .*\nnone of its changes were kept$/);
    const found = await toolOf({ sandbox, checkouts }).reconcile?.(say('true'), ctx);
    assert.equal(found?.state, 'doubt');
    await toolOf({ sandbox, checkouts }).settled?.(ctx.key);
  });

  test('a checkout that is gone leaves the call in doubt', async () => {
    const ctx = context(await bench.files());
    await toolOf({ sandbox, checkouts }).run(say('true'), ctx);
    await checkouts.recover([]);
    const found = await toolOf({ sandbox, checkouts }).reconcile?.(say('true'), ctx);
    assert.equal(found?.state, 'doubt');
  });

  test('leftovers are let go of at start, live calls are not', async () => {
    const tool = toolOf({ sandbox, checkouts });
    const contexts = await Promise.all([1, 2, 3].map(async () => context(await bench.files())));
    const [live, old, taken] = contexts.map(({ key }) => key) as [string, string, string];
    await Promise.all(contexts.slice(0, 2).map((ctx) => tool.run(say('true'), ctx)));
    await checkouts.take(contexts[2]?.files.base ?? '', [], taken);
    assert.deepEqual((await checkouts.held()).sort(), [live, old, taken].sort());
    await tool.sweep?.(new Set([live]));
    assert.deepEqual([await checkouts.held(), await sandbox.list()], [[live], [live]]);
  });

  test('without a checkout the command is not run', async () => {
    const broken = { ...context(await bench.files()), key: 'not a key' };
    const result = await toolOf({ sandbox, checkouts }).run(say('true'), broken);
    assert.equal(result.ok, false);
    assert.match(result.text, /^The command was not run, there is no checkout for it: /);
  });
});
