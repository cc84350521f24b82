import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSchema } from '../../src/config/json-schema/read.ts';
import type { EventOf } from '../../src/core/event.ts';
import type { ModelRequest } from '../../src/core/model.ts';
import { readTool } from '../../src/tools/read.ts';
import { taskTool } from '../../src/tools/task.ts';
import { type Loop, testTools } from '../fakes/loop.ts';
import { calls, fails, says, type ScriptTurn } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import { withLoop } from './with-loop.ts';

const OTHERS = [{ name: 'writing' }, { name: 'system' }];
const TOOLS = [taskTool, readTool, testTools([]).write, testTools([]).ask];
const options = { tools: TOOLS, others: OTHERS };

const wordsOf = (request: ModelRequest): string =>
  request.messages.flatMap(({ parts }) => parts.map((part) => ('text' in part ? part.text : ''))).join('\n');
const agentOf = (request: ModelRequest): string => /You are the agent "(\w+)"/.exec(request.system)?.[1] ?? '';
/** Results of calls so far, the newest last. */
const resultsIn = (request: ModelRequest): string[] =>
  request.messages.flatMap(({ parts }) => parts.flatMap((part) => (part.type === 'result' ? [part.text] : [])));

type Step = Exclude<ScriptTurn, (...args: never[]) => unknown>;
type By = (request: ModelRequest, results: string[]) => Step | Promise<Step>;

/** Each agent by a script of its own. */
const cast =
  (scripts: Record<string, By>): ((request: ModelRequest) => Promise<Step>) =>
  async (request) =>
    (await scripts[agentOf(request)]?.(request, resultsIn(request))) ?? says('nobody');

const create = (agent: string, text: string, more: object = {}) =>
  ['task', { action: 'create', agent, text, ...more }] as const;
const idIn = (text = ''): string => /tsk_[\w-]+/.exec(text)?.[0] ?? '';
const ofType = async <T extends EventOf<'task.created'>['type'] | 'matter.raised' | 'task.queued'>(
  loop: Loop,
  type: T,
): Promise<EventOf<T>[]> => (await loop.events()).filter((event): event is EventOf<T> => event.type === type);

test('tasks given side by side work side by side, and the run goes on once with every result', async () => {
  let both = 0;
  const meet = Promise.withResolvers<void>();
  const worker: By = async (request) => {
    both += 1;
    if (both === 2) meet.resolve();
    await meet.promise;
    return says(`result of ${agentOf(request)}`);
  };
  const assistant: By = (_request, results) =>
    results.length === 0
      ? calls(create('writing', 'one', { wait: true }), create('system', 'two', { wait: true }))
      : says(results.join(' | '));
  await withLoop(cast({ assistant, writing: worker, system: worker }), options, async (loop) => {
    const outcome = await loop.send('go');
    assert.match(outcome.text, /writing\): done\nresult of writing \| .*system\): done\nresult of system/);
    const parked = (await loop.events()).filter((event) => event.type === 'run.parked');
    assert.ok(parked.length <= 1);
  });
});

test('a task is read, waited for and cancelled by its maker, and by nobody else', async () => {
  const gate = Promise.withResolvers<void>();
  let child = '';
  const assistant: By = (request, results) => {
    const foreign = wordsOf(request).includes('foreign');
    if (foreign)
      return results.length === 0 ? calls(['task', { action: 'read', tasks: [child] }]) : says(results[0] ?? '');
    if (results.length === 0) return calls(create('writing', 'slow'), create('system', 'quick'));
    child ||= idIn(results[0]);
    if (results.length === 2) return calls(['task', { action: 'cancel', tasks: [child] }]);
    if (results.length === 3) return calls(['task', { action: 'wait', tasks: results.slice(0, 2).map(idIn) }]);
    return says(results.slice(2).join('\n'));
  };
  const writing: By = async () => {
    await gate.promise;
    return says('too late');
  };
  await withLoop(cast({ assistant, writing, system: () => says('quick result') }), options, async (loop) => {
    const outcome = await loop.send('go');
    assert.match(outcome.text, /writing\): cancelled\nThe task was cancelled\.[^]*quick result/);
    assert.match((await loop.send('foreign', 'two')).text, /You have made no task .* in this conversation/);
    gate.resolve();
    assert.equal((await loop.runtime.task(child))?.status, 'cancelled');
  });
});

