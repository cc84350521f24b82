import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Event, EventOf, EventType } from '../../src/core/event.ts';
import type { Loop } from '../fakes/loop.ts';
import { randomFrom } from '../fakes/random.ts';
import { AGENTS, type Edit, editor, EDITING, type Edits, gate, give, numberIn, toLines, toText } from './editors.ts';
import { withLoop } from './with-loop.ts';
import { effort, whole } from '../fakes/effort.ts';

const RUNS = effort(16, 50);
const PER_RUN = 4;
/** Milliseconds until everybody has landed, on a machine that does much else. */
const PATIENCE = 60_000;

const options = { tools: EDITING, others: AGENTS.slice(1).map((name) => ({ name })) };
const ofType = <T extends EventType>(events: readonly Event[], type: T): EventOf<T>[] =>
  events.filter((event): event is EventOf<T> => event.type === type);
const git = (loop: Loop, ...args: string[]): string =>
  execFileSync('git', ['-C', join(loop.dir, 'workspace'), ...args], { encoding: 'utf8' });

/** The same line of one file, the end of another, a line of one's own in a third, and a file of one's own. */
const planOf = (words: string): Edits => {
  const n = numberIn(words);
  return new Map<string, Edit>([
    ['counter.md', ([line = '0']) => [`${Number.parseInt(line, 10) + 1} by run ${n}`]],
    ['list.md', (lines) => [...lines, `run ${n}`]],
    ['table.md', (lines) => lines.map((line) => (line === `row ${n}: open` ? `row ${n}: done` : line))],
    [`out/${n}.md`, () => [`by run ${n}`]],
  ]);
};

test(`15 agents, ${RUNS} runs at once: no update is lost, nothing lands by halves, nobody gives up`, async (context) => {
  const rows = Array.from({ length: RUNS }, (_, n) => [`row ${n}: open`, '']).flat();
  const files = { 'counter.md': '0\n', 'list.md': 'list\n', 'table.md': rows.map((row) => `${row}\n`).join('') };
  const all = gate(RUNS);
  await withLoop(editor(planOf, all), { ...options, files }, async (loop) => {
    const tasks = await Promise.all(Array.from({ length: RUNS }, (_, n) => give(loop, n)));
    const outcomes = await Promise.all(tasks.map((task) => loop.runtime.settled(task, AbortSignal.timeout(PATIENCE))));
    assert.deepEqual([...new Set(outcomes.map(({ status, text }) => `${status}: ${text}`))], ['done: done']);
    assert.equal(new Set(outcomes.map(({ agent }) => agent)).size, AGENTS.length);
    const events = await loop.events();

    const [counter, list, table] = ['counter.md', 'list.md', 'table.md'].map((path) =>
      git(loop, 'show', `main:${path}`),
    );
    assert.match(counter ?? '', new RegExp(`^${RUNS} by run`));
    const expected = ['list', ...Array.from({ length: RUNS }, (_, n) => `run ${n}`)];
    assert.deepEqual(toLines(list ?? '').toSorted(), expected.toSorted());
    assert.equal(table?.match(/: done$/gm)?.length, RUNS);

    const landed = ofType(events, 'landing.finished').map(({ data }) => data.commit ?? '');
    assert.equal(new Set(landed).size, RUNS, 'each run is one commit');
    for (const commit of landed) {
      const changed = git(loop, 'show', '--name-only', '--format=', commit).split('\n').filter(Boolean);
      assert.equal(changed.length, PER_RUN, `${commit} is whole: ${changed.join(', ')}`);
    }
    assert.equal(git(loop, 'for-each-ref', 'refs/ruche/unlanded'), '');
    assert.equal(git(loop, 'status', '--porcelain'), '');
    const conflicts = ofType(events, 'landing.conflicted').length;
    assert.ok(conflicts >= RUNS - 1, 'they were in each other’s way');
    context.diagnostic(`${RUNS} runs of ${AGENTS.length} agents, ${conflicts} conflicts resolved`);
    assert.ok(conflicts < 2 * RUNS, `who has conflicted lands next: ${conflicts} conflicts`);
  });
});

const FILES = ['a.md', 'b.md', 'c.md'];
const START = ['top', 'high', 'middle', 'low', 'bottom'];

/** Lines that runs have brought and taken away, each by a run that had read the file as it was. */
interface Book {
  added: Map<string, string>;
  removed: Map<string, readonly string[]>;
}

