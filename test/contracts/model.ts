import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { ModelEvent, ModelPort, ModelRequest } from '../../src/core/model.ts';

/** What a model is brought to do. The harness says by which request, or why it cannot. */
export type Situation =
  /** Answers with text only. */
  | 'text'
  /** Calls `read` with `{"path":"a.md"}`. */
  | 'call'
  /** Calls `read` with a.md and with b.md in one answer. */
  | 'parallel'
  /** The request holds a result of a call; the answer's text holds the result's text `RESULT-7`. */
  | 'result'
  /** Answers with text and counts tokens, 5 of the input cached. */
  | 'usage'
  /** Starts to answer and does not end by itself. */
  | 'endless'
  /** Fails before any text. */
  | 'error'
  /** Fails after the text `Hello`. */
  | 'partial';

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

/** What every model adapter must do. */
export function modelContract(name: string, open: () => Promise<ModelHarness>): void {
  const check = (
    title: string,
    situation: Situation,
    body: (port: ModelPort, request: ModelRequest) => Promise<void>,
  ): void => {
    test(`model contract, ${name}: ${title}`, async (t: TestContext) => {
      const harness = await open();
      try {
        const request = harness.request(situation);
        if (typeof request === 'string') t.skip(request);
        else await body(harness.port, request);
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

  check('usage counts cached tokens as part of the input', 'usage', async (port, request) => {
    const end = endOf(await collect(port.stream(request, NEVER)));
    assert.ok(end.usage.input >= 5 && end.usage.output > 0, JSON.stringify(end.usage));
    assert.equal(end.usage.cacheRead, 5);
  });

  check('an aborted call ends as data', 'endless', async (port, request) => {
    const abort = new AbortController();
    const events: ModelEvent[] = [];
    for await (const event of port.stream(request, abort.signal)) {
      events.push(event);
      abort.abort();
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

  check('a failure is data', 'error', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    const end = endOf(events);
    assert.ok(end.type === 'error' && end.error.message.length > 10, JSON.stringify(end));
    assert.equal(textOf(events), '');
  });

  check('what had arrived before a failure is kept', 'partial', async (port, request) => {
    const events = await collect(port.stream(request, NEVER));
    assert.equal(textOf(events), 'Hello');
    const end = endOf(events);
    assert.ok(end.type === 'error' && end.error.retryable, JSON.stringify(end));
  });
}