test('a key makes one task of two, also of different runs', async () => {
  const assistant: By = (_request, results) =>
    results.length === 0
      ? calls(create('writing', 'one', { key: 'weekly', wait: true }), create('writing', 'again', { key: 'weekly' }))
      : says(results.join(' | '));
  await withLoop(cast({ assistant, writing: () => says('written') }), options, async (loop) => {
    const ends = await Promise.all(['a', 'b', 'c'].map((session) => loop.send('go', session)));
    for (const { text } of ends) assert.match(text, /written/);
    assert.equal((await ofType(loop, 'task.queued')).filter(({ data }) => data.task.agent === 'writing').length, 1);
    const created = await ofType(loop, 'task.created');
    assert.equal(created.filter(({ data }) => !data.joined).length, 1);
    assert.equal(new Set(created.map(({ data }) => data.child)).size, 1);
  });
});

test('a key that is used again after its task has ended makes nothing new, and the call says so', async () => {
  const assistant: By = (request, results) => {
    const again = wordsOf(request).includes('again');
    const [text, count] = again ? ['week 49', 1] : ['week 48', 0];
    if (results.length > count) return says(results.at(-1) ?? '');
    return calls(create('writing', text, { key: 'weekly', ...(again ? {} : { wait: true }) }));
  };
  await withLoop(cast({ assistant, writing: () => says('written') }), options, async (loop) => {
    assert.match((await loop.send('go')).text, /writing\): done\nwritten/);
    const { text } = await loop.send('again');
    assert.match(text, /No new task was made: one with the key "weekly" has ended before\./);
    assert.match(text, /tsk_\S+ \(writing\): done\nwritten$/);
    assert.doesNotMatch(text, /queued/);
    const made = (await ofType(loop, 'task.queued')).filter(({ data }) => data.task.agent === 'writing');
    assert.equal(made.length, 1);
  });
});

test('an artefact is landed before it is handed over, and read as it was meant', async () => {
  const gate = Promise.withResolvers<void>();
  const assistant: By = (_request, results) => {
    if (results.length === 0) return calls(['write', { path: 'plan.md', content: 'first' }]);
    if (results.length === 1)
      return calls(create('writing', 'read it', { artefacts: ['plan.md'] }), [
        'write',
        { path: 'plan.md', content: 'second' },
      ]);
    gate.resolve();
    return results.length === 3
      ? calls(['task', { action: 'wait', tasks: [idIn(results[1])] }])
      : says(results.at(-1) ?? '');
  };
  const writing: By = async (request, results) => {
    await gate.promise;
    const named = /plan\.md@[0-9a-f]{40}/.exec(wordsOf(request))?.[0] ?? '';
    if (results.length === 0)
      return calls(['read', { path: named }], ['read', { path: `README.md@${named.slice(8)}` }]);
    return says(results.join(' | '));
  };
  await withLoop(cast({ assistant, writing }), options, async (loop) => {
    const outcome = await loop.send('go');
    assert.match(outcome.text, /first \| "README\.md@[0-9a-f]{40}" was not given to this task/);
    const files = loop.workspace.files(await loop.workspace.head(), []);
    assert.equal(Buffer.from((await files.read('plan.md'))?.bytes ?? []).toString(), 'second');
    const landings = (await loop.events()).filter((event) => event.type === 'landing.finished');
    assert.equal(landings.length, 2, 'what is changed afterwards lands too');
  });
});

test('what a run has written is there for the agent it gives work to, named or not, and for one whose task it joins', async () => {
  const assistant: By = (request, results) => {
    const joins = wordsOf(request).includes('join');
    if (results.length === 0) return calls(['write', { path: joins ? 'more.md' : 'plan.md', content: 'the plan' }]);
    if (results.length > 1) return says(results.at(-1) ?? '');
    return calls(create('writing', 'read the plan', { wait: true, ...(joins ? { key: 'once' } : {}) }));
  };
  const writing: By = (_request, results) =>
    results.length === 0
      ? calls(['read', { path: 'plan.md' }], ['read', { path: 'more.md' }])
      : says(results.join(' | '));
  await withLoop(cast({ assistant, writing }), options, async (loop) => {
    assert.match((await loop.send('go')).text, /writing\): done\nthe plan \| There is no file more\.md/);
    // A task of this key waits already, and has not begun.
    await loop.runtime.pauseAgent('writing', 'person:owner', 'wait');
    const first = await loop.deliver('join', 'two');
    await until(async () => (await ofType(loop, 'task.queued')).length > 3);
    const second = await loop.deliver('join', 'three');
    await until(async () => (await ofType(loop, 'task.created')).some(({ data }) => data.joined));
    await loop.runtime.resumeAgent('writing', 'person:owner');
    for (const task of [first, second]) assert.match((await loop.settled(task)).text, /done\nthe plan \| the plan/);
  });
});

