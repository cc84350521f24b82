import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ModelMessage, ModelRequest, ToolSchema } from '../../src/core/model.ts';
import { demoModel } from '../../src/models/demo/model.ts';
import { ask, askedAndRead, callsOf, collect, endOf, modelContract, textOf } from '../contracts/model.ts';

const NEVER = new AbortController().signal;
const TOOLS: ToolSchema[] = ['read', 'write', 'edit', 'list', 'search', 'shell', 'fetch', 'ask', 'schedule'].map(
  (name) => ({
    name,
    description: name,
    input: { type: 'object' },
  }),
);

modelContract('demo', async () => ({
  port: demoModel(),
  request(situation) {
    switch (situation) {
      case 'text':
        return ask('hello');
      case 'call':
        return ask('read a.md');
      case 'result':
        return askedAndRead('read a.md');
      case 'parallel':
        return 'the demo makes one call after another';
      case 'image':
        return 'the demo has no eyes';
      case 'usage':
      case 'written':
        return 'the demo caches nothing';
      default:
        return 'the demo neither fails nor goes on without end';
    }
  },
  close: async () => {},
}));

const user = (text: string): ModelMessage => ({ role: 'user', parts: [{ type: 'text', text }] });
const note = (text: string): ModelMessage => user(`[Ruche] ${text}`);

type Args = Record<string, string>;
type Result = string | { error: string };

/** A loop in small: runs the demo to its answer, with files in a map. */
class Desk {
  readonly files = new Map<string, string>();
  readonly used: [tool: string, args: Args][] = [];
  readonly schedules = new Set<string>();
  messages: ModelMessage[] = [];
  /** Tools that answer otherwise than usual. */
  readonly refuse = new Map<string, string>();
  /** Files that are not replaced before they were read, and what the tool says of them. */
  readonly unread = new Map<string, string>();
  /** Called before each model call. */
  before: (call: number) => void = () => {};

  #run(tool: string, args: Args): Result {
    this.used.push([tool, args]);
    const refusal = this.refuse.get(tool);
    if (refusal !== undefined) return { error: refusal };
    const { path = '', content = '' } = args;
    const text = this.files.get(path);
    switch (tool) {
      case 'read':
        this.unread.delete(path);
        if (text === undefined) return { error: `There is no file ${path}.` };
        if (text.length > 100_000) return `[Lines 1 to 2000 of 3000; go on with offset 2001]\n${text.slice(0, 50_000)}`;
        return text === '' ? '[The file is empty.]' : text;
      case 'write':
        if (this.unread.has(path)) return { error: this.unread.get(path) ?? '' };
        this.files.set(path, content);
        return `Wrote ${path}.`;
      case 'edit': {
        if (text?.split(args.old ?? '').length !== 2) return { error: 'the old text is not there exactly once' };
        this.files.set(
          path,
          text.replace(args.old ?? '', () => args.new ?? ''),
        );
        return `Edited ${path}.`;
      }
      case 'list':
        return [...this.files.keys()].join('\n');
      case 'schedule': {
        const { name = '' } = (args as { create?: Args }).create ?? {};
        if (!this.schedules.has(name)) return `Made ${name}.`;
        return { error: `there is a schedule "${name}" already: take another name, or remove it Nothing was changed.` };
      }
      default:
        return `${tool}-result`;
    }
  }

  async say(text: string): Promise<string> {
    this.messages.push(user(text));
    return this.go();
  }

  async go(): Promise<string> {
    for (let call = 1; call < 40; call += 1) {
      this.before(call);
      const request: ModelRequest = { model: 'demo', system: 's', tools: TOOLS, messages: this.messages };
      const events = await collect(demoModel().stream(request, NEVER));
      assert.deepEqual(await collect(demoModel().stream(structuredClone(request), NEVER)), events, 'pure');
      const calls = callsOf(events);
      if (calls.length === 0) {
        assert.equal(endOf(events).type, 'finish');
        this.messages.push({ role: 'assistant', parts: [{ type: 'text', text: textOf(events) }] });
        return textOf(events);
      }
      this.messages.push({ role: 'assistant', parts: calls });
      const parts = calls.map((each) => {
        const result = this.#run(each.tool, JSON.parse(each.args) as Args);
        const isError = typeof result !== 'string';
        return {
          type: 'result' as const,
          id: each.id,
          tool: each.tool,
          text: isError ? result.error : result,
          isError,
        };
      });
      this.messages.push({ role: 'tool', parts });
    }
    throw new Error('the demo did not come to an end');
  }
}

