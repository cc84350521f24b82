import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventOf } from '../../src/core/event.ts';
import { World, problem, type Step } from './trust-kit.ts';

const first: Step = { commit: 'c1', by: 'person', rules: 'r1' };
const open = (...more: Step[]): Promise<World> => new World(first, ...more).start();

test('what stands on main at first governs: kept and on record', async () => {
  const warning = problem('odd', { severity: 'warning', line: null, key: '' });
  const w = await open({ ...first, commit: 'c2', problems: [warning] });
  assert.equal(w.trust.current().commit, 'c2');
  assert.deepEqual(w.trust.refused(), []);
  assert.deepEqual(
    (await w.events()).map(({ type, stream, actor, cause, labels, key, data }) => [
      type,
      { stream, actor, cause, labels, key, data },
    ]),
    [
      [
        'config.applied',
        { stream: 'workspace', actor: 'runtime', cause: null, labels: [], key: null, data: { commit: 'c2' } },
      ],
    ],
  );
  assert.deepEqual([w.kept, w.changes], [['c2'], []]);
  assert.deepEqual(w.told, [
    {
      level: 'info',
      fields: { commit: 'c2', agents: ['assistant'] },
      message: 'the settings of the workspace apply',
    },
    { level: 'warn', fields: { severity: 'warning' }, message: 'ruche.yaml: odd' },
  ]);
  await w.look();
  assert.deepEqual(await w.types(), ['config.applied']);
  await w.close();
});

test('a later start goes on with what governed, and tells of changes as long as somebody listens', async () => {
  const w = await open();
  await w.close();
  await w.start();
  assert.deepEqual(await w.types(), ['config.applied']);
  await w.move('c2', 'person', 'r2');
  assert.equal(w.trust.current().commit, 'c2');
  w.stopListening();
  await w.move('c3', 'person', 'r3');
  assert.equal(w.trust.current().commit, 'c3');
  assert.deepEqual([w.kept, w.changes], [['c1', 'c2', 'c3'], ['c2']]);
  await w.close();
});

test('what has moved while nothing ran is looked at as at any other time', async () => {
  for (const [by, types] of [
    ['person', ['config.applied', 'config.applied']],
    ['foreign', ['config.applied', 'config.held']],
  ] as const) {
    const w = await open();
    await w.close();
    w.main.push({ commit: 'c2', by, rules: 'r2' });
    await w.start();
    assert.deepEqual(await w.types(), types);
    await w.close();
  }
});

test('steps that leave alone what is protected are accepted from anybody, silently', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r1');
  await w.move('c3', 'landing', 'r1');
  assert.equal(w.trust.current().commit, 'c1');
  // Accepted: what they bring is not judged again with the next step.
  await w.move('c4', 'person', 'r2');
  assert.equal(w.trust.current().commit, 'c4');
  assert.deepEqual(await w.types(), ['config.applied', 'config.applied']);
  await w.close();
});

test('what a stranger brings is held, with the difference, until it is approved', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2');
  const held = (await w.last()) as EventOf<'config.held'>;
  assert.deepEqual([held.type, held.key, held.actor], ['config.held', 'asked:apr_1', 'runtime']);
  assert.deepEqual(
    { ...held.data, shown: await w.blob(held.data.shown.hash) },
    {
      commit: 'c2',
      approval: 'apr_1',
      shown: { text: '-r1 +r2' },
    },
  );
  assert.deepEqual(w.told.at(-1), {
    level: 'warn',
    fields: { commit: 'c2', approval: 'apr_1' },
    message: 'settings from outside wait for approval: ruche approve apr_1',
  });
  assert.equal(w.trust.current().commit, 'c1');
  await w.look();
  assert.equal((await w.types()).length, 2, 'asked once');
  assert.deepEqual(await w.trust.answerHeld('apr_1', 'approve', 'person:ada'), { ok: true, task: null });
  assert.equal(w.trust.current().commit, 'c2');
  const [, , answered] = await w.events();
  assert.deepEqual(
    [answered?.type, answered?.key, answered?.actor],
    ['approval.answered', 'answered:apr_1', 'person:ada'],
  );
  assert.deepEqual(answered?.data, { approval: 'apr_1', verdict: 'approve', by: 'person:ada', reason: null });
  assert.deepEqual(await w.types(), ['config.applied', 'config.held', 'approval.answered', 'config.applied']);
  await w.look();
  assert.equal((await w.types()).length, 4);
  await w.close();
});

