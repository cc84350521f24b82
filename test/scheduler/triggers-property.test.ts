import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Event } from '../../src/core/event.ts';
import { eventSeq } from '../../src/core/ids.ts';
import type { Trigger } from '../../src/core/trigger.ts';
import { done, files, hook, Scene, trigger } from './trigger-kit.ts';
import { effort, tries } from '../fakes/effort.ts';

const SECOND = 1_000;
const RUNS = tries(30, 120);

type Action =
  | { do: 'lands'; fits: boolean; by: 'word' | 'hand' | 'pull'; twice: boolean }
  | { do: 'ends' | 'kill' | 'start' | 'pause' | 'resume' | 'remove' | 'restore' | 'close' }
  | { do: 'hook'; name: number }
  | { do: 'pass'; ms: number }
  | { do: 'doom'; left: number; after: boolean };

const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('lands' as const),
      fits: fc.boolean(),
      by: fc.constantFrom('word' as const, 'hand' as const, 'pull' as const),
      twice: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.constant<Action>({ do: 'ends' }) },
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 9 }).map((name): Action => ({ do: 'hook', name })) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 20 * SECOND }).map((ms): Action => ({ do: 'pass', ms })) },
  { weight: 5, arbitrary: fc.constant<Action>({ do: 'start' }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Action>({ do: 'kill' }, { do: 'pause' }, { do: 'resume' }, { do: 'close' }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Action>({ do: 'remove' }, { do: 'restore' }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('doom' as const),
      left: fc.integer({ min: 1, max: 4 }),
      after: fc.boolean(),
    }),
  },
);

/** Which events must have had their effect, told from the record alone: by each trigger, in the order they happened. */
function expected(events: readonly Event[], fits: (commit: string) => boolean): Map<string, number[]> {
  const live = new Map<string, boolean>();
  const causes = new Map<string, number[]>();
  const commits = new Set<string>();
  const heard = (id: string, seq: number): void => {
    if (live.get(id)) causes.set(id, [...(causes.get(id) ?? []), seq]);
  };
  for (const event of events) {
    if (event.type === 'trigger.set') live.set(event.data.trigger, live.get(event.data.trigger) ?? true);
    if (event.type === 'trigger.removed') live.delete(event.data.trigger);
    if (event.type === 'trigger.paused') live.set(event.data.trigger, false);
    if (event.type === 'trigger.resumed') live.set(event.data.trigger, true);
    if (event.type === 'task.finished') heard('a/done', event.seq);
    if (event.type === 'webhook.received') heard('a/hook', event.seq);
    const commit =
      event.type === 'person.committed' ? event.data.commit : event.type === 'main.moved' ? event.data.to : null;
    if (commit !== null && !commits.has(commit) && fits(commit)) heard('a/file', event.seq);
    if (commit !== null) commits.add(commit);
  }
  return causes;
}

