// Whatever happens, each message has one standing, and the record agrees with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EventOf } from '../../src/core/event.ts';
import type { Rule } from '../../src/core/policy.ts';
import type { TaskStatus } from '../../src/core/task.ts';
import type { Standing, Views } from '../../src/core/api/views.ts';
import { outcomeOf } from '../../src/runtime/outcome.ts';
import { retryTask } from '../../src/runtime/retry.ts';
import { systemIds } from '../../src/platform/system.ts';
import { hurry, withLoop } from '../agent/with-loop.ts';
import type { Loop } from '../fakes/loop.ts';
import { calls, fails, says } from '../fakes/scripted-model.ts';
import { OWNER, withViews } from './kit.ts';
import { effort, tries } from '../fakes/effort.ts';

const ask: Rule = { id: 'c', verdict: 'ask', match: { tool: 'write' }, reason: 'because' };
const deny: Rule = { id: 'd', verdict: 'deny', match: { path: 'keys/**' }, reason: 'closed' };

const FITS: Record<TaskStatus, readonly Standing['state'][]> = {
  queued: ['queued', 'retrying'],
  running: ['working', 'retrying'],
  waiting: ['waiting'],
  done: ['answered'],
  failed: ['failed'],
  dead: ['failed'],
  cancelled: ['cancelled'],
};

/** What the model does at each call, and what people do between. */
const turns: fc.Arbitrary<string> = fc.constantFrom(
  'say',
  'say',
  'say',
  'write',
  'ask',
  'read',
  'denied',
  'fail',
  'network',
  'both',
);
const acts: fc.Arbitrary<string> = fc.constantFrom(
  'write',
  'write',
  'write',
  'more',
  'cancel',
  'approve',
  'answer',
  'retry',
  'restart',
  'look',
);

/** Lives in which each state is sure to be seen, however the seed falls and however slow the machine is. */
const SURE: [string[], string[]][] = [
  [['fail'], ['write', 'settle', 'look']],
  [['write'], ['write', 'settle', 'look', 'more', 'look']],
  [['say'], ['write', 'settle', 'look']],
  [['ask'], ['write', 'settle', 'cancel', 'look']],
  [['say'], ['write', 'restart', 'write', 'write']],
];

function answerOf(turn: string | undefined) {
  switch (turn) {
    case 'write':
      return calls(['write', { path: 'a.md', content: turn }]);
    case 'ask':
      return calls(['ask', { question: 'really?' }]);
    case 'both':
      return calls(['ask', { question: 'both?' }], ['write', { path: 'b.md', content: turn }]);
    case 'read':
      return calls(['read', { path: 'README.md' }]);
    case 'denied':
      return calls(['read', { path: 'keys/a' }]);
    case 'fail':
      return fails('auth');
    case 'network':
      return fails('network', { after: 'half' });
    default:
      return says('fine');
  }
}

const ticks = async (count: number): Promise<void> => {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
};

async function act(loop: Loop, what: string, n: number, seen: Set<string>): Promise<void> {
  const tasks = [...seen];
  const pending = await loop.runtime.pending();
  switch (what) {
    case 'write':
    case 'more':
      seen.add(await loop.deliver(`message ${n}`, what === 'more' ? 's0' : `s${n % 2}`));
      return;
    case 'cancel':
      await loop.runtime.cancel(tasks[n % tasks.length] ?? '', OWNER);
      return;
    case 'retry': {
      const agents = () => [{ name: 'assistant', description: '', models: [] }];
      for (const task of tasks) {
        const again = await retryTask({ ...loop.deps, ids: systemIds, agents, maxAttempts: () => 2 }, task, OWNER);
        if (again.ok) seen.add(again.task);
      }
      return;
    }
    case 'approve':
      for (const { id, kind } of pending)
        if (kind === 'approval') await loop.runtime.approve(id, n % 3 === 0 ? 'deny' : 'approve', OWNER);
      return;
    case 'answer':
      for (const { id, kind } of pending) if (kind === 'question') await loop.runtime.answer(id, 'yes', OWNER);
      return;
    case 'restart':
      await loop.restart();
      return;
    case 'settle':
      for (const task of tasks) await loop.settled(task);
  }
}

/** Compares every message's standing with the outcome the messenger would tell; the number of messages compared. */
async function compare(loop: Loop, views: Views, states: Set<string>): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const before = [await loop.store.head(), JSON.stringify(await loop.store.counts())];
    const found: [Standing, TaskStatus, string][] = [];
    for (const { agent, session, messages } of await views.conversations(10)) {
      const view = await views.conversation(agent, session, null, 200);
      const shown = view?.entries.filter((entry) => entry.kind === 'message') ?? [];
      assert.equal(shown.length, messages);
      for (const { task, standing } of shown) {
        const outcome = await outcomeOf(loop.store, task);
        assert.ok(outcome);
        found.push([standing, outcome.status, task]);
      }
    }
    const { runs } = await views.runs({ limit: 200 });
    const after = [await loop.store.head(), JSON.stringify(await loop.store.counts())];
    // Something happened meanwhile: what was read belongs to two moments.
    if (before.join() !== after.join()) continue;
    for (const [standing, status, task] of found) {
      assert.ok(FITS[status].includes(standing.state), `${task}: ${status}, but ${JSON.stringify(standing)}`);
      assert.ok(standing.why.length > 5 && !/undefined|null|NaN|tsk_|run_/.test(standing.why), standing.why);
      const listed = runs.find((run) => run.task === task);
      assert.deepEqual([listed?.status, listed?.standing.state], [status, standing.state]);
      states.add(standing.state);
    }
    return found.length;
  }
  return 0;
}

test('each message has one standing, and it agrees with the outcome', async () => {
  let compared = 0;
  const states = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(turns, { maxLength: 30 }),
      fc.array(acts, { minLength: 4, maxLength: 16 }),
      async (script, people) => {
        let next = 0;
        const model = async () => {
          await ticks(3);
          return answerOf(script[next++]);
        };
        await withLoop(
          model,
          { rules: [ask, deny], nextTry: () => null, maxAttempts: 2, limits: { steps: 6 } },
          async (loop) => {
            if (people.length % 2 === 0) hurry(loop);
            const seen = new Set<string>();
            // Asked for each time: a restart opens others.
            for (const [n, what] of people.entries()) {
              await act(loop, what, n, seen);
              await ticks(n % 5);
              if (what === 'look' || n % 3 === 0) compared += await compare(loop, loop.views, states);
            }
            compared += await compare(loop, loop.views, states);
            // Read anew, from the record alone, it is the same.
            await withViews(
              loop,
              async (fresh) => {
                compared += await compare(loop, fresh, states);
              },
              {},
            );
            await assertOne(loop, loop.views);
          },
        );
      },
    ),
    { ...tries(5, 25), examples: SURE },
  );
  assert.ok(compared > effort(10, 150), `only ${compared} standings were compared`);
  for (const state of ['answered', 'queued', 'waiting', 'failed', 'cancelled']) assert.ok(states.has(state), state);
});

/** As many messages are shown as there are on record, each once. */
async function assertOne(loop: Loop, views: Views): Promise<void> {
  const events = await loop.events();
  const received = events.filter((event): event is EventOf<'message.received'> => event.type === 'message.received');
  const shown: string[] = [];
  for (const session of ['s0', 's1']) {
    const view = await views.conversation('assistant', session, null, 200);
    for (const entry of view?.entries ?? []) if (entry.kind === 'message') shown.push(entry.id);
  }
  assert.deepEqual(shown.toSorted(), received.map((event) => event.id).toSorted());
}
