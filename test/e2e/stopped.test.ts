import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

const FILES = {
  'ruche.yaml': '',
  'agents/assistant/AGENT.md': AGENT,
  'agents/helper/AGENT.md': AGENT,
};

const started = (home: Home): Promise<unknown> =>
  until(async () => (await home.recorded('tool.started')).some(({ tool }) => tool === 'shell'), 'its command');

test('a deny that is saved while nothing runs holds for the run that was killed', async () => {
  const home = await Home.up({ files: FILES });
  try {
    const task = await home.say('run: sleep 1.5, then write contracts/late.md: signed');
    await started(home);
    await home.end('SIGKILL');
    home.write(
      'ruche.yaml',
      'policy:\n  rules:\n    - { id: late, deny: { path: "contracts/**" }, reason: "No contracts now." }\n',
    );
    await home.start();
    assert.match((await home.settled(task)).text, /No contracts now/);
    assert.ok(!home.exists('contracts/late.md'));
    const decided = (await home.events('decision.made')).map(({ data }) => data['rule']);
    assert.ok(decided.includes('late'), JSON.stringify(decided));
    const order = (await home.events('config.applied', 'gateway.started')).map(({ type }) => type);
    assert.deepEqual(order.slice(-2), ['config.applied', 'gateway.started'], 'before anything is taken up');
  } finally {
    await home.close();
  }
});

test('agents are paused and resumed without a running gateway, and up --paused takes up nothing', async () => {
  const home = await Home.up({ files: FILES });
  try {
    const task = await home.say('run: sleep 1.5, then write after.md: done');
    await started(home);
    await home.end('SIGKILL');
    const paused = await home.cli('agents', 'pause', 'assistant', '--reason', 'It is to stop.');
    assert.deepEqual(
      [paused.code, paused.out],
      [0, 'assistant is paused: the next start takes up none of its work.\n'],
    );
    assert.match((await home.cli('agents', 'pause', 'assistnt')).err, /Unknown agent "assistnt".*"assistant"/);
    await home.start();
    assert.match((await home.cli('agents')).out, /assistant +paused for .* by owner: It is to stop\./);
    assert.match((await home.ask('write other.md: yes', undefined, 'helper')).text, /other\.md/, 'others go on');
    assert.equal((await home.status()).tasks.running, 0);
    await home.end('SIGKILL');
    assert.equal((await home.cli('agents', 'resume', 'assistant')).out, 'assistant is resumed, from the next start.\n');

    await home.start('--paused');
    assert.match(home.out, /Paused +every agent; go on with "ruche agents resume NAME --home \S+", or --all/);
    // An agent that is added while all are paused waits for the person, too.
    home.write('agents/third/AGENT.md', AGENT);
    await until(async () => /third +paused/.test((await home.cli('agents')).out), 'the new agent is paused');
    assert.ok(!home.exists('after.md'));
    const resumed = await home.cli('agents', 'resume', '--all');
    assert.equal(resumed.out, 'assistant is resumed.\nhelper is resumed.\nthird is resumed.\n');
    assert.equal((await home.settled(task)).status, 'done');
    assert.equal(home.read('after.md'), 'done');
    assert.deepEqual((await home.verify()).findings, []);
  } finally {
    await home.close();
  }
});

test('on another branch and in the middle of a rebase, status and doctor say that saved rules wait, and why', async () => {
  const home = await Home.up({ files: FILES });
  try {
    home.git('checkout', '-q', '-b', 'other');
    home.write('ruche.yaml', 'policy:\n  rules:\n    - { id: late, deny: { tool: write }, reason: "Not now." }\n');
    const waits = /not in force yet: the workspace is on the branch "other"\. Go back with "git checkout main"/;
    for (const command of ['status', 'doctor']) assert.match((await home.cli(command)).out, waits);
    await home.end('SIGKILL');
    assert.match((await home.cli('doctor')).out, waits, 'without a gateway, too');
    home.git('add', '-A');
    home.commit('theirs');
    home.git('checkout', '-q', 'main');
    home.write('ruche.yaml', 'policy:\n  rules:\n    - { id: mine, deny: { tool: shell }, reason: "Mine." }\n');
    home.git('add', '-A');
    home.commit('mine');
    assert.throws(() => home.git('-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', 'rebase', 'other'));
    await home.start();
    assert.match(
      (await home.cli('status')).out,
      /not in force yet: the workspace is in the middle of "git rebase"\. Finish it with "git rebase --continue"/,
    );
    home.git('rebase', '--abort');
    rmSync(home.path('agents/helper'), { recursive: true });
    await until(async () => !/in force yet/.test((await home.cli('status')).out), 'the warning is gone');
  } finally {
    await home.close();
  }
});
