import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Loop } from '../fakes/loop.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import type { ModelRequest } from '../../src/core/model.ts';
import type { Tool } from '../../src/core/ports/tool.ts';
import { listTool } from '../../src/tools/list.ts';
import { readTool } from '../../src/tools/read.ts';
import { writeTool } from '../../src/tools/write.ts';
import { quickClock } from '../fakes/quick-clock.ts';
import { until } from '../fakes/until.ts';
import { standingIn } from '../views/kit.ts';
import { withLoop } from './with-loop.ts';

const git = (loop: Loop, ...args: string[]): string =>
  execFileSync('git', ['-C', join(loop.dir, 'workspace'), ...args], { encoding: 'utf8' });

test('what became ignored while a run worked is left out with a note, and its other files land', async () => {
  let loop!: Loop;
  const script = [
    calls(['write', { path: 'dist/x.js', content: 'x' }], ['write', { path: 'good.txt', content: 'good' }]),
    async () => {
      await appendFile(join(loop.dir, 'workspace', '.gitignore'), 'dist/\n');
      return says('Done.');
    },
    says('Done, but for dist/x.js.'),
  ];
  await withLoop(script, { files: { '.gitignore': '*.log\n' } }, async (opened, _log, model) => {
    loop = opened;
    const outcome = await loop.send('go');
    assert.deepEqual([outcome.status, outcome.text], ['done', 'Done, but for dist/x.js.']);
    const told = JSON.stringify(model.requests[2]?.messages.at(-1));
    assert.match(told, /dist\/x\.js cannot be committed: it is ignored by \.gitignore, line 2 \(dist\/\)\./);
    assert.match(told, /left out; your other changes land/);
    assert.equal(git(loop, 'log', '-1', '--format=%s', 'main').trim(), 'assistant: add good.txt');
    assert.equal(git(loop, 'show', 'main:good.txt'), 'good');
    assert.equal(git(loop, 'for-each-ref', 'refs/ruche/unlanded'), '');
  });
});

test('an ignored path is refused when it is written, and nothing keeps the rest from landing', async () => {
  const script = [
    calls(['write', { path: 'a.log', content: 'x' }], ['write', { path: 'good.txt', content: 'good' }]),
    says('Done.'),
  ];
  const files = { '.gitignore': '*.log\n' };
  await withLoop(script, { files, tools: [writeTool] }, async (loop, _log, model) => {
    assert.equal((await loop.send('go')).status, 'done');
    assert.match(JSON.stringify(model.requests[1]?.messages), /a\.log could not be kept: it is ignored by \.gitignore/);
    assert.equal((await loop.events()).filter(({ type }) => type === 'landing.conflicted').length, 0);
    assert.equal(git(loop, 'show', 'main:good.txt'), 'good');
  });
});

test('a file that was made and removed again is no part of what the commit says', async () => {
  const script = [
    calls(['write', { path: 'draft.md', content: 'x' }], ['write', { path: 'good.txt', content: 'good' }]),
    calls(['remove', { path: 'draft.md' }]),
    says('Done.'),
  ];
  const remove: Tool<{ path: string }> = {
    name: 'remove',
    description: 'Remove a file.',
    effect: 'write',
    idempotent: true,
    schema: { type: 'object' },
    parse: (value) => ({ ok: true, value: value as { path: string } }),
    facts: ({ path }) => ({ paths: [path] }),
    run: async ({ path }, { files }) => {
      const change = await files.remove(path);
      return { ok: true, text: 'removed', labels: [], changes: change === null ? [] : [change] };
    },
  };
  await withLoop(script, { tools: [writeTool, remove] }, async (loop) => {
    assert.equal((await loop.send('go')).status, 'done');
    assert.equal(git(loop, 'log', '-1', '--format=%s', 'main').trim(), 'assistant: add good.txt');
  });
});

const writes = [calls(['write', { path: 'good.txt', content: 'good' }]), says('Done.')];
const problemsOf = async (loop: Loop): Promise<string[]> =>
  (await loop.runtime.status()).problems.filter(({ file }) => file === 'workspace').map(({ message }) => message);

test('a lock left behind is told at once, in the standing and in status, and the run lands once it is gone', async () => {
  await withLoop(writes, { tools: [writeTool], clock: quickClock(1) }, async (loop) => {
    const lock = join(loop.dir, 'workspace', '.git', 'index.lock');
    await writeFile(lock, '');
    const task = await loop.deliver('go');
    const standing = await until(async () => {
      const found = await standingIn(loop.views, task);
      return found.state === 'retrying' ? found : null;
    }, 'the standing tells of the lock');
    assert.match(
      standing.why,
      /^Its changes cannot land yet: another Git command .* remove \S+index\.lock\. They land by/,
    );
    const problems = await problemsOf(loop);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', /remove \S+index\.lock\. Until then what agents change waits.* 1 run waits/);
    assert.ok(loop.deltas.some((delta) => delta.kind === 'retrying' && delta.text.includes('index.lock')));
    await rm(lock);
    assert.equal((await loop.settled(task)).status, 'done');
    assert.deepEqual(await problemsOf(loop), []);
    assert.equal(git(loop, 'show', 'main:good.txt'), 'good');
  });
});

