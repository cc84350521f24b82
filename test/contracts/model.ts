import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { ModelError, ModelEvent, ModelPort, ModelRequest } from '../../src/core/model.ts';
import type { Situation } from './model-situations.ts';

export interface ModelHarness {
  port: ModelPort;
  /** The request that brings it about, or the reason why it cannot be. */
  request(situation: Situation): ModelRequest | string;
  close(): Promise<void>;
}

export const ask = (text: string, more: Partial<ModelRequest> = {}): ModelRequest => ({
  model: 'm',
  system: 'You are a test.',
  tools: [{ name: 'read', description: 'Reads a file.', input: { type: 'object' } }],
  messages: [{ role: 'user', parts: [{ type: 'text', text }] }],
  ...more,
});

/** A request in which `read` has been called once and has given `RESULT-7`. */
export const askedAndRead = (text: string): ModelRequest => {
  const request = ask(text);
  request.messages.push(
    { role: 'assistant', parts: [{ type: 'call', id: 'c1', tool: 'read', args: '{"path":"a.md"}' }] },
    { role: 'tool', parts: [{ type: 'result', id: 'c1', tool: 'read', text: 'RESULT-7', isError: false }] },
  );
  return request;
};

export async function collect(events: AsyncIterable<ModelEvent>): Promise<ModelEvent[]> {
  const all: ModelEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

export const textOf = (events: readonly ModelEvent[]): string =>
  events.map((event) => (event.type === 'text' ? event.delta : '')).join('');

export type CallEvent = Extract<ModelEvent, { type: 'call' }>;
export const callsOf = (events: readonly ModelEvent[]): CallEvent[] =>
  events.filter((event): event is CallEvent => event.type === 'call');

/** The end, after checking that there is exactly one and nothing after it. */
export function endOf(events: readonly ModelEvent[]): Extract<ModelEvent, { type: 'finish' | 'error' }> {
  const ends = events.filter((event) => event.type === 'finish' || event.type === 'error');
  assert.equal(ends.length, 1, `exactly one end, got ${JSON.stringify(ends)}`);
  const last = events.at(-1);
  assert.ok(last?.type === 'finish' || last?.type === 'error', 'the end comes last');
  return last;
}

const NEVER = new AbortController().signal;

const PIXEL = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0xff, 0x00, 0xfe]);
export const PIXEL_BASE64 = Buffer.from(PIXEL).toString('base64');

/** A request with a picture, named pixel.png. */
export const askedToLook = (text: string): ModelRequest => {
  const blob = { hash: 'hash-of-pixel', size: PIXEL.length, subject: 's' };
  const request = ask(text, { images: new Map([[blob.hash, PIXEL]]) });
  request.messages[0]?.parts.push({ type: 'image', mediaType: 'image/png', name: 'pixel.png', blob });
  return request;
};

/** How many checks ran, and which situations were skipped for which reason. */
export interface Tally {
  ran: number;
  skipped: Map<Situation, string>;
}

/** What every model adapter must do. The tally is complete once the tests have run. */
export function modelContract(name: string, open: () => Promise<ModelHarness>): Tally {
  const tally: Tally = { ran: 0, skipped: new Map() };
  const check: Check = (title, situation, body) => {
    test(`model contract, ${name}: ${title}`, async (t: TestContext) => {
      const harness = await open();
      try {
        const request = harness.request(situation);
        if (typeof request === 'string') {
          tally.skipped.set(situation, request);
          t.skip(request);
          return;
        }
        await body(harness.port, request);
        tally.ran += 1;
      } finally {
        await harness.close();
      }
    });
  };

  check('text arrives and ends with stop', 'text', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    const end = endOf(events);
    assert.ok(end.type === 'finish' && end.reason === 'stop', JSON.stringify(end));
    assert.ok(textOf(events).length > 0);
    assert.equal(callsOf(events).length, 0);
  });

  check('text comes in pieces', 'text', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    assert.ok(events.filter((event) => event.type === 'text').length > 1);
  });

  check('a request is not changed', 'result', async (port, request) => {
    const before = structuredClone(request);
    await collect(port.stream(request, NEVER));
    assert.deepEqual(request, before);
  });

  check('a call arrives whole and ends with calls', 'call', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    const [call] = callsOf(events);
    assert.equal(call?.tool, 'read');
    assert.deepEqual(JSON.parse(call.args), { path: 'a.md' });
    const end = endOf(events);
    assert.ok(end.type === 'finish' && end.reason === 'calls', JSON.stringify(end));
  });

  check('parallel calls arrive each with its own id', 'parallel', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    const calls = callsOf(events);
    assert.deepEqual(
      calls.map((call): unknown => JSON.parse(call.args)),
      [{ path: 'a.md' }, { path: 'b.md' }],
    );
    assert.equal(new Set(calls.map((call) => call.id)).size, 2);
    endOf(events);
  });

  check('results reach the model', 'result', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    assert.match(textOf(events), /RESULT-7/);
    endOf(events);
  });

  check('a picture reaches the model', 'image', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    assert.ok(textOf(events).includes(PIXEL_BASE64), textOf(events));
    endOf(events);
  });

  check('usage counts cached tokens as part of the input', 'usage', async (port, request) => {
    const { usage } = endOf(await collect(port.stream(request, NEVER)));
    assert.deepEqual(usage, { input: 12, output: usage.output, cacheRead: 5, cacheWrite: 0 });
    assert.ok(usage.output > 0);
  });

  check('usage counts what was written to the cache', 'written', async (port, request) => {
    const { usage } = endOf(await collect(port.stream(request, NEVER)));
    assert.deepEqual(usage, { input: 12, output: usage.output, cacheRead: 5, cacheWrite: 4 });
  });

  checkAborts(check);
  checkFailures(check);
  checkEnds(check);
  return tally;
}

