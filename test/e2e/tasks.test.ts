import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AGENT, Home } from '../fakes/home.ts';

let home: Home;
before(async () => {
  const names = ['billing', 'writing', 'system'];
  home = new Home({
    files: {
      ...Object.fromEntries(names.map((name) => [`agents/${name}/AGENT.md`, AGENT])),
      'ruche.yaml': 'queues:\n  billing: { concurrency: 2 }\n',
      '.gitignore': 'tasks/\n',
      'shared/rates.md': 'one\n',
    },
  });
  await home.start();
});
after(() => home.close());

test('an order within an order: two tasks, commits by both agents, one answer with both results', async () => {
  const order =
    'write shared/blog/move.md: We host ourselves now, then ask writing to: write shared/blog/post.md: draft, then ask system to: list the files';
  const { code, out, err } = await home.cli('ask', 'billing', order);
  assert.equal(code, 0, err);
  assert.match(out, /write shared\/blog\/move\.md/);
  assert.match(out, /ask writing:[^]*write shared\/blog\/post\.md[^]*ask system:[^]*shared\//);
  assert.equal(home.read('shared/blog/move.md'), 'We host ourselves now');
  assert.equal(home.read('shared/blog/post.md'), 'draft');
  assert.equal(home.git('log', '-1', '--format=%an', '--', 'shared/blog/move.md').trim(), 'billing');
  assert.equal(home.git('log', '-1', '--format=%an', '--', 'shared/blog/post.md').trim(), 'writing');
  const created = await home.events('task.created');
  assert.deepEqual(
    created.map(({ data }) => data['to']),
    ['writing', 'system'],
  );
  assert.deepEqual((await home.verify()).findings, []);
});

test('what is handed over is read as it was meant, whatever landed since', async () => {
  const order = 'write shared/plan.md: first, then ask writing with shared/plan.md to: ask me: go on?';
  const outcome = await home.ask(order, 'hand', 'billing');
  assert.equal(outcome.status, 'waiting', outcome.text);
  assert.equal(outcome.waits[0]?.agent, 'writing');
  assert.equal(home.read('shared/plan.md'), 'first', 'it has landed before it was handed over');
  await home.ask('write shared/plan.md: second', 'other', 'system');
  await home.api(`/api/questions/${outcome.waits[0]?.id}`, { text: 'yes' });
  const end = await home.settled(outcome.task);
  assert.equal(end.status, 'done', end.text);
  assert.match(end.text, /answered: yes/);
});