/** For the run, time goes by as it sleeps, and begins early enough for what it puts off to be due at once. */
function leaping(loop: Loop): void {
  const { clock } = loop.deps;
  let slept = 0;
  loop.deps.clock = {
    now: () => clock.now() - 600_000 + slept,
    sleep(ms, signal) {
      // A tick of the run's time limit.
      if (ms > 300_000) return clock.sleep(ms, signal);
      slept += ms;
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('after a minute a landing that is blocked gives up its place, and tries again uncounted until it lands', async () => {
  const options = { tools: [writeTool], clock: quickClock(10), maxAttempts: 1, limits: { runMs: 86_400_000 } };
  await withLoop(writes, options, async (loop) => {
    leaping(loop);
    const begun = loop.deps.clock.now();
    const lock = join(loop.dir, 'workspace', '.git', 'index.lock');
    await writeFile(lock, '');
    const task = await loop.deliver('go');
    const retried = await until(
      async () => (await loop.events()).find((event) => event.type === 'task.retried'),
      'it is set aside',
    );
    assert.ok(retried.type === 'task.retried');
    assert.deepEqual([retried.data.attempt, retried.data.error], [1, 'landing.blocked']);
    // Those who wait for the answer are told.
    const told = await loop.settled(task);
    assert.equal(told.status, 'queued');
    assert.match(
      told.text,
      /^The changes cannot land yet: another Git command .*index\.lock\. They land by themselves/,
    );
    // A minute of trying, and half of one until it tries again.
    const later = retried.data.notBefore - begun;
    assert.ok(later > 75_000 && later < 300_000, `it comes back after ${later} ms`);
    await rm(lock);
    await until(async () => (await loop.settled(task)).status === 'done' || null, 'it lands');
    assert.equal(git(loop, 'show', 'main:good.txt'), 'good');
    assert.equal(
      (await loop.events()).filter(({ type }) => type === 'model.called').length,
      2,
      'nothing was done twice',
    );
  });
});

for (const [what, breaks, mends, told] of [
  ['main is renamed', ['branch', '-m', 'main', 'master'], ['branch', '-m', 'master', 'main'], /branch -m master main/],
  ['the objects are away', 'objects', 'objects.away', /objects cannot be used \(ENOENT\): it is missing; put it back/],
] as const)
  test(`while ${what}, runs wait, which status tells, and nobody's work is given up`, async () => {
    let files = 0;
    const script = ({ messages }: ModelRequest) =>
      messages.at(-1)?.role === 'user'
        ? calls(['write', { path: `f${(files += 1)}.txt`, content: 'x' }])
        : says('Done.');
    await withLoop(script, { tools: [writeTool], clock: quickClock(5) }, async (loop) => {
      const dir = join(loop.dir, 'workspace', '.git');
      if (typeof breaks === 'string') await rename(join(dir, breaks), join(dir, `${breaks}.away`));
      else git(loop, ...breaks);
      const tasks = await Promise.all([1, 2, 3].map((n) => loop.deliver('go', `s${n}`)));
      await until(
        async () => (await problemsOf(loop)).some((message) => /3 runs wait/.test(message)) || null,
        'they wait',
      );
      const problems = await problemsOf(loop);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', told);
      for (const task of tasks) assert.equal((await loop.store.task(task))?.status, 'running');
      if (typeof mends === 'string') await rename(join(dir, mends), join(dir, 'objects'));
      else git(loop, ...mends);
      for (const task of tasks) assert.equal((await loop.settled(task)).status, 'done');
      assert.deepEqual(await problemsOf(loop), []);
    });
  });

test('a file whose newer text cannot be committed is read with a word on that, and on why', async () => {
  const reads = [calls(['read', { path: 'README.md' }], ['list', {}]), says('Done.')];
  // The wait for a lock goes by a hundred times faster, and so would the time that the run may take.
  const options = { tools: [readTool, listTool], clock: quickClock(100), limits: { runMs: 86_400_000 } };
  await withLoop(reads, options, async (loop, _log, model) => {
    await writeFile(join(loop.dir, 'workspace', 'README.md'), 'newer\n');
    await writeFile(join(loop.dir, 'workspace', '.git', 'index.lock'), '');
    const outcome = await loop.send('go');
    assert.equal(outcome.status, 'done', outcome.text);
    const told = JSON.stringify(model.requests[1]?.messages.at(-1));
    assert.match(told, /hello\\n\\n\[README\.md has changes of the owner .* not in what you see: another Git command/);
    assert.match(told, /\[Some files have changes of the owner/);
  });
});

test('F15 a commit names who approved on the way to it, and a denial names nobody', () =>
  withLoop(
    [
      calls(['write', { path: 'contracts/a.md', content: 'x' }]),
      calls(['write', { path: 'contracts/b.md', content: 'x' }]),
      calls(['write', { path: 'contracts/c.md', content: 'x' }]),
      says('signed'),
      calls(['write', { path: 'b.md', content: 'x' }]),
      says('written'),
    ],
    {
      rules: [
        { id: 'contracts', verdict: 'ask', match: { tool: 'write', path: 'contracts/**' }, reason: 'They bind.' },
      ],
      tools: [writeTool],
    },
    async (loop) => {
      const approvers = (): string =>
        git(loop, 'log', '-1', '--format=%(trailers:key=Ruche-Approved-By,valueonly)', 'main').trim();
      const { task } = await loop.send('sign');
      for (const [verdict, by] of [
        ['approve', 'telegram:222'],
        ['deny', 'telegram:333'],
        ['approve', 'person:owner'],
      ] as const) {
        const wait = await until(async () => (await loop.runtime.pending())[0], `it waits for ${by}`);
        assert.equal((await loop.runtime.approve(wait.id, verdict, by)).ok, true);
      }
      assert.equal((await loop.settled(task)).text, 'signed');
      assert.equal(approvers(), 'telegram:222\nperson:owner');
      await loop.send('write');
      assert.equal(approvers(), '');
    },
  ));
