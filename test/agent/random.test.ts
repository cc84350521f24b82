import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadJson } from '../../src/agent/run/log.ts';
import type { Event, EventOf, EventType } from '../../src/core/event.ts';
import type { ModelMessage } from '../../src/core/model.ts';
import type { Rule } from '../../src/core/policy.ts';
import { replyKey } from '../../src/core/records/reply.ts';
import { isEnded } from '../../src/core/task.ts';
import { randomFrom } from '../fakes/random.ts';
import { type Loop, testTools } from '../fakes/loop.ts';
import { recordingChannel } from '../fakes/recording-channel.ts';
import { calls, fails, says, type ScriptTurn } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import { hurry, onDisk, withLoop } from './with-loop.ts';
import { effort, whole } from '../fakes/effort.ts';

const OWNER = 'person:owner';
const SESSIONS = ['s1', 's2', 's3', 's4'];
const STEPS = effort(50, 120);
const askContracts: Rule = { id: 'c', verdict: 'ask', match: { tool: 'write', path: 'contracts/**' }, reason: 'c' };

type Random = (below: number) => number;

const ticks = async (count: number): Promise<void> => {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
};

/** A model that does anything. Each call that must happen once has a number of its own. */
function anything(random: Random): Extract<ScriptTurn, (...args: never[]) => unknown> {
  let n = 0;
  return async () => {
    await ticks(random(6));
    n += 1;
    const write = (path: string) => ['write', { path, content: `${n}` }] as const;
    const once = ['once', { path: 'x', n }] as const;
    switch (random(11)) {
      case 0:
        return calls(['read', { path: 'README.md' }], ['read', { path: 'nope' }]);
      case 1:
        return calls(write(`notes/${n}.md`), once);
      case 2:
        return calls(write('shared.md'));
      case 3:
        return random(2) === 0
          ? calls(write(`contracts/${n}.md`), write(`contracts/${n}b.md`))
          : calls(['write', { path: `agents/a${n}/AGENT.md`, content: '---\ndescription: x\n---\nx\n' }]);
      case 4:
        return calls(once, ['ask', { question: `question ${n}?` }]);
      case 5:
        return calls(once);
      case 6:
        return fails('network', { after: 'half' });
      default:
        return says(`answer ${n}`);
    }
  };
}

/** People who write, cancel, approve, deny and answer as they like, and a process that is stopped in between. */
async function evening(loop: Loop, random: Random): Promise<Map<string, string>> {
  const said = new Map<string, string>();
  for (let n = 0; n < STEPS; n++) {
    await ticks(random(8));
    const action = random(20);
    if (action === 0) await loop.restart();
    else if (action < 3) await loop.runtime.cancel([...said.values()][random(said.size)] ?? '', OWNER);
    else if (action < 9) await answerSome(loop, random);
    else {
      const session = SESSIONS[random(SESSIONS.length)] ?? 's1';
      const text = `message-${n}.`;
      said.set(text, await loop.deliver(text, session, random(2) === 0 ? { channel: 'chat' } : {}));
    }
  }
  const open = async (): Promise<boolean> => {
    await answerSome(loop, random);
    const { queued, running, waiting } = await loop.store.counts();
    return queued + running + waiting === 0;
  };
  await until(open, 'everything ends', 30_000);
  return said;
}

async function answerSome(loop: Loop, random: Random): Promise<void> {
  for (const { id, kind, reason } of await loop.runtime.pending()) {
    if (random(3) === 0) continue;
    if (kind === 'approval') await loop.runtime.approve(id, random(3) === 0 ? 'deny' : 'approve', OWNER);
    else await loop.runtime.answer(id, reason.includes('in doubt') ? 'it happened' : 'because', OWNER);
  }
}

const ofType = <T extends EventType>(events: readonly Event[], type: T): EventOf<T>[] =>
  events.filter((event): event is EventOf<T> => event.type === type);

const unique = (values: readonly string[], what: string): void =>
  assert.deepEqual([...new Set(values)], [...values], what);