type Check = (
  title: string,
  situation: Situation,
  body: (port: ModelPort, request: ModelRequest) => Promise<void>,
) => void;

function checkAborts(check: Check): void {
  check('an aborted call ends as data', 'endless', async (port, request) => {
    const abort = new AbortController();
    const events: ModelEvent[] = [];
    for await (const event of port.stream(request, abort.signal)) {
      events.push(event);
      // What it thought before is no word yet.
      if (event.type === 'text') abort.abort();
    }
    const end = endOf(events);
    assert.ok(end.type === 'error' && end.error.kind === 'aborted' && !end.error.retryable, JSON.stringify(end));
    assert.ok(textOf(events).length > 0, 'what had arrived is kept');
  });

  check('a call aborted before it begins ends as data', 'text', async (port, request) => {
    const end = endOf(await collect(port.stream(request, AbortSignal.abort())));
    assert.ok(end.type === 'error' && end.error.kind === 'aborted', JSON.stringify(end));
  });

  check('a caller may stop reading', 'text', async (port, request) => {
    for await (const event of port.stream(request, NEVER)) {
      assert.ok(event.type !== 'error');
      break;
    }
  });
}

/** The error of an answer that fails, after checking that it says something. */
async function failureOf(port: ModelPort, request: ModelRequest): Promise<ModelError & { text: string }> {
  const events = await collect(port.stream(request, NEVER));
  const end = endOf(events);
  assert.ok(end.type === 'error' && end.error.message.length > 10, JSON.stringify(end));
  assert.equal(callsOf(events).length, 0);
  return { ...end.error, text: textOf(events) };
}

const WHOLE = 'Hello, this goes on.';

function checkFailures(check: Check): void {
  check('what had arrived before the stream broke is kept', 'cut', async (port, request) => {
    const { kind, retryable, text } = await failureOf(port, request);
    assert.deepEqual([kind, retryable], ['network', true]);
    assert.ok(WHOLE.startsWith(text) && text.length > 0 && text.length < WHOLE.length, text);
  });

  check('an error in the middle of a stream keeps what had arrived', 'late', async (port, request) => {
    const { kind, retryable, text } = await failureOf(port, request);
    assert.deepEqual([kind, retryable], ['overloaded', true]);
    assert.ok(WHOLE.startsWith(text) && text.length > 0, text);
  });

  check('a rate limit says how long to wait', 'limited', async (port, request) => {
    const { kind, retryable, retryAfter, text } = await failureOf(port, request);
    assert.deepEqual([kind, retryable, retryAfter, text], ['rate', true, 7_000, '']);
  });

  check('a broken server may be asked again', 'broken', async (port, request) => {
    const { kind, retryable, text } = await failureOf(port, request);
    assert.deepEqual([kind, retryable, text], ['unavailable', true, '']);
  });

  check('an overloaded server may be asked again', 'overloaded', async (port, request) => {
    const { kind, retryable, text } = await failureOf(port, request);
    assert.deepEqual([kind, retryable, text], ['overloaded', true, '']);
  });

  check('a conversation that is too long is told as one', 'too-long', async (port, request) => {
    const { kind, retryable, text } = await failureOf(port, request);
    assert.deepEqual([kind, retryable, text], ['context', false, '']);
  });
}

function checkEnds(check: Check): void {
  check('malformed arguments are told as such, or stay for the loop to refuse', 'malformed', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    const end = endOf(events);
    if (end.type === 'error') {
      assert.deepEqual([end.error.kind, end.error.retryable], ['invalid', true], JSON.stringify(end));
      return;
    }
    const [call] = callsOf(events);
    assert.deepEqual([end.reason, call?.tool], ['calls', 'read']);
    assert.throws(() => JSON.parse(call?.args ?? '') as unknown, SyntaxError);
  });

  check('an empty answer is an answer', 'empty', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    const end = endOf(events);
    assert.ok(end.type === 'finish' && end.reason === 'stop', JSON.stringify(end));
    assert.deepEqual([textOf(events), callsOf(events).length], ['', 0]);
  });

  check('calls are found whatever reason the end gives', 'hidden', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    const end = endOf(events);
    assert.ok(end.type === 'finish' && end.reason === 'calls', JSON.stringify(end));
    assert.deepEqual(
      callsOf(events).map((call): unknown => JSON.parse(call.args)),
      [{ path: 'a.md' }],
    );
  });

  check('an answer cut at the output limit says so', 'long', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    const end = endOf(events);
    assert.ok(end.type === 'finish' && end.reason === 'length', JSON.stringify(end));
    assert.ok(textOf(events).length > 0);
  });
}
