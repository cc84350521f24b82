import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { BlobRef } from '../../src/core/blob.ts';
import type { Event, NewEvent } from '../../src/core/event.ts';
import type { JournalLine } from '../../src/core/ports/journal.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { groupOf, journalLine, logLine } from '../../src/journal/format.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { collect, commit, random } from '../store/kit.ts';
import { HandClock } from '../scheduler/worker-kit.ts';

const open = (): Store => openMemoryStore({ clock: new HandClock(), random });
const put = (store: Store, text: string | Uint8Array, subject = 's'): BlobRef =>
  store.putBlob(Buffer.from(text), subject);

const event = (type: string, data: object, more: object = {}): NewEvent =>
  ({ type, data, stream: 'run:run_1', actor: 'agent:assistant', cause: null, labels: [], ...more }) as NewEvent;
const noted = (note: BlobRef, more: object = {}): NewEvent => event('note.added', { note }, more);

async function linesOf(store: Store, ...events: NewEvent[]): Promise<JournalLine[]> {
  const result = await commit(store, events);
  assert.ok(result.ok);
  const rows = await collect(store.rows());
  return Promise.all(rows.map((row) => journalLine(row, store)));
}

const dataOf = (line: JournalLine | undefined): Record<string, unknown> =>
  (JSON.parse(line?.json ?? '') as { data: Record<string, unknown> }).data;

test('a line is the event’s columns in this order, with the time in words', async () => {
  const store = open();
  const [line] = await linesOf(
    store,
    event(
      'gateway.stopped',
      { reason: 'asked' },
      { stream: 'gateway', actor: 'runtime', key: 'k', labels: ['private'] },
    ),
  );
  const [row] = await collect(store.rows());
  assert.deepEqual(JSON.parse(line?.json ?? ''), {
    seq: 1,
    id: 'evt_1',
    time: '1970-01-01T00:16:40.000Z',
    at: 1_000_000,
    type: 'gateway.stopped',
    actor: 'runtime',
    stream: 'gateway',
    version: 1,
    cause: null,
    labels: ['private'],
    key: 'k',
    schema: 2,
    data: { reason: 'asked' },
    hash: row?.hash,
  });
  assert.deepEqual(
    { ...line, json: '' },
    {
      seq: 1,
      at: 1_000_000,
      actor: 'runtime',
      group: 'gateway',
      run: false,
      weighty: true,
      subject: 'ruche: stopped: asked',
      json: '',
    },
  );
});

test('content stands beside its hash: as JSON, as text, cut with its hash, or as erased', async () => {
  const store = open();
  const long = `${'x'.repeat(3_999)}🐝${'y'.repeat(10)}`;
  const exact = 'z'.repeat(4_000);
  const gone = put(store, 'gone', 'other');
  const rows: [ref: BlobRef, fields: object][] = [
    [put(store, '{"a":[1]}'), { content: { a: [1] } }],
    [put(store, 'plain'), { text: 'plain' }],
    [put(store, exact), { text: exact }],
    [
      put(store, long),
      { text: `${'x'.repeat(3_999)}\ufffd`, left: 11, sha256: createHash('sha256').update(long).digest('hex') },
    ],
    [put(store, new Uint8Array([0xff, 0x41])), { text: '\ufffdA' }],
    [gone, { erased: true }],
  ];
  await store.erase('other');
  const lines = await linesOf(store, ...rows.map(([ref]) => noted(ref)));
  assert.equal(lines.length, rows.length);
  for (const [index, [ref, fields]] of rows.entries())
    assert.deepEqual(dataOf(lines[index]), { note: { ...ref, ...fields } });
});

test('references are found in lists and in what lies within', async () => {
  const store = open();
  const [one, two] = [put(store, '"one"'), put(store, '"two"')];
  const [line] = await linesOf(
    store,
    event('history.given', { messages: [one, two, one], deep: { er: [null, { one }] }, hash: 'no reference' }),
  );
  const [first, second] = [
    { ...one, content: 'one' },
    { ...two, content: 'two' },
  ];
  assert.deepEqual(dataOf(line), {
    messages: [first, second, first],
    deep: { er: [null, { one: first }] },
    hash: 'no reference',
  });
});

test('each blob is read once', async () => {
  const store = open();
  const ref = put(store, '"one"');
  await commit(store, [event('history.given', { messages: [ref, ref, ref] })]);
  let reads = 0;
  for (const row of await collect(store.rows()))
    await journalLine(row, { getBlob: (wanted) => ((reads += 1), store.getBlob(wanted)) });
  assert.equal(reads, 1);
});

