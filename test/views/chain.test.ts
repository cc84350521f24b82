import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelRequest } from '../../src/core/model.ts';
import { givenTask } from '../../src/core/records/new-task.ts';
import { matterRaised } from '../../src/core/records/matter.ts';
import type { ChainNode, ChainView, Views } from '../../src/core/api/views.ts';
import { handOverTool } from '../../src/tools/hand-over.ts';
import { taskTool } from '../../src/tools/task.ts';
import { testTools } from '../fakes/loop.ts';
import { calls, fails, says } from '../fakes/scripted-model.ts';
import { withLoop } from '../agent/with-loop.ts';
import { stands, withViews } from './kit.ts';
import { putJson } from '../../src/core/records/json-blob.ts';

const options = {
  tools: [taskTool, handOverTool, testTools([]).write, testTools([]).ask],
  others: [{ name: 'writing' }, { name: 'system' }],
  nextTry: () => null,
};
const agentOf = (request: ModelRequest): string => /You are the agent "(\w+)"/.exec(request.system)?.[1] ?? '';
const create = (agent: string, text: string, more: object = {}) =>
  ['task', { action: 'create', agent, text, ...more }] as const;

/** `relay` goes from the assistant to writing to system, `fan N` makes so many tasks, `move` hands over, `break` fails. */
const script = (request: ModelRequest) => {
  const last = request.messages.findLast(({ role }) => role === 'user')?.parts[0];
  const asked = last?.type === 'text' ? last.text : '';
  if (request.messages.at(-1)?.parts[0]?.type === 'result') return says(`${agentOf(request)} is done`);
  if (/break/.test(asked)) return fails('auth');
  if (/ask/.test(asked)) return calls(['ask', { question: 'Which?' }]);
  if (/move/.test(asked)) return calls(['hand_over', { agent: 'writing', brief: 'the brief' }]);
  if (/join/.test(asked)) return calls(create('system', 'one', { key: 'k', wait: true }));
  if (/deep/.test(asked)) return calls(create('system', 'ask the owner', { wait: true }));
  if (/relay/.test(asked)) return calls(create('writing', 'the deep one', { wait: true }));
  const fan = /fan (\d+)/.exec(asked);
  return fan
    ? calls(...Array.from({ length: Number(fan[1]) }, (_, n) => create('writing', `part ${n}`)))
    : says('the end');
};

const chainOf = async (views: Views, id: string): Promise<ChainView> => {
  const chain = await views.chain(id);
  assert.ok(chain, `no chain of ${id}`);
  return chain;
};
const tasksOf = ({ nodes }: ChainView) => nodes.filter((node) => node.kind === 'task');
/** `depth what` of each line. */
const told = ({ nodes }: ChainView): string[] =>
  nodes.map((node) => {
    const what = (each: ChainNode): string => {
      if (each.kind === 'task') return `${each.agent} ${each.status}`;
      if (each.kind === 'link') return `${each.of} ${each.agent}`;
      return each.kind === 'cause' ? `${each.of} ${each.by}` : each.kind;
    };
    return `${node.depth} ${what(node)}`;
  });

test('every task of a cascade tells the same tree: message, agents, what each waits for, and results', async () => {
  await withLoop(script, options, async (loop) =>
    withViews(loop, async (views) => {
      const task = await loop.deliver('relay it');
      await stands(views, task, 'waiting');
      const waiting = await loop.settled(task);
      const tree = ['0 message http', '1 assistant waiting', '2 writing waiting', '3 system waiting'];
      assert.deepEqual(told(await chainOf(views, task)), tree);
      const open = tasksOf(await chainOf(views, task));
      assert.match(open[0]?.standing.why ?? '', /waits for tsk_\S+ of writing/);
      assert.deepEqual(open[2]?.standing.can, ['answer', 'cancel']);
      await loop.runtime.answer(waiting.waits[0]?.id ?? '', 'this one', 'person:owner');
      assert.equal((await loop.settled(task)).status, 'done');
      const ended = await chainOf(views, task);
      assert.deepEqual(
        told(ended),
        tree.map((line) => line.replace('waiting', 'done')),
      );
      assert.deepEqual(
        tasksOf(ended).map((node) => node.result),
        ['assistant is done', 'writing is done', 'system is done'],
      );
      assert.equal(tasksOf(ended)[1]?.from, 'agent:assistant');
      const [cause] = ended.nodes;
      assert.ok(cause?.kind === 'cause' && cause.title === 'relay it' && cause.from === 'person:owner');
      for (const { task: each } of tasksOf(ended)) {
        const same = await chainOf(views, each);
        assert.deepEqual([same.nodes, same.task], [ended.nodes, each]);
      }
      const { run } = (await views.run(task)) ?? {};
      assert.equal((await chainOf(views, run ?? '')).task, task, 'by run');
      assert.equal(await views.chain('tsk_nothing'), null);
    }),
  );
});