test('every sentence calls its tool, and the answer holds the result', async () => {
  const desk = new Desk();
  desk.files.set('a b.md', 'contents of a');
  const sentences: [string, string, Args, RegExp][] = [
    ['list the files', 'list', {}, /a b\.md/],
    ['List files in shared/x', 'list', { path: 'shared/x' }, /a b\.md/],
    ['read a b.md', 'read', { path: 'a b.md' }, /contents of a/],
    ['write n/ö.md: hello', 'write', { path: 'n/ö.md', content: 'hello' }, /Wrote n\/ö\.md/],
    ['edit a b.md: of a => of b: c', 'edit', { path: 'a b.md', old: 'of a', new: 'of b: c' }, /Edited/],
    ['search for needle', 'search', { pattern: 'needle' }, /search-result/],
    ['run: wc -c notes.md | cat', 'shell', { command: 'wc -c notes.md | cat' }, /shell-result/],
    ['fetch https://example.org/x?a=b:c', 'fetch', { url: 'https://example.org/x?a=b:c' }, /fetch-result/],
    ['ask me: which colour?', 'ask', { question: 'which colour?' }, /ask-result/],
  ];
  for (const [sentence, tool, args, answer] of sentences) {
    assert.match(await desk.say(sentence), answer);
    assert.deepEqual(desk.used.at(-1), [tool, args], sentence);
  }
  // An edit reads first.
  assert.equal(desk.used.length, sentences.length + 1);
  assert.equal(desk.files.get('a b.md'), 'contents of b: c');
});

test('what is done by the clock is a schedule, with all that follows as its order', async () => {
  const cases: [string, object][] = [
    ['every weekday at 8:15: list the files', { name: 'weekdays-0815', cron: '15 8 * * 1-5', task: 'list the files' }],
    [
      'Every day at 23:05: write a.md: x, then read a.md',
      { name: 'daily-2305', cron: '5 23 * * *', task: 'write a.md: x, then read a.md' },
    ],
    ['every 10m: read a.md', { name: 'every-10m', every: '10m', task: 'read a.md' }],
    ['in 30m: read a.md', { name: 'in-30m', in: '30m', task: 'read a.md' }],
    ['at 2026-12-24T08:00: read a.md', { name: 'at-202612240800', at: '2026-12-24T08:00', task: 'read a.md' }],
  ];
  for (const [sentence, create] of cases) {
    const desk = new Desk();
    await desk.say(sentence);
    assert.deepEqual(desk.used, [['schedule', { create }]], sentence);
  }
  const desk = new Desk();
  await desk.say('list the schedules, then remove the schedule daily-2305');
  assert.deepEqual(
    desk.used.map(([, args]) => args),
    [{}, { remove: 'daily-2305' }],
  );
  for (const sentence of ['every 10m:', 'every tuesday: x']) {
    const other = new Desk();
    assert.match(await other.say(sentence), /did not understand/);
  }
  const again = new Desk();
  for (const name of ['daily-0815', 'daily-0815-2']) again.schedules.add(name);
  assert.match(await again.say('every day at 08:15: x'), /^schedule daily-0815-3: Made daily-0815-3\./);
  for (const time of ['25:00', '8:60', '24:00']) {
    const other = new Desk();
    assert.match(
      await other.say(`every day at ${time}: x`),
      new RegExp(`^${time} is not a time of the day\\. Write one from 00:00`),
    );
    assert.deepEqual(other.used, []);
  }
});

test('it says what it is', async () => {
  for (const sentence of ['hello', 'Hi there!', 'help', 'make me a sandwich', 'list the files'])
    assert.match(await new Desk().say(sentence), /demo model/, sentence);
  assert.match(await new Desk().say('make me a sandwich'), /did not understand "make me a sandwich"/);
  assert.match(await new Desk().say('help'), /append PATH: TEXT/);
});

