import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { Home } from '../fakes/home.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { until } from '../fakes/until.ts';

// The real process with a real clock that another library moves to the minute in which Paris changes its clocks.

const [LIBRARY = ''] = globSync('/usr/lib/*/faketime/libfaketime.so.1');
const skip = requirePeer('faketime', LIBRARY !== '');
const SECOND = 1_000;

const AGENT = `---
description: helps
schedules:
  - { name: gap, cron: "30 2 * * *", task: "list the files" }
  - { name: two, cron: "0 2 * * *", task: "list the files" }
  - { name: three, cron: "0 3 * * *", task: "list the files" }
  - { name: shown, cron: "*/2 * * * * *", missed: all, max: 50, task: "list the files" }
  - { name: gone, every: 2s, missed: all, max: 50, task: "list the files" }
---
You help.
`;

/** Seconds before the switch at which the process is started: on a machine with too much to do a start takes ten. */
const LEAD = 25;

/** Runs from before the switch to eight seconds after it; gives the times that fired, by schedule. */
async function over(switching: string): Promise<{ at: number; fired: Map<string, number[]>; early: number }> {
  const at = Date.parse(switching);
  // As an offset, so that every process has the same time. What timers count goes on as it is.
  const offset = Math.round((at - Date.now()) / SECOND) - LEAD;
  const env = {
    TZ: 'Europe/Paris',
    LD_PRELOAD: LIBRARY,
    FAKETIME: `${offset < 0 ? '' : '+'}${offset}s`,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  const home = await Home.up({ files: { 'ruche.yaml': '', 'agents/assistant/AGENT.md': AGENT }, env });
  try {
    const now = (): number => Date.now() + offset * SECOND;
    await delay(Math.max(0, at + 8 * SECOND - now()));
    await until(async () => (await home.status()).tasks.running === 0, 'what fired has run');
    const fired = new Map<string, number[]>();
    let early = 0;
    for (const event of await home.events('schedule.fired')) {
      const { schedule, at: time } = event.data as { schedule: string; at: number };
      const name = schedule.slice('assistant/'.length);
      fired.set(name, [...(fired.get(name) ?? []), time]);
      if (event.at < time) early += 1;
    }
    return { at, fired, early };
  } finally {
    await home.close();
  }
}

/** Steps between neighbours. */
const steps = (times: readonly number[] = []): Set<number> =>
  new Set(times.slice(1).map((time, index) => time - (times[index] ?? 0)));

// Side by side: each is half a minute of waiting.
describe('over the switches of Paris', { concurrency: true }, () => {
  test('in spring 02:30 is left out, 03:00 fires at the switch, and nothing pauses', { skip }, async () => {
    const { at, fired, early } = await over('2027-03-28T01:00:00Z');
    assert.equal(early, 0);
    assert.deepEqual(fired.get('gap'), undefined);
    assert.deepEqual(fired.get('two'), undefined);
    assert.deepEqual(fired.get('three'), [at]);
    for (const name of ['shown', 'gone']) {
      const times = fired.get(name) ?? [];
      assert.ok(times.length >= 5 && times.some((time) => time < at) && times.some((time) => time > at), name);
      assert.deepEqual([...steps(times)], [2 * SECOND], name);
    }
  });

  test(
    'in autumn what the clock shows again does not fire again, and time that goes by goes on',
    { skip },
    async () => {
      const { at, fired, early } = await over('2027-10-31T01:00:00Z');
      assert.equal(early, 0);
      for (const name of ['gap', 'two', 'three']) assert.deepEqual(fired.get(name), undefined, name);
      const shown = fired.get('shown') ?? [];
      assert.ok(shown.length >= 2 && shown.every((time) => time < at));
      const gone = fired.get('gone') ?? [];
      assert.ok(gone.length >= 5 && gone.some((time) => time > at + 2 * SECOND));
      assert.deepEqual([...steps(gone)], [2 * SECOND]);
    },
  );
});
