import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import type { AgentState } from '../../src/core/api/runtime.ts';
import type { ScheduleState } from '../../src/core/schedule.ts';
import { Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

const agent = (schedules: string): string => `---\ndescription: helps\nschedules:\n${schedules}\n---\nYou help.\n`;
const FILE = 'agents/assistant/AGENT.md';

const list = async (home: Home): Promise<ScheduleState[]> =>
  (await home.api<{ schedules: ScheduleState[] }>('/api/schedules')).schedules;

test('schedules by the command line and over HTTP: list, run, pause, resume', async () => {
  const files = {
    'ruche.yaml': 'timezone: Asia/Tokyo\n',
    [FILE]: agent('  - { name: far, cron: "0 0 1 1 *", timezone: Europe/Paris, task: "list the files" }'),
  };
  const home = await Home.up({ files });
  try {
    const shown = await home.cli('schedules');
    assert.match(
      shown.out,
      /^assistant\/far {2}0 0 1 1 \* \(Europe\/Paris\)\n {2}list the files\n {2}next \d{4}-01-01 00:00 Europe\/Paris \(in .*\), last never\n$/,
    );
    const [state] = await list(home);
    const { agents } = await home.api<{ agents: AgentState[] }>('/api/agents');
    assert.equal(agents[0]?.nextFiring, state?.next);

    const ran = await home.cli('schedules', 'run', 'assistant/far', '--json');
    const { task } = JSON.parse(ran.out) as { task: string };
    const outcome = await home.settled(task);
    assert.deepEqual([outcome.status, outcome.session], ['done', 'schedule-far']);
    assert.match(outcome.text, /AGENT\.md|ruche\.yaml/);
    assert.equal((await list(home))[0]?.last?.status, 'done');

    assert.equal((await home.cli('schedules', 'pause', 'assistant/far')).out, 'assistant/far is paused.\n');
    assert.match((await home.cli('schedules', 'list')).out, /next paused, last .* done \(tsk_/);
    await home.end('SIGKILL');
    await home.start();
    assert.equal((await list(home))[0]?.paused, true);
    await home.api('/api/schedules/assistant/far/resume', {});
    assert.equal((await list(home))[0]?.paused, false);

    const unknown = await home.cli('schedules', 'run', 'assistant/none');
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /assistant\/none/);
    assert.match(
      (await home.cli('schedules', 'stop', 'assistant/far')).err,
      /Unknown action "stop"\. Known: list, run, pause, resume/,
    );
    assert.match((await home.cli('schedules', 'run')).err, /Name a schedule: /);

    // An edit applies as it is saved; one that is wrong says so, and the old one stays.
    home.write(FILE, agent('  - { name: near, every: 1s, task: "append log.md: x" }'));
    const fired = async (): Promise<boolean> =>
      (await list(home)).some(({ id, last }) => id === 'assistant/near' && last !== null);
    await until(fired, 'the new schedule fires');
    assert.deepEqual(
      (await list(home)).map(({ id }) => id),
      ['assistant/near'],
    );
    // One that names no zone goes by that of the network, and anew when that changes.
    assert.equal((await list(home))[0]?.zone, 'Asia/Tokyo');
    home.write('ruche.yaml', 'timezone: Europe/Lisbon\n');
    await until(async () => (await list(home))[0]?.zone === 'Europe/Lisbon', 'the zone changes');
    home.write(FILE, agent('  - { name: near, cron: "0 0 30 2 *", task: x }'));
    const problems = async (): Promise<string> => JSON.stringify((await home.status()).problems);
    await until(async () => /never fires/.test(await problems()), 'the problem is told');
    assert.equal((await list(home))[0]?.when, 'every 1s');
    assert.deepEqual((await home.verify()).findings, []);
  } finally {
    await home.close();
  }
});

test('a script by the clock costs no model, and wakes the agent only when its result has changed', async () => {
  const home = await Home.up({ files: { 'ruche.yaml': '', 'state.txt': 'all is well\n', [FILE]: agent('  []') } });
  try {
    home.write('scripts/probe.sh', '#!/bin/sh\ncat state.txt\ngrep -q well state.txt\n');
    chmodSync(home.path('scripts/probe.sh'), 0o755);
    home.git('add', 'scripts/probe.sh');
    home.commit('a probe');
    home.write(FILE, agent('  - { name: probe, every: 1s, run: scripts/probe.sh }'));
    const listed = async (...more: string[]): Promise<string> => (await home.cli('tasks', ...more)).out;
    const models = async (): Promise<string[]> =>
      (await home.recorded('model.answered')).map(({ provider, model }) => `${String(provider)}/${String(model)}`);
    const finished = async (): Promise<number> => (await home.recorded('task.finished')).length;
    await until(async () => (await finished()) >= 3, 'it has run three times');
    assert.match(
      await listed(),
      /^\d+ runs? of scripts by the clock found nothing new: ruche tasks --all lists them too\.$/m,
    );
    assert.match(await listed('--all'), /from schedule:assistant\/probe {2}run: \.\/scripts\/probe\.sh/);
    assert.equal(await listed('--from', '!schedule'), 'No matching tasks.\n');
    assert.match((await home.cli('tasks', '--from', 'NO')).err, /"from" must be a kind such as person/);
    assert.ok((await models()).length >= 6);
    assert.deepEqual(new Set(await models()), new Set(['schedule/script']));
    assert.equal(
      (await home.recorded('tool.returned')).every(({ ok }) => ok === true),
      true,
    );
    for (const { messages } of await home.recorded('turn.ended')) assert.deepEqual(messages, []);

    home.write('state.txt', 'on fire\n');
    const woken = async (): Promise<number> => (await models()).filter((name) => name === 'demo/demo').length;
    await until(async () => (await woken()) > 0, 'the agent is woken');
    const before = await finished();
    await until(async () => (await finished()) >= before + 3, 'it goes on');
    assert.equal(await woken(), 1);
    const [last] = await list(home);
    assert.equal(last?.does, 'run: scripts/probe.sh');
    await home.cli('schedules', 'pause', 'assistant/probe');
    const said = (await home.recorded('turn.ended')).filter(({ messages }) => (messages as unknown[]).length > 0);
    assert.equal(said.length, 1);
    const outcome = await home.settled(String(said[0]?.['task']));
    assert.match(outcome.text, /on fire\s+exit 1/);
    assert.match(outcome.text, /has changed since the last time/);

    // M1: an agent cannot change what another runs by the clock; the owner's saved change counts at the next firing.
    const asked = await home.ask('write scripts/probe.sh: cat /etc/passwd');
    assert.equal(asked.status, 'waiting', asked.text);
    assert.match(asked.waits[0]?.text ?? '', /^\+cat \/etc\/passwd$/m);
    await home.answer(asked.waits[0]?.id ?? '', 'deny');
    assert.equal((await home.settled(asked.task)).status, 'done');
    home.write('scripts/probe.sh', '#!/bin/sh\necho the owner says so\nexit 1\n');
    const ran = await home.cli('schedules', 'run', 'assistant/probe', '--json');
    const { task } = JSON.parse(ran.out) as { task: string };
    assert.match((await home.settled(task)).text, /the owner says so/);
  } finally {
    await home.close();
  }
});
