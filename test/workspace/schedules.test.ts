import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAgent } from '../../src/config/agent.ts';
import { KNOWN } from '../fakes/known.ts';

const FILE = 'agents/a/AGENT.md';
const parse = (schedules: string) => parseAgent(`---\nschedules:\n${schedules}\n---\nYou.\n`, FILE, 'a', KNOWN);
const one = (entry: string) => parse(`  - { ${entry} }`);

test('a schedule with everything, and one with defaults', () => {
  const { agent, problems } = parse(`  - name: digest
    cron: "15 8 * * 1-5"
    timezone: Europe/Paris
    missed: all
    max: 3
    jitter: 90s
    until: 2026-12-31
    activeHours: 08:00-18:00
    task: "Write today's digest."
  - { name: disk, every: 1h30m, run: scripts/disk.sh --all "/", overlap: cancel, missed: skip }
  - { name: 0nce, at: 2026-12-24T08:00, task: x }`);
  assert.deepEqual(problems, []);
  assert.deepEqual(agent?.schedules, [
    {
      name: 'digest',
      timing: {
        kind: 'cron',
        cron: '15 8 * * 1-5',
        zone: 'Europe/Paris',
        until: '2026-12-31',
        activeHours: { from: 480, to: 1080 },
        jitter: 90_000,
      },
      missed: { mode: 'all', max: 3 },
      overlap: 'queue',
      work: { kind: 'task', text: "Write today's digest." },
    },
    {
      name: 'disk',
      timing: { kind: 'every', ms: 5_400_000, zone: null, until: null, activeHours: null, jitter: 0 },
      missed: { mode: 'skip' },
      overlap: 'cancel',
      work: { kind: 'run', command: 'scripts/disk.sh --all "/"' },
    },
    {
      name: '0nce',
      timing: { kind: 'at', at: '2026-12-24T08:00', zone: null, until: null, activeHours: null, jitter: 0 },
      missed: { mode: 'once' },
      overlap: 'skip',
      work: { kind: 'task', text: 'x' },
    },
  ]);
});

test('active hours: times, days of the week, or both', () => {
  const hours = (given: string) => one(`name: x, every: 1m, activeHours: "${given}", task: y`).agent?.schedules[0];
  const cases: [given: string, hours: object][] = [
    ['08:00-18:00', { from: 480, to: 1080 }],
    ['Mon-Fri 08:00-18:00', { from: 480, to: 1080, days: [1, 2, 3, 4, 5] }],
    ['mon-fri', { from: 0, to: 1440, days: [1, 2, 3, 4, 5] }],
    ['Sat, Sun 10:00-24:00', { from: 600, to: 1440, days: [0, 6] }],
    ['FRI-MON 22:00-06:00', { from: 1320, to: 360, days: [0, 1, 5, 6] }],
    ['Wednesday', { from: 0, to: 1440, days: [3] }],
  ];
  for (const [given, wanted] of cases) assert.deepEqual(hours(given)?.timing.activeHours, wanted, given);
  for (const given of ['Mon-', 'Mo 08:00-18:00', 'Mon-Wed-Fri', '08:00-18:00 Mon', '1-5 08:00-18:00', 'Mon 08:00'])
    assert.equal(hours(given), undefined, given);
});

test('an interval fires within its hours, whenever it was saved', () => {
  for (const hours of ['09:00-17:00', '23:00-00:30', 'Sun 03:00-03:01'])
    assert.deepEqual(one(`name: x, every: 1d, activeHours: "${hours}", task: y`).problems, [], hours);
});

test('without schedules there are none, and the default of missed: all is ten', () => {
  assert.deepEqual(parseAgent('---\n---\n', FILE, 'a', KNOWN).agent?.schedules, []);
  assert.deepEqual(one('name: x, every: 1m, task: y, missed: all').agent?.schedules[0]?.missed, {
    mode: 'all',
    max: 10,
  });
});

