import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadJson } from '../../src/agent/run/log.ts';
import type { ToolRecord } from '../../src/agent/run/blobs.ts';
import type { Event, EventOf, EventType } from '../../src/core/event.ts';
import type { ModelRequest } from '../../src/core/model.ts';
import type { ReplyContent } from '../../src/core/records/reply.ts';
import { isEnded } from '../../src/core/task.ts';
import { taskTool } from '../../src/tools/task.ts';
import { whole } from '../fakes/effort.ts';
import { randomFrom } from '../fakes/random.ts';
import { type Loop, testTools } from '../fakes/loop.ts';
import { calls, fails, says, type ScriptTurn } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import { hurry, onDisk, withLoop } from './with-loop.ts';

const OWNER = 'person:owner';
const AGENTS = ['assistant', 'writing', 'system', 'billing'];
const MESSAGES = 40;
type Random = (below: number) => number;

const ticks = async (count: number): Promise<void> => {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
};

/** A run of any shape: it gives tasks and waits for them, or for some, or asks, fails, or just answers. */
function anything(random: Random): Extract<ScriptTurn, (...args: never[]) => unknown> {
  let n = 0;
  return async (request: ModelRequest) => {
    await ticks(random(6));
    n += 1;
    const results = request.messages.flatMap(({ parts }) =>
      parts.flatMap((part) => (part.type === 'result' ? [part.text] : [])),
    );
    const made = results.flatMap((text) => /^(tsk_[\w-]+) is queued/.exec(text)?.[1] ?? []);
    const create = () => {
      const more = { wait: random(2) === 0, ...(random(4) === 0 ? { key: `key-${random(5)}` } : {}) };
      const after = made.length > 0 && random(3) === 0 ? { after: [made[random(made.length)]] } : {};
      return ['task', { action: 'create', agent: AGENTS[random(4)], text: `part ${n}`, ...more, ...after }] as const;
    };
    switch (random(results.length > 8 ? 2 : 9)) {
      case 0:
        return random(3) === 0 ? fails('auth') : says(`result-${n}.`);
      case 1:
        return says(`result-${n}.`);
      case 2:
        return random(2) === 0 ? fails('network', { after: 'half' }) : calls(['ask', { question: `question ${n}?` }]);
      case 3:
        return made.length > 0
          ? calls(['task', { action: random(6) === 0 ? 'cancel' : 'wait', tasks: made }])
          : says(`result-${n}.`);
      case 4:
        return calls(create(), create(), ['ask', { question: `question ${n}?` }]);
      case 5:
        return calls(create(), create(), create());
      default:
        return results.length > 0 ? says(`result-${n}.`) : calls(create());
    }
  };
}

async function evening(loop: Loop, random: Random): Promise<void> {
  const tasks: string[] = [];
  for (let n = 0; n < MESSAGES; n++) {
    await ticks(random(40));
    const action = random(12);
    if (action === 0) await loop.restart();
    if (action === 1) await loop.runtime.cancel(tasks[random(tasks.length)] ?? '', OWNER);
    if (action === 2) {
      const open = await loop.store.tasks({ statuses: ['running', 'waiting'] });
      await loop.runtime.cancel(open[random(open.length)]?.id ?? '', OWNER);
    }
    await answerSome(loop, random);
    tasks.push(await loop.deliver(`message-${n}`, `s${random(12)}`));
  }
  const allEnded = async (): Promise<boolean> => {
    await answerSome(loop, random);
    const { queued, running, waiting } = await loop.store.counts();
    return queued + running + waiting === 0;
  };
  await until(allEnded, 'everything ends', 40_000);
}

async function answerSome(loop: Loop, random: Random): Promise<void> {
  for (const { id } of await loop.runtime.pending()) if (random(3) > 0) await loop.runtime.answer(id, 'because', OWNER);
}

const ofType = <T extends EventType>(events: readonly Event[], type: T): EventOf<T>[] =>
  events.filter((event): event is EventOf<T> => event.type === type);

/** Every call that waited in a run that went on has each of its results, once, and after the last of them was there. */
async function checkResults(loop: Loop, events: readonly Event[]): Promise<number> {
  const finished = new Map(ofType(events, 'task.finished').map((event) => [event.data.task, event]));
  const ended = new Map(ofType(events, 'run.finished').map((event) => [event.data.run, event.data.status]));
  let checked = 0;
  for (const awaited of ofType(events, 'tasks.awaited')) {
    const { call, children } = awaited.data;
    const returned = ofType(events, 'tool.returned').filter(
      (event) => event.stream === awaited.stream && event.data.call === call,
    );
    const status = ended.get(awaited.stream.slice('run:'.length));
    // What was cancelled while it waited takes no results; nothing else may be without.
    if (status === 'cancelled' && returned.length === 0) continue;
    assert.equal(returned.length, 1, `${awaited.stream} ${call} has its results once`);
    const [end] = returned;
    if (!end) continue;
    const record = (await loadJson(loop.store, end.data.result)) as ToolRecord;
    if (/would never end/.test(record.text)) continue;
    for (const child of children) {
      const last = finished.get(child);
      assert.ok(last && last.seq < end.seq, `${child} had ended`);
      const { text } = last.data.result ? await loadJson<ReplyContent>(loop.store, last.data.result) : { text: '' };
      assert.ok((record.full ?? record.text).includes(text), `${child}: "${text}" is not in "${record.text}"`);
      checked += 1;
    }
  }
  return checked;
}

for (const seed of whole ? [1, 2, 3, 4] : [2, 3])
  test(`no result is lost, whatever fails, is cancelled or restarted: seed ${seed}`, async () => {
    const float = randomFrom(seed);
    const random: Random = (below) => Math.floor(float() * below);
    const options = {
      tools: [taskTool, testTools([]).ask],
      others: AGENTS.slice(1).map((name) => ({ name })),
      nextTry: () => null,
      limits: { steps: 10, hops: 4, tasks: 20, fanOut: 6 },
      ...(seed % 2 === 0 ? { store: onDisk } : {}),
    };
    await withLoop(anything(random), options, async (loop) => {
      hurry(loop);
      await evening(loop, random);
      const events = await loop.events();
      const ids = ofType(events, 'task.queued').map(({ data }) => data.task.id);
      for (const id of ids) assert.ok(isEnded((await loop.store.task(id))?.status ?? 'queued'), id);
      assert.deepEqual(
        ofType(events, 'task.finished')
          .map(({ data }) => data.task)
          .toSorted(),
        ids.toSorted(),
        'each task ends once',
      );
      const started = ofType(events, 'run.started').map(({ data }) => data.run);
      const over = ofType(events, 'run.finished').map(({ data }) => data.run);
      assert.deepEqual(over.toSorted(), started.toSorted(), 'each run ends once');
      const fresh = ofType(events, 'task.created').filter(({ data }) => !data.joined);
      const given = ofType(events, 'task.queued').filter(({ data }) => data.task.origin !== undefined);
      assert.equal(fresh.length, given.length, 'each task was made once');
      const checked = await checkResults(loop, events);
      assert.ok(checked > 8 && fresh.length > 16, `${checked} results, ${fresh.length} tasks`);
    });
  });