test('work is not given away while what it may need cannot land; a file of a message that main ignores is in no way', async () => {
  const assistant: By = (request, results) => {
    const path = /inbox\/[0-9a-f]{16}\/note\.txt/.exec(wordsOf(request))?.[0] ?? 'none';
    if (results.length === 0) return calls(['write', { path: 'plan.md', content: 'the plan' }]);
    if (results.length === 1) return calls(create('writing', 'read the plan', { wait: true }));
    if (results.length === 2) return calls(['read', { path }]);
    return says(results.slice(1).join(' | '));
  };
  const writing: By = (_request, results) =>
    results.length === 0 ? calls(['read', { path: 'plan.md' }]) : says(results.join(' | '));
  const files = { '.gitignore': 'inbox/\n' };
  await withLoop(cast({ assistant, writing }), { ...options, files }, async (loop) => {
    const sent = await loop.runtime.deliver({
      channel: 'http',
      sender: 'person:owner',
      agent: 'assistant',
      session: 'one',
      replyTo: 'one',
      text: 'go',
      externalId: 'with-file',
      files: [{ name: 'note.txt', mediaType: 'text/plain', bytes: Buffer.from('a note') }],
    });
    assert.ok(sent.ok);
    const outcome = await loop.settled(sent.delivered.task);
    assert.match(outcome.text, /writing\): done\n[^]*the plan\n[^]* \| <<untrusted [^]*a note\n/);
    assert.deepEqual(await loop.workspace.files(await loop.workspace.head(), []).list('inbox'), []);
  });
});

test('an unknown agent, a file that is not there, an unknown or circular "after", an input that does not fit: refused with why', async () => {
  const slug = { type: 'string', pattern: '^([a-z0-9]+-?)+$' };
  const read = readSchema({
    type: 'object',
    required: ['customer'],
    properties: { hours: { type: 'number' }, slug },
  });
  assert.ok(read.ok);
  const queues = { system: { concurrency: null, maxAttempts: null, input: read.schema, state: 'open' as const } };
  const tries = [
    create('nobody', 'x'),
    create('writing', 'x', { artefacts: ['gone.md'] }),
    create('writing', 'x', { after: ['tsk_gone'] }),
    create('system', 'x', { input: { hours: 1 } }),
    create('system', 'x', { input: { customer: 'c', hours: 'many' } }),
    // Held the process for minutes when the platform's engine looked at it.
    create('system', 'x', { input: { customer: 'c', slug: `${'a'.repeat(60)}!` } }),
    create('writing', 'x', { deadline: 'tomorrow' }),
    ['task', { action: 'wait', tasks: ['tsk_gone'] }] as const,
  ];
  const assistant: By = (_request, results) => (results.length === 0 ? calls(...tries) : says(results.join('\n')));
  await withLoop(cast({ assistant }), { ...options, queues }, async (loop) => {
    const { text } = await loop.send('go');
    for (const why of [
      /Unknown agent "nobody"\. Known: assistant, writing, system/,
      /File "gone\.md" not found/,
      /"after" names the unknown task tsk_gone/,
      /queue system: input\.customer is missing/,
      /queue system: input\.hours must be of type number/,
      /queue system: input\.slug must match \^\(\[a-z0-9\]\+-\?\)\+\$/,
      /"deadline" must be a time with its offset such as/,
      /You have made no task tsk_gone in this conversation/,
    ])
      assert.match(text, why);
    assert.equal((await ofType(loop, 'task.created')).length, 0);
  });
});

test('a task waits for those it comes after, however they end', async () => {
  const order: string[] = [];
  const assistant: By = (_request, results) => {
    if (results.length === 0) return calls(create('writing', 'first'));
    if (results.length === 1) return calls(create('system', 'second', { after: [idIn(results[0])], wait: true }));
    return says(results[1] ?? '');
  };
  const worker: By = async (request) => {
    order.push(agentOf(request));
    await new Promise((resolve) => setTimeout(resolve, 20));
    return says('done');
  };
  await withLoop(cast({ assistant, writing: worker, system: worker }), options, async (loop) => {
    await loop.send('go');
    assert.deepEqual(order, ['writing', 'system']);
  });
});

