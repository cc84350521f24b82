import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rule } from '../../src/core/policy.ts';
import { dismissTask, retryTask } from '../../src/runtime/retry.ts';
import { systemClock, systemIds } from '../../src/platform/system.ts';
import { taskTool } from '../../src/tools/task.ts';
import { calls, fails, says } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import { withLoop } from '../agent/with-loop.ts';
import { OWNER, standingIn, stands, withViews } from './kit.ts';

const ask: Rule = {
  id: 'contracts',
  verdict: 'ask',
  match: { tool: 'write', path: 'contracts/**' },
  reason: 'They bind us.',
};
const deny: Rule = { id: 'no-keys', verdict: 'deny', match: { path: 'keys/**' }, reason: 'Keys stay closed.' };

const gate = (): { open: () => void; opened: Promise<void> } => {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, opened: promise };
};

test('a message that waits says for what: an approval and its rule, and the message before it', async () => {
  const script = [calls(['write', { path: 'contracts/a.md', content: 'x' }]), says('written'), says('second')];
  await withLoop(script, { rules: [ask] }, (loop) =>
    withViews(loop, async (views) => {
      const first = await loop.deliver('Write the contract');
      const waiting = await stands(views, first, 'waiting');
      assert.equal(
        waiting.why,
        'It waits for your approval of a call of “write”, which the rule “contracts” asks for: They bind us.',
      );
      assert.deepEqual(waiting.can, ['approve', 'cancel']);
      assert.ok(waiting.since !== null && waiting.next === null);
      const second = await loop.deliver('And then this');
      assert.deepEqual(await standingIn(views, second), {
        state: 'queued',
        why: 'It comes after “Write the contract” in this conversation, which waits for your approval.',
        can: ['cancel'],
        since: null,
        next: null,
      });
      const [pending] = await loop.runtime.pending();
      await loop.runtime.approve(pending?.id ?? '', 'approve', OWNER);
      assert.equal((await stands(views, first, 'answered')).why, 'It was answered.');
      await stands(views, second, 'answered');
    }),
  );
});

test('a question stands with its words, and the message that answers it says so', async () => {
  const script = [calls(['ask', { question: 'Which year?' }]), says('thank you')];
  await withLoop(script, {}, (loop) =>
    withViews(loop, async (views) => {
      const task = await loop.deliver('Sum up the year');
      const waiting = await stands(views, task, 'waiting');
      assert.equal(waiting.why, 'It waits for your answer to its question: “Which year?”');
      assert.deepEqual(waiting.can, ['answer', 'cancel']);
      assert.equal(await loop.deliver('2025'), task, 'the message is the answer');
      await loop.settled(task);
      const view = await views.conversation('assistant', 'one', null, 10);
      const messages = view?.entries.filter((each) => each.kind === 'message') ?? [];
      assert.deepEqual(
        messages.map(({ text, answers, standing }) => [text, answers, standing.state]),
        [
          ['Sum up the year', null, 'answered'],
          ['2025', 'Which year?', 'answered'],
        ],
      );
    }),
  );
});

test('work under way says which model or tool, and a message that comes in meanwhile says what took it', async () => {
  const [model, tool, last] = [gate(), gate(), gate()];
  const script = [
    [model.opened, ...calls(['once', { path: 'x', n: 1 }])],
    [last.opened, ...says('done')],
  ];
  await withLoop(script, {}, async (loop) => {
    const once = loop.deps.tools().get('once');
    assert.ok(once && once.kind !== 'engine');
    const { run } = once;
    once.run = async (...args) => {
      await tool.opened;
      return run(...args);
    };
    await withViews(loop, async (views) => {
      const task = await loop.deliver('Do it once');
      await until(async () => (await standingIn(views, task)).since !== null);
      const thinking = await standingIn(views, task);
      assert.equal(thinking.state, 'working');
      assert.match(thinking.why, /^It is running: scripted\/model has been thinking for \d+ s\.$/);
      const second = await loop.deliver('also this');
      const behind = await standingIn(views, second);
      assert.equal(behind.why, 'It comes after “Do it once” in this conversation, which is running.');
      model.open();
      await until(async () => (await standingIn(views, task)).why.includes('“once” has been running'));
      tool.open();
      const taken = await stands(views, second, 'working');
      assert.match(taken.why, /^It joined the run of “Do it once”\. It is running: /);
      assert.deepEqual(taken.can, []);
      last.open();
      assert.equal((await stands(views, second, 'answered')).why, 'It was answered.');
    });
  });
});