test('a difference that cannot be shown whole says so where it is asked for', async () => {
  const w = await open();
  w.hidden = 'a part of it';
  await w.move('c2', 'foreign', 'r2');
  const held = (await w.last()) as EventOf<'config.held'>;
  assert.deepEqual(await w.blob(held.data.shown.hash), { text: '-r1 +r2', hidden: 'a part of it' });
  await w.close();
});

test('a look may be asked for without waiting for the watch, and each move is reported after its look', async () => {
  const w = await open();
  const governed: string[] = [];
  const stop = w.trust.onMoved(() => void governed.push(w.trust.current().commit));
  w.main.push({ commit: 'c2', by: 'person', rules: 'r2' });
  await w.trust.look();
  assert.equal(w.trust.current().commit, 'c2');
  assert.deepEqual(governed, []);
  await w.move('c3', 'person', 'r3');
  assert.deepEqual(governed, ['c3']);
  stop();
  await w.move('c4', 'person', 'r4');
  assert.deepEqual(governed, ['c3']);
  await w.close();
});

test('a no is remembered, over a restart too, until other settings apply', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2');
  assert.deepEqual(await w.trust.answerHeld('apr_1', 'deny', 'person:ada'), { ok: true, task: null });
  await w.look();
  await w.close();
  await w.start();
  assert.deepEqual(await w.types(), ['config.applied', 'config.held', 'approval.answered']);
  assert.equal(w.trust.current().commit, 'c1');
  await w.move('c3', 'foreign', 'r3');
  assert.equal((await w.types()).at(-1), 'config.held', 'another difference is another question');
  assert.equal((await w.types()).length, 4, 'the answered one needs no end');
  await w.close();
});

for (const restart of [false, true])
  test(`a no is forgotten once other settings have applied${restart ? ', over a restart too' : ''}`, async () => {
    const w = await open();
    await w.move('c2', 'foreign', 'r2');
    await w.trust.answerHeld('apr_1', 'deny', 'person:ada');
    await w.move('c3', 'foreign', 'r3');
    await w.trust.answerHeld('apr_2', 'approve', 'person:ada');
    await w.move('c4', 'person', 'r1');
    assert.equal(w.trust.current().commit, 'c4');
    if (restart) {
      const before = await w.types();
      await w.close();
      await w.start();
      assert.deepEqual(await w.types(), before, 'what has applied does not apply again');
    }
    await w.move('c5', 'foreign', 'r2');
    assert.equal((await w.types()).at(-1), 'config.held', 'the difference that was refused at first');
    await w.close();
  });

test('an approval of something that could not apply is none of what is held next', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2');
  w.head.problems = [problem('is gone')];
  await w.trust.answerHeld('apr_1', 'approve', 'person:ada');
  await w.move('c3', 'foreign', 'r3');
  assert.equal((await w.types()).at(-1), 'config.held');
  await w.close();
  await w.start();
  assert.equal(w.trust.current().commit, 'c1', 'nobody approved c3');
  await w.close();
});

test('what the person did after what was approved applies with it', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2');
  w.main.push({ commit: 'c3', by: 'person', rules: 'r3' });
  await w.trust.answerHeld('apr_1', 'approve', 'person:ada');
  assert.equal(w.trust.current().commit, 'c3');
  await w.close();
});

test('a stranger’s step that touches nothing protected does not hold up the person’s next', async () => {
  const w = await open();
  w.main.push({ commit: 'c2', by: 'foreign', rules: 'r1' }, { commit: 'c3', by: 'person', rules: 'r2' });
  await w.look();
  assert.equal(w.trust.current().commit, 'c3');
  await w.close();
});

