import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskOutcome } from '../../src/core/api/runtime.ts';
import type { Script } from '../fakes/runtime.ts';
import { echo, gate, sse, withGateway, type Rig } from './help.ts';
import { until } from '../fakes/until.ts';

const json = async <T = Record<string, unknown>>(answer: Promise<Response>): Promise<T> =>
  (await (await answer).json()) as T;

const post = (rig: Rig, body: object): Promise<{ task: string; session: string; joined: boolean }> =>
  json(rig.call('/api/messages', { body: { agent: 'assistant', ...body } }));

test('A message is accepted with 202, and its id makes it the same message each time', async () => {
  await withGateway(echo, async (rig) => {
    const first = await rig.call('/api/messages', {
      body: { agent: 'assistant', text: 'hello', session: 's', id: 'm1' },
    });
    assert.equal(first.status, 202);
    assert.deepEqual(await first.json(), { task: 'tsk_1', agent: 'assistant', session: 's', joined: false });
    assert.deepEqual(await post(rig, { text: 'hello', session: 's', id: 'm1' }), {
      task: 'tsk_1',
      agent: 'assistant',
      session: 's',
      joined: true,
    });
    const other = await rig.call('/api/messages', {
      body: { agent: 'assistant', text: 'else', session: 's', id: 'm1' },
    });
    assert.equal(other.status, 409);
    const unknown = await rig.call('/api/messages', { body: { agent: 'nobody', text: 'x' } });
    assert.equal(unknown.status, 404);
    rig.runtime.state.stopping = true;
    const late = await rig.call('/api/messages', { body: { agent: 'assistant', text: 'x', id: 'm2' } });
    assert.equal(late.status, 503);
    assert.equal(late.headers.get('retry-after'), '1');
    assert.equal(rig.runtime.deliveries.length, 1);
  });
});

test('A wait is held until the outcome, or 204 says to ask again; looking is not delivery', async () => {
  const held = gate();
  await withGateway(
    async () => {
      await held.opened;
      return 'the answer';
    },
    async (rig) => {
      const { task } = await post(rig, { text: 'work' });
      assert.equal((await rig.call(`/api/tasks/${task}/wait?seconds=0`)).status, 204);
      assert.equal((await json<TaskOutcome>(rig.call(`/api/tasks/${task}`))).status, 'running');
      const wait = rig.call(`/api/tasks/${task}/wait?peek=1`);
      held.open();
      assert.equal((await json<TaskOutcome>(wait)).text, 'the answer');
      assert.equal((await json<TaskOutcome>(rig.call(`/api/tasks/${task}`))).text, 'the answer');
      assert.equal(rig.runtime.deliveredMessages.length, 0);
      assert.equal((await json<TaskOutcome>(rig.call(`/api/tasks/${task}/wait?seconds=5`))).status, 'done');
      await until(() => rig.runtime.deliveredMessages.length === 1);
      for (const seconds of ['-1', 'x', '1e3', '56', ''])
        assert.equal((await rig.call(`/api/tasks/${task}/wait?seconds=${seconds}`)).status, 400, seconds);
      for (const path of ['tsk_none', 'tsk_none/wait', 'tsk_none/stream', '..%2f..%2fx'])
        assert.equal((await rig.call(`/api/tasks/${path}`)).status, 404, path);
    },
  );
});

test('A task streams its deltas, then the outcome, then ends', async () => {
  const held = gate();
  await withGateway(
    async (run) => {
      await held.opened;
      run.emit({ kind: 'tool.started', call: 'c1', tool: 'read', args: '{"path":"a"}' });
      run.emit({ kind: 'tool.returned', call: 'c1', tool: 'read', ok: true, text: 'line\nline' });
      run.say('done', 2);
      return 'done';
    },
    async (rig) => {
      const { task } = await post(rig, { text: 'work' });
      const response = await rig.call(`/api/tasks/${task}/stream`);
      held.open();
      const events: { event: string; data: { kind?: string; text?: string } }[] = [];
      for await (const { event, data } of sse(response)) events.push({ event, data: JSON.parse(data) as object });
      assert.deepEqual(
        events.map(({ event, data }) => [event, data.kind ?? 'outcome']),
        [
          ['delta', 'tool.started'],
          ['delta', 'tool.returned'],
          ['delta', 'text'],
          ['outcome', 'outcome'],
        ],
      );
      assert.equal(events[1]?.data.text, 'line\nline');
      await until(() => rig.runtime.deliveredMessages.length === 1);
      assert.equal(rig.runtime.state.listeners(), 0);
    },
  );
});