test('what is wrong names line, key and remedy', () => {
  const cases: readonly (readonly [entry: string, key: string, said: RegExp])[] = [
    ['name: x, cron: "61 * * * *", task: y', 'schedules.0.cron', /minute: 61/],
    ['name: x, cron: "0 0 30 2 *", task: y', 'schedules.0.cron', /never fires: no day of the calendar/],
    [
      'name: x, cron: "0 3 * * *", activeHours: 08:00-18:00, task: y',
      'schedules.0.activeHours',
      /never fires: none of its times/,
    ],
    ['name: x, at: 2026-12-24T06:00, activeHours: 08:00-18:00, task: y', 'schedules.0.activeHours', /never fires/],
    [
      'name: x, cron: "0 3 * * *", timezone: Mars/Phobos, task: y',
      'schedules.0.timezone',
      /no time zone "Mars\/Phobos"; write one such as Europe\/Paris/,
    ],
    ['name: x, every: 1m, timezone: "+02:00", task: y', 'schedules.0.timezone', /no time zone/],
    ['name: x, at: 2026-03-29T02:30, timezone: Europe/Paris, task: y', 'schedules.0.at', /never show 2026-03-29T02:30/],
    ['name: x, at: 2026-02-30T08:00, task: y', 'schedules.0.at', /no moment: write 2026-12-24T08:00/],
    ['name: x, at: 2026-12-24, task: y', 'schedules.0.at', /no moment/],
    ['name: x, every: 1m, until: soon, task: y', 'schedules.0.until', /"soon" is no date/],
    ['name: x, every: 1m, cron: "* * * * *", task: y', 'schedules.0', /exactly one of cron, every and at/],
    ['name: x, task: y', 'schedules.0', /exactly one of cron, every and at/],
    ['name: x, every: 1m', 'schedules.0', /exactly one of task and run/],
    ['name: x, every: 1m, task: y, run: z.sh', 'schedules.0', /exactly one of task and run/],
    ['every: 1m, task: y', 'schedules.0.name', /is missing/],
    ['name: "Über", every: 1m, task: y', 'schedules.0.name', /small letters/],
    ['name: x, every: 0s, task: y', 'schedules.0.every', /such as 90s/],
    ['name: x, every: 90, task: y', 'schedules.0.every', /a time such as 10m, not the number 90/],
    ['name: x, every: 400d, task: y', 'schedules.0.every', /at most 366d/],
    ['name: x, every: 1m, jitter: 1m, task: y', 'schedules.0.jitter', /shorter than the time between two firings/],
    ['name: x, every: 3d, jitter: 2d, task: y', 'schedules.0.jitter', /at most 1d/],
    ['name: x, cron: "*/5 * * * *", jitter: 5m, task: y', 'schedules.0.jitter', /shorter than/],
    ['name: x, every: 1m, max: 3, task: y', 'schedules.0.max', /only with missed: all/],
    ['name: x, every: 1m, missed: all, max: 101, task: y', 'schedules.0.max', /at most 100/],
    ['name: x, every: 1m, missed: all, overlap: skip, task: y', 'schedules.0.overlap', /must be queue/],
    ['name: x, every: 1m, missed: twice, task: y', 'schedules.0.missed', /one of skip, once, all/],
    ['name: x, every: 1m, activeHours: 8-18, task: y', 'schedules.0.activeHours', /08:00-18:00/],
    ['name: x, every: 1m, activeHours: 08:00-08:00, task: y', 'schedules.0.activeHours', /08:00-18:00/],
    ['name: x, every: 1m, tsk: y, task: z', 'schedules.0.tsk', /Did you mean "task"/],
    ...['/etc/x.sh', '../x.sh', 'a/../x.sh', '-x', './x.sh', 'a/./x', '$(x)', 'a;b'].map(
      (run) => [`name: x, every: 1m, run: "${run}"`, 'schedules.0.run', /must be a script of the workspace/] as const,
    ),
  ];
  for (const [entry, key, said] of cases) {
    const { agent, problems } = one(entry);
    assert.equal(agent, null, entry);
    const [found] = problems;
    assert.deepEqual([found?.file, found?.line, found?.key, found?.severity], [FILE, 3, key, 'error'], entry);
    assert.match(found?.message ?? '', said, entry);
  }
  assert.ok(cases.length >= 35);
});

test('a name used twice is told where it stands the second time', () => {
  const { problems } = parse('  - { name: x, every: 1m, task: y }\n\n  - { name: x, every: 2m, task: y }');
  assert.deepEqual(
    problems.map(({ line, key, message }) => [line, key, message]),
    [[5, 'schedules.1.name', '"x" names an earlier schedule already']],
  );
});

test('one that is over is no mistake', () => {
  for (const entry of ['name: x, every: 1m, until: 2020-01-01, task: y', 'name: x, at: 2020-01-01T08:00, task: y'])
    assert.deepEqual(one(entry).problems, [], entry);
});

test('what a script is may hold dots and folders', () => {
  for (const run of ['x.sh', 'scripts/x.y/z_1.sh', 'a/b.sh --to ../c', '.tools/x'])
    assert.deepEqual(one(`name: x, every: 1m, run: "${run}"`).problems, [], run);
});
