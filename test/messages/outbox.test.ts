import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordingChannel } from '../fakes/recording-channel.ts';
import { says } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import { withLoop } from '../agent/with-loop.ts';

const answers = (request: { messages: readonly unknown[] }) => says(`answer ${request.messages.length}`);
const redact = (text: string): string => text.replaceAll('CANARY-123', '[redacted]');
const toChat = { channel: 'chat' };

test('an adapter that breaks in the middle of a send leaves it in doubt: it is sent again, marked', async () => {
  const { channel, sent } = recordingChannel((n) => {
    if (n === 0) throw new Error('https://api.example.org/botCANARY-123 hung up');
    return { state: 'sent', id: 'x' };
  });
  await withLoop(answers, { channels: [channel], redact }, async (loop) => {
    await loop.settled(await loop.deliver('hello', 'one', toChat));
    await until(async () => (await loop.events()).some((event) => event.type === 'message.sent'), 'it is sent');
    assert.deepEqual(
      sent.map(({ again }) => again),
      [false, true],
    );
    const events = await loop.events();
    assert.doesNotMatch(JSON.stringify(events), /CANARY/);
    assert.ok(events.some((event) => event.type === 'message.unsure'));
    assert.ok(events.some((event) => event.type === 'message.sent' && event.data.repeated));
  });
});

test('replies to one address keep their order while the first cannot be sent', async () => {
  const { channel, sent } = recordingChannel((n) =>
    n === 0 ? { state: 'failed', error: 'slow down', retryAfter: 10, final: false } : { state: 'sent', id: null },
  );
  await withLoop(answers, { channels: [channel] }, async (loop) => {
    for (let n = 0; n < 2; n++) await loop.settled(await loop.deliver('hello', 'one', toChat));
    await until(() => sent.length === 3, 'all are sent');
    assert.deepEqual(
      sent.map(({ text, again }) => [text, again]),
      [
        ['answer 1', false],
        ['answer 1', false],
        ['answer 3', false],
      ],
    );
  });
});

test('a reply that is given up is on record with the reason, and the next one goes out', async () => {
  const { channel, sent } = recordingChannel((n) =>
    n === 0 ? { state: 'failed', error: 'blocked', retryAfter: null, final: true } : { state: 'sent', id: null },
  );
  await withLoop(answers, { channels: [channel] }, async (loop) => {
    for (let n = 0; n < 2; n++) await loop.settled(await loop.deliver('hello', 'one', toChat));
    await until(() => sent.length === 2, 'the next goes out');
    const failed = (await loop.events()).find((event) => event.type === 'message.failed');
    assert.ok(failed?.type === 'message.failed' && failed.data.final && failed.data.error === 'blocked');
    // It is not lost in silence: the owner sees it among what waits.
    const [open] = await loop.runtime.pending();
    assert.match(open?.text ?? '', /A reply of assistant could not be delivered over chat: blocked/);
    assert.equal((await loop.runtime.pending()).length, 1);
    const refused = await loop.runtime.answer(open?.id ?? '', 'pigeon:5', 'person:owner');
    assert.ok(!refused.ok && /No channel "pigeon"/.test(refused.message), JSON.stringify(refused));
    assert.equal((await loop.runtime.answer(open?.id ?? '', 'chat:88', 'person:owner')).ok, true);
    await until(() => sent.length === 3, 'it is sent elsewhere');
    assert.deepEqual([sent[2]?.to, sent[2]?.text], ['88', sent[0]?.text]);
    assert.deepEqual(await loop.runtime.pending(), []);
  });
});

test('somebody who watches elsewhere has not received what a channel sends', async () => {
  const gate = Promise.withResolvers<void>();
  const { channel, sent } = recordingChannel(async () => {
    await gate.promise;
    return { state: 'sent', id: null };
  });
  await withLoop(answers, { channels: [channel] }, async (loop) => {
    const outcome = await loop.settled(await loop.deliver('hello', 'one', toChat));
    await until(() => sent.length === 1, 'it is being sent');
    await loop.runtime.delivered(outcome.message ?? '');
    assert.ok(!(await loop.events()).some((event) => event.type === 'message.sent'));
    gate.resolve();
    await until(async () => (await loop.events()).some((event) => event.type === 'message.sent'), 'it is sent');
    await until(async () => (await loop.store.counts()).done === 2, 'the send is done');
  });
});
