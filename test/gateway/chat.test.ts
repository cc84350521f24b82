import assert from 'node:assert/strict';
import { test } from 'node:test';
import type OpenAI from 'openai';
import type { Script } from '../fakes/runtime.ts';
import { clientOf, failsWith, user } from './client.ts';
import { echo, gate, sse, withGateway } from './help.ts';
import { until } from '../fakes/until.ts';

test('The openai client lists the agents as models', async () => {
  await withGateway(echo, async ({ gateway }) => {
    const client = clientOf(gateway.url);
    const models = await client.models.list();
    assert.deepEqual(
      models.data.map(({ id, object, owned_by }) => ({ id, object, owned_by })),
      [
        { id: 'assistant', object: 'model', owned_by: 'ruche' },
        { id: 'email', object: 'model', owned_by: 'ruche' },
      ],
    );
    assert.equal((await client.models.retrieve('email')).id, 'email');
    await assert.rejects(client.models.retrieve('nobody'), failsWith(404, /Unknown agent/));
  });
});

test('The openai client holds a conversation: one session, only new messages count', async () => {
  await withGateway(echo, async ({ gateway, runtime }) => {
    const client = clientOf(gateway.url);
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'system', content: 'Be brief.' }];
    for (const text of ['one', 'two', 'three']) {
      messages.push(user(text));
      const answer = await client.chat.completions.create({ model: 'assistant', user: 'alice', messages });
      assert.equal(answer.object, 'chat.completion');
      assert.equal(answer.model, 'assistant');
      assert.equal(answer.choices[0]?.message.content, text);
      assert.equal(answer.choices[0]?.finish_reason, 'stop');
      assert.deepEqual(
        [answer.usage?.prompt_tokens, answer.usage?.completion_tokens, answer.usage?.total_tokens],
        [12, 3, 15],
      );
      messages.push({ role: 'assistant', content: text });
    }
    assert.deepEqual(
      runtime.deliveries.map(({ message }) => [message.agent, message.session, message.text]),
      [
        ['assistant', 'alice', 'one'],
        ['assistant', 'alice', 'two'],
        ['assistant', 'alice', 'three'],
      ],
    );
    assert.equal(new Set(runtime.deliveries.map(({ message }) => message.externalId)).size, 3);
    assert.match(runtime.deliveries[0]?.history[0]?.text ?? '', /Context given by the client.*Be brief\./s);
    assert.deepEqual(
      runtime.deliveries[0]?.history.map(({ role }) => role),
      ['user', 'assistant'],
    );
    await until(() => runtime.deliveredMessages.length === 3);
  });
});

test('Without a session each request is a fresh conversation with the whole array as history', async () => {
  await withGateway(echo, async ({ gateway, runtime }) => {
    const client = clientOf(gateway.url);
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'developer', content: 'Speak plainly.' },
      user('first'),
      { role: 'assistant', content: 'answer' },
      user('second'),
      { role: 'user', content: [{ type: 'text', text: 'third' }] },
    ];
    const answer = await client.chat.completions.create({ model: 'assistant', messages });
    assert.equal(answer.choices[0]?.message.content, 'second\n\nthird');
    await client.chat.completions.create({ model: 'assistant', messages });
    const [one, two] = runtime.deliveries;
    assert.notEqual(one?.message.session, two?.message.session);
    assert.deepEqual(
      one?.history.map(({ role }) => role),
      ['user', 'assistant', 'user', 'assistant'],
    );
    assert.match(one?.history[0]?.text ?? '', /Speak plainly/);
  });
});

test('No model named means the first agent', async () => {
  await withGateway(echo, async ({ call, runtime }) => {
    const answer = await call('/v1/chat/completions', { body: { messages: [user('hello')] } });
    assert.equal(answer.status, 200);
    assert.equal(runtime.deliveries[0]?.message.agent, 'assistant');
  });
});

