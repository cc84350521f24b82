import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rule } from '../../src/core/policy.ts';
import type { RunStep } from '../../src/core/api/views.ts';
import { agentText } from '../../src/cli/agents.ts';
import { taskText } from '../../src/cli/tasks.ts';
import { StatusFile } from '../../src/scheduler/upkeep/status-file.ts';
import { openLoop, testTools } from '../fakes/loop.ts';
import { calls, fails, says, scriptedModel } from '../fakes/scripted-model.ts';
import { withLoop } from '../agent/with-loop.ts';
import { OWNER, stands, withViews } from './kit.ts';

const ask: Rule = { id: 'c', verdict: 'ask', match: { tool: 'write', path: 'contracts/**' }, reason: 'They bind.' };

type Call = Extract<RunStep, { kind: 'call' }>;

test('a run is told step by step: models, calls, verdicts, approvals, what landed; and each exact record', async () => {
  const script = [
    fails('network', { after: 'half an ans', message: 'It did not answer.' }),
    calls(['read', { path: 'README.md' }], ['write', { path: 'contracts/a.md', content: 'one\n' }]),
    says('It is written.'),
    says('other'),
  ];
  await withLoop(script, { rules: [ask] }, (loop) =>
    withViews(loop, async (views) => {
      const task = await loop.deliver('Write the contract');
      await stands(views, task, 'waiting');
      const [pending] = await loop.runtime.pending();
      await loop.runtime.approve(pending?.id ?? '', 'approve', OWNER);
      await stands(views, task, 'answered');
      const run = await views.run(task);
      assert.ok(run);
      assert.deepEqual(await views.run(run.run ?? ''), run, 'by run as by task');
      assert.deepEqual(
        [run.request, run.reply, run.status, run.steps, run.model, run.usage.input],
        ['Write the contract', 'It is written.', 'done', 3, 'scripted/model', 20],
      );
      assert.deepEqual(
        run.list.map((step) => step.kind),
        ['model', 'model', 'call', 'call', 'resumed', 'model', 'landing'],
      );
      const [failed, first, read, write, resumed, , landing] = run.list;
      assert.equal(resumed?.kind === 'resumed' && resumed.waited, true);
      assert.ok(failed?.kind === 'model' && first?.kind === 'model' && landing?.kind === 'landing');
      assert.deepEqual([failed.error, failed.text], ['It did not answer.', 'half an ans']);
      assert.deepEqual([(read as Call).ok, (read as Call).result], [true, 'hello\n']);
      const written = write as Call;
      assert.deepEqual(written.decision, { verdict: 'ask', rule: 'c', reason: 'They bind.' });
      assert.deepEqual(written.approval, { id: pending?.id, verdict: 'approve', by: OWNER });
      assert.deepEqual([landing.state, landing.paths, landing.commit], ['landed', 1, run.commit]);

      const request = JSON.parse((await views.exact(task, first.request)) ?? '') as Record<string, unknown>;
      assert.deepEqual(Object.keys(request), ['model', 'system', 'tools', 'messages']);
      const [time, said] = request['messages'] as unknown[];
      assert.match(JSON.stringify(time), /\[Ruche\] It is /);
      assert.deepEqual(said, { role: 'user', parts: [{ type: 'text', text: 'Write the contract' }] });
      assert.match(String(request['system']), /You help\./);
      assert.match((await views.exact(run.run ?? '', first.answer ?? '')) ?? '', /contracts\/a\.md/);
      assert.match((await views.exact(task, written.full ?? '')) ?? '', /wrote contracts/);

      assert.deepEqual(await views.diff(task), {
        commit: run.commit,
        files: [
          {
            path: 'contracts/a.md',
            change: 'added',
            binary: false,
            patch:
              'diff --git a/contracts/a.md b/contracts/a.md\nnew file mode 100644\nindex 0000000..5626abf\n--- /dev/null\n+++ b/contracts/a.md\n@@ -0,0 +1 @@\n+one\n',
          },
        ],
        cut: false,
        labels: {},
      });

      // Another conversation's run reads none of it, even if it knows the hashes.
      const other = await loop.send('Hello', 'two');
      assert.equal(await views.exact(other.task, first.request), null);
      assert.equal(await views.exact(other.run ?? '', first.answer ?? ''), null);
      assert.equal(await views.exact('run_none', first.request), null);
      assert.equal(await views.diff(other.task), null);
      assert.equal(await views.run('tsk_none'), null);
      assert.equal(await views.run('run_none'), null);
    }),
  );
});

