import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Net, NetError } from '../../src/core/ports.ts';
import { openAiCompatible } from '../../src/models/openai-compatible.ts';
import { ask, callsOf, collect, endOf, textOf } from '../contracts/model.ts';
import { chunk, DONE } from '../fakes/model-server.ts';

const TEXT = 'Grüße, 🐝!';
const ARGS = '{"path":"a.md","content":"línea"}';
const delta = (args: string, start: object = {}): object => ({
  tool_calls: [{ index: 0, ...start, function: { ...('id' in start ? { name: 'write' } : {}), arguments: args } }],
});
const STREAM = Buffer.from(
  chunk({ content: TEXT.slice(0, 4) }) +
    chunk({ content: TEXT.slice(4) }) +
    chunk(delta(ARGS.slice(0, 9), { id: 'c1' })) +
    chunk(delta(ARGS.slice(9))) +
    chunk({}, 'tool_calls') +
    DONE,
);
const REASON = STREAM.indexOf('"tool_calls"}]');

/** Gives the bytes in pieces of a size and then ends or breaks. */
const netOf = (bytes: Uint8Array, size: number, breaks: boolean): Net => ({
  request: async () => {
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at < bytes.length) controller.enqueue(bytes.slice(at, (at += size)));
        else if (breaks) controller.error(new NetError('protocol', 'the connection broke'));
        else controller.close();
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  },
});

test('wherever an answer is cut: what came is kept, it ends once, and half a call is never one to run', async () => {
  const ends = { finish: 0, error: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: STREAM.length }),
      fc.integer({ min: 1, max: 60 }),
      fc.boolean(),
      async (length, size, breaks) => {
        const port = openAiCompatible({
          provider: 'p',
          baseUrl: 'http://127.0.0.1:1/v1',
          apiKey: null,
          net: netOf(STREAM.subarray(0, length), size, breaks),
          secrets: {
            resolve: () => Promise.reject(new Error('not asked')),
            redact: (text) => text,
            redactPieces: () => ({ push: (text) => text, end: () => '' }),
          },
          clock: { now: () => 0, sleep: () => new Promise(() => {}) },
        });
        const events = await collect(port.stream(ask('hi'), new AbortController().signal));
        const end = endOf(events);
        ends[end.type] += 1;
        assert.ok(TEXT.startsWith(textOf(events)));
        const [call] = callsOf(events);
        assert.ok(ARGS.startsWith(call?.args ?? ''));
        if (end.type === 'finish') {
          assert.ok(length > REASON);
          assert.deepEqual([end.reason, call?.args, textOf(events)], ['calls', ARGS, TEXT]);
        } else assert.equal(end.error.kind, 'network', JSON.stringify(end));
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(ends.finish > 0 && ends.error > 200, JSON.stringify(ends));
});