test('sentences compose, in order, and every result is told', async () => {
  const desk = new Desk();
  const answer = await desk.say(
    'write notes.md: hello, then run: wc -c notes.md, then read notes.md, then list the files',
  );
  assert.deepEqual(
    desk.used.map(([tool]) => tool),
    ['write', 'shell', 'read', 'list'],
  );
  assert.equal(desk.files.get('notes.md'), 'hello');
  for (const part of ['Wrote notes.md', 'shell-result', 'read notes.md: hello', 'list: notes.md'])
    assert.ok(answer.includes(part), part);
});

test('the text of a file is taken exactly, and ", then " belongs to it where no sentence follows', async () => {
  const texts = [
    'one, then two',
    'one, then write more',
    'a: b: c => d',
    ' two spaces before, and behind  ',
    '',
    'first\nsecond, then third\n',
    '\nstarts on the next line',
    'ends with, then ',
    'He said: read, then reading',
  ];
  for (const text of texts) {
    const desk = new Desk();
    await desk.say(`write notes.md: ${text}, then run: true`);
    assert.deepEqual([desk.files.get('notes.md'), desk.used.length], [text, 2], JSON.stringify(text));
  }
  let written = 0;
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 80 }), async (text) => {
      const desk = new Desk();
      await desk.say(`write notes.md: ${text}`);
      assert.equal(desk.files.get('notes.md'), text);
      written += 1;
    }),
  );
  assert.equal(written, 100);
});

test('append adds to what is there, makes what is not, and replaces only the end of a long file', async () => {
  const desk = new Desk();
  await desk.say('append log.md: one');
  await desk.say('append log.md: , two');
  assert.equal(desk.files.get('log.md'), 'one, two');
  const long = Array.from({ length: 2_000 }, (_, n) => `line ${n}`).join('\n');
  desk.files.set('long.md', long);
  await desk.say('append long.md: !');
  assert.equal(desk.files.get('long.md'), `${long}!`);
  assert.equal(desk.used.at(-1)?.[0], 'edit');
  desk.files.set('huge.md', 'x'.repeat(200_000));
  assert.match(await desk.say('append huge.md: !'), /append huge\.md was not done: the file is too long/);
  assert.equal(desk.files.get('huge.md')?.length, 200_000);
  desk.files.set('empty.md', '');
  await desk.say('append empty.md: x');
  assert.equal(desk.files.get('empty.md'), 'x');
  await desk.say('append twice.md: x, then append twice.md: x');
  assert.equal(desk.files.get('twice.md'), 'xx');
});

test('a call that was denied or failed is told plainly, and the rest is done', async () => {
  const desk = new Desk();
  desk.refuse.set('write', 'Denied by rule no-notes: notes are read-only.');
  const answer = await desk.say('write notes.md: x, then append notes.md: y, then run: true');
  assert.match(answer, /write notes\.md was not done: Denied by rule no-notes: notes are read-only\./);
  assert.match(answer, /append notes\.md was not done: Denied/);
  assert.match(answer, /run true: shell-result/);
  desk.refuse.set('read', 'The owner denied this call.');
  desk.used.length = 0;
  assert.match(await desk.say('append other.md: y'), /append other\.md was not done: The owner denied/);
  assert.deepEqual(
    desk.used.map(([tool]) => tool),
    ['read'],
    'a file that may not be read is not written',
  );
});

test('a tool the agent does not have is told, not called', async () => {
  const request = ask('run: ls');
  const events = await collect(demoModel().stream(request, NEVER));
  assert.equal(callsOf(events).length, 0);
  assert.match(textOf(events), /run ls was not done: this agent has no tool "shell"/);
});

test('a message that arrives while it works is done as well, once', async () => {
  const desk = new Desk();
  desk.before = (call) => {
    if (call === 2) desk.messages.push(user('write late.md: too'));
  };
  const answer = await desk.say('write a.md: one, then write b.md: two');
  assert.deepEqual(
    desk.used.map(([, { path }]) => path),
    ['a.md', 'b.md', 'late.md'],
  );
  for (const path of ['a.md', 'b.md', 'late.md']) assert.ok(answer.includes(`Wrote ${path}`));
});

test('the same order twice is done twice; an earlier turn is not done again', async () => {
  const desk = new Desk();
  await desk.say('run: date, then run: date');
  assert.equal(desk.used.length, 2);
  await desk.say('run: date');
  assert.equal(desk.used.length, 3);
});