test('a failure says what failed; a retry delivers the message once more, and the first stays as it was', async () => {
  const script = [fails('auth', { message: 'The key of scripted is wrong.' }), says('now it works')];
  await withLoop(script, { nextTry: () => null }, (loop) =>
    withViews(loop, async (views) => {
      const deps = {
        ...loop.deps,
        ids: systemIds,
        agents: () => [{ name: 'assistant', description: '', models: [] }],
        maxAttempts: () => 3,
      };
      const task = await loop.deliver('Try');
      const failed = await stands(views, task, 'failed');
      assert.equal(failed.why, 'The key of scripted is wrong.');
      assert.deepEqual(failed.can, ['retry']);
      const [failure] = await views.failures(10);
      assert.deepEqual(
        { task: failure?.task, why: failure?.why, canRetry: failure?.canRetry, title: failure?.title },
        { task, why: 'The key of scripted is wrong.', canRetry: true, title: 'Try' },
      );
      const again = await retryTask(deps, task, OWNER);
      assert.ok(again.ok);
      assert.deepEqual(await retryTask(deps, task, OWNER), again, 'twice pressed is once done');
      await stands(views, again.task, 'answered');
      const before = await standingIn(views, task);
      assert.equal(before.why, 'The key of scripted is wrong. It was sent again.');
      assert.deepEqual(before.can, []);
      assert.deepEqual(await views.failures(10), []);
      const view = await views.conversation('assistant', 'one', null, 10);
      const messages = view?.entries.filter((each) => each.kind === 'message') ?? [];
      assert.deepEqual(
        messages.map(({ text, repeats }) => [text, repeats]),
        [
          ['Try', null],
          ['Try', messages[0]?.id],
        ],
      );
      assert.deepEqual(await retryTask(deps, again.task, OWNER), {
        ok: false,
        why: 'answered',
        message: 'It was answered. Write again if something is missing.',
      });
      assert.equal((await retryTask(deps, 'tsk_none', OWNER)).ok, false);
      assert.equal((await retryTask({ ...deps, agents: () => [] }, task, OWNER)).ok, true, 'it was retried before');
    }),
  );
});

test('a failure can be dismissed, and only a failure', async () => {
  await withLoop([fails('auth'), says('fine')], { nextTry: () => null }, (loop) =>
    withViews(loop, async (views) => {
      const task = await loop.deliver('one');
      await stands(views, task, 'failed');
      const fine = await loop.send('two', 'other');
      assert.equal(await dismissTask(loop.deps, fine.task, OWNER), false);
      assert.equal(await dismissTask(loop.deps, task, OWNER), true);
      assert.equal(await dismissTask(loop.deps, task, OWNER), true, 'again is the same');
      assert.deepEqual(await views.failures(10), []);
      assert.equal((await standingIn(views, task)).state, 'failed', 'it stays what it is');
    }),
  );
});

test('a task that is tried again says when, why and how often; one that gave up says how often it tried', async () => {
  const script = [
    fails('network', { message: 'It did not answer.' }),
    fails('network', { message: 'It did not answer.' }),
  ];
  // Time stands until the wait has been seen: it would be over before a slow machine has looked.
  let now = systemClock.now();
  const clock = { ...systemClock, now: () => now };
  await withLoop(script, { nextTry: () => null, maxAttempts: 2, clock }, (loop) =>
    withViews(loop, async (views) => {
      const task = await loop.deliver('Try');
      const again = await stands(views, task, 'retrying');
      assert.match(
        again.why,
        /^scripted\/model failed: It did not answer\. It is tried again (in \d s|in a moment) \(attempt 2 of 2\)\.$/,
      );
      assert.ok(again.next !== null && again.next > (again.since ?? 0));
      assert.deepEqual(again.can, ['cancel']);
      now += 60_000;
      const dead = await stands(views, task, 'failed');
      assert.equal(dead.why, 'It did not answer. It was tried 2 times.');
    }),
  );
});

