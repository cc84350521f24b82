// What the page keeps in mind, without a browser: answers that come late, twice, or not at all.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { ConversationEntry, RunsPage } from '../../src/core/api/views.ts';
import { ApiError, type Api } from '../../web/lib/api.ts';
import type { Live } from '../../web/stores/changes.ts';
import { createOutgoing } from '../../web/stores/outgoing.ts';
import { resource, valueOf } from '../../web/stores/resource.ts';
import { createTalk } from '../../web/stores/talk.ts';
import { createUnsent } from '../../web/stores/unsent.ts';
import { createWork } from '../../web/stores/work.ts';
import { until } from '../fakes/until.ts';
import { STANDINGS } from './scene.ts';

const kept = { read: () => null, write: () => undefined };
/** What a store of outgoing messages is made of; the tests say what they need of it. */
const sender = { kept, now: () => Date.now(), newId: () => 'x', connected: () => true, moved: () => undefined };

/** A live connection that tells what the test says. */
function fakeLive(): Live & { change(): void } {
  const listeners = new Set<(change: null) => void>();
  return {
    state: { value: 'open' } as Live['state'],
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    watch: () => () => undefined,
    retry: () => undefined,
    close: () => undefined,
    change: () => listeners.forEach((listener) => listener(null)),
  };
}

const message = (n: number): ConversationEntry => ({
  kind: 'message',
  id: `evt_${n}`,
  at: n,
  from: 'owner',
  channel: 'http',
  text: `message ${n}`,
  files: [],
  task: `tsk_${n}`,
  run: null,
  answers: null,
  repeats: null,
  standing: STANDINGS.done,
});

/** A conversation of so many messages, as the gateway tells of it; `before` is called ahead of each earlier page. */
function conversation(count: number) {
  const state = { count, earlier: async (): Promise<void> => undefined };
  const api = {
    conversation: async (agent: string, session: string, before: string | null, limit: number) => {
      const all = Array.from({ length: state.count }, (_, n) => message(n));
      if (before !== null) await state.earlier();
      const end = before === null ? all.length : all.findIndex((entry) => entry.id === before);
      const from = Math.max(0, end - limit);
      return { agent, session, entries: all.slice(from, end), earlier: from > 0 ? `evt_${from}` : null };
    },
  } as unknown as Api;
  const live = fakeLive();
  const outgoing = createOutgoing({ ...sender, api: { send: () => Promise.reject(new Error('no')) } });
  const talk = createTalk({ api, live, outgoing }, 'assistant', 's');
  const shown = (): number[] => (valueOf(talk.state.value)?.entries ?? []).map((entry) => entry.at);
  return { state, talk, shown };
}

const upTo = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n);

test('earlier messages stay without a gap while the conversation moves on', async () => {
  const { state, talk, shown } = conversation(100);
  await talk.refresh();
  await talk.loadEarlier();
  assert.deepEqual(shown(), upTo(20, 100));
  state.count = 130;
  await talk.refresh();
  assert.deepEqual(shown(), upTo(20, 130));
  // So many at once that some between were never seen: they can be asked for again.
  state.count = 300;
  await talk.refresh();
  assert.deepEqual(shown(), upTo(260, 300));
  state.earlier = async () => {
    state.earlier = async () => undefined;
    state.count = 310;
    await talk.refresh();
  };
  await talk.loadEarlier();
  assert.deepEqual(shown(), upTo(230, 310));
  talk.close();
});

test('a message that is taken back while it stands in line is not sent, and none is sent twice', async () => {
  const sent: string[] = [];
  const first = Promise.withResolvers<void>();
  const api: Pick<Api, 'send'> = {
    send: async ({ text, agent }) => {
      await first.promise;
      sent.push(text);
      const to = text.startsWith('@email') ? 'email' : agent;
      return { task: text === '@email' ? null : `tsk_${text}`, agent: to, session: 's', joined: false };
    },
  };
  let id = 0;
  const moved: string[] = [];
  const outgoing = createOutgoing({
    ...sender,
    api,
    newId: () => `m${(id += 1)}`,
    moved: (_message, to) => void moved.push(to),
  });
  for (const text of ['one', 'two', 'three', '@email', '@email hi'])
    outgoing.send({ agent: 'assistant', session: 's', text, files: [] });
  outgoing.drop('m2');
  outgoing.again('m3');
  first.resolve();
  await until(async () => outgoing.list.value.every((each) => each.state === 'accepted'), 'all is sent');
  assert.deepEqual(sent, ['one', 'three', '@email', '@email hi']);
  assert.deepEqual(
    outgoing.list.value.map(({ text, agent }) => `${agent} ${text}`),
    ['assistant one', 'assistant three', 'email @email hi'],
  );
  assert.deepEqual(moved, ['email', 'email']);
});

test('a gateway that is busy is asked after pauses that grow, in order, and not without end', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const sent: string[] = [];
  const busy = new ApiError(429, 'busy', 'Too much to do.', 4_000);
  const send: Api['send'] = ({ text }) => {
    sent.push(`${Date.now() / 1_000} ${text}`);
    return Promise.reject(busy);
  };
  let id = 0;
  const outgoing = createOutgoing({ ...sender, api: { send }, newId: () => `m${(id += 1)}` });
  for (const text of ['one', 'two']) outgoing.send({ agent: 'assistant', session: 's', text, files: [] });
  await setImmediate();
  assert.deepEqual(sent, ['0 one']);
  for (let n = 0; n < 400; n++) {
    context.mock.timers.tick(1_000);
    // What is pressed or comes back meanwhile does not hurry it.
    outgoing.flush();
    await setImmediate();
  }
  assert.deepEqual(
    sent.filter((each) => each.endsWith('one')).map((each) => Number.parseInt(each, 10)),
    [0, 4, 8, 12, 20, 36, 68, 128, 188, 248],
  );
  const [first, second] = outgoing.list.value;
  assert.equal(first?.state, 'refused');
  assert.equal(first?.why, 'Too much to do. It was tried 10 times.');
  // Then its turn comes, for as many attempts.
  assert.equal(second?.text, 'two');
  assert.ok(sent.filter((each) => each.endsWith('two')).length <= 10);
  outgoing.again('m1');
  await setImmediate();
  assert.equal(outgoing.list.value[0]?.state, 'waiting');
});

