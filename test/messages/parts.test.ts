import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Channel, OutboundPart, Receipt, SendOptions } from '../../src/core/ports/channel.ts';
import { withLoop } from '../agent/with-loop.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';

interface Shown extends SendOptions {
  what: string;
}

/** Sends every word as a part of its own. `answer` is what the platform says to the nth part it is sent, from 0. */
function wordByWord(answer: (n: number) => Receipt = (n) => ({ state: 'sent', id: `p${n}` })) {
  const shown: Shown[] = [];
  const channel: Channel = {
    name: 'chat',
    dedupes: false,
    start: () => Promise.resolve(),
    split: ({ text, files }) => [
      ...text.split(' ').map((word): OutboundPart => ({ kind: 'text', text: word, buttons: [] })),
      ...files.map((file): OutboundPart => ({ kind: 'file', file })),
    ],
    send: async (_to, part, options) => {
      const what = part.kind === 'text' ? part.text : `${part.file.name}: ${Buffer.from(part.file.bytes).toString()}`;
      shown.push({ what, ...options });
      return answer(shown.length - 1);
    },
  };
  return { channel, shown };
}

const toChat = { channel: 'chat' };
const sent = async (loop: { events(): Promise<{ type: string }[]> }): Promise<boolean> =>
  (await loop.events()).some((event) => event.type === 'message.sent');

test('a reply goes out part by part, in order, each on record', async () => {
  const { channel, shown } = wordByWord();
  await withLoop([says('one two three')], { channels: [channel] }, async (loop) => {
    await loop.settled(await loop.deliver('go', 'one', toChat));
    await until(() => sent(loop), 'it is sent');
    assert.deepEqual(
      shown.map(({ what, again }) => [what, again]),
      [
        ['one', false],
        ['two', false],
        ['three', false],
      ],
    );
    assert.equal(new Set(shown.map(({ key }) => key)).size, 3);
    const words = (await loop.events()).map((event) => event.type).filter((type) => type.startsWith('message.'));
    assert.deepEqual(words.slice(-6), [
      'message.sending',
      'message.progressed',
      'message.sending',
      'message.progressed',
      'message.sending',
      'message.sent',
    ]);
  });
});

test('what arrived is not sent again: only the part in doubt is, and it is marked', async () => {
  const answers: Receipt[] = [
    { state: 'sent', id: 'a' },
    { state: 'unsure', error: 'cut' },
    { state: 'sent', id: 'b' },
    { state: 'failed', error: 'slow down', retryAfter: 1, final: false },
    { state: 'sent', id: 'c' },
  ];
  const { channel, shown } = wordByWord((n) => answers[n] ?? { state: 'sent', id: null });
  await withLoop([says('one two three')], { channels: [channel] }, async (loop) => {
    await loop.settled(await loop.deliver('go', 'one', toChat));
    await until(() => sent(loop), 'it is sent');
    assert.deepEqual(
      shown.map(({ what, again }) => `${what}${again ? ' again' : ''}`),
      ['one', 'two', 'two again', 'three', 'three'],
    );
  });
});

test('L7 files the run leaves in outbox/ go with the reply under a name that hides nothing, others do not', async () => {
  const { channel, shown } = wordByWord();
  const script = [
    calls(
      ['write', { path: 'outbox/report.csv', content: 'a;b' }],
      ['write', { path: 'outbox/to/bill\u202Efdp.exe', content: 'x' }],
      ['write', { path: 'notes.md', content: 'mine' }],
    ),
    says('here'),
  ];
  await withLoop(script, { channels: [channel] }, async (loop) => {
    await loop.settled(await loop.deliver('go', 'one', toChat));
    await until(() => sent(loop), 'it is sent');
    assert.deepEqual(
      shown.map(({ what }) => what),
      ['here', 'report.csv: a;b', 'billfdp.exe: x'],
    );
  });
});

test('two messages that one run answers get one reply where the runtime sends', async () => {
  const { channel, shown } = wordByWord();
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const script = [
    async () => {
      begun.resolve();
      await gate.promise;
      return calls(['read', { path: 'README.md' }]);
    },
    says('both'),
  ];
  await withLoop(script, { channels: [channel] }, async (loop) => {
    const first = await loop.deliver('one', 'one', toChat);
    await begun.promise;
    const second = await loop.deliver('two', 'one', toChat);
    gate.resolve();
    const outcomes = [await loop.settled(first), await loop.settled(second)];
    assert.deepEqual(
      outcomes.map(({ status, text }) => [status, text]),
      [
        ['done', 'both'],
        ['done', 'both'],
      ],
    );
    await until(() => sent(loop), 'it is sent');
    assert.deepEqual(
      shown.map(({ what }) => what),
      ['both'],
    );
  });
});