test('an answer in the record to a question that is not there is passed over', async () => {
  const w = await open();
  await w.close();
  const data = { approval: 'apr_0', verdict: 'approve' as const, by: 'person:ada', reason: null };
  await w.store.commit({
    events: [{ type: 'approval.answered', stream: 'workspace', actor: 'person:ada', cause: null, labels: [], data }],
    sync: true,
  });
  await w.start();
  assert.equal(w.trust.current().commit, 'c1');
  await w.close();
});

test('answers that come twice, or to nothing, say so', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2');
  await w.trust.answerHeld('apr_1', 'deny', 'person:ada');
  assert.deepEqual(await w.trust.answerHeld('apr_1', 'approve', 'person:ada'), {
    ok: false,
    why: 'answered',
    message: 'apr_1 was already answered.',
    task: null,
    verdict: 'deny',
  });
  assert.deepEqual(await w.trust.answerHeld('apr_9', 'approve', 'person:ada'), {
    ok: false,
    why: 'unknown',
    message: 'Unknown approval "apr_9". List them with: ruche approvals.',
  });
  assert.equal(w.trust.current().commit, 'c1');
  await w.close();
});

test('a question that is overtaken is ended by the runtime, and may be asked again', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2');
  await w.move('c3', 'foreign', 'r3');
  const [, , dropped, again] = (await w.events()) as [
    unknown,
    unknown,
    EventOf<'approval.answered'>,
    EventOf<'config.held'>,
  ];
  assert.deepEqual([dropped.type, dropped.key, dropped.actor], ['approval.answered', 'answered:apr_1', 'runtime']);
  const { reason, ...data } = dropped.data;
  assert.deepEqual(data, { approval: 'apr_1', verdict: 'deny', by: 'runtime' });
  assert.deepEqual(await w.blob(reason?.hash ?? ''), { text: 'A later change replaced it.' });
  assert.deepEqual([again.data.approval, again.data.commit], ['apr_2', 'c3']);
  await w.close();
  await w.start();
  await w.move('c4', 'foreign', 'r2');
  assert.deepEqual((await w.types()).slice(4), ['approval.answered', 'config.held'], 'nobody had said no to r2');
  await w.close();
});

test('settings that apply end the question, and so does going back', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2');
  await w.move('c3', 'foreign', 'r1');
  assert.deepEqual(await w.types(), ['config.applied', 'config.held', 'approval.answered']);
  await w.move('c4', 'foreign', 'r1');
  assert.equal((await w.types()).length, 3);
  await w.move('c5', 'foreign', 'r3');
  assert.deepEqual((await w.types()).slice(3), ['config.held']);
  // The person takes the stranger's work as it is now, with something of their own: still the stranger's.
  await w.move('c6', 'person', 'r4');
  assert.equal(w.trust.current().commit, 'c1');
  await w.trust.answerHeld('apr_3', 'approve', 'person:ada');
  assert.equal(w.trust.current().commit, 'c6');
  await w.move('c7', 'person', 'r5');
  assert.equal(w.trust.current().commit, 'c7', 'judged from what was approved');
  await w.close();
});

test('an approval is for what was shown: what came since is asked for anew', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2');
  w.main.push({ commit: 'c3', by: 'foreign', rules: 'r3' });
  await w.trust.answerHeld('apr_1', 'approve', 'person:ada');
  assert.equal(w.trust.current().commit, 'c2');
  const held = (await w.last()) as EventOf<'config.held'>;
  assert.deepEqual(await w.blob(held.data.shown.hash), { text: '-r2 +r3' });
  await w.close();
});