test('a file is given to its own conversation only', async () => {
  await withLoop([says('seen'), says('hello')], {}, (loop) =>
    withViews(loop, async (views) => {
      const bytes = Buffer.from('not really a picture');
      const result = await loop.runtime.deliver({
        channel: 'http',
        sender: OWNER,
        agent: 'assistant',
        session: 'one',
        text: 'Look',
        replyTo: 'x',
        externalId: 'f1',
        files: [{ name: 'photo.png', mediaType: 'image/png', bytes }],
      });
      assert.ok(result.ok);
      await stands(views, result.delivered.task, 'answered');
      await loop.send('Hello', 'two');
      const view = await views.conversation('assistant', 'one', null, 10);
      const [message] = view?.entries ?? [];
      assert.ok(message?.kind === 'message');
      assert.equal(message.text, 'Look', 'what the inbox tells the model is no word of the person');
      const [file] = message.files;
      assert.deepEqual([file?.name, file?.mediaType, file?.size], ['photo.png', 'image/png', bytes.length]);
      const hash = file?.href.split('/').at(-1) ?? '';
      assert.deepEqual(await views.file('assistant', 'one', hash), {
        name: 'photo.png',
        mediaType: 'image/png',
        bytes,
      });
      assert.equal(await views.file('assistant', 'two', hash), null);
      assert.equal(await views.file('assistant', 'one', 'x'.repeat(43)), null);
    }),
  );
});

test('what was erased is said to be, and nothing breaks', async () => {
  await withLoop([calls(['ask', { question: 'why?' }]), fails('auth')], { nextTry: () => null }, (loop) =>
    withViews(loop, async (views) => {
      const task = await loop.deliver('a secret');
      await stands(views, task, 'waiting');
      await loop.store.erase('conv:assistant/one');
      assert.match((await stands(views, task, 'waiting')).why, /\(erased\)/);
      await withViews(
        loop,
        async (fresh) => {
          const [run] = (await fresh.runs({})).runs;
          assert.equal(run?.title, '(erased)');
          assert.equal((await fresh.conversations(5))[0]?.title, '(erased)');
          assert.equal((await fresh.run(task))?.request, '(erased)');
          const request = (await fresh.run(task))?.list.find((step) => step.kind === 'model')?.request ?? '';
          assert.equal(await fresh.exact(task, request), null);
        },
        {},
      );
    }),
  );
});

test('F7 a cost is the least it was where a model of unknown price took part, and unknown where it answered alone', async () => {
  const known = scriptedModel([calls(['read', { path: 'a' }]), fails('auth'), fails('auth')]);
  const unknown = scriptedModel([says('one'), says('two')]);
  const choices = [known.choice(), unknown.choice({ model: 'large', unpriced: true })];
  const loop = await openLoop({ tools: Object.values(testTools([])), choices });
  const { store } = loop;
  const status = new StatusFile({
    store,
    clock: { now: () => Date.now() },
    zone: () => 'UTC',
    file: { write: async () => {} },
    paused: () => [],
    checks: () => [],
  });
  try {
    for (const said of ['cost at least 0.0000 USD', 'cost unknown']) {
      const outcome = await loop.send('hello');
      const view = await loop.views.run(outcome.task);
      assert.ok(view && outcome.unpriced && view.unpriced);
      assert.ok(taskText(outcome, view, 0).includes(said), taskText(outcome, view, 0));
      const conversation = await loop.views.conversation('assistant', outcome.session, null, 10);
      assert.ok(conversation?.entries.some((entry) => entry.kind === 'reply' && entry.unpriced));
    }
    const [state] = await loop.runtime.agentsToday();
    assert.match(state ? agentText(state, 0) : '', /cost today at least 0\.0000 USD/);
    const metrics = await loop.runtime.metrics();
    const of = (name: string, model: string): string | undefined =>
      new RegExp(`^ruche_model_${name}_total\\{agent="assistant",model="scripted/${model}"\\} (\\S+)$`, 'm').exec(
        metrics,
      )?.[1];
    assert.deepEqual(
      ['answers', 'input_tokens', 'output_tokens', 'cost_usd', 'unpriced_answers'].map((name) => [
        of(name, 'model'),
        of(name, 'large'),
      ]),
      [
        ['1', '2'],
        ['10', '20'],
        ['5', '10'],
        ['0.000015', '0'],
        ['0', '2'],
      ],
    );
    assert.ok(Number(of('seconds', 'large')) >= 0);
    assert.match(await status.text(), /\nunpriced_24h 2\nagent assistant 2 0 0\.0000\nunpriced assistant 2\n/);
  } finally {
    await loop.close();
  }
});