const asking: Script = async (run) =>
  run.text === 'pay' ? await run.approval('shell', 'rm -r x') : await run.question('Which?');

test('Approvals and questions: listed, answered once, and a re-sent verdict is the same verdict', async () => {
  await withGateway(asking, async (rig) => {
    const { task } = await post(rig, { text: 'pay', session: 'a' });
    const waiting = await json<TaskOutcome>(rig.call(`/api/tasks/${task}/wait`));
    assert.equal(waiting.status, 'waiting');
    const { pending } = await json<{ pending: TaskOutcome['waits'] }>(rig.call('/api/pending'));
    assert.deepEqual(
      pending.map(({ kind, tool, text }) => [kind, tool, text]),
      [['approval', 'shell', 'rm -r x']],
    );
    const path = `/api/approvals/${pending[0]?.id}`;
    for (const verdict of ['yes', true, null, undefined])
      assert.equal((await rig.call(path, { body: { verdict } })).status, 400);
    assert.deepEqual(await json(rig.call(path, { body: { verdict: 'approve' } })), { task });
    assert.deepEqual(await json(rig.call(path, { body: { verdict: 'approve' } })), { task, again: true });
    assert.equal((await rig.call(path, { body: { verdict: 'deny' } })).status, 409);
    assert.equal((await rig.call('/api/approvals/apr_none', { body: { verdict: 'deny' } })).status, 404);
    assert.equal((await json<TaskOutcome>(rig.call(`/api/tasks/${task}/wait`))).text, 'approve');

    const question = await post(rig, { text: 'ask', session: 'b' });
    const asked = await json<TaskOutcome>(rig.call(`/api/tasks/${question.task}/wait`));
    const answer = `/api/questions/${asked.waits[0]?.id}`;
    assert.equal((await rig.call(answer, { body: { text: '' } })).status, 400);
    assert.deepEqual(await json(rig.call(answer, { body: { text: 'the blue one' } })), { task: question.task });
    assert.equal((await rig.call(answer, { body: { text: 'the red one' } })).status, 409);
    assert.equal((await json<TaskOutcome>(rig.call(`/api/tasks/${question.task}/wait`))).text, 'the blue one');
  });
});

test('A task can be cancelled once', async () => {
  await withGateway(
    async () => new Promise(() => undefined),
    async (rig) => {
      const { task } = await post(rig, { text: 'work' });
      assert.deepEqual(await json(rig.call(`/api/tasks/${task}/cancel`, { body: {} })), { cancelled: true });
      assert.deepEqual(await json(rig.call(`/api/tasks/${task}/cancel`, { body: {} })), { cancelled: false });
      assert.equal((await json<TaskOutcome>(rig.call(`/api/tasks/${task}/wait`))).status, 'cancelled');
    },
  );
});

test('Status, agents and unknown paths', async () => {
  await withGateway(echo, async (rig) => {
    assert.equal((await json(rig.call('/api/status')))['model'], 'demo/demo');
    assert.equal((await json<{ agents: unknown[] }>(rig.call('/api/agents'))).agents.length, 2);
    for (const path of ['/', '/api', '/api/nothing', '/v1/embeddings', '/api/tasks/a/b/c']) {
      const answer = await rig.call(path);
      assert.equal(answer.status, 404, path);
      assert.equal((await json<{ error: { code: string } }>(Promise.resolve(answer))).error.code, 'not_found');
    }
    assert.equal((await rig.call('/api/messages')).status, 404, 'the wrong method');
  });
});