test('approved, and the process died before it applied: it applies at the start', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2');
  await w.close();
  const data = { approval: 'apr_1', verdict: 'approve' as const, by: 'person:ada', reason: null };
  await w.store.commit({
    events: [
      {
        type: 'approval.answered',
        stream: 'workspace',
        actor: 'person:ada',
        cause: null,
        labels: [],
        data: { ...data, approval: 'apr_0' },
      },
    ],
    sync: true,
  });
  await w.start();
  assert.equal(w.trust.current().commit, 'c1', 'an answer to another question');
  await w.close();
  await w.store.commit({
    events: [{ type: 'approval.answered', stream: 'workspace', actor: 'person:ada', cause: null, labels: [], data }],
    sync: true,
  });
  await w.start();
  assert.equal(w.trust.current().commit, 'c2');
  assert.equal((await w.types()).at(-1), 'config.applied');
  await w.close();
});

test('what was approved and cannot be read any more is refused', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2');
  w.head.problems = [problem('is gone')];
  await w.trust.answerHeld('apr_1', 'approve', 'person:ada');
  assert.equal(w.trust.current().commit, 'c1');
  assert.deepEqual((await w.last()).type, 'config.refused');
  await w.close();
});

test('a landing tells of itself, or is held like a stranger’s after two seconds', async () => {
  const w = await open();
  await w.move('c2', 'landing', 'r2');
  assert.deepEqual(await w.types(), ['config.applied']);
  await w.trust.applyLanded('c2');
  assert.equal(w.trust.current().commit, 'c2');
  await w.move('c3', 'landing', 'r3');
  await w.clock.pass(1_999);
  await w.look();
  assert.equal((await w.types()).length, 2, 'it may still tell');
  await w.clock.pass(1);
  assert.equal((await w.types()).at(-1), 'config.held');
  await w.trust.applyLanded('c3');
  assert.equal(w.trust.current().commit, 'c3', 'late, and yet approved');
  assert.deepEqual((await w.types()).slice(2), ['config.held', 'approval.answered', 'config.applied']);
  await w.move('c4', 'foreign', 'r4');
  assert.deepEqual((await w.types()).slice(5), ['config.held'], 'the question has been ended once');
  assert.equal(w.clock.sleeping, 0);
  await w.close();
});

test('among several steps a stranger’s decides, then a landing’s that waits', async () => {
  const w = await open();
  w.main.push({ commit: 'c2', by: 'landing', rules: 'r2' }, { commit: 'c3', by: 'person', rules: 'r3' });
  await w.look();
  assert.deepEqual(await w.types(), ['config.applied'], 'the landing may still tell');
  w.main.push({ commit: 'c4', by: 'foreign', rules: 'r4' });
  await w.look();
  assert.deepEqual(await w.types(), ['config.applied', 'config.held']);
  await w.close();
});

test('two landings: the one that told does not speak for the other', async () => {
  const w = await open();
  w.main.push({ commit: 'c2', by: 'landing', rules: 'r2' }, { commit: 'c3', by: 'landing', rules: 'r3' });
  await w.trust.applyLanded('c2');
  assert.equal(w.trust.current().commit, 'c1');
  await w.trust.applyLanded('c3');
  assert.equal(w.trust.current().commit, 'c3');
  await w.close();
});

test('closing while a landing may still tell leaves nothing asleep and nothing told', async () => {
  const w = await open();
  await w.move('c2', 'landing', 'r2');
  assert.equal(w.clock.sleeping, 1);
  const told = w.told.length;
  await w.close();
  assert.deepEqual([w.clock.sleeping, w.told.length], [0, told]);
});

test('a look that fails after the wait is reported', async () => {
  const w = await open();
  await w.move('c2', 'landing', 'r2');
  const { head } = w;
  w.main.pop();
  Object.defineProperty(w, 'head', { get: () => assert.fail('no repository'), configurable: true });
  await w.clock.pass(2_000);
  assert.deepEqual(w.told.at(-1), {
    level: 'error',
    fields: { error: 'AssertionError [ERR_ASSERTION]: no repository' },
    message: 'a landing could not be looked at again',
  });
  Object.defineProperty(w, 'head', { value: head });
  await w.close();
});

