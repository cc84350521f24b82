import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BESIDE, ConversationCache } from '../../src/agent/run/conversation.ts';
import type { ModelEvent } from '../../src/core/model.ts';
import type { Tool } from '../../src/core/ports/tool.ts';
import { openLoop, testTools } from '../fakes/loop.ts';
import { calls, fails, says, scriptedModel, USAGE } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { systemClock, systemRandom } from '../../src/platform/system.ts';

test('a message that several look for at once counts once, and the bound holds', async () => {
  const store = openMemoryStore({ clock: systemClock, random: systemRandom.bytes });
  let reads = 0;
  const counting = new Proxy(store, {
    get: (target, name): unknown => {
      const value: unknown = Reflect.get(target, name, target);
      if (name === 'getBlob') reads += 1;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const message = (text: string) => ({ role: 'user', parts: [{ type: 'text', text }] });
  const put = (text: string) => store.putBlob(Buffer.from(JSON.stringify(message(text))), 'conv:a/b');
  const [one, two, three] = [put('one one'), put('two two'), put('3'.repeat(200))];
  const cache = new ConversationCache(10, one.size + two.size + 2 * BESIDE);
  await Promise.all(Array.from({ length: 5 }, () => cache.message(counting, one)));
  assert.deepEqual(await cache.message(counting, two), message('two two'));
  reads = 0;
  await cache.message(counting, one);
  await cache.message(counting, two);
  assert.equal(reads, 0);
  await cache.message(counting, three);
  await cache.message(counting, one);
  assert.equal(reads, 2);
  await store.close();
});

test('a conversation whose history the provider refuses is answered without it, once and for all', async () => {
  const model = scriptedModel((request) =>
    JSON.stringify(request.messages).includes('unspeakable') ? fails('refused') : says('fine'),
  );
  const loop = await openLoop({ choices: [model.choice()] });
  try {
    assert.equal((await loop.send('an unspeakable thing')).status, 'failed');
    assert.match(
      (await loop.send('a harmless question')).text,
      /^fine\n\n\(The provider.*refused something.*\/new in a messenger/s,
    );
    const asked = model.requests.length;
    assert.match(JSON.stringify(model.requests.at(-1)?.messages), /Earlier turns of this conversation are left out/);
    assert.equal((await loop.send('and another')).text, 'fine');
    assert.equal(model.requests.length, asked + 1, 'the refused turns are not sent again');
    assert.equal((await loop.events()).filter(({ type }) => type === 'conversation.compacted').length, 1);
    assert.equal((await loop.send('one more unspeakable thing')).status, 'failed');
  } finally {
    await loop.close();
  }
});

test('what is left out is what looks like the reason: a turn that failed, not the rest of the conversation', async () => {
  const model = scriptedModel((request) =>
    JSON.stringify(request.messages).includes('unspeakable') ? fails('refused') : says('fine'),
  );
  const loop = await openLoop({ choices: [model.choice()] });
  try {
    await loop.send('my name is Ann');
    await loop.send('an unspeakable thing');
    assert.match((await loop.send('what is it?')).text, /^fine\n\n\(The provider/);
    for (const again of ['still?', 'and now?']) {
      assert.equal((await loop.send(again)).text, 'fine');
      const sent = JSON.stringify(model.requests.at(-1)?.messages);
      assert.match(sent, /my name is Ann/);
      assert.match(sent, /what is it\?/);
      assert.doesNotMatch(sent, /unspeakable/);
    }
    assert.equal((await loop.events()).filter(({ type }) => type === 'conversation.compacted').length, 1);
  } finally {
    await loop.close();
  }
});

test('a history that is refused as a whole is left out as a whole', async () => {
  const model = scriptedModel((request) => {
    const said = JSON.stringify(request.messages);
    return said.includes('first') && said.includes('last') ? fails('invalid', { retryable: false }) : says('fine');
  });
  const loop = await openLoop({ choices: [model.choice()] });
  try {
    assert.equal((await loop.send('first')).text, 'fine');
    assert.match((await loop.send('last')).text, /^fine\n\n\(The provider/);
    assert.doesNotMatch(JSON.stringify(model.requests.at(-1)?.messages), /first/);
  } finally {
    await loop.close();
  }
});

test('a refusal that passes by itself costs the conversation nothing', async () => {
  const script = [says('noted'), fails('invalid', { retryable: false }), says('fine')];
  const model = scriptedModel(script);
  const loop = await openLoop({ choices: [model.choice()] });
  try {
    await loop.send('my name is Ann');
    assert.equal((await loop.send('what is it?')).text, 'fine');
    assert.match(JSON.stringify(model.requests.at(-1)?.messages), /my name is Ann/);
    assert.ok(!(await loop.events()).some(({ type }) => type === 'conversation.compacted'));
  } finally {
    await loop.close();
  }
});

const cutAnswer = (text: string): ModelEvent[] => [
  { type: 'text', delta: text },
  { type: 'finish', reason: 'length', usage: USAGE },
];

test('an answer that reached the output limit goes on once, as one answer; a second cut is told', async () => {
  const script = [
    cutAnswer('Half a sent'),
    says('ence is whole.'),
    cutAnswer('One, '),
    cutAnswer('two, '),
    cutAnswer('I look.'),
    calls(['read', { path: 'README.md' }]),
    says('It is there.'),
    cutAnswer('Half'),
    fails('network', { after: ' of' }),
    says(' of it.'),
  ];
  await withLoop(script, {}, async (loop, _log, model) => {
    const whole = await loop.send('go');
    assert.deepEqual([whole.text, whole.cut], ['Half a sentence is whole.', false]);
    const [, second] = model.requests;
    const [before, note] = second?.messages.slice(-2) ?? [];
    assert.deepEqual([before?.role, note?.role], ['assistant', 'user']);
    assert.match(JSON.stringify(note), /cut at the output limit here\. Go on with it/);
    const shown = loop.deltas.flatMap((delta) => (delta.kind === 'text' ? [delta] : []));
    assert.deepEqual(
      shown.map(({ step, offset, text }) => [step, offset, text]),
      [
        [1, 0, 'Half a sent'],
        [1, 11, 'ence is whole.'],
      ],
      'who watches sees one answer',
    );
    const still = await loop.send('again');
    assert.equal(still.text, 'One, two, \n\n(The answer ends here because it reached the output limit of the model.)');
    assert.equal(still.cut, true);
    assert.deepEqual(
      await loop.send('and now').then(({ text, cut }) => [text, cut]),
      ['It is there.', false],
      'with a call in between, the first part was said before it',
    );
    assert.equal((await loop.send('last')).text, 'Half of it.');
    assert.equal(model.left, 0);
  });
});

test('where no step is left, the first part of a cut answer is the answer', () =>
  withLoop([cutAnswer('Half')], { limits: { steps: 1 } }, async (loop) => {
    const { status, text, cut } = await loop.send('go');
    assert.deepEqual([status, cut], ['done', true]);
    assert.match(text, /^Half\n\n\(The answer ends here/);
  }));

test('who lives elsewhere is told the time by their own clock, and makes schedules by it', async () => {
  const clock = { ...systemClock, now: () => Date.UTC(2026, 10, 27, 23, 30) };
  const zones: string[] = [];
  const look: Tool = {
    ...testTools([]).read,
    run: async (_, ctx) => {
      zones.push((await ctx.zone?.()) ?? '');
      return { ok: true, text: 'seen', labels: [], changes: [] };
    },
  };
  await withLoop(
    [calls(['read', { path: 'README.md' }]), says('one'), says('two')],
    { clock, tools: [look] },
    async (loop, _log, model) => {
      const channels = [{ name: 'chat', type: 'chat', owners: ['7'], agent: null, secrets: {}, settings: {} }];
      const owned = { channels, timezone: 'Europe/Paris', zones: { owner: 'Asia/Tokyo' } };
      loop.governance.settings = { ...loop.governance.settings, ...owned };
      const ask = async (sender: string, channel: string, replyTo: string): Promise<void> => {
        const message = { channel, sender, agent: 'assistant', session: `of-${channel}`, text: 'hello', replyTo };
        const result = await loop.runtime.deliver({ ...message, externalId: sender });
        assert.ok(result.ok);
        await loop.settled(result.delivered.task);
      };
      await ask('owner', 'http', 'ses_1');
      await ask('chat:8', 'chat', '8');
      const times = model.whole.map(({ messages }) => /It is (\w+day [^.]*)\./.exec(JSON.stringify(messages))?.[1]);
      const tokyo = 'Saturday 2026-11-28 08:30 (Asia/Tokyo, UTC+09:00)';
      assert.deepEqual(times, [tokyo, tokyo, 'Saturday 2026-11-28 00:30 (Europe/Paris, UTC+01:00)']);
      assert.deepEqual(zones, ['Asia/Tokyo']);
    },
  );
});

test('a run is told the time of the message it answers, and anew when it goes on later; the prompt stays as it was', async () => {
  let now = Date.UTC(2026, 10, 27, 7, 15);
  const clock = { ...systemClock, now: () => now };
  const script = [
    calls(['ask', { question: 'Which?' }]),
    calls(['read', { path: 'README.md' }]),
    says('done'),
    says('again'),
  ];
  await withLoop(script, { clock }, async (loop, _log, model) => {
    loop.governance.settings = { ...loop.governance.settings, timezone: 'Europe/Paris' };
    const waiting = await loop.send('paint');
    assert.equal(waiting.status, 'waiting');
    // A long week-end goes by, in which the process is started anew.
    now = Date.UTC(2026, 10, 30, 16, 5);
    await loop.restart();
    assert.equal((await loop.send('blue')).text, 'done');
    await loop.send('and now?');
    const times = model.whole.map(({ messages }) =>
      messages.flatMap(({ parts: [part] }) =>
        part?.type === 'text' && part.text.startsWith('[Ruche] It is ') ? [part.text.slice(14)] : [],
      ),
    );
    const [friday, monday] = [
      'Friday 2026-11-27 08:15 (Europe/Paris, UTC+01:00).',
      'Monday 2026-11-30 17:05 (Europe/Paris, UTC+01:00).',
    ];
    assert.deepEqual(times, [[friday], [friday, monday], [friday, monday], [friday, monday, monday]]);
    // What was sent before is sent again as it was, so that providers have it in their cache.
    const [first, , third, last] = model.whole;
    assert.equal(last?.system, first?.system);
    assert.deepEqual(last?.messages.slice(0, third?.messages.length), third?.messages);
  });
});
