import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { ScheduleState } from '../../src/core/schedule.ts';
import type { AgentState, TaskOutcome } from '../../src/core/api/runtime.ts';
import { Home } from '../fakes/home.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { until } from '../fakes/until.ts';

// The clock of the real process is put, by another library, to eight in the morning of a working day, and later to 8:15.
const [LIBRARY = ''] = globSync('/usr/lib/*/faketime/libfaketime.so.1');
const skip = requirePeer('faketime', LIBRARY !== '');
const DAY = '2027-03-02';

/** As an offset, so that every process has the same time; what timers count goes on as it is. */
function clockAt(time: string): Record<string, string> {
  const offset = Math.round((Date.parse(`${DAY}T${time}+01:00`) - Date.now()) / 1000);
  const TZ = 'Europe/Paris';
  return { TZ, LD_PRELOAD: LIBRARY, FAKETIME: `${offset < 0 ? '' : '+'}${offset}s`, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}

let home: Home;
before(async () => {
  home = new Home(LIBRARY === '' ? {} : { env: clockAt('08:00:00') });
  // The default of `npm start`.
  await home.start('--template', 'network');
});
after(() => home.close());

const schedules = async (): Promise<ScheduleState[]> =>
  (await home.api<{ schedules: ScheduleState[] }>('/api/schedules')).schedules;
const authors = (...paths: string[]): string[] =>
  home
    .git('log', '--format=%an', '--', ...paths)
    .trim()
    .split('\n')
    .filter(Boolean);

/** Says it to the front desk, and answers what it is asked. */
async function said(text: string, verdict: 'approve' | 'deny'): Promise<TaskOutcome & { shown: string }> {
  const asked = await home.ask(text, undefined, 'system');
  assert.equal(asked.status, 'waiting', asked.text);
  const [wait] = asked.waits;
  await home.answer(wait?.id ?? '', verdict);
  return { ...(await home.settled(asked.task)), shown: wait?.text ?? '' };
}

test('three agents work on one sentence: two tasks, a commit each of those who wrote, one answer with both results', async () => {
  const asked = await home.cli(
    'ask',
    'billing',
    'write shared/blog/move.md: We host ourselves now, then ask writing to: write shared/blog/post.md: draft, then ask system to: list the files',
  );
  assert.equal(asked.code, 0, asked.err);
  assert.match(asked.out, /ask writing:\s+write shared\/blog\/post\.md: Created[^]*ask system:\s+list:[^]*ruche\.yaml/);
  assert.deepEqual([authors('shared/blog/move.md'), authors('shared/blog/post.md')], [['billing'], ['writing']]);
  const tasks = (await home.events('task.created')).map(({ data }) => data['to']);
  assert.deepEqual(tasks, ['writing', 'system']);
  assert.match((await home.cli('ask', 'hello')).out, /^Hello!/);
  const listed = async (from: string): Promise<string[]> =>
    (await home.cli('tasks', '--from', from)).out
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^.* from (\S+) .*$/, '$1'));
  for (const from of ['person', 'owner', '!agent']) assert.deepEqual(await listed(from), ['owner', 'owner'], from);
  for (const from of ['agent', '!person'])
    assert.deepEqual(await listed(from), ['agent:writing', 'agent:billing'], from);
  // Nobody is paired; the front desk has the tool nevertheless.
  assert.doesNotMatch((await home.cli('ask', 'tell owner: hi')).out, /has no tool/);
  const { agents } = await home.api<{ agents: AgentState[] }>('/api/agents');
  assert.deepEqual([agents.length, agents[0]?.name], [5, 'system']);
});

test('a schedule made in a chat counts when it is approved, and leaves the file as people wrote it', async () => {
  const file = 'agents/system/AGENT.md';
  const before = home.read(file);
  const wrong = await home.ask('at 2020-01-01T08:00: append log.md: x', undefined, 'system');
  assert.match(
    wrong.text,
    /schedule at-202001010800 was not done: "at-202001010800" would never fire: at 2020-01-01T08:00 is over\./,
  );

  const denied = await said('every day at 08:15: append log.md: x', 'deny');
  assert.match(denied.text, /The owner denied your change/);
  assert.equal(home.read(file), before);

  const made = await said('every 1s: append log.md: x, then append log.md: y', 'approve');
  assert.equal(made.status, 'done', made.text);
  assert.match(
    made.shown,
    /agents\/system\/AGENT\.md\n\+ schedules:\n\+ {3}- name: every-1s\n\+ {5}every: 1s\n\+ {5}task: "append log\.md: x, then append log\.md: y"\n {2}every-1s: every 1s \(.*the zone of this machine\), next /,
  );
  const line = '  - { name: every-1s, every: 1s, task: "append log.md: x, then append log.md: y" }\n';
  assert.equal(home.read(file).replace(line, ''), before);
  assert.deepEqual(authors(file), ['system', 'owner']);
  await until(
    async () => (await schedules()).some(({ name, last }) => name === 'every-1s' && last?.status === 'done'),
    'it fires',
  );
  assert.match(home.read('log.md'), /^xy/);
  assert.match(
    (await home.ask('list the schedules', undefined, 'system')).text,
    /every-1s: every 1s \(.+\), next .+\n.*append log\.md: x/,
  );

  const gone = await said('remove the schedule every-1s', 'approve');
  assert.equal(gone.status, 'done', gone.text);
  assert.equal(home.read(file), before);
  await until(async () => (await schedules()).every(({ name }) => name !== 'every-1s'), 'it is gone');
});

test('at 8:15 the report is there though nobody asked, and a probe has run without a model', { skip }, async () => {
  await home.ask('run: exit 3', undefined, 'billing');
  await home.end('SIGTERM');
  Object.assign(home.env, clockAt('08:15:05'));
  await home.start('--template', 'network');
  const report = `shared/reports/${DAY}.md`;
  const ended = async (): Promise<boolean> => {
    const names = ['report', 'web'];
    return (await schedules()).filter(({ name, last }) => names.includes(name) && last?.status === 'done').length === 2;
  };
  await until(ended, 'the report is written, and a probe has run');
  assert.deepEqual(authors(report), ['system']);
  const text = home.read(report);
  assert.match(text, new RegExp(`^# Report for ${DAY}\n\nFacts as of ${DAY}T07:15:`));
  assert.match(text, /## Failures of the last 24 hours\n\nNothing\./);
  assert.match(text, /- billing [1-9]\d* 0 0\.0000/);
  assert.match(text, /- \w+: memory use[^]*- ok: the longest wait of a task[^]*- ok: no addresses to check/);
  const fired = (await home.events('schedule.fired')).map(({ data }) => data['schedule']);
  assert.equal(fired.filter((id) => id === 'system/report').length, 1);
  const models = await home.events('model.answered');
  assert.ok(models.some(({ data }) => data['provider'] === 'schedule'));
  assert.deepEqual((await home.verify()).findings, []);
});
