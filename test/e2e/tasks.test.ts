import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFileSync, readdirSync } from 'node:fs';
import { AGENT, Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

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

test('a file in an inbox becomes a task once; a bad one is put aside with why; an edited view is put back', async () => {
  const order = JSON.stringify({ text: 'append filed.md: once;', priority: 2 });
  home.write('tasks/system/inbox/order.json', order);
  home.write('tasks/system/inbox/bad.json', '{"text":');
  home.write('tasks/system/inbox/wrong.json', JSON.stringify({ text: 'x', urgency: 1 }));
  home.write('tasks/nobody/inbox/lost.json', order);
  await until(() => home.exists('filed.md') && !home.exists('tasks/system/inbox/order.json'), 'it ran');
  await until(() => home.exists('tasks/nobody/rejected/lost.json'), 'they are put aside');
  const why = (path: string): string => home.read(`tasks/${path}.reason.txt`);
  assert.match(why('system/rejected/bad.json'), /not valid JSON/);
  assert.match(why('system/rejected/wrong.json'), /There is no key "urgency"/);
  assert.match(why('nobody/rejected/lost.json'), /no agent "nobody"/);
  home.write('tasks/system/inbox/order.json', order);
  await until(() => !home.exists('tasks/system/inbox/order.json'), 'it is known');
  assert.equal(home.read('filed.md'), 'once;');
  const shown = readdirSync(home.path('tasks/system')).filter((name) => name.endsWith('.json'));
  const views = shown.map((name) => ({ name, text: readFileSync(home.path(`tasks/system/${name}`), 'utf8') }));
  const view = views.find(({ text }) => text.includes('filed.md'));
  assert.ok(view);
  await until(() => home.read(`tasks/system/${view.name}`).includes('"status": "done"'), 'the view says so');
  const before = home.read(`tasks/system/${view.name}`);
  assert.match(before, /"from": "file:order\.json"[^]*"priority": 2[^]*"result": "append filed\.md/);
  home.write(`tasks/system/${view.name}`, '{}');
  await until(() => home.read(`tasks/system/${view.name}`) === before, 'it is put back');
  assert.equal((await home.events('task.restored')).length, 1);
  assert.equal((await home.events('task.rejected')).length, 3);
  assert.equal(home.git('status', '--porcelain').trim(), '');
});