test('A32 session ids are generated or safe: a strange user becomes a stable hash, a strange header 400', async () => {
  await withGateway(echo, async ({ call, runtime }) => {
    const strange = [
      '../../x',
      '/etc/passwd',
      'a b',
      'é',
      '..\\..\\x',
      'x'.repeat(500),
      '\u0000',
      'alice@example.org',
      'a/b',
    ];
    for (const name of [...strange, ...strange]) {
      const answer = await call('/v1/chat/completions', { body: { user: name, messages: [user('hi')] } });
      assert.equal(answer.status, 200, name);
      assert.match(answer.headers.get('x-ruche-session') ?? '', /^[A-Za-z0-9_-]{1,128}$/);
      await answer.text();
    }
    const sessions = runtime.deliveries.map(({ message }) => message.session);
    assert.equal(sessions.length, strange.length * 2);
    for (const session of sessions) assert.match(session, /^[A-Za-z0-9_-]{1,128}$/);
    assert.deepEqual(
      sessions.slice(0, strange.length),
      sessions.slice(strange.length),
      'the same user, the same session',
    );
    assert.equal(new Set(sessions).size, strange.length);
    for (const name of ['../../x', 'a b', 'x'.repeat(129)]) {
      const answer = await call('/v1/chat/completions', {
        body: { messages: [user('hi')] },
        headers: { 'x-ruche-session': name },
      });
      assert.equal(answer.status, 400, name);
      const message = await call('/api/messages', { body: { agent: 'assistant', text: 'hi', session: name } });
      assert.equal(message.status, 400, name);
      const withId = await call('/api/messages', { body: { agent: 'assistant', text: 'hi', id: name } });
      assert.equal(withId.status, 400, name);
    }
    const fresh = await call('/api/messages', { body: { agent: 'assistant', text: 'hi' } });
    assert.match(((await fresh.json()) as { session: string }).session, /^ses_[A-Za-z0-9_-]+$/);
    assert.equal(runtime.deliveries.length, strange.length * 2 + 1);
  });
});

test('A stream has the exact chunks: role, content, finish, usage if asked for, [DONE]', async () => {
  await withGateway(
    async (run) => {
      run.say('Hel');
      run.emit({ kind: 'reasoning', text: 'hidden thoughts' });
      run.emit({ kind: 'tool.started', call: 'c', tool: 'read', args: '{"path":"hidden.md"}' });
      run.say('lo');
      return 'Hello';
    },
    async ({ call, runtime }) => {
      const response = await call('/v1/chat/completions', {
        body: { stream: true, stream_options: { include_usage: true }, user: 'u', messages: [user('hi')] },
      });
      assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
      const data: string[] = [];
      for await (const event of sse(response)) data.push(event.data);
      assert.equal(data.pop(), '[DONE]');
      const chunks = data.map((each) => JSON.parse(each) as OpenAI.ChatCompletionChunk);
      assert.deepEqual(
        chunks.map((each) => each.choices[0]?.delta ?? null),
        [{ role: 'assistant', content: '' }, { content: 'Hel' }, { content: 'lo' }, {}, null],
      );
      assert.deepEqual(
        chunks.map((each) => each.choices[0]?.finish_reason ?? null),
        [null, null, null, 'stop', null],
      );
      assert.equal(chunks.at(-1)?.usage?.total_tokens, 15);
      assert.equal(new Set(chunks.map((each) => each.id)).size, 1);
      assert.ok(chunks.every((each) => each.object === 'chat.completion.chunk'));
      assert.doesNotMatch(JSON.stringify(chunks), /hidden/);
      await until(() => runtime.deliveredMessages.length === 1);
      assert.equal(runtime.state.listeners(), 0);
    },
  );
});

test('The openai client reads a stream', async () => {
  await withGateway(echo, async ({ gateway }) => {
    const stream = clientOf(gateway.url).chat.completions.stream({
      model: 'assistant',
      messages: [user('a longer text, in pieces: žluťoučký 🐝')],
    });
    assert.equal(await stream.finalContent(), 'a longer text, in pieces: žluťoučký 🐝');
  });
});

test('Streamed text is never wrong in silence: retried steps are marked, missed starts come whole at the end', async () => {
  const scripts: [string, Script][] = [
    [
      'wro\n\n[The connection to the model broke here; it starts this part again.]\n\nright',
      async (run) => {
        run.say('wro');
        run.emit({ kind: 'discard' });
        run.say('right');
        return 'right';
      },
    ],
    [
      'the whole answer',
      async (run) => {
        run.emit({ kind: 'text', step: 1, offset: 10, text: 'answer' });
        return 'the whole answer';
      },
    ],
    [
      'I look.\n\nFound it.',
      async (run) => {
        run.say('I look.', 1);
        run.say('Found ', 2);
        run.say('it.', 2);
        return 'Found it.';
      },
    ],
    ['only at the end', async () => 'only at the end'],
    ['', async () => ''],
  ];
  for (const [expected, script] of scripts)
    await withGateway(script, async ({ gateway }) => {
      const stream = await clientOf(gateway.url).chat.completions.create({
        model: 'assistant',
        stream: true,
        messages: [user('go')],
      });
      let got = '';
      for await (const part of stream) got += part.choices[0]?.delta.content ?? '';
      assert.equal(got, expected);
    });
});

