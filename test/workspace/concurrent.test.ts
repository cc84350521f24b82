import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Files } from '../../src/core/files.ts';
import { makeLab, runningClock } from './lab.ts';
import type { Lab } from './lab.ts';
import { effort } from '../fakes/effort.ts';

const CASES = effort(3, 12);

const PATHS = ['a.md', 'b.md', 'sub/c.md', 'sub/d.md'];
const SEED = ['top', 'high', 'middle', 'low', 'bottom'];

interface Step {
  kind: 'add' | 'replace' | 'remove' | 'rename';
  path: number;
  to: number;
  place: number;
}
type Actor =
  | { who: 'run'; steps: Step[]; pauses: number; solve: boolean }
  | { who: 'person'; steps: Step[]; pauses: number; commit: boolean };

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('add', 'add', 'add', 'replace', 'remove', 'rename'),
  path: fc.nat(PATHS.length - 1),
  to: fc.nat(PATHS.length - 1),
  place: fc.nat(9),
});
const steps = fc.array(step, { minLength: 1, maxLength: 3 });
const actor: fc.Arbitrary<Actor> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ who: fc.constant('run' as const), steps, pauses: fc.nat(6), solve: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ who: fc.constant('person' as const), steps, pauses: fc.nat(6), commit: fc.boolean() }),
  },
);

/**
 * Each write brings a line nobody else has. A line may vanish only by a writer that had it before its eyes: one that
 * overwrites without having looked is caught.
 */
class Book {
  #next = 0;
  readonly added = new Set<string>();
  readonly removed = new Set<string>();

  token(): string {
    this.#next += 1;
    return `line-${this.#next}`;
  }

  /** New text by path for one writer's step, with what it added and took away. */
  edit(
    step: Step,
    read: (path: string) => string[] | null,
  ): { write: Map<string, string[] | null>; added: string[]; removed: string[] } {
    const path = PATHS[step.path] ?? 'a.md';
    const lines = read(path);
    const write = new Map<string, string[] | null>();
    if (step.kind === 'remove') {
      if (lines) write.set(path, null);
      return { write, added: [], removed: lines ?? [] };
    }
    const to = PATHS[step.to] ?? 'a.md';
    if (step.kind === 'rename' && lines && to !== path) {
      const over = read(to) ?? [];
      write.set(path, null);
      write.set(to, lines);
      return { write, added: lines, removed: over.filter((line) => !lines.includes(line)) };
    }
    const next = [...(lines ?? [])];
    const fresh = this.token();
    const at = step.place % (next.length + 1);
    const removed = step.kind === 'replace' ? next.splice(at, 1, fresh) : [];
    if (step.kind !== 'replace') next.splice(at, 0, fresh);
    write.set(path, next);
    return { write, added: [fresh], removed };
  }
}