test('of places that were looked at the last ones are remembered, and each with something in it', () => {
  const stored = new Map<string, string>();
  const unsent = createUnsent({
    read: (key) => stored.get(key) ?? null,
    write: (key, value) => void (value === null ? stored.delete(key) : stored.set(key, value)),
  });
  const [empty, written, chosen] = [unsent('empty'), unsent('written'), unsent('chosen')];
  written.text.value = 'half a';
  chosen.files.value = [{ name: 'plan.pdf', mediaType: 'application/pdf', data: 'AAAA' }];
  for (let n = 0; n < 60; n += 1) unsent(`place ${n}`);
  assert.equal(unsent('place 59'), unsent('place 59'));
  assert.notEqual(unsent('empty'), empty);
  assert.equal(unsent('written'), written);
  assert.equal(unsent('chosen'), chosen);
  written.text.value += ' sentence';
  assert.equal(stored.get('written'), 'half a sentence');
  unsent('empty').text.value = 'new';
  assert.equal(stored.get('empty'), 'new');
});

test('what was not sent is kept over a reload: refused texts stay refused, and lost files are named', async () => {
  const stored = new Map<string, string>();
  const keep = {
    read: (key: string) => stored.get(key) ?? null,
    write: (key: string, value: string | null) => void (value === null ? stored.delete(key) : stored.set(key, value)),
  };
  const refuse: Api['send'] = ({ text }) =>
    Promise.reject(
      text === 'away' ? new ApiError(0, 'unreachable', 'Gone.') : new ApiError(413, 'too_large', 'Too long.'),
    );
  let id = 0;
  const deps = { ...sender, kept: keep, newId: () => `m${(id += 1)}` };
  const outgoing = createOutgoing({ ...deps, api: { send: refuse }, connected: () => false });
  const file = { name: 'plan.pdf', mediaType: 'application/pdf', data: 'AAAA' };
  const to = { agent: 'assistant', session: 's' };
  outgoing.send({ ...to, text: 'long', files: [] });
  outgoing.send({ ...to, text: 'look at it', files: [file] });
  outgoing.send({ ...to, text: 'away', files: [] });
  await until(() => outgoing.list.value.at(-1)?.state === 'waiting', 'all were tried');
  const sent: string[] = [];
  const send: Api['send'] = async ({ id: task, text, ...rest }) => {
    sent.push(text);
    return { ...rest, task, joined: false };
  };
  const again = createOutgoing({ ...deps, api: { send } });
  const shown = again.list.value.map(({ text, state, why }) => `${state}: ${text} (${why})`);
  assert.deepEqual(shown, [
    'refused: long (Too long.)',
    'refused: look at it (The page was reloaded, and the browser keeps no files. Choose again: plan.pdf.)',
    'waiting: away ()',
  ]);
  again.flush();
  await until(() => sent.length === 1, 'what waited is sent');
  assert.deepEqual(sent, ['away']);
});

test('who asks again gets an answer asked for since; changes meanwhile lead to one more, after a pause', async () => {
  const answers: PromiseWithResolvers<number>[] = [];
  const of = resource(() => {
    const answer = Promise.withResolvers<number>();
    answers.push(answer);
    return answer.promise;
  }, 60_000);
  const answer = async (n: number): Promise<void> => {
    await until(() => answers.length === n, `request ${n}`);
    answers[n - 1]?.resolve(n);
  };
  of.changed();
  const seen: number[] = [];
  const again = [of.refresh(), of.refresh()].map((done) => done.then(() => seen.push(valueOf(of.state.value) ?? 0)));
  await answer(1);
  await until(() => valueOf(of.state.value) === 1, 'the first answer');
  assert.deepEqual(seen, []);
  // A third would wait for its pause; a person who asks does not.
  await until(() => answers.length === 2, 'request 2');
  for (let n = 0; n < 3; n++) of.changed();
  await answer(2);
  await Promise.all(again);
  assert.deepEqual(seen, [2, 2]);
  const third = of.refresh();
  await answer(3);
  await third;
  assert.equal(valueOf(of.state.value), 3);
  assert.equal(answers.length, 3);
});

test('a gateway slower than the changes come is heard out: the list is refreshed all the same', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const answers: PromiseWithResolvers<number>[] = [];
  const runs = async (_filter: unknown, _after: unknown, _limit: unknown, signal: AbortSignal): Promise<RunsPage> => {
    const answer = Promise.withResolvers<number>();
    answers.push(answer);
    const total = await answer.promise;
    signal.throwIfAborted();
    return { runs: [], next: null, total };
  };
  const live = fakeLive();
  const work = createWork({ runs } as unknown as Api);
  const stop = work.follow(live);
  for (let n = 0; n < 20; n++) {
    live.change();
    context.mock.timers.tick(1_000);
  }
  answers[0]?.resolve(7);
  await setImmediate();
  assert.equal(work.state.value.kind === 'ready' && work.state.value.total, 7);
  context.mock.timers.tick(1_000);
  assert.equal(answers.length, 2);
  stop();
});
