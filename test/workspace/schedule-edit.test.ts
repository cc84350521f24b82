import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../src/core/text/json.ts';
import { frontMatter } from '../../src/config/agent.ts';
import { editSchedules } from '../../src/config/schedule-edit.ts';

const NEW = { name: 'digest', cron: '15 8 * * 1-5', task: "Write today's digest: all of it" };
const LINE = `{ name: digest, cron: 15 8 * * 1-5, task: "Write today's digest: all of it" }`;

const file = (front: string): string => `---\n${front}---\nYou help.\n\n---\nThe end: [ {\n`;
const create = (front: string, entry: { [key: string]: Json } = NEW): string => {
  const edited = editSchedules(file(front), { create: entry, remove: null });
  assert.ok(edited.ok, JSON.stringify(edited));
  return edited.text;
};

test('a line is put in, and nothing else of the file is touched', () => {
  const cases: [front: string, after: string][] = [
    ['', `schedules:\n  - ${LINE}\n`],
    ['description: x # why\n', `description: x # why\nschedules:\n  - ${LINE}\n`],
    [
      "# top\nmodel:   'light'\nschedules: # ours\n    # the first\n    - { name: a,\n        every: 1h, task: x } # never\n    # after\n# end\ntools: [read]\n",
      `# top\nmodel:   'light'\nschedules: # ours\n    # the first\n    - { name: a,\n        every: 1h, task: x } # never\n    - ${LINE}\n    # after\n# end\ntools: [read]\n`,
    ],
    [
      'schedules:\n- name: a\n  every: 1h\n  task: |\n    one\n    two\n\nmodel: light\n',
      `schedules:\n- name: a\n  every: 1h\n  task: |\n    one\n    two\n- ${LINE}\n\nmodel: light\n`,
    ],
    ['schedules: [] # none yet\nmodel: light\n', `schedules: # none yet\n  - ${LINE}\nmodel: light\n`],
    ['schedules:\nmodel: light\n', `schedules:\n  - ${LINE}\nmodel: light\n`],
  ];
  for (const [front, after] of cases) assert.equal(create(front), file(after));
});

test('a list in brackets keeps its comments', () => {
  const text = create('# top\nschedules: [{ name: a, every: 1h, task: x }] # side\nmodel: light # why\n');
  for (const kept of ['# top', '# side', 'model: light # why', 'You help.']) assert.ok(text.includes(kept), kept);
  assert.deepEqual(frontMatter(text)?.['schedules'], [{ name: 'a', every: '1h', task: 'x' }, NEW]);
});

test('one is taken out, the last one with its key', () => {
  const front =
    '# top\nschedules:\n  # first\n  - { name: a, every: 1h, task: x }\n  - name: b\n    every: 1h\n    task: y\nmodel: light\n';
  const remove = (text: string, name: string): string => {
    const edited = editSchedules(text, { create: null, remove: name });
    assert.ok(edited.ok, JSON.stringify(edited));
    return edited.text;
  };
  const one = remove(file(front), 'b');
  assert.equal(one, file('# top\nschedules:\n  # first\n  - { name: a, every: 1h, task: x }\nmodel: light\n'));
  assert.equal(remove(one, 'a'), file('# top\nmodel: light\n'));
  const both = editSchedules(file(front), { create: { ...NEW, name: 'a' }, remove: 'a' });
  assert.ok(both.ok);
  assert.deepEqual(
    ((frontMatter(both.text)?.['schedules'] ?? []) as { name: string }[]).map(({ name }) => name),
    ['b', 'a'],
  );
});

test('line ends and a byte order mark stay', () => {
  const text = `\uFEFF${file('model: light\n')}`.replaceAll('\n', '\r\n');
  const edited = editSchedules(text, { create: NEW, remove: null });
  assert.ok(edited.ok);
  assert.equal(edited.text, `\uFEFF${file(`model: light\nschedules:\n  - ${LINE}\n`)}`.replaceAll('\n', '\r\n'));
});

test('a name twice, one that is not there, and a file that cannot be read are refused in words', () => {
  const one = file('schedules:\n  - { name: digest, every: 1h, task: x }\n');
  const error = (text: string, change: Parameters<typeof editSchedules>[1]): string => {
    const edited = editSchedules(text, change);
    return edited.ok ? 'fine' : edited.error;
  };
  assert.match(error(one, { create: NEW, remove: null }), /a schedule "digest" already/);
  assert.match(error(one, { create: null, remove: 'x' }), /no schedule "x"; there are: digest/);
  assert.match(error(file(''), { create: null, remove: 'x' }), /there are none/);
  for (const bad of ['You help.', '---\nmodel: light\n', file('model: [\n'), file('- a\n'), file('schedules: soon\n')])
    assert.notEqual(error(bad, { create: NEW, remove: null }), 'fine', bad);
});

test('whatever the texts are, the file then says just that', () => {
  let tried = 0;
  const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((text) => text.isWellFormed());
  fc.assert(
    fc.property(fc.array(word, { maxLength: 4 }), word, fc.boolean(), (tasks, task, flow) => {
      const before = tasks.map((each, index) => ({ name: `n${index}`, every: '1h', task: each }));
      const list = before.map((each) => `  - ${JSON.stringify(each)}\n`).join('');
      const front = flow ? `schedules: ${JSON.stringify(before)}\n# end\n` : `# top\nschedules:\n${list}# end\n`;
      const text = create(front, { ...NEW, task });
      assert.deepEqual(frontMatter(text)?.['schedules'], [...before, { ...NEW, task }]);
      assert.ok(text.includes('# end\n') && text.endsWith('---\nYou help.\n\n---\nThe end: [ {\n'));
      tried += 1;
    }),
    { numRuns: 100 },
  );
  assert.equal(tried, 100);
});