test('With ?stream a message, an approval and an answer are followed from their first moment', async () => {
  const script: Script = async (run) => {
    run.emit({ kind: 'tool.started', call: 'c1', tool: 'read', args: '{}' });
    const verdict = run.text === 'pay' ? await run.approval('shell', 'rm x') : await run.question('Which?');
    run.say(`It was ${verdict}.`, 2);
    return `It was ${verdict}.`;
  };
  await withGateway(script, async (rig) => {
    const follow = async (path: string, body: object): Promise<[string, Record<string, unknown>][]> => {
      const events: [string, Record<string, unknown>][] = [];
      for await (const { event, data } of sse(await rig.call(`${path}?stream`, { body })))
        events.push([event, JSON.parse(data) as Record<string, unknown>]);
      return events;
    };
    for (const [text, path, body, said] of [
      ['pay', '/api/approvals', { verdict: 'deny' }, 'deny'],
      ['ask', '/api/questions', { text: 'this one' }, 'this one'],
    ] as const) {
      const first = await follow('/api/messages', { agent: 'assistant', text, session: text });
      assert.deepEqual(
        first.map(([event, data]) => [event, data['kind'] ?? data['status'] ?? data['session']]),
        [
          ['accepted', text],
          ['delta', 'tool.started'],
          ['outcome', 'waiting'],
        ],
      );
      const { waits, task } = (first[2] ?? assert.fail('no outcome'))[1] as unknown as TaskOutcome;
      const then = await follow(`${path}/${waits[0]?.id}`, body);
      assert.deepEqual(then[0], ['accepted', { task }]);
      assert.deepEqual(then.at(-1)?.[1]['text'], `It was ${said}.`);
    }
    await until(() => rig.runtime.deliveredMessages.length === 2);
    assert.equal(rig.runtime.state.listeners(), 0);
    const refused = await rig.call('/api/messages?stream', { body: { agent: 'nobody', text: 'x' } });
    assert.equal(refused.status, 404);
  });
});

test('@name goes to that agent in its conversation of the session; alone it only says who listens', async () => {
  await withGateway(echo, async (rig) => {
    const { call, runtime } = rig;
    const send = async (text: string, id: string): Promise<[number, unknown]> => {
      const answer = await call('/api/messages', { body: { agent: 'assistant', text, session: 's', id } });
      return [answer.status, await answer.json()];
    };
    const told = { task: 'tsk_1', agent: 'email', session: 's', joined: false };
    assert.deepEqual(await send('@Email, what is new?', 'm1'), [202, told]);
    assert.deepEqual(await send('@Email, what is new?', 'm1'), [202, { ...told, joined: true }]);
    assert.deepEqual(await send('@email', 'm2'), [200, { ...told, task: null }]);
    assert.equal((await send('@nobody hello', 'm3'))[0], 202);
    assert.equal((await send('me@email.example', 'm4'))[0], 202);
    assert.deepEqual(
      runtime.deliveries.map(({ message }) => [message.agent, message.text]),
      [
        ['email', 'what is new?'],
        ['assistant', '@nobody hello'],
        ['assistant', 'me@email.example'],
      ],
    );
  });
});

test('a client of the chat endpoint is told at once that the agent is paused, and where its answer will be', async () => {
  await withGateway(echo, async ({ call, runtime }) => {
    const { deliver } = runtime;
    runtime.deliver = async (...given) => {
      const result = await deliver(...given);
      return result.ok
        ? { ok: true, delivered: { ...result.delivered, note: 'email has been paused for 2 min.' } }
        : result;
    };
    const body = { model: 'email', messages: [{ role: 'user', content: 'hello' }] };
    const answer = (await (await call('/v1/chat/completions', { body })).json()) as {
      choices: { message: { content: string } }[];
    };
    assert.equal(
      answer.choices[0]?.message.content,
      'email has been paused for 2 min. Its answer will be at /api/tasks/tsk_1.',
    );
    const accepted = await call('/api/messages', { body: { agent: 'email', text: 'x', session: 't' } });
    assert.equal(((await accepted.json()) as { note: string }).note, 'email has been paused for 2 min.');
  });
});
