import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Event } from '../../src/core/event.ts';
import { BREAKS, tamper } from '../../src/simulate/breaks.ts';
import { check } from '../../src/simulate/check.ts';
import type { Invariant } from '../../src/simulate/invariants.ts';
import { play, type PlayResult } from '../../src/simulate/play.ts';
import { eventsOf, type Played, readPlay } from '../../src/simulate/record.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
/** Of which two hours have a kill, webhooks, a burst of changes and a file that is given along. */
const SEED = 353;
const PATH = process.env.PATH ?? '';

/** Processes of a play that are started from what the first of them has compiled take half the time. */
const playing = (dir: string, hours: number, more: { keep?: string; broken?: string } = {}): Promise<PlayResult> => {
  const life = ['env', `NODE_COMPILE_CACHE=${join(dir, 'cache')}`, process.execPath, MAIN, 'simulate', '--life'];
  return play({ seed: SEED, days: hours / 24, keep: null, broken: null, path: PATH, life, ...more });
};

const named = (violations: readonly { invariant: Invariant }[]): Invariant[] => [
  ...new Set(violations.map(({ invariant }) => invariant)),
];

/** The same play without some of its events, or with some of them twice. */
const withEvents = (played: Played, change: (event: Event) => Event[]): Invariant[] =>
  named(check({ ...played, events: played.events.flatMap(change) }));

test('a short play is clean, and what is not is noticed by what is there for it', async () => {
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'ruche-played-'));
  try {
    const keep = join(dir, 'clean');
    const clean = await playing(dir, 2, { keep });
    assert.deepEqual(clean.violations, []);
    const { counts } = clean;
    assert.ok(counts.firings >= 2, `${counts.firings} firings`);
    assert.ok(counts.triggered >= 2, `${counts.triggered} firings of triggers`);
    assert.ok((counts.tasks['done'] ?? 0) >= 10, JSON.stringify(counts.tasks));
    assert.ok(counts.landings >= 4, `${counts.landings} landings`);
    assert.equal(counts.faults['kill'], 1);

    const early = await playing(dir, 1, { broken: 'early-firing' });
    assert.equal(early.broken?.struck, true);
    assert.ok(named(early.violations).includes('firing-early'), named(early.violations).join());

    const options = { dir: keep, seed: SEED, days: 2 / 24, broken: null, path: PATH };
    const played = await readPlay(options);
    for (const type of ['trigger.fired', 'webhook.received'] as const) {
      assert.deepEqual(
        withEvents(played, (event) => (event.type === type ? [] : [event])),
        ['cause-once'],
        type,
      );
      assert.ok(withEvents(played, (event) => (event.type === type ? [event, event] : [event])).includes('cause-once'));
    }
    const read = played.tasks.find(({ id }) => played.plan.orders[played.orderOf(id) ?? '']?.reads !== undefined);
    assert.ok(read, 'a file was given along');
    const seqOf = (order: string, type: Event['type']): number =>
      played.events.findLast((event) => event.type === type && orderOf(event) === order)?.seq ?? Number.NaN;
    const run = new Map(eventsOf(played, 'run.started').map(({ stream, data }) => [stream, data.task]));
    const orderOf = ({ stream }: Event): string | null => played.orderOf(run.get(stream) ?? '');
    const reader = played.orderOf(read.id) ?? '';
    const giver = Object.values(played.plan.orders).find(({ children }) => children.includes(reader))?.id ?? '';
    assert.ok(seqOf(giver, 'landing.finished') < seqOf(reader, 'tool.returned'), 'it was read when main had moved');
    const text: Played['text'] = (ref) => played.text(ref).replace('as it is meant', 'as it is later');
    assert.ok(named(check({ ...played, text })).includes('artefacts'));
    const deadline = played.tasks.map((task) => ({ ...task, deadline: 1 }));
    assert.ok(named(check({ ...played, tasks: deadline })).includes('late-once'));

    tamper(join(keep, 'home', 'ruche.sqlite'));
    assert.ok(named(check(await readPlay(options))).includes('verify'));
  } finally {
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  }
});

test('there are eight bugs to plant, and no bug of another name', async () => {
  assert.equal(Object.keys(BREAKS).length, 8);
  const life = [process.execPath, MAIN];
  const planted = play({ seed: 1, days: 1, keep: null, broken: 'no-such-bug', path: PATH, life });
  await assert.rejects(planted, /There is no bug "no-such-bug" to plant\. There are: lost-result/);
});
