import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Event } from '../../src/core/event.ts';
import { BREAKS, tamper } from '../../src/simulate/breaks.ts';
import { check } from '../../src/simulate/check.ts';
import type { Invariant } from '../../src/simulate/invariants.ts';
import { play } from '../../src/simulate/play.ts';
import { eventsOf, type Played, readPlay } from '../../src/simulate/record.ts';
import { inFolder, named, PATH, playing, SEED } from './playing.ts';

/** The same play without some of its events, or with some of them twice. */
const withEvents = (played: Played, change: (event: Event) => Event[]): Invariant[] =>
  named(check({ ...played, events: played.events.flatMap(change) }));

test('a short play is clean, and what is not is noticed by what is there for it', () =>
  inFolder(async (dir) => {
    const keep = join(dir, 'clean');
    const clean = await playing({ days: 2 / 24, keep });
    assert.deepEqual(clean.violations, []);
    const { counts } = clean;
    assert.ok(counts.firings >= 2, `${counts.firings} firings`);
    assert.ok(counts.triggered >= 2, `${counts.triggered} firings of triggers`);
    assert.ok((counts.tasks['done'] ?? 0) >= 10, JSON.stringify(counts.tasks));
    assert.ok(counts.landings >= 4, `${counts.landings} landings`);
    assert.equal(counts.faults['kill'], 1);

    const options = { dir: keep, seed: SEED, days: 2 / 24, broken: null, path: PATH };
    const played = await readPlay(options);
    for (const type of ['trigger.fired', 'webhook.received'] as const) {
      assert.ok(withEvents(played, (event) => (event.type === type ? [] : [event])).includes('cause-once'), type);
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
  }));

test('there are eight bugs to plant, and no bug of another name', async () => {
  assert.equal(Object.keys(BREAKS).length, 8);
  const planted = play({ seed: 1, days: 1, keep: null, broken: 'no-such-bug', path: PATH, life: [] });
  await assert.rejects(planted, /There is no bug "no-such-bug" to plant\. There are: lost-result/);
});
