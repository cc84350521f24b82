import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentText } from '../../src/cli/agents.ts';
import { ApiError } from '../../src/cli/http.ts';
import { ofKind } from '../../src/cli/unknown.ts';
import { echo } from '../gateway/help.ts';
import { withDesk } from './help.ts';

test('agents lists them, pauses one with a reason, and resumes it', () =>
  withDesk(echo, async (desk) => {
    assert.equal(await desk.ruche('agents'), 0, desk.err());
    const [name = ''] = desk.runtime.state.agents;
    assert.match(desk.out(), new RegExp(`^${name} +idle\\n`, 'm'));
    assert.match(desk.out(), /today 0\.5000 USD/);
    assert.equal(
      await desk.ruche('agents', 'pause', name, '--reason', 'It spends too much.'),
      0,
      desk.err() + desk.out(),
    );
    assert.match(desk.out(), new RegExp(`${name} is paused. Its run stops at the next step`));
    assert.equal(await desk.ruche('agents', 'pause', name), 0);
    assert.match(desk.out(), /is already paused/);
    assert.equal(await desk.ruche('agents'), 0);
    assert.match(desk.out(), /paused for .* by owner: It spends too much\./);
    assert.equal(await desk.ruche('agents', 'resume', name), 0);
    assert.match(desk.out(), /is resumed/);
    assert.equal(await desk.ruche('agents', 'pause', 'nobody'), 1);
    assert.match(desk.err(), /Unknown agent "nobody"/);
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
    assert.match(desk.err(), /Unknown action "fire"\. Known: list, pause, resume\./);
    assert.equal(await desk.ruche('agents', 'pause'), 1);
  }));

test('a line of an agent: working, last run, cost', () => {
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
    'email          working\n    2 running, 1 queued, 3 waiting; last run 2 min ago (done); cost today 0.1235 USD; a/b\n    Reads mail.',
  );
  assert.match(agentText({ ...state, costTodayUsd: 0, unpricedToday: true }, 0), /; cost today unknown; a\/b/);
  assert.match(
    agentText({ ...state, costTodayUsd: 0.5, unpricedToday: true }, 0),
    /; cost today at least 0\.5000 USD;/,
  );
  assert.match(agentText({ ...state, later: 1 }, 120_000), /2 running, 1 queued \(1 for later\), 3 waiting/);
  assert.match(agentText({ ...state, nextFiring: 300_000 }, 120_000), /no run yet; next firing in 3 min; cost today/);
});

test('what there is none of is said in words of the command line', () =>
  withDesk(echo, async (desk) => {
    const wrong: [words: string[], said: RegExp][] = [
      [
        ['schedules', 'pause', 'system'],
        /Invalid schedule "system"\. Give AGENT\/NAME\. List them with: ruche schedules\./,
      ],
      [['schedules', 'run', 'system/nope'], /Unknown schedule "system\/nope"\. List them with: ruche schedules\./],
      [
        ['triggers', 'run', 'calendar/contrct'],
        /Unknown trigger "calendar\/contrct"\..* List them with: ruche triggers\./,
      ],
      [['escalations', 'ack', 'esc_nope'], /Unknown escalation "esc_nope"\. List them with: ruche escalations\./],
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
      /Did you mean "calendar\/contract"\? List them/,
    );
  }));