test('it remembers what was said, also across a summary', async () => {
  const desk = new Desk();
  await desk.say('hello');
  await desk.say('write a.md: blue');
  assert.match(await desk.say('what did I say?'), /You said:\n- hello\n- write a\.md: blue/);
  const request: ModelRequest = {
    model: 'demo',
    system: 's',
    tools: [],
    messages: [...desk.messages, note('Summarise the conversation above.')],
  };
  const events = await collect(demoModel().stream(request, NEVER));
  assert.equal(callsOf(events).length, 0);
  assert.match(textOf(events), /- called write: \{"path":"a\.md","content":"blue"\}/);
  const later = new Desk();
  later.messages.push(note(`What was said and done so far, summarised:\n\n${textOf(events)}`));
  assert.match(await later.say('what did I say'), /- hello\n- write a\.md: blue/);
  assert.equal(later.used.length, 0, 'a summary is no order');
});

test('a summary is shorter than a long conversation', async () => {
  const messages = Array.from({ length: 400 }, (_, n) => user(`write f${n}.md: ${'x'.repeat(100)}`));
  const request: ModelRequest = {
    model: 'demo',
    system: 's',
    tools: [],
    messages: [...messages, note('Summarise this.')],
  };
  const text = textOf(await collect(demoModel().stream(request, NEVER)));
  assert.ok(text.length < 5_000 && text.includes('f399.md'));
});

test('after a conflict it does again what can be, and gives up the rest', async () => {
  const desk = new Desk();
  desk.files.set('log.md', 'a');
  await desk.say('append log.md: b, then write page.md: mine, then run: true');
  // Someone else was faster: the run's files are as on main now.
  desk.files.set('log.md', 'aX');
  desk.files.set('page.md', 'theirs');
  desk.used.length = 0;
  desk.messages.push(note('Your changes conflict with main in log.md, page.md. …'));
  const answer = await desk.go();
  assert.equal(desk.files.get('log.md'), 'aXb');
  assert.equal(desk.files.get('page.md'), 'theirs');
  assert.deepEqual(
    desk.used.map(([tool]) => tool),
    ['read', 'write'],
  );
  assert.match(answer, /write page\.md was given up/);
  assert.match(answer, /run true: shell-result/);
});

test('a note it can do nothing about is passed on', async () => {
  const desk = new Desk();
  await desk.say('run: true');
  desk.messages.push(note('The owner refused the change of ruche.yaml.'));
  assert.match(await desk.go(), /The owner refused the change of ruche\.yaml\./);
  assert.equal(desk.used.length, 1);
});

test('results of any size and kind reach the answer whole, in pieces that are whole characters', async () => {
  const desk = new Desk();
  const text = '🐝 é\n'.repeat(5_000);
  desk.files.set('big.md', text);
  desk.messages.push(user('read big.md'));
  assert.ok((await desk.go()).includes(text));
  const request: ModelRequest = { model: 'demo', system: 's', tools: TOOLS, messages: desk.messages.slice(0, -1) };
  const events = await collect(demoModel().stream(request, NEVER));
  assert.ok(events.length > 20 && events.length < 100);
  for (const event of events) if (event.type === 'text') assert.ok(event.delta.isWellFormed());
});

test('an order for another agent takes all that follows it', async () => {
  const desk = new Desk();
  const answer = await desk.say('write a.md: one, then ask writing to: read b.md, then ask system to: list the files');
  assert.match(answer, /ask writing was not done: this agent has no tool "task"/);
  assert.doesNotMatch(answer, /ask system/);
});

test('it looks at a file before it replaces it, and leaves one that has changed to the person', async () => {
  const desk = new Desk();
  desk.files.set('a.md', 'old').set('b.md', 'newer');
  desk.unread.set('a.md', 'You have not read a.md, which is there already: read it first, then write.');
  desk.unread.set('b.md', 'b.md has changed since you read it: read it again, then write.');
  const answer = await desk.say('write a.md: new, then write b.md: mine');
  assert.deepEqual(
    desk.used.map(([tool, { path }]) => `${tool} ${path}`),
    ['write a.md', 'read a.md', 'write a.md', 'write b.md'],
  );
  assert.match(answer, /write a\.md: Wrote a\.md\.[^]*write b\.md was not done: b\.md has changed/);
  assert.deepEqual([...desk.files.values()], ['new', 'newer']);
});