test('A failed run is an error that clients do not send again, and is told once', async () => {
  let runs = 0;
  const failing: Script = async (run) => {
    runs += 1;
    if (run.text === 'late') run.say('so far ');
    throw new Error('The model refused the key: set LOCAL_KEY.');
  };
  await withGateway(failing, async ({ gateway, runtime }) => {
    const client = clientOf(gateway.url);
    const ask = (content: string, stream: boolean) =>
      client.chat.completions.create({ model: 'assistant', user: 's', stream, messages: [user(content)] });
    await assert.rejects(Promise.resolve(ask('now', false)), failsWith(422, /refused the key/));
    assert.equal(runs, 1);
    await assert.rejects(Promise.resolve(ask('now', true)), failsWith(422, /refused the key/));
    assert.equal(runs, 2, 'the failure was delivered, so the same words are tried anew');
    const stream = (await ask('late', true)) as AsyncIterable<unknown>;
    await assert.rejects(async () => {
      for await (const _ of stream);
    }, /refused the key/);
    assert.equal(runs, 3);
    await until(() => runtime.deliveredMessages.length === 3);
  });
});

test('An unknown agent is a 404 that names the known ones', async () => {
  await withGateway(echo, async ({ gateway }) => {
    const ask = clientOf(gateway.url).chat.completions.create({ model: 'gpt-5', messages: [user('hi')] });
    await assert.rejects(Promise.resolve(ask), failsWith(404, /"gpt-5".*assistant, email/s));
  });
});

test('A history in the form of any client is taken as context; what is asked now must be text', async () => {
  await withGateway(echo, async ({ call, runtime }) => {
    const asked = async (messages: object[]): Promise<unknown> => {
      const answer = await call('/v1/chat/completions', { body: { messages } });
      assert.equal(answer.status, 200, await answer.text());
      const { message, history } = runtime.deliveries.at(-1)!;
      return [...history, message.text];
    };
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
    const called = { id: 'c', type: 'function', function: { name: 'w', arguments: '{}' } };
    const hello = user('hello');
    const result = { role: 'user', text: '[Result of a tool that the client program ran]\nsunny' };
    const cases: [object[], unknown][] = [
      [
        [
          user('weather?'),
          { role: 'assistant', content: null, tool_calls: [called] },
          { role: 'tool', tool_call_id: 'c', content: [{ type: 'text', text: 'sunny' }] },
          { role: 'assistant', content: 'It is sunny.' },
          hello,
        ],
        [{ role: 'user', text: 'weather?' }, result, { role: 'assistant', text: 'It is sunny.' }, 'hello'],
      ],
      [
        [user('w?'), { role: 'assistant', tool_calls: [called] }, { role: 'function', content: 'sunny' }, hello],
        [{ role: 'user', text: 'w?' }, result, { role: 'assistant', text: 'Noted.' }, 'hello'],
      ],
      [
        [
          user('a'),
          {
            role: 'assistant',
            content: [
              { type: 'thinking', thinking: 'hm' },
              { type: 'reasoning', text: 'hm' },
              { type: 'output_text', text: 'b' },
              { type: 'tool_use', id: 'x', name: 'w', input: {} },
              { type: 'something-new', data: 1 },
            ],
          },
          hello,
        ],
        [{ role: 'user', text: 'a' }, { role: 'assistant', text: 'b' }, 'hello'],
      ],
      [
        [
          { role: 'user', content: [{ type: 'text', text: 'what is it' }, image, { type: 'input_file', id: 'f' }] },
          { role: 'assistant', content: 'a cat' },
          hello,
        ],
        [
          { role: 'user', text: 'what is it\n[image, not shown]\n[file, not shown]' },
          { role: 'assistant', text: 'a cat' },
          'hello',
        ],
      ],
      [
        [{ role: 'user', content: null }, { role: 'assistant', content: 'b' }, hello],
        [{ role: 'assistant', text: 'b' }, 'hello'],
      ],
      [[{ role: 'user', content: ['hello', { type: 'input_text', text: 'you' }] }], ['hello\nyou']],
    ];
    for (const [messages, right] of cases) assert.deepEqual(await asked(messages), right, JSON.stringify(messages));
  });
});