test('each guard refuses with why, and puts the matter before the owner once', async () => {
  const passOn: By = (request, results) => {
    const next = { assistant: 'writing', writing: 'system', system: 'assistant' }[agentOf(request)] ?? '';
    if (results.length > 0) return says(results.join('\n'));
    const n = Number(/round (\d+)/.exec(wordsOf(request).split('\n').at(-1) ?? '')?.[1] ?? 0);
    return calls(create(next, `round ${n + 1}`, { wait: true }));
  };
  const raised = async (loop: Loop) => (await loop.runtime.pending()).map(({ id }) => id.split('_')[1]);
  await withLoop(cast({ assistant: passOn, writing: passOn, system: passOn }), options, async (loop) => {
    const { text } = await loop.send('round 0');
    assert.match(text, /9 in a row; at most 8 are allowed \(limits\.hops\)/);
    assert.deepEqual(await raised(loop), ['hops']);
    const [matter] = await loop.runtime.pending();
    assert.ok(matter && (await loop.runtime.answer(matter.id, 'seen', 'person:owner')).ok);
    assert.deepEqual(await loop.runtime.pending(), []);
    assert.equal((await loop.runtime.answer(matter.id, 'seen', 'person:owner')).ok, false);
  });
  const many =
    (count: number): By =>
    (_request, results) =>
      results.length === 0
        ? calls(...Array.from({ length: count }, (_, n) => create('writing', `part ${n}`)))
        : says(results.join('\n'));
  const quick = { writing: () => says('ok'), system: () => says('ok') };
  await withLoop(cast({ assistant: many(5), ...quick }), { ...options, limits: { fanOut: 3 } }, async (loop) => {
    assert.equal((await loop.send('go')).text.match(/limits\.fanOut/g)?.length, 2);
    assert.deepEqual(await raised(loop), ['fan-out']);
  });
  await withLoop(cast({ assistant: many(5), ...quick }), { ...options, limits: { tasks: 4 } }, async (loop) => {
    assert.equal((await loop.send('go')).text.match(/limits\.tasks/g)?.length, 1);
    assert.deepEqual(await raised(loop), ['tasks']);
  });
  const back: By = (request, results) =>
    results.length > 0
      ? says(results.join('\n'))
      : calls(create(agentOf(request) === 'writing' ? 'assistant' : 'writing', 'You do it.', { wait: true }));
  await withLoop(cast({ assistant: back, writing: back }), options, async (loop) => {
    assert.match((await loop.send('Do it.')).text, /assistant has already received or sent the same text/);
    assert.deepEqual(await raised(loop), ['ping-pong']);
  });
});

test('what a task asks is asked of the person who wrote, and their next message is the answer', async () => {
  const assistant: By = (_request, results) =>
    results.length === 0 ? calls(create('writing', 'ask them', { wait: true })) : says(results[0] ?? '');
  const writing: By = (_request, results) =>
    results.length === 0 ? calls(['ask', { question: 'which colour?' }]) : says(`it is ${results[0]}`);
  await withLoop(cast({ assistant, writing }), options, async (loop) => {
    const asked = await loop.send('go');
    assert.match(asked.text, /which colour\?/);
    const end = await loop.settled(await loop.deliver('blue'));
    assert.match(end.text, /it is blue/);
  });
});

test('a cancelled run takes what it has led to with it', async () => {
  const assistant: By = () => calls(create('writing', 'go on', { wait: true }));
  const writing: By = () => calls(create('system', 'go on', { wait: true }), ['ask', { question: '?' }]);
  const gate = Promise.withResolvers<void>();
  const system: By = async () => {
    await gate.promise;
    return says('too late');
  };
  await withLoop(cast({ assistant, writing, system }), options, async (loop) => {
    const task = await loop.deliver('go');
    await until(async () => (await ofType(loop, 'task.created')).length === 2, 'both are there');
    assert.ok(await loop.runtime.cancel(task, 'person:owner'));
    gate.resolve();
    const counts = await loop.store.counts();
    assert.deepEqual([counts.cancelled, counts.running + counts.waiting + counts.queued], [3, 0]);
  });
});