/** Some edits in some of the files, the same ones again after a conflict. */
function anything(book: Book, random: (below: number) => number, n: number): Edits {
  const edit = (path: string, kind: number, place: number): Edit => {
    const key = `${path} ${n}`;
    return (lines) => {
      const next = [...lines];
      const gone = kind === 0 ? [] : next.splice(place % Math.max(1, next.length), kind);
      next.splice(place % (next.length + 1), 0, `run-${n}`);
      book.added.set(key, `${path} run-${n}`);
      book.removed.set(
        key,
        gone.map((line) => `${path} ${line}`),
      );
      return next;
    };
  };
  const picked = FILES.filter(() => random(3) > 0);
  const paths = picked.length > 0 ? picked : FILES.slice(0, 1);
  return new Map(paths.map((path) => [path, edit(path, [0, 0, 0, 1, 2][random(5)] ?? 0, random(9))]));
}

for (const seed of whole ? [1, 2] : [1])
  test(`whatever runs edit at once, no line is lost: seed ${seed}`, async () => {
    const float = randomFrom(seed);
    const random = (below: number): number => Math.floor(float() * below);
    const book: Book = { added: new Map(), removed: new Map() };
    const plans = Array.from({ length: 12 }, (_, n) => anything(book, random, n));
    const ticks = async (): Promise<void> => {
      for (let left = random(30); left > 0; left--) await new Promise((resolve) => setImmediate(resolve));
    };
    const files = Object.fromEntries(FILES.map((path) => [path, toText(START)]));
    const model = editor((words) => plans[numberIn(words)] ?? new Map(), ticks);
    await withLoop(model, { ...options, files }, async (loop) => {
      const tasks = await Promise.all(plans.map((_, n) => give(loop, n)));
      const settled = tasks.map((task) => loop.runtime.settled(task, AbortSignal.timeout(PATIENCE)));
      for (const { status, text } of await Promise.all(settled)) assert.equal(status, 'done', text);
      const there = FILES.flatMap((path) =>
        toLines(git(loop, 'show', `main:${path}`)).map((line) => `${path} ${line}`),
      );
      const ever = [...FILES.flatMap((path) => START.map((line) => `${path} ${line}`)), ...book.added.values()];
      const removed = new Set([...book.removed.values()].flat());
      assert.deepEqual(there.toSorted(), ever.filter((line) => !removed.has(line)).toSorted());
      const events = await loop.events();
      const conflicts = ofType(events, 'landing.conflicted').length;
      assert.equal(ofType(events, 'landing.finished').length, plans.length);
      assert.ok(conflicts > 3 && removed.size > 3 && book.added.size > plans.length, `${conflicts} conflicts`);
    });
  });

test('who is conflicted again and again gives up in the end: the owner is told, and the work is kept', async () => {
  let before = async (): Promise<void> => {};
  const plan: Edits = new Map([['list.md', (lines: readonly string[]) => [...lines, 'mine']]]);
  const files = { 'list.md': 'list\n' };
  const limits = { steps: 100 };
  await withLoop(
    editor(
      () => plan,
      () => before(),
    ),
    { ...options, files, limits },
    async (loop) => {
      let others = 0;
      // Somebody who keeps to no order, such as a person, is always quicker.
      before = async () => {
        others += 1;
        const base = await loop.workspace.head();
        const view = loop.workspace.files(base, []);
        await view.write('list.md', Buffer.from(`list\nother ${others}\n`));
        const provenance = { run: `run_${others}`, task: 'tsk_1', agent: 'other', model: 'm', costUsd: 0, labels: [] };
        const result = await loop.workspace.land({ base, changes: view.changes(), subject: 'x', provenance, at: 0 });
        assert.equal(result.state, 'landed');
      };
      const outcome = await loop.runtime.settled(await give(loop, 0), AbortSignal.timeout(PATIENCE));
      assert.equal(outcome.status, 'failed');
      assert.match(outcome.text, /conflict with main again and again/);
      const [matter, ...more] = await loop.runtime.pending();
      assert.deepEqual(more, []);
      assert.match(matter?.text ?? '', /^assistant, tsk_.*conflict with main again and again/s);
      assert.match(matter?.reason ?? '', /given up/);
      assert.match(git(loop, 'show', `refs/ruche/unlanded/${outcome.run}:list.md`), /mine/);
      assert.equal(ofType(await loop.events(), 'landing.conflicted').length, 10);
    },
  );
});