test('B1 chats of one account stay apart where the client names the conversation, or asks for one of its own', async () => {
  await withGateway(echo, async ({ call, runtime }) => {
    const session = async (body: object, header?: string): Promise<string> => {
      const headers: Record<string, string> = header === undefined ? {} : { 'x-ruche-session': header };
      await call('/v1/chat/completions', { body: { messages: [user('hi')], ...body }, headers });
      return runtime.deliveries.at(-1)!.message.session;
    };
    const account = { user: 'account-1' };
    assert.equal(await session(account), 'account-1');
    assert.equal(await session({ ...account, metadata: { conversation_id: 'c1' } }), 'c1');
    assert.match(await session({ ...account, metadata: { chatId: 'a b' } }), /^chat-[0-9a-f]{32}$/);
    assert.equal(await session({ ...account, metadata: { conversation_id: 'c1' } }, 'h1'), 'h1');
    for (const nothing of ['', 'new', '{{LIBRECHAT_BODY_CONVERSATIONID}}', 'null'])
      assert.match(await session({ ...account, metadata: { chat_id: 'c' } }, nothing), /^ses_/, nothing);
    assert.equal(await session({ ...account, metadata: { chat_id: 'null' } }), 'account-1');
    assert.equal(await session({ user: 5 }), '5');
  });
});

test('What a request gets wrong is named with its place', async () => {
  await withGateway(echo, async ({ call, runtime }) => {
    const hi = [user('hi')];
    const wrong: [object, string, RegExp][] = [
      [{}, 'messages', /"messages" must be a list/],
      [{ messages: [] }, 'messages', /at least one/],
      [{ messages: 'hi' }, 'messages', /list/],
      [{ messages: ['hi'] }, 'messages[0]', /object/],
      [{ messages: [{ role: 'user' }] }, 'messages[0].content', /text or a list/],
      [{ messages: [{ role: 'user', content: 5 }] }, 'messages[0].content', /text or a list/],
      [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages', /its own tools/],
      [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role', /or tool/],
      [{ messages: [user('  ')] }, 'messages', /user message with text/],
      [
        { messages: [user('a'), { role: 'assistant', content: 'b' }] },
        'messages',
        /must follow the last assistant message/,
      ],
      [{ messages: [{ role: 'system', content: 'only' }] }, 'messages', /user message/],
      [
        { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] },
        'messages[0].content[0]',
        /image_url.*Only text/,
      ],
      [{ messages: hi, model: 5 }, 'model', /name of an agent/],
      [{ messages: hi, stream: 'yes' }, 'stream', /true or false/],
      [{ messages: hi, n: 2 }, 'n', /one answer/],
      [{ messages: hi, user: { a: 1 } }, 'user', /string/],
    ];
    for (const [body, param, message] of wrong) {
      const answer = await call('/v1/chat/completions', { body });
      assert.equal(answer.status, 400, JSON.stringify(body));
      const { error } = (await answer.json()) as { error: { message: string; param: string; type: string } };
      assert.equal(error.param, param);
      assert.equal(error.type, 'invalid_request_error');
      assert.match(error.message, message);
    }
    assert.equal(runtime.deliveries.length, 0);
  });
});

test('Shutdown answers what is open: a session may send again, a fresh conversation learns its task', async () => {
  for (const [session, retry] of [
    ['s', 'true'],
    [undefined, 'false'],
  ] as const)
    for (const stream of [false, true])
      await withGateway(
        async () => new Promise(() => undefined),
        async ({ gateway, runtime, call }) => {
          const pending = call('/v1/chat/completions', { body: { user: session, stream, messages: [user('work')] } });
          await until(() => runtime.deliveries.length === 1);
          await gateway.close();
          const answer = await pending;
          assert.equal(answer.status, 503);
          assert.equal(answer.headers.get('x-should-retry'), retry);
          assert.match(await answer.text(), /tsk_1 goes on after the restart/);
          assert.equal(runtime.deliveredMessages.length, 0);
        },
      );
});

test('A long silence is filled with comments, and the role still comes first', async () => {
  const held = gate();
  await withGateway(
    async () => {
      await held.opened;
      return 'late';
    },
    async ({ call }) => {
      const response = await call('/v1/chat/completions', { body: { stream: true, messages: [user('work')] } });
      let text = '';
      for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
        text += piece;
        if (text.includes(': keep-alive')) held.open();
      }
      assert.match(text, /^: keep-alive\n\n/);
      assert.match(text, /"role":"assistant".*"content":"late".*\[DONE\]/s);
    },
    { limits: { heartbeatMs: 20 } },
  );
});