async function play(
  debounce: number,
  actions: readonly Action[],
): Promise<{ fired: number; kills: number; bursts: number }> {
  const all: Trigger[] = [
    trigger(files('in/*'), { name: 'file', debounce }),
    trigger(done, { name: 'done', debounce }),
    trigger(hook(), { name: 'hook' }),
  ];
  const scene = new Scene(all);
  let [kills, count] = [0, 0];
  const deliver = async (name: number): Promise<void> => {
    const delivery = { hook: 'h', id: `d${name}`, seal: null, name: '', body: { name } };
    // A sender to a process that dies hears nothing, and sends it again.
    void scene.triggers.deliver(delivery).catch(() => undefined);
    await scene.clock.pass(0);
  };
  await scene.start();
  for (const each of actions) {
    const alive = !scene.dead;
    if (each.do === 'lands') {
      count += 1;
      await scene.lands(`c${count}`, [each.fits ? `in/${count}` : `out/${count}`], each.by);
      // The word of it came after somebody had looked.
      if (each.by === 'hand' && each.twice) {
        const data = { commit: `c${count}`, author: 'Ann', paths: 1 };
        await scene.happen({
          type: 'person.committed',
          stream: 'workspace',
          actor: 'x',
          cause: null,
          labels: [],
          data,
        });
      }
    }
    if (each.do === 'ends') await scene.ends(`tsk_e${(count += 1)}`);
    if (each.do === 'hook' && alive) await deliver(each.name);
    if (each.do === 'pass') await scene.clock.pass(each.ms);
    if (each.do === 'kill') scene.kill();
    if (each.do === 'doom' && alive) scene.dieAt(each.left, each.after);
    if (each.do === 'close' && alive) {
      await Promise.race([scene.close(), scene.clock.pass(0)]);
      scene.kill();
    }
    if ((each.do === 'pause' || each.do === 'resume') && alive) {
      void scene.triggers[each.do]('a/file', 'owner');
      await scene.clock.pass(0);
    }
    if (each.do === 'remove') await scene.edit(all.filter(({ name }) => name !== 'done'));
    if (each.do === 'restore') await scene.edit(all);
    if (each.do === 'start' && !alive) {
      kills += 1;
      await scene.start();
    }
  }
  // In the end a process lives long enough.
  scene.dieAt(Infinity, true);
  if (scene.dead) await scene.start();
  for (let n = 0; n < 4; n++) await scene.clock.pass(100 * SECOND);
  const events = await scene.events();
  const causes = expected(events, (commit) => scene.commits.get(commit)?.[0]?.startsWith('in/') ?? false);
  const fired = await scene.of('trigger.fired');
  assert.deepEqual(await scene.of('trigger.skipped'), []);
  const words = events.map((event) =>
    'commit' in event.data ? event.data.commit : 'to' in event.data ? event.data.to : '',
  );
  for (const commit of scene.commits.keys()) assert.ok(words.includes(commit), `${commit} is on record`);
  for (const id of ['a/file', 'a/done', 'a/hook']) {
    const own = fired.filter(({ data }) => data.trigger === id);
    // Each firing stands for the causes from its first to its last; together they are all there are, each once.
    const covered = own.flatMap(({ data }) => {
      const [first, last] = [eventSeq(data.first ?? '') ?? 0, eventSeq(data.last ?? '') ?? 0];
      const within = (causes.get(id) ?? []).filter((seq) => seq >= first && seq <= last);
      assert.equal(within.length, data.count, `${id}: a burst counts its causes`);
      return within;
    });
    const wanted = causes.get(id) ?? [];
    const open = wanted.filter((seq) => !covered.includes(seq));
    // A pause lets go of a burst that had not come to rest.
    const dropped = events.filter((event) => event.type === 'trigger.paused').map(({ seq }) => seq);
    assert.ok(
      open.every((seq) => debounce > 0 && id === 'a/file' && dropped.some((paused) => paused > seq)),
      `${id}: ${open.join(', ')} had no effect`,
    );
    assert.deepEqual(covered, [...new Set(covered)]);
  }
  const tasks = await scene.tasks();
  assert.equal(tasks.length, fired.length, 'a task each');
  for (const { id, data } of fired) assert.equal(tasks.find((task) => task.id === data.task)?.cause, id);
  await scene.close();
  return { fired: fired.length, kills, bursts: fired.filter(({ data }) => data.count > 1).length };
}

test('each cause once, over kills at each commit, pauses, edits, bursts and two words of one commit', async () => {
  let [runs, fired, kills, bursts] = [0, 0, 0, 0];
  const property = fc.asyncProperty(
    fc.constantFrom(0, 0, 5 * SECOND),
    fc.array(action, { minLength: 5, maxLength: 30 }),
    async (debounce, actions) => {
      const played = await play(debounce, actions);
      runs += 1;
      fired += played.fired;
      kills += played.kills;
      bursts += played.bursts;
    },
  );
  await fc.assert(property, RUNS);
  const counts = `${runs} runs, ${fired} firings, ${kills} kills, ${bursts} bursts`;
  assert.ok(
    runs >= RUNS.numRuns && fired >= effort(50, 200) && kills >= effort(7, 30) && bursts >= effort(1, 5),
    counts,
  );
});
