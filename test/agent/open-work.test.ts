import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keepWorkOf } from '../../src/agent/finish/hold.ts';
import { askTool } from '../../src/tools/ask.ts';
import { writeTool } from '../../src/tools/write.ts';
import type { Loop } from '../fakes/loop.ts';
import { calls, fails, says } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import { withLoop } from './with-loop.ts';

const git = (loop: Loop, ...args: string[]): string =>
  execFileSync('git', args, { cwd: join(loop.dir, 'workspace'), stdio: 'pipe' })
    .toString('utf8')
    .trim();

const runRefs = (loop: Loop): string => git(loop, 'for-each-ref', '--format=%(refname)', 'refs/ruche/runs');

const noRunRefs = (loop: Loop): Promise<boolean> => until(() => runRefs(loop) === '');

const draft = calls(['write', { path: 'draft.txt', content: 'a draft\n' }]);
const ask = calls(['ask', { question: 'Shall I?' }]);

test('what a run has written before it waits is there after git gc, and lands', () =>
  withLoop([draft, ask, says('done')], {}, async (loop) => {
    const waiting = await loop.send('go');
    assert.equal(waiting.status, 'waiting');
    assert.equal(git(loop, 'show', `refs/ruche/runs/${waiting.run}:draft.txt`), 'a draft');
    git(loop, 'gc', '-q', '--prune=now');
    await loop.restart();
    git(loop, 'gc', '-q', '--prune=now');
    assert.equal((await loop.send('yes')).text, 'done');
    assert.equal(git(loop, 'show', 'main:draft.txt'), 'a draft');
    // Before it answers, also from where git gc has put it.
    assert.equal(runRefs(loop), '');
  }));

test('a run that waits without its ref, as in a copy of the repository or after an older version, is held at the start', () =>
  withLoop([draft, ask, says('done')], {}, async (loop) => {
    const { run } = await loop.send('go');
    git(loop, 'update-ref', '-d', `refs/ruche/runs/${run}`);
    // Of a run that nobody knows any more.
    git(loop, 'update-ref', 'refs/ruche/runs/run_unknown', 'main');
    await loop.restart();
    assert.equal(runRefs(loop), `refs/ruche/runs/${run}`);
    git(loop, 'gc', '-q', '--prune=now');
    assert.equal((await loop.send('yes')).text, 'done');
    assert.equal(git(loop, 'show', 'main:draft.txt'), 'a draft');
  }));

test('a run interrupted in the middle is held until it goes on', async () => {
  const gate = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const waits = async () => {
    started.resolve();
    await gate.promise;
    return says('done');
  };
  await withLoop([draft, waits, says('done')], {}, async (loop) => {
    const task = await loop.deliver('go');
    await started.promise;
    const stopped = loop.restart();
    await until(() => runRefs(loop) !== '');
    git(loop, 'gc', '-q', '--prune=now');
    gate.resolve();
    await stopped;
    assert.equal((await loop.settled(task)).text, 'done');
    assert.equal(git(loop, 'show', 'main:draft.txt'), 'a draft');
    await noRunRefs(loop);
  });
});

test('what the repository has lost all the same is told to the model, which writes it again; the rest lands', () => {
  const both = calls(
    ['write', { path: 'draft.txt', content: 'a draft\n' }],
    ['write', { path: 'kept.txt', content: 'kept\n' }],
  );
  return withLoop([both, ask, draft, says('done')], { tools: [writeTool, askTool] }, async (loop, _log, model) => {
    const { run } = await loop.send('go');
    const oid = git(loop, 'rev-parse', `refs/ruche/runs/${run}:draft.txt`);
    rmSync(join(loop.dir, 'workspace', '.git', 'objects', oid.slice(0, 2), oid.slice(2)));
    assert.equal((await loop.send('yes')).text, 'done');
    assert.match(JSON.stringify(model.requests[2]?.messages), /has lost the content of draft\.txt/);
    assert.equal(git(loop, 'show', 'main:kept.txt'), 'kept');
    assert.equal(git(loop, 'show', 'main:draft.txt'), 'a draft');
  });
});

test('nothing is held of a run that only reads', () =>
  withLoop([calls(['read', { path: 'README.md' }], ['ask', { question: 'And?' }])], {}, async (loop) => {
    assert.equal((await loop.send('read it')).status, 'waiting');
    assert.equal(runRefs(loop), '');
  }));

test('nothing of a run is held once it has failed, which keeps its work elsewhere, or was cancelled', () =>
  withLoop([draft, fails('auth'), draft, ask], {}, async (loop) => {
    const failed = await loop.send('go');
    assert.equal(failed.status, 'failed');
    assert.equal(runRefs(loop), '');
    assert.equal(git(loop, 'show', `refs/ruche/unlanded/${failed.run}:draft.txt`), 'a draft');
    const waiting = await loop.send('again');
    assert.equal(runRefs(loop), `refs/ruche/runs/${waiting.run}`);
    assert.ok(await loop.runtime.cancel(waiting.task, 'person:owner'));
    await noRunRefs(loop);
  }));

test('the work of a task that is ended from outside its run is kept, with the words that say where', () =>
  withLoop([draft, ask], {}, async (loop) => {
    const id = await loop.deliver('go');
    const { run } = await loop.settled(id);
    const text = await keepWorkOf(loop.deps, { id });
    assert.equal(text, ` Its changes are kept at refs/ruche/unlanded/${run}.`);
    assert.equal(git(loop, 'show', `refs/ruche/unlanded/${run}:draft.txt`), 'a draft');
    assert.equal(await keepWorkOf(loop.deps, { id: 'tsk_unknown' }), '');
  }));