/** What each conversation has been told, in order. */
async function conversations(loop: Loop, events: readonly Event[]): Promise<string[]> {
  const texts: string[] = [];
  for (const { data } of ofType(events, 'turn.ended'))
    for (const ref of data.messages) {
      const { role, parts } = (await loadJson(loop.store, ref)) as ModelMessage;
      if (role === 'user') texts.push(...parts.map((part) => (part.type === 'text' ? part.text : '')));
    }
  return texts;
}

/** Each message is answered once; where the runtime sends, one answer to several of them goes out once. */
function checkReplies(events: readonly Event[], tasks: readonly EventOf<'task.queued'>[]): void {
  const replies = ofType(events, 'message.queued').filter((event) => event.key === replyKey(event.data.task ?? ''));
  const told = replies.map((event) => event.data.task ?? '');
  unique(told, 'no message is answered twice');
  const ends = new Map(ofType(events, 'task.finished').map((event) => [event.data.task, event.data.run]));
  // The first one began the task; a later one may have answered its question from elsewhere.
  const channels = new Map(
    ofType(events, 'message.received')
      .toReversed()
      .map((event) => [event.data.task, event.data.channel]),
  );
  for (const { data } of tasks) {
    const joined = (id: string): boolean =>
      channels.get(id) === 'chat' && channels.get(data.task.id) === 'chat' && ends.get(id) === ends.get(data.task.id);
    assert.ok(told.includes(data.task.id) || told.some(joined), 'each message is answered');
  }
}

for (const seed of whole ? [1, 2, 3, 4] : [2])
  test(`whatever people do, everything ends once and nothing happens twice: seed ${seed}`, async () => {
    const float = randomFrom(seed);
    const random: Random = (below) => Math.floor(float() * below);
    const { channel, sent } = recordingChannel();
    const log: string[] = [];
    const { once, ...others } = testTools(log);
    const slow: typeof once = {
      ...once,
      run: async (input, ctx) => {
        const result = await once.run(input, ctx);
        await ticks(random(10));
        return result;
      },
    };
    const options = {
      tools: [slow, ...Object.values(others)],
      rules: [askContracts],
      channels: [channel],
      nextTry: () => null,
      limits: { steps: 8 },
      // Every other evening on disk, where commits share transactions.
      ...(seed % 2 === 0 ? { store: onDisk } : {}),
    };
    await withLoop(anything(random), options, async (loop) => {
      hurry(loop);
      const said = await evening(loop, random);
      const events = await loop.events();
      const tasks = ofType(events, 'task.queued').filter((event) => event.data.task.queue !== 'outbox');
      const ids = tasks.map((event) => event.data.task.id);
      for (const id of ids) assert.ok(isEnded((await loop.store.task(id))?.status ?? 'queued'));
      const finished = ofType(events, 'task.finished').map((event) => event.data.task);
      assert.deepEqual(finished.toSorted(), ids.toSorted(), 'each task ends once');
      checkReplies(events, tasks);
      unique(
        ofType(events, 'run.started').map((event) => event.data.task),
        'a task has one run',
      );
      const started = ofType(events, 'run.started').map((event) => event.data.run);
      assert.deepEqual(
        ofType(events, 'run.finished')
          .map((event) => event.data.run)
          .toSorted(),
        started.toSorted(),
      );
      const effects = log.filter((line) => line.startsWith('once'));
      unique(effects, 'no effect twice');
      unique(
        ofType(events, 'landing.finished').map((event) => event.stream),
        'a run lands once',
      );
      const heard = (await conversations(loop, events)).filter((text) => text.startsWith('message-'));
      unique(heard, 'no message stands in a conversation twice');
      const pushed = ofType(events, 'message.queued').filter((event) => event.data.channel === 'chat').length;
      await until(() => sent.length === pushed, 'every reply is sent');
      assert.ok(sent.every(({ again }) => !again));
      assert.ok(said.size > STEPS / 4 && heard.length > 5 && effects.length > 0 && pushed > 0);
    });
  });