test('what stands in other lines is not repeated, and what is withheld is not read', async () => {
  const store = open();
  const ref = put(store, '"said"');
  const other = put(store, '"shown"');
  const repeated: [type: string, field: string][] = [
    ['model.called', 'request'],
    ['turn.ended', 'messages'],
    ['task.finished', 'result'],
    ['landing.started', 'message'],
  ];
  const usual = { provider: 'p', model: 'm', task: 't', status: 'done', paths: 1 };
  const lines = await linesOf(
    store,
    ...repeated.map(([type, field]) => event(type, { ...usual, [field]: ref, other })),
    noted(ref, { labels: ['private'] }),
    noted(ref, { labels: ['untrusted'] }),
    event('tool.returned', { tool: 'x', ok: true, ms: 1, labels: ['private'], result: ref }),
    event('note.added', { note: ref, labels: ['private'] }),
  );
  for (const [index, [, field]] of repeated.entries())
    assert.deepEqual(dataOf(lines[index]), { ...usual, [field]: ref, other: { ...other, content: 'shown' } });
  for (const index of [4, 5]) assert.deepEqual(dataOf(lines[index]), { note: ref });
  assert.deepEqual(dataOf(lines[6])['result'], ref);
  assert.deepEqual(dataOf(lines[7])['note'], { ...ref, content: 'said' }, 'only a tool’s own labels are data');
});

test('subjects: who, what, in a hundred characters on one line', async () => {
  const store = open();
  const question = (text: string, more: object = {}): NewEvent =>
    event('question.asked', { question: 'q', call: 'c', doubt: false, text: put(store, text) }, more);
  const lines = await linesOf(
    store,
    question('a\n\n b\u0007'),
    question('x'.repeat(300)),
    question(`${'x'.repeat(76)}🐝${'x'.repeat(50)}`),
    question('hi', { actor: 'person:eve:two' }),
    event('note.added', { note: put(store, '"light"') }),
    event('gateway.stopped', { reason: `${'x'.repeat(80)} \n` }),
    event('gateway.stopped', { reason: 'x'.repeat(80) }),
    event('gateway.stopped', { reason: 'x'.repeat(81) }),
  );
  const [plain, long, bee, person, light, trimmed, exact, over] = lines.map(({ subject }) => subject);
  assert.equal(plain, 'assistant: asks (q): "a b\\u{7}"');
  assert.equal(long, `assistant: asks (q): "${'x'.repeat(77)}…`);
  assert.equal(long?.length, 100);
  assert.equal(bee?.length, 100);
  assert.ok(bee?.isWellFormed());
  assert.equal(person, 'eve:two: asks (q): "hi"');
  assert.deepEqual([trimmed, exact], Array(2).fill(`assistant: stopped: ${'x'.repeat(80)}`));
  assert.equal(exact?.length, 100);
  assert.equal(over, `assistant: stopped: ${'x'.repeat(79)}…`);
  assert.equal(light, 'assistant: was told', 'words of a light event are not looked for');
  assert.deepEqual(
    lines.map(({ weighty }) => weighty),
    [true, true, true, true, false, true, true, true],
  );
});

test('the folder of a line', () => {
  const group = (stream: string, data: object = {}): string => groupOf({ stream, data } as Event).group;
  const digest = (name: string): string => createHash('sha256').update(name).digest('hex').slice(0, 8);
  assert.equal(group('run:run_1', { run: 'run_2' }), 'run_1');
  assert.equal(group('gateway', { run: 7 }), 'gateway');
  assert.equal(group('a'.repeat(100)), 'a'.repeat(100));
  assert.equal(group('a'.repeat(101)), `${'a'.repeat(60)}-${digest('a'.repeat(101))}`);
  assert.equal(group('x:run:y'), `x-run-y-${digest('x:run:y')}`);
  assert.equal(group('a é//b'), `a-b-${digest('a é//b')}`);
  assert.equal(group('task:run:t'), `task-run-t-${digest('task:run:t')}`);
});

test('ruche log: the day and time of a zone, where, who, and a width', async () => {
  const store = open();
  const stopped = (reason: string, more: object): NewEvent => event('gateway.stopped', { reason }, more);
  await commit(store, [
    stopped('x'.repeat(300), { stream: 'gateway', actor: 'runtime' }),
    stopped('asked', { stream: `run:${'r'.repeat(60)}`, actor: `person:${'p'.repeat(60)}` }),
    stopped('asked', { stream: 'conv:assistant/a/b:c' }),
    stopped('asked', { stream: 'task:tsk_1' }),
  ]);
  const [first, ...others] = await collect(store.read({}));
  assert.ok(first);
  const time = '1970-01-01 00:16:40  evt_';
  const here = `gateway${' '.repeat(13)}`;
  assert.equal(await logLine(first, store), `${time}1     ${here}  ruche: stopped: ${'x'.repeat(190)}…`);
  assert.equal(
    await logLine(first, store, { timeZone: 'America/New_York', width: 12 }),
    `1969-12-31 19:16:40  evt_1     ${here}  ruche: stopped: xx…`,
  );
  assert.deepEqual(await Promise.all(others.map((each) => logLine(each, store))), [
    `${time}2     ${'r'.repeat(19)}…  ${'p'.repeat(39)}…: stopped: asked`,
    `${time}3     a/b:c${' '.repeat(15)}  assistant: stopped: asked`,
    `${time}4     tsk_1${' '.repeat(15)}  assistant: stopped: asked`,
  ]);
});