test('a hand-over, a task joined by its key, and a message sent once more are told from both ends', async () => {
  await withLoop(script, options, async (loop) =>
    withViews(loop, async (views) => {
      const { task: first } = await loop.send('move it');
      const [, , moved] = (await chainOf(views, first)).nodes;
      assert.ok(moved?.kind === 'link' && moved.task === null && moved.title === 'the brief', 'nobody has written yet');
      const { task: next } = await loop.send('go on');
      assert.deepEqual(told(await chainOf(views, first)), ['0 message http', '1 assistant done', '2 moved writing']);
      assert.deepEqual(told(await chainOf(views, next)), [
        '0 message http',
        '1 assistant done',
        '2 message http',
        '3 writing done',
      ]);
      const { task: after } = await loop.send('and on');
      assert.deepEqual(
        told(await chainOf(views, after)),
        ['0 message http', '1 writing done'],
        'the next stands by itself',
      );

      await loop.send('join', 'a');
      const { task: joining } = await loop.send('join', 'b');
      assert.deepEqual(told(await chainOf(views, joining)), ['0 message http', '1 assistant done', '2 joined system']);

      const { task: broken } = await loop.send('break', 'c');
      const again = await loop.runtime.retry(broken, 'owner');
      assert.ok(again.ok);
      await loop.settled(again.task);
      assert.deepEqual(told(await chainOf(views, broken)), [
        '0 message http',
        '1 assistant failed',
        '2 repeats assistant',
      ]);
      assert.deepEqual(told(await chainOf(views, again.task)), [
        '0 message http',
        '1 assistant failed',
        '2 message http',
        '3 assistant failed',
      ]);
    }),
  );
});

test('a tree beyond its bound says how many are left out, and never leaves out the one that was asked about', async () => {
  const wide = { ...options, limits: { fanOut: 300, tasks: 1_000, steps: 400 } };
  await withLoop(script, wide, async (loop) =>
    withViews(loop, async (views) => {
      const { task } = await loop.send('fan 260');
      const all = await loop.store.tasks({ root: task });
      assert.equal(all.length, 260);
      const whole = await chainOf(views, task);
      assert.equal(tasksOf(whole).length, 200);
      assert.deepEqual(whole.nodes.at(-1)?.kind === 'more' && whole.nodes.at(-1), {
        kind: 'more',
        depth: 2,
        at: whole.nodes[1]?.at,
        left: 61,
      });
      const last = all.at(-1)?.id ?? '';
      assert.ok(tasksOf(await chainOf(views, last)).some((node) => node.task === last));
    }),
  );
});

test('a matter is put beside its task, and says when it is settled', async () => {
  await withLoop(script, options, async (loop) =>
    withViews(loop, async (views) => {
      const { task } = await loop.send('break', 'one');
      const shown = { text: 'It is late.', reason: 'r' };
      const put = (value: object) => putJson(loop.store, value, 'conv:assistant/one');
      const raised = matterRaised({ kind: 'dead', about: task, shown }, put);
      await loop.store.commit({ events: [{ ...raised, actor: 'runtime', cause: null, labels: [] }], sync: false });
      const { nodes } = await chainOf(views, task);
      const open = nodes.at(-1);
      assert.ok(open?.kind === 'matter' && open.title === 'It is late.' && !open.settled);
      await loop.runtime.answer(`mat_dead_${task}`, 'seen', 'owner');
      const settled = (await chainOf(views, task)).nodes.at(-1);
      assert.ok(settled?.kind === 'matter' && settled.settled);
    }),
  );
});

test('what a chain of escalation made of a task stands between the two', async () => {
  await withLoop(script, options, async (loop) =>
    withViews(loop, async (views) => {
      const { task: parent } = await loop.send('break');
      const content = loop.store.putBlob(Buffer.from('{"text":"look at it"}'), 'conv:writing/e');
      const call = {
        agent: 'writing',
        key: null,
        priority: 0,
        notBefore: null,
        deadline: null,
        action: 'create',
      } as const;
      const origin = { root: parent, parent, hops: 1, senders: ['assistant'] };
      const by = { id: 'tsk_told', session: 'e', from: 'escalation:esc_1', content, labels: [], maxAttempts: 3 };
      const task = givenTask(call, { ...by, origin });
      const common = { actor: 'runtime', labels: [] } as const;
      const reached = { level: 0, to: 'agent:writing', outcome: 'told', why: null, task: task.id } as const;
      const result = await loop.store.commit({
        events: [
          {
            ...common,
            type: 'escalation.reached',
            stream: 'escalation:esc_1',
            cause: null,
            data: { escalation: 'esc_1', ...reached },
          },
          { ...common, type: 'task.queued', stream: `task:${task.id}`, cause: 0, data: { task } },
        ],
        queue: [{ op: 'enqueue', task, causeOf: 0 }],
        sync: false,
      });
      assert.ok(result.ok);
      await loop.settled(task.id);
      assert.deepEqual(told(await chainOf(views, parent)), [
        '0 message http',
        '1 assistant failed',
        '2 escalation esc_1',
        '3 writing done',
      ]);
    }),
  );
});
