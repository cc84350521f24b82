import assert from 'node:assert/strict';
import { once } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, connect, Socket } from 'node:net';
import { test } from 'node:test';
import { clientOf, failsWith, user } from './client.ts';
import { gate, realClock, withGateway } from './help.ts';
import { until } from '../fakes/until.ts';
import { clientSignal } from '../../src/gateway/http/reply.ts';
import { Passes } from '../../src/gateway/admission.ts';

test('A client that hangs up does not end the run; the same request joins it and gets the answer once', async () => {
  for (const stream of [false, true]) {
    const held = gate();
    let runs = 0;
    await withGateway(
      async (run) => {
        runs += 1;
        run.say('begun ');
        await held.opened;
        return 'begun and ended';
      },
      async ({ gateway, runtime }) => {
        const client = clientOf(gateway.url, { maxRetries: 0 });
        const ask = (signal?: AbortSignal) =>
          client.chat.completions.create(
            { model: 'assistant', user: 'u', stream, messages: [user('work')] },
            { signal },
          );
        const hangUp = new AbortController();
        const cut = Promise.resolve(ask(hangUp.signal)).then(async (answer) => {
          if (stream) for await (const _ of answer as AsyncIterable<unknown>) hangUp.abort();
        });
        await until(() => runtime.deliveries.length === 1);
        if (!stream) hangUp.abort();
        await cut.catch(() => undefined);
        await until(() => runtime.state.listeners() === 0);
        const again = ask();
        held.open();
        const answer = await again;
        let text = '';
        if (Symbol.asyncIterator in answer)
          for await (const part of answer) text += part.choices[0]?.delta.content ?? '';
        else text = answer.choices[0]?.message.content ?? '';
        assert.equal(text, 'begun and ended');
        await until(() => runtime.deliveredMessages.length > 0);
        assert.equal(new Set(runtime.deliveredMessages).size, 1);
        assert.equal(runs, 1);
        assert.equal(runtime.deliveries.length, 1);
        await ask();
        assert.equal(runs, 2, 'once delivered, the same words are a new message');
      },
    );
  }
});

for (const stream of [false, true])
  test(`Without a session the client’s own retries are one run (stream: ${stream})`, async () => {
    let runs = 0;
    const held = gate();
    await withGateway(
      async () => {
        runs += 1;
        await held.opened;
        return 'done once';
      },
      async ({ gateway, runtime }) => {
        // It gives up and asks again while the run still works.
        const client = clientOf(gateway.url, { maxRetries: 3, timeout: 300 });
        const said = async (): Promise<string> => {
          const asked = { model: 'assistant', messages: [user('work')] };
          if (!stream) return (await client.chat.completions.create(asked)).choices[0]?.message.content ?? '';
          let text = '';
          for await (const part of await client.chat.completions.create({ ...asked, stream: true }))
            text += part.choices[0]?.delta.content ?? '';
          return text;
        };
        const first = said();
        await until(() => runtime.state.requests >= 2);
        held.open();
        assert.equal(await first, 'done once');
        assert.equal(runs, 1);
        await until(() => runtime.deliveredMessages.length > 0);
        assert.equal(await said(), 'done once');
        assert.equal(runs, 2, 'what is not sent again is a new request, however equal');
        const both = await Promise.all([said(), said()]);
        assert.deepEqual([both, runs], [['done once', 'done once'], 4], 'and two people may say the same');
      },
    );
  });

test('An Idempotency-Key is one request in every session and without one; with other words it is refused', async () => {
  let runs = 0;
  await withGateway(
    async (run) => `${run.text} ${(runs += 1)}`,
    async ({ gateway, call, runtime }) => {
      const client = clientOf(gateway.url, { maxRetries: 0 });
      const ask = async (content: string, key: string, more: object = {}): Promise<string> => {
        const options = { headers: { 'Idempotency-Key': key } };
        const asked = { model: 'assistant', messages: [user(content)], ...more };
        return (await client.chat.completions.create(asked, options)).choices[0]?.message.content ?? '';
      };
      assert.equal(await ask('a', 'k-1'), 'a 1');
      await until(() => runtime.deliveredMessages.length > 0);
      assert.equal(await ask('a', 'k-1'), 'a 1', 'also after its answer was delivered');
      assert.equal(await ask('a', 'k-2'), 'a 2');
      assert.deepEqual(await Promise.all([ask('c', 'k-3'), ask('c', 'k-3')]), ['c 3', 'c 3']);
      assert.equal(await ask('d', 'k-4', { user: 'me' }), 'd 4');
      assert.equal(await ask('d', 'k-4', { user: 'me' }), 'd 4');
      for (const [content, key, more] of [
        ['b', 'k-1', {}],
        ['d', 'k-4', { user: 'you' }],
        ['e', 'k-4', { user: 'me' }],
      ] as const)
        await assert.rejects(ask(content, key, more), failsWith(422, /was sent with another request/));
      await assert.rejects(ask('f', 'ä'.repeat(2)), failsWith(400, /1 to 255 characters/));
      const headers = { 'Idempotency-Key': 'm-1' };
      const post = async (text: string): Promise<Response> =>
        call('/api/messages', { body: { agent: 'assistant', text }, headers });
      const [one, two] = [await (await post('x')).json(), await (await post('x')).json()] as { task: string }[];
      assert.equal(one?.task, two?.task);
      assert.equal((await post('y')).status, 409);
    },
  );
});