const toLines = (text: string): string[] => text.split('\n').filter(Boolean);
const toText = (lines: string[]): string => lines.map((line) => `${line}\n`).join('');
const pause = async (turns: number): Promise<void> => {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

interface World {
  lab: Lab;
  book: Book;
  /** Git is between checking and writing files: no program can close that gap. */
  writing: () => boolean;
  landed: number;
  conflicts: number;
  saves: number;
}

async function linesOf(files: Files, path: string): Promise<string[] | null> {
  const found = await files.read(path);
  return found && toLines(Buffer.from(found.bytes).toString('utf8'));
}

async function applyStep(world: World, files: Files, one: Step): Promise<{ added: string[]; removed: string[] }> {
  const seen = new Map<string, string[] | null>();
  for (const path of PATHS) seen.set(path, await linesOf(files, path));
  const { write, added, removed } = world.book.edit(one, (path) => seen.get(path) ?? null);
  for (const [path, lines] of write)
    if (lines === null) await files.remove(path);
    else await files.write(path, Buffer.from(toText(lines)));
  return { added, removed };
}

async function run(world: World, name: string, actor: Extract<Actor, { who: 'run' }>): Promise<void> {
  const { ws } = world.lab;
  let files = ws.files(await ws.head(), []);
  for (const one of actor.steps) {
    await applyStep(world, files, one);
    await pause(actor.pauses);
  }
  for (let round = 0; round < 4; round += 1) {
    // What the run ends up adding and taking away, seen from where it started.
    const before = ws.files(files.base, []);
    const [had, has] = [new Set<string>(), new Set<string>()];
    for (const { path } of files.changes()) {
      for (const line of (await linesOf(before, path)) ?? []) had.add(`${path} ${line}`);
      for (const line of (await linesOf(files, path)) ?? []) has.add(`${path} ${line}`);
    }
    const result = await ws.land(world.lab.request(name, files.base, files.changes()));
    if (result.state === 'landed') {
      world.landed += 1;
      for (const line of has) if (!had.has(line)) world.book.added.add(line);
      for (const line of had) if (!has.has(line)) world.book.removed.add(line);
      assert.ok(await ws.findLanding(name, files.base));
      return;
    }
    if (result.state === 'empty') return;
    if (result.state === 'blocked') continue;
    assert.ok(result.state === 'conflict', JSON.stringify(result));
    world.conflicts += 1;
    assert.ok(result.paths.length > 0 && result.paths.every((path) => result.text.includes(path)));
    if (!actor.solve) return;
    files = ws.files(result.onto, result.changes);
    const path = PATHS.indexOf(result.paths[0] ?? '');
    await applyStep(world, files, { kind: 'add', path: Math.max(0, path), to: 0, place: round });
  }
}

async function person(world: World, actor: Extract<Actor, { who: 'person' }>): Promise<void> {
  const { lab, book } = world;
  for (const one of actor.steps) {
    await pause(actor.pauses);
    while (world.writing()) await pause(1);
    const read = (path: string): string[] | null =>
      existsSync(join(lab.dir, path)) ? toLines(readFileSync(join(lab.dir, path), 'utf8')) : null;
    const before = new Map(PATHS.map((path) => [path, read(path)]));
    for (const [path, lines] of book.edit(one, read).write) {
      const full = join(lab.dir, path);
      mkdirSync(dirname(full), { recursive: true });
      if (lines === null) unlinkSync(full);
      else writeFileSync(full, toText(lines));
      const [had, has] = [before.get(path) ?? [], lines ?? []];
      for (const line of has) if (!had.includes(line)) book.added.add(`${path} ${line}`);
      for (const line of had) if (!has.includes(line)) book.removed.add(`${path} ${line}`);
    }
    world.saves += 1;
    if (actor.commit && !existsSync(join(lab.dir, '.git', 'index.lock')))
      try {
        lab.git('commit', '-qam', 'by hand');
      } catch (error) {
        // Nothing to commit, or the runtime was quicker to the lock: a person would try again.
        assert.match(String(error), /nothing|lock|Command failed/);
      }
    else await lab.ws.commitPerson(one.place % 2 === 0 ? null : PATHS);
  }
}

test('concurrent runs, a person and landings lose no line, and files and main agree', async () => {
  const total = { landed: 0, conflicts: 0, saves: 0, cases: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(actor, { minLength: 3, maxLength: 6 }), async (actors) => {
      let writing = false;
      const text = toText(SEED);
      const lab = await makeLab({
        files: Object.fromEntries(PATHS.slice(0, 3).map((path) => [path, text])),
        clock: runningClock(),
        lockWaitMs: 5000,
        boundary: (name) => {
          writing = name === 'landing.files.before';
        },
      });
      const world: World = { lab, book: new Book(), writing: () => writing, landed: 0, conflicts: 0, saves: 0 };
      try {
        await Promise.all(
          actors.map((one, at) => (one.who === 'run' ? run(world, `run_${at}`, one) : person(world, one))),
        );
        await lab.ws.commitPerson(null);
        await lab.ws.commitPerson(PATHS);
        assert.equal(lab.git('status', '--porcelain'), '');
        lab.git('fsck', '--strict');
        const end = new Set<string>();
        const files = lab.ws.files(await lab.ws.head(), []);
        for (const path of PATHS) for (const line of (await linesOf(files, path)) ?? []) end.add(`${path} ${line}`);
        for (const line of world.book.added)
          assert.ok(
            end.has(line) || world.book.removed.has(line),
            `${line} was lost\n${lab.git('log', '-p', '--stat')}`,
          );
        total.landed += world.landed;
        total.conflicts += world.conflicts;
        total.saves += world.saves;
        total.cases += 1;
      } finally {
        await lab.dispose();
      }
    }),
    { numRuns: CASES, seed: 20_261_122 },
  );
  assert.equal(total.cases, CASES);
  assert.ok(total.landed >= CASES && total.conflicts >= CASES / 4 && total.saves >= CASES / 2, JSON.stringify(total));
});
