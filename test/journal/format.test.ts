import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlobRef } from '../../src/core/blob.ts';
import type { Event, NewEvent } from '../../src/core/event.ts';
import type { Label } from '../../src/core/labels.ts';
import { eventJson, groupOf, journalLine, logLine } from '../../src/journal/format.ts';
import { describe } from '../../src/journal/words.ts';
import { CONV, makeJournal } from './export-kit.ts';
import type { Journal } from './export-kit.ts';

async function journal(t: { after(done: () => Promise<void>): void }): Promise<Journal> {
  const made = await makeJournal();
  t.after(() => made.remove());
  return made;
}

const note = (data: BlobRef, labels: Label[] = []): NewEvent => ({
  type: 'note.added',
  stream: 'run:run_1',
  actor: 'agent:assistant',
  cause: null,
  labels,
  data: { note: data },
});

async function lines(made: Journal): Promise<string[]> {
  const found: string[] = [];
  for await (const row of made.store.rows()) found.push((await journalLine(row, made.store)).json);
  return found;
}

test('a line holds the event and, once, what was said', async (t) => {
  const made = await journal(t);
  await made.turn('run_1', 'write notes.md');
  const [received = '', called = '', answered = '', returned = '', finished = ''] = await lines(made);
  const first = JSON.parse(received) as Record<string, unknown>;
  assert.deepEqual(Object.keys(first).slice(0, 6), ['seq', 'id', 'time', 'at', 'type', 'actor']);
  assert.equal(first['time'], new Date(first['at'] as number).toISOString());
  assert.ok(!received.includes('\n'));
  assert.match(received, /"content":\{"role":"user","parts":\[\{"type":"text","text":"write notes.md"/);
  assert.match(answered, /Done: write notes.md/);
  assert.match(returned, /"text":"notes.md"/);
  // The whole request and the repeated result would make the journal grow with the square of the conversation.
  assert.ok(!called.includes('write notes.md') && !finished.includes('"text"'));
});

test('private and untrusted content stands in the repository by hash only, subject included', async (t) => {
  const made = await journal(t);
  const secret = made.store.putBlob(Buffer.from('{"text":"the PIN is 1234"}'), CONV);
  await made.add(note(secret, ['private']), note(secret, ['untrusted']), note(secret));
  const usual = { actor: 'agent:assistant', cause: null, stream: 'run:run_1' };
  const data = {
    call: 'c',
    tool: 'fetch',
    ok: true,
    result: secret,
    labels: ['untrusted' as const],
    ms: 1,
    reconciled: false,
  };
  await made.add({ type: 'tool.returned', ...usual, labels: [], data });
  const found: boolean[] = [];
  for await (const row of made.store.rows()) {
    const line = await journalLine(row, made.store);
    assert.match(line.json, new RegExp(secret.hash.replace(/[+]/g, '\\+')));
    found.push(line.json.includes('1234') || line.subject.includes('1234'));
  }
  assert.deepEqual(found, [false, false, true, false]);
});

test('long content is cut and its hash kept; erased content says so; odd bytes do no harm', async (t) => {
  const made = await journal(t);
  const long = made.store.putBlob(Buffer.from('x'.repeat(10_000)), CONV);
  const odd = made.store.putBlob(Buffer.from([0xff, 0, 10, 0xed, 0xa0, 0x80]), CONV);
  const gone = made.store.putBlob(Buffer.from('"gone"'), 'conv:other/x');
  await made.add(note(long), note(odd), note(gone));
  await made.store.erase('conv:other/x');
  const [first = '', second = '', third = ''] = (await lines(made)).map((json) =>
    JSON.stringify((JSON.parse(json) as Event).data),
  );
  assert.match(first, /"left":6000,"sha256":"[0-9a-f]{64}"/);
  assert.ok(first.length < 5000);
  assert.ok(JSON.parse(second));
  assert.match(third, /"erased":true/);
});

test('lines go to the folder of their run, or of their stream in a safe form', () => {
  const group = (stream: string, data: object = {}): string => groupOf({ stream, data } as Event).group;
  assert.equal(group('run:run_abc'), 'run_abc');
  assert.equal(group('conv:assistant/main', { run: 'run_abc' }), 'run_abc');
  assert.match(group('conv:assistant/main'), /^conv-assistant-main-[0-9a-f]{8}$/);
  assert.match(group('run:../../x'), /^-x-[0-9a-f]{8}$/);
  assert.notEqual(group('conv:a/b'), group('conv:a-b'));
  for (const stream of ['conv:a/ü\n\0', `conv:a/${'x'.repeat(500)}`])
    assert.match(group(stream), /^[A-Za-z0-9_-]{1,100}$/);
});

test('ruche log says when, whose, who and what in one plain line', async (t) => {
  const made = await journal(t);
  made.clock.time = Date.parse('2026-11-22T15:14:02.900Z');
  const events = await made.turn('run_1', 'list\nthe \u001b[31mfiles\u202e');
  const said: string[] = [];
  for (const event of events) said.push(await logLine(event, made.store, { timeZone: 'Europe/Paris' }));
  assert.match(
    said[0] ?? '',
    /^2026-11-22 16:14:03 {2}evt_1 {5}main {18}owner: wrote to assistant via http: "list the \\u\{1b\}\[31mfiles\\u\{202e\}"$/,
  );
  assert.match(said[1] ?? '', /evt_2 {5}run_1 {17}assistant: asked demo\/demo/);
  assert.match(said[2] ?? '', /demo\/demo answered in 12 ms \(stop, 10 \+ 5 tokens\): "Done: /);
  assert.match(said[3] ?? '', /assistant: list done in 3 ms: "notes.md"$/);
  assert.match(said[4] ?? '', /finished tsk_run_1: done$/);
  for (const line of said) assert.ok(!line.includes('\n') && !line.includes('\u001b') && line.length < 320);
});

test('an event read back gives the same line as when it was committed', async (t) => {
  const made = await journal(t);
  const events = await made.turn('run_1');
  const committed = await Promise.all(events.map((event) => eventJson(event, made.store)));
  assert.deepEqual(await lines(made), committed);
});

test('content is shown as the words in it, or not at all', () => {
  const shown = (content: string | Uint8Array | null | undefined): string => {
    const contents = new Map<string, Uint8Array | null>();
    if (content !== undefined) contents.set('said', typeof content === 'string' ? Buffer.from(content) : content);
    const note = { hash: 'said', size: 1, subject: 's' };
    return describe({ type: 'note.added', data: { note } } as unknown as Event, contents);
  };
  const rows: [content: string | Uint8Array | null | undefined, words: string][] = [
    [undefined, ''],
    [null, ' (erased)'],
    ['', ''],
    ['""', ''],
    ['7', ''],
    ['null', ': "null"'],
    ['{"a":"b"}', ''],
    ['plain text', ': "plain text"'],
    ['{"text":"one","message":"two"}', ': "one"'],
    ['{"text":"","message":"two"}', ': "two"'],
    ['{"text":null,"message":"two"}', ': "two"'],
    ['{"message":{"parts":[{"text":"a"},{"text":""},{"x":1},{"text":"b"}]}}', ': "a b"'],
    ['{"tool":"read","args":"{}"}', ': "read {}"'],
    ['{"tool":"read","args":7,"text":"t"}', ': "t"'],
    ['{"tool":7,"args":"x","text":"t"}', ': "t"'],
    [`"${'x'.repeat(400)}"`, `: "${'x'.repeat(300)}"`],
    // Cut before it is read: not JSON any more, shown as it is.
    [`{"text":"${'y'.repeat(70_000)}"}`, `: "{"text":"${'y'.repeat(291)}"`],
  ];
  for (const [content, words] of rows) assert.equal(shown(content), `was told${words}`);
});