test('A provider that is down is told with Retry-After, also to who comes back, and its task is joined', async () => {
  let runs = 0;
  const held = gate();
  await withGateway(
    async (run) => {
      runs += 1;
      run.later(realClock.now() + 3_600_000, 'The limit is reached. It asks to be asked again at 12:00.');
      await held.opened;
      return 'done once';
    },
    async ({ call }) => {
      const ask = (key: string | null, more: object = {}): Promise<Response> =>
        call('/v1/chat/completions', {
          body: { messages: [user('work')], ...more },
          headers: key === null ? {} : { 'idempotency-key': key },
        });
      for (const again of [ask('k'), ask('k'), ask(null, { user: 'me' }), ask(null, { user: 'me' })]) {
        const answer = await again;
        const { error } = (await answer.json()) as { error: { message: string; code: string } };
        assert.deepEqual([answer.status, error.code], [503, 'model_unavailable']);
        const seconds = Number(answer.headers.get('retry-after'));
        assert.ok(seconds > 3_500 && seconds <= 3_600, String(seconds));
        assert.equal(
          answer.headers.get('x-should-retry'),
          'false',
          'nobody wants a program that comes back for an hour',
        );
        const task = answer.headers.get('x-ruche-task') ?? '';
        assert.match(error.message, new RegExp(`limit is reached.*Task ${task} goes on.*/api/tasks/${task}`));
      }
      held.open();
      for (const answer of [await ask('k'), await ask(null, { user: 'me' })])
        assert.match(await answer.text(), /done once/);
      assert.equal(runs, 2);
    },
  );
});

test('A model that is soon asked again is waited for, until that has gone on for too long', async () => {
  for (const [waits, status] of [
    [[1_000, 2_000, 4_000], 200],
    [[1_000, 30_000, 50_000], 503],
  ] as const) {
    const ended = gate();
    await withGateway(
      async (run) => {
        for (const wait of waits)
          run.emit({ kind: 'retrying', text: 'It is overloaded.', until: realClock.now() + wait });
        if (status === 503) await ended.opened;
        return 'at last';
      },
      async ({ call }) => {
        const answer = await call('/v1/chat/completions', { body: { messages: [user('work')] } });
        assert.equal(answer.status, status);
        if (status === 503) assert.ok(Number(answer.headers.get('retry-after')) <= 50);
        ended.open();
        await answer.text();
      },
    );
  }
});

test('A stream says what it waits for, as a comment and as a thought, and goes on to the answer', async () => {
  const seen = gate();
  await withGateway(
    async (run) => {
      run.later(realClock.now() + 3_600_000, 'The limit\nis reached');
      await seen.opened;
      run.say('at last');
      return 'at last';
    },
    async ({ call }) => {
      const body = { model: 'assistant', stream: true, messages: [user('work')] };
      const answer = await call('/v1/chat/completions', { body });
      let text = '';
      for await (const piece of answer.body!.pipeThrough(new TextDecoderStream())) {
        text += piece;
        if (text.includes('"reasoning_content":"The limit\\nis reached.')) seen.open();
      }
      assert.match(
        text,
        /^: The limit is reached\. It goes on in (?:59|60) min\.$|^: The limit is reached\. It goes on in 1 h\.$/m,
      );
      const said = [...text.matchAll(/"content":"([^"]*)"/g)].map(([, words]) => words).join('');
      assert.equal(said, 'at last');
      assert.match(text, /"finish_reason":"stop"/);
    },
  );
});

/** A TCP proxy that cuts each connection when told to. */
async function cuttingProxy(port: number): Promise<{ url: string; cut(): void; connections(): number; close(): void }> {
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((down) => {
    connections += 1;
    const up = connect(port, '127.0.0.1');
    for (const socket of [down, up]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        down.destroy();
        up.destroy();
      });
    }
    down.pipe(up);
    up.pipe(down);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const own = typeof address === 'object' && address ? address.port : 0;
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  return { url: `http://127.0.0.1:${own}`, cut, connections: () => connections, close: () => (cut(), server.close()) };
}

test('The automatic re-send of the openai client after a cut joins the run', async () => {
  const held = gate();
  let runs = 0;
  await withGateway(
    async () => {
      runs += 1;
      await held.opened;
      return 'done once';
    },
    async ({ gateway, runtime }) => {
      const proxy = await cuttingProxy(gateway.port);
      const client = clientOf(proxy.url);
      try {
        const answer = client.chat.completions.create({ model: 'assistant', user: 'u', messages: [user('work')] });
        await until(() => runtime.deliveries.length === 1);
        proxy.cut();
        await until(() => proxy.connections() === 2);
        held.open();
        assert.equal((await answer).choices[0]?.message.content, 'done once');
        assert.equal(runs, 1);
        await until(() => runtime.deliveredMessages.length === 1);
      } finally {
        proxy.close();
      }
    },
  );
});

test('An answer whose client hung up before it was waited for is over at once, and nothing looks after it', async () => {
  let sleeps = 0;
  const closing = new AbortController();
  const clock = { now: () => 0, sleep: () => ((sleeps += 1), new Promise<void>(() => undefined)) };
  const passes = new Passes(clock, closing.signal);
  const incoming = new IncomingMessage(new Socket());
  const outgoing = new ServerResponse(incoming);
  const exchange = {
    incoming,
    outgoing,
    redact: (text: string) => text,
    whileGood: () => passes.hold(() => true, outgoing),
  };
  const open = clientSignal(exchange, closing.signal);
  assert.deepEqual([open.aborted, sleeps], [false, 1]);
  const closed = once(outgoing, 'close');
  outgoing.destroy();
  await closed;
  assert.ok(open.aborted);
  const late = new Passes(clock, closing.signal);
  assert.ok(late.hold(() => true, outgoing).aborted);
  assert.ok(clientSignal({ ...exchange, whileGood: () => late.hold(() => true, outgoing) }, closing.signal).aborted);
  assert.equal(sleeps, 1, 'no loop was begun for it');
});
