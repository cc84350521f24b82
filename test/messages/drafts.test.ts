import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Channel, Receipt } from '../../src/core/ports/channel.ts';
import type { Delta } from '../../src/core/api/runtime.ts';
import { Drafts } from '../../src/messages/drafts.ts';
import { withLoop } from '../agent/with-loop.ts';
import { quiet } from '../fakes/loop.ts';
import { says } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';

interface Show {
  text: string;
  draft: string | null;
}

function drafting(answer: (n: number) => Receipt = () => ({ state: 'sent', id: 'd1' })) {
  const shown: Show[] = [];
  const typed: string[] = [];
  const channel: Channel = {
    name: 'chat',
    dedupes: false,
    start: () => Promise.resolve(),
    split: ({ text }) => [{ kind: 'text', text, buttons: [] }],
    send: () => Promise.resolve({ state: 'sent', id: null }),
    drafts: {
      everyMs: 5,
      typing: async (to) => void typed.push(to),
      show: async (_to, text, draft) => {
        shown.push({ text, draft });
        return answer(shown.length - 1);
      },
    },
  };
  return { channel, shown, typed };
}

/** A task whose run is held by the model until `finish` is called. */
async function whileWorking(
  { channel }: { channel: Channel },
  body: (about: {
    task: string;
    say(text: string, offset: number): void;
    drafts: Drafts;
    begin(): Drafts;
    drafted(): Promise<number>;
    /** How many follow the work. */
    followers(): number;
    finish(): void;
  }) => Promise<void>,
): Promise<void> {
  const gate = Promise.withResolvers<void>();
  const script = async () => {
    await gate.promise;
    return says('done');
  };
  await withLoop([script], { channels: [channel] }, async (loop) => {
    const task = await loop.deliver('go', 'one', { channel: 'chat' });
    await until(async () => (await loop.store.task(task))?.status === 'running', 'it runs');
    const listeners = new Set<(delta: Delta) => void>();
    const hub = {
      listen: (_task: string, listener: (delta: Delta) => void) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    };
    const { store } = loop;
    const { clock, boundary } = loop.deps;
    const channels = { get: () => channel, has: () => true };
    const begin = (): Drafts => new Drafts({ store, hub, channels, clock, log: quiet, boundary });
    const drafts = begin();
    const say = (text: string, offset: number): void => {
      for (const listener of listeners) listener({ kind: 'text', task, run: 'r', step: 1, offset, text });
    };
    const drafted = async (): Promise<number> =>
      (await loop.events()).filter((event) => event.type === 'message.drafted').length;
    try {
      await body({ task, say, drafts, begin, drafted, followers: () => listeners.size, finish: gate.resolve });
    } finally {
      gate.resolve();
      await loop.settled(task);
      await drafts.close();
    }
  });
}

test('a reply is shown while it is written: one message, edited, and on record once', async () => {
  const chat = drafting();
  await whileWorking(chat, async ({ task, say, drafts, drafted }) => {
    drafts.follow(task, 'chat', 'me');
    await until(() => chat.typed.length > 0, 'it types');
    say('Hello', 0);
    await until(() => chat.shown.length === 1, 'the first words');
    say(', world', 5);
    await until(() => chat.shown.length === 2, 'an edit');
    assert.deepEqual(chat.shown, [
      { text: 'Hello', draft: null },
      { text: 'Hello, world', draft: 'd1' },
    ]);
    assert.equal(await drafted(), 1);
    await drafts.settle(task);
    say('!', 12);
    assert.equal(chat.shown.length, 2);
  });
});

test('after a restart the message that was begun is edited, and no second one is begun', async () => {
  const chat = drafting();
  await whileWorking(chat, async ({ task, say, drafts, begin, drafted }) => {
    drafts.follow(task, 'chat', 'me');
    say('Before', 0);
    await until(drafted, 'it is on record');
    await drafts.close();
    const later = begin();
    await later.resume();
    say('After', 0);
    await until(() => chat.shown.some(({ text }) => text === 'After'), 'an edit');
    assert.deepEqual(chat.shown.at(-1), { text: 'After', draft: 'd1' });
    assert.equal(await drafted(), 1);
    await later.close();
  });
});

test('a platform that says no is asked again, and what never arrived is not on record', async () => {
  const chat = drafting((n) =>
    n < 2 ? { state: 'failed', error: 'slow', retryAfter: 5, final: false } : { state: 'sent', id: 'd9' },
  );
  await whileWorking(chat, async ({ task, say, drafts, drafted }) => {
    drafts.follow(task, 'chat', 'me');
    say('Hello', 0);
    await until(() => chat.shown.length >= 2, 'two tries');
    assert.ok(chat.shown.slice(0, 2).every(({ draft }) => draft === null));
    await until(drafted, 'it is on record');
  });
});

test('a draft that may have arrived is not begun twice, and where none can be shown nobody tries on and on', async () => {
  const ends: Receipt[] = [
    { state: 'unsure', error: 'the line broke' },
    { state: 'failed', error: 'the bot was blocked', retryAfter: null, final: true },
  ];
  for (const end of ends) {
    const chat = drafting(() => end);
    await whileWorking(chat, async ({ task, say, drafts, followers }) => {
      drafts.follow(task, 'chat', 'me');
      say('Hello', 0);
      await until(() => followers() === 0, 'it gives up');
      assert.equal(chat.shown.length, 1);
    });
  }
});