test('main that moves while it is looked at is left to the next look', async () => {
  const w = new World(first, { commit: 'c2', by: 'person', rules: 'r2' });
  w.main.pop();
  let late = true;
  await w.start({
    watch: {
      begin: () => Promise.resolve(),
      run: (_on, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
      moves: (since) =>
        Promise.resolve([
          { from: since, to: 'c2', by: 'person' },
          ...(late ? [{ from: 'c2', to: 'c3', by: 'person' as const }] : []),
        ]),
    },
  });
  w.main.push({ commit: 'c2', by: 'person', rules: 'r2' });
  await w.trust.applyLanded('c9');
  assert.equal(w.trust.current().commit, 'c1');
  late = false;
  await w.trust.applyLanded('c9');
  assert.equal(w.trust.current().commit, 'c2');
  await w.close();
});

test('what is committed and not valid is refused once, with its lines, and the old stays', async () => {
  const w = await open();
  const problems = [
    problem('is wrong'),
    problem('is odd', { severity: 'warning' }),
    problem('ends early', { file: 'agents/a/AGENT.md', line: null, key: '' }),
  ];
  await w.move('c2', 'person', 'r2', problems);
  assert.equal(w.trust.current().commit, 'c1');
  const refused = (await w.last()) as EventOf<'config.refused'>;
  const text = 'ruche.yaml:3: models is wrong\nruche.yaml:3: models is odd\nagents/a/AGENT.md: ends early';
  assert.deepEqual(
    { ...refused.data, detail: await w.blob(refused.data.detail.hash) },
    {
      commit: 'c2',
      problems: 2,
      detail: { what: 'main', text, problems },
    },
  );
  assert.deepEqual(
    w.told.slice(1).map(({ level, fields, message }) => [level, fields, message]),
    [
      ['warn', {}, 'ruche.yaml:3: models is wrong (the settings before it stay in force)'],
      ['warn', {}, 'agents/a/AGENT.md: ends early (the settings before it stay in force)'],
    ],
  );
  assert.deepEqual(
    w.trust.refused().map(({ message }) => message),
    ['is wrong', 'ends early'],
  );
  await w.look();
  await w.close();
  await w.start();
  assert.deepEqual(await w.types(), ['config.applied', 'config.refused'], 'not told twice, over a restart either');
  await w.move('c3', 'person', 'r3', [problem('is worse')]);
  assert.equal((await w.types()).length, 3);
  await w.move('c4', 'person', 'r4');
  assert.equal(w.trust.current().commit, 'c4');
  assert.deepEqual(w.trust.refused(), []);
  await w.move('c5', 'person', 'r5', problems);
  await w.move('c6', 'person', 'r6');
  const before = (await w.types()).length;
  await w.move('c7', 'person', 'r7', problems);
  assert.deepEqual((await w.types()).slice(before), ['config.refused'], 'told again after other settings applied');
  await w.close();
});

test('going back from what was refused leaves nothing refused', async () => {
  const w = await open();
  await w.move('c2', 'person', 'r2', [problem('is wrong')]);
  await w.move('c3', 'person', 'r1');
  assert.deepEqual(w.trust.refused(), []);
  assert.deepEqual(await w.types(), ['config.applied', 'config.refused']);
  await w.close();
});

test('what a stranger brings and is not valid is refused, not asked for', async () => {
  const w = await open();
  await w.move('c2', 'foreign', 'r2', [problem('is wrong')]);
  assert.deepEqual(await w.types(), ['config.applied', 'config.refused']);
  assert.equal(w.trust.refused().length, 1);
  await w.close();
});

test('an erased refusal is told again, and harms nobody', async () => {
  const w = await open();
  await w.move('c2', 'person', 'r2', [problem('is wrong')]);
  await w.close();
  await w.store.erase('workspace');
  await w.start();
  assert.deepEqual(await w.types(), ['config.applied', 'config.refused', 'config.refused']);
  await w.close();
});
