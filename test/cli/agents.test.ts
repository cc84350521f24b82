import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentText } from '../../src/cli/agents.ts';
import { ApiError } from '../../src/cli/http.ts';
import { ofKind } from '../../src/cli/unknown.ts';
import { withDesk } from './help.ts';

const echo = async function* () {} as never;

test('agents lists them, pauses one with a reason, and resumes it', () =>
  withDesk(echo, async (desk) => {
    assert.equal(await desk.ruche('agents'), 0, desk.err());
    const [name = ''] = desk.runtime.state.agents;
    assert.match(desk.out(), new RegExp(`^${name} +free\\n`, 'm'));
    assert.match(desk.out(), /today 0\.5000 USD/);
    assert.equal(
      await desk.ruche('agents', 'pause', name, '--reason', 'It spends too much.'),
      0,
      desk.err() + desk.out(),
    );
    assert.match(desk.out(), new RegExp(`${name} is paused: what it does stops at the next step`));
    assert.equal(await desk.ruche('agents', 'pause', name), 0);
    assert.match(desk.out(), /is paused already/);
    assert.equal(await desk.ruche('agents'), 0);
    assert.match(desk.out(), /paused for .* by owner: It spends too much\./);
    assert.equal(await desk.ruche('agents', 'resume', name), 0);
    assert.match(desk.out(), /works again/);
    assert.equal(await desk.ruche('agents', 'pause', 'nobody'), 1);
    assert.match(desk.err(), /There is no agent "nobody"/);
    for (const line of [
      ['agents', 'pause'],
      ['tasks', '--agent'],
    ]) {
      assert.equal(await desk.ruche(...line, `${name.slice(0, -2)}${name.slice(-1)}`), 1);
      assert.match(desk.err(), new RegExp(`Did you mean "${name}"\\?[^]*$`));
    }
    assert.equal(await desk.ruche('ask', name, 'list', 'the', 'files'), 1);
    assert.match(desk.err(), new RegExp(`Put the text in quotes: ruche ask ${name} "list the files"`));
    assert.equal(await desk.ruche('--help'), 0);
    assert.match(desk.out(), /^ +ask \[options\] \[agent\] <text> /m);
    assert.equal(await desk.ruche('agents', 'fire', name), 1);
    assert.match(desk.err(), /There is no "agents fire"\. There are: list, pause, resume\./);
    assert.equal(await desk.ruche('agents', 'pause'), 1);
  }));

test('a line of an agent: at work, last run, cost', () => {
  const state = {
    name: 'email',
    description: 'Reads\nmail.',
    models: ['a/b'],
    queued: 1,
    running: 2,
    waiting: 3,
    nextFiring: null,
  };
  const lastRun = { run: 'run_1', task: 'tsk_1', at: 0, status: 'done' as const };
  assert.equal(
    agentText({ ...state, lastRun, costTodayUsd: 0.12345 }, 120_000),
    'email          at work\n    2 running, 1 queued, 3 waiting; last run 2 min ago (done); today 0.1235 USD; a/b\n    Reads mail.',
  );
  assert.match(agentText({ ...state, later: 1 }, 120_000), /2 running, 1 queued \(1 for later\), 3 waiting/);
  assert.match(agentText({ ...state, nextFiring: 300_000 }, 120_000), /no run yet; next firing in 3 min; today/);
});

test('what there is none of is said in words of the command line', () =>
  withDesk(echo, async (desk) => {
    const wrong: [words: string[], said: RegExp][] = [
      [
        ['schedules', 'pause', 'system'],
        /"system" names no schedule: write AGENT\/NAME\. `ruche schedules` lists them\./,
      ],
      [['schedules', 'run', 'system/nope'], /There is no schedule "system\/nope"\. `ruche schedules` lists them\./],
      [
        ['triggers', 'run', 'calendar/contrct'],
        /There is no trigger "calendar\/contrct"\. `ruche triggers` lists them\./,
      ],
      [['escalations', 'ack', 'esc_nope'], /There is no escalation "esc_nope"\. `ruche escalations` lists them\./],
    ];
    for (const [words, said] of wrong) {
      assert.equal(await desk.ruche(...words), 1);
      assert.match(desk.err(), said);
    }
    assert.doesNotMatch(desk.err(), /GET|HTTP/);
    const call = <T>(path: string): Promise<T> =>
      path.endsWith('/run')
        ? Promise.reject(new ApiError(404, 'unknown_trigger', 'none'))
        : Promise.resolve({ triggers: [{ id: 'calendar/contract' }] } as T);
    await assert.rejects(
      ofKind({ io: { self: 'ruche' }, call }, 'trigger', 'calendar/contrct', () => call('x/run')),
      /lists them\. Did you mean "calendar\/contract"\?/,
    );
  }));