test('a denial is told with its rule, an end by a person with who it was', async () => {
  const hold = gate();
  const script = [calls(['read', { path: 'keys/a' }]), says('I may not.'), [hold.opened, ...says('late')]];
  await withLoop(script, { rules: [deny] }, (loop) =>
    withViews(loop, async (views) => {
      const denied = await loop.deliver('Read the key');
      const told = await stands(views, denied, 'answered');
      assert.equal(told.why, 'It was answered. A call of “read” was denied by the rule “no-keys”: Keys stay closed.');
      const task = await loop.deliver('Something long', 'two');
      await stands(views, task, 'working', 'two');
      await loop.runtime.cancel(task, 'telegram:42');
      const cancelled = await standingIn(views, task, 'two');
      assert.equal(cancelled.why, 'It was cancelled by telegram:42.');
      assert.deepEqual(cancelled.can, ['retry']);
      hold.open();
    }),
  );
});

test('an agent that is gone is named', async () => {
  await withLoop([], {}, (loop) =>
    withViews(loop, async (views) => {
      await loop.runtime.pauseAgent('assistant', OWNER, 'It is about to go.');
      const task = await loop.deliver('Anybody there?');
      (loop.governance.agents as Map<string, unknown>).clear();
      await loop.runtime.resumeAgent('assistant', OWNER);
      assert.match((await stands(views, task, 'failed')).why, /The agent "assistant" is missing or invalid on main/);
    }),
  );
});

test('what a stop interrupted says so, also when only the record is left', async () => {
  const hold = gate();
  await withLoop([[hold.opened, ...says('late')], says('after')], {}, async (loop) => {
    const task = await loop.deliver('Long work');
    await withViews(loop, async (views) => {
      await stands(views, task, 'working');
      const record = (type: 'gateway.stopped' | 'gateway.started') =>
        loop.store.commit({
          events: [
            {
              ...(type === 'gateway.stopped'
                ? { type, data: { reason: 'SIGINT' } }
                : { type, data: { version: '1', recovered: 1 } }),
              stream: 'gateway',
              actor: 'runtime',
              cause: null,
              labels: [],
            },
          ],
          sync: true,
        });
      await record('gateway.stopped');
      const stopped = await standingIn(views, task);
      assert.equal(stopped.why, 'Ruche is not running (SIGINT); this goes on when it starts again.');
      await record('gateway.started');
      hold.open();
      await stands(views, task, 'answered');
    });
  });
});

test('a task that must not begin yet says until when, and its agent has it for later', async () => {
  await withLoop(
    [calls(['task', LATER]), says('given')],
    { tools: [taskTool], others: [{ name: 'writing' }] },
    (loop) =>
      withViews(loop, async (views) => {
        await loop.settled(await loop.deliver('Give it'));
        const [task] = (await views.runs({ agent: 'writing' })).runs;
        assert.deepEqual(
          [task?.standing.state, task?.standing.why, task?.standing.next],
          [
            'queued',
            `It is queued until ${loop.deps.timeText(Date.UTC(2999, 10, 23, 8, 15))}.`,
            Date.UTC(2999, 10, 23, 8, 15),
          ],
        );
        assert.equal((await views.run(task?.task ?? ''))?.request, 'Card\n\nWrite it.\n\n{\n  "to": "Ann"\n}');
        const agents = await loop.runtime.agents();
        const writing = agents.find(({ name }) => name === 'writing');
        assert.deepEqual([writing?.queued, writing?.later], [1, 1]);
      }),
  );
});

const LATER = {
  action: 'create',
  agent: 'writing',
  title: 'Card',
  text: 'Write it.',
  input: { to: 'Ann' },
  notBefore: '2999-11-23T09:15:00+01:00',
};