test('a queue runs no more at once than it may, and nothing while it is paused', async () => {
  let [now, most] = [0, 0];
  const two = Promise.withResolvers<void>();
  const worker: By = async () => {
    now += 1;
    most = Math.max(most, now);
    if (now === 2) two.resolve();
    await two.promise;
    // Time for one too many to begin.
    await new Promise((resolve) => setTimeout(resolve, 15));
    now -= 1;
    return says('done');
  };
  const assistant: By = (_request, results) =>
    results.length === 0
      ? calls(...['a', 'b', 'c', 'd'].map((text) => create('writing', text, { wait: true })), create('system', 'never'))
      : says(results.join('\n'));
  const open = { concurrency: null, maxAttempts: null, input: null, state: 'open' as const };
  const queues = { writing: { ...open, concurrency: 2 }, system: { ...open, state: 'paused' as const } };
  await withLoop(cast({ assistant, writing: worker, system: worker }), { ...options, queues }, async (loop) => {
    assert.equal((await loop.send('go')).text.match(/writing\): done/g)?.length, 4);
    assert.equal(most, 2);
    assert.equal((await loop.store.tasks({ queue: 'system', statuses: ['queued'] })).length, 1);
  });
  const draining = { system: { ...open, state: 'draining' as const } };
  await withLoop(cast({ assistant, writing: worker }), { ...options, queues: draining }, async (loop) => {
    assert.match((await loop.send('go')).text, /system is draining/);
  });
});

test('what narrows the sender narrows the task, also further down; rules speak of the queue', async () => {
  const assistant: By = (_request, results) =>
    results.length === 0
      ? calls(create('writing', 'go on', { wait: true }), create('system', 'straight', { wait: true }))
      : says(results.join('\n'));
  const passing: By = (request, results) => {
    if (results.length > 0) return says(results.join('\n'));
    return agentOf(request) === 'writing'
      ? calls(create('system', 'write it', { wait: true }))
      : calls(['write', { path: 'secret/x.md', content: 'x' }]);
  };
  const narrow = {
    id: 'no-secrets',
    verdict: 'deny' as const,
    match: { tool: 'write', path: 'secret/**' },
    reason: 'Not yours.',
  };
  const queue = {
    id: 'not-there',
    verdict: 'deny' as const,
    match: { tool: 'task', path: 'tasks/system' },
    reason: 'No.',
  };
  const scripts = cast({ assistant, writing: passing, system: passing });
  await withLoop(
    scripts,
    { ...options, agent: { rules: [narrow] }, others: OTHERS.map((each) => ({ ...each, rules: [] })) },
    async (loop) => {
      const { text } = await loop.send('go');
      assert.equal(text.match(/Denied by rule no-secrets/g)?.length, 2);
    },
  );
  await withLoop(scripts, { ...options, rules: [queue] }, async (loop) => {
    assert.equal((await loop.send('go')).text.match(/Denied by rule not-there/g)?.length, 2);
  });
});

test('a task that failed is resubmitted as one of its own, once', async () => {
  let broken = true;
  const assistant: By = (_request, results) =>
    results.length === 0 ? calls(create('writing', 'try', { wait: true })) : says(results[0] ?? '');
  const writing: By = () => (broken ? fails('auth') : says('it works'));
  await withLoop(cast({ assistant, writing }), options, async (loop) => {
    const { text } = await loop.send('go');
    assert.match(text, /writing\): failed\nI could not finish this/);
    broken = false;
    const again = await loop.runtime.retry(idIn(text), 'person:owner');
    assert.ok(again.ok);
    assert.equal((await loop.settled(again.task)).text, 'it works');
    assert.deepEqual(await loop.runtime.retry(idIn(text), 'person:owner'), again);
  });
});

test('a circle of `after` and waits is seen by the one who would close it, and everything ends', async () => {
  const [one, two] = [create('writing', 'one'), ['system', 'two', { key: 'second' }] as const];
  const assistant: By = (_request, results) => {
    if (results.length === 0) return calls(one);
    if (results.length === 1) return calls(create(two[0], two[1], { ...two[2], after: [idIn(results[0])] }));
    if (results.length === 2) return calls(['task', { action: 'wait', tasks: results.map(idIn) }]);
    return says(results[2] ?? '');
  };
  // It waits for the task that is to begin after its own end, which it knows by its key.
  const known = Promise.withResolvers<void>();
  const writing: By = async (_request, results) => {
    await known.promise;
    return results.length === 0 ? calls(create(two[0], two[1], { ...two[2], wait: true })) : says(results[0] ?? '');
  };
  const script = cast({ assistant, writing, system: () => says('two is done') });
  await withLoop(script, options, async (loop) => {
    const task = await loop.deliver('go');
    await until(async () => (await ofType(loop, 'task.created')).length === 2, 'both are made');
    known.resolve();
    const { text } = await loop.settled(task);
    assert.match(text, /waits, by way of others, for this very task: wait for neither/);
    assert.match(text, /two is done/);
  });
});
