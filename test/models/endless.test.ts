import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, newAnswer, type Read, type Draft } from '../../src/models/wire/answer.ts';
import { anthropicReader } from '../../src/models/anthropic/answer.ts';
import { chatReader } from '../../src/models/chat/answer.ts';
import { geminiReader } from '../../src/models/gemini/model.ts';
import { responsesReader } from '../../src/models/responses/answer.ts';
import { workClock } from '../fakes/work-ms.ts';

const OWNER = { from: 'p', model: 'm' };

/** Feeds what a hostile server sends until nothing more is wanted. Gives the answer and how much was taken. */
function fed(reader: (draft: Draft) => Read, chunks: Iterable<object>): { answer: Answer; taken: number; ms: number } {
  const answer = newAnswer({ usedIds: new Set(), idPrefix: 'call_1', maxChars: 4_000_000 }, reader);
  const worked = workClock();
  let taken = 0;
  for (const chunk of chunks) {
    if (answer.state === 'over') break;
    answer.feed(JSON.stringify(chunk));
    taken += 1;
  }
  return { answer, taken, ms: worked() };
}

const endOf = (answer: Answer): unknown =>
  answer
    .end(null, (flaw) => ({ kind: 'invalid', message: JSON.stringify(flaw), retryable: true, retryAfter: null }))
    .findLast((event) => event.type === 'error' || event.type === 'finish');

const many = <T>(n: number, make: (index: number) => T): T[] => Array.from({ length: n }, (_, index) => make(index));

/** Each of them would be started, journaled and answered. */
const CALLS: Record<string, [(draft: Draft) => Read, Iterable<object>]> = {
  anthropic: [
    (draft) => anthropicReader(draft, OWNER),
    many(100_000, (index) => ({ type: 'content_block_start', index, content_block: { type: 'tool_use', name: 't' } })),
  ],
  gemini: [
    (draft) => geminiReader(draft, OWNER),
    many(100_000, () => ({ candidates: [{ content: { parts: [{ functionCall: { name: 't', args: {} } }] } }] })),
  ],
  responses: [
    (draft) => responsesReader(draft, OWNER),
    many(100_000, (index) => ({
      type: 'response.output_item.done',
      output_index: index,
      item: { type: 'function_call', name: 't', arguments: '{}' },
    })),
  ],
  chat: [
    (draft) => chatReader('p')(draft, { model: 'm' }),
    [{ choices: [{ delta: { tool_calls: many(100_000, (index) => ({ index, function: { name: 't' } })) } }] }],
  ],
};

for (const [name, [reader, chunks]] of Object.entries(CALLS))
  test(`${name}: calls without end are no answer`, () => {
    const { answer, ms } = fed(reader, chunks);
    assert.equal(answer.state, 'over');
    assert.deepEqual(endOf(answer), {
      type: 'error',
      error: { kind: 'invalid', message: '"too-long"', retryable: true, retryAfter: null },
      usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    });
    assert.ok(ms < 5_000, `${ms} ms in which nobody else is served`);
  });

test('thoughts in a hundred thousand pieces cost no more than their bytes', () => {
  const pieces = many(50_000, (index) => [
    { type: 'content_block_start', index, content_block: { type: 'redacted_thinking', data: 'x' } },
    { type: 'content_block_stop', index },
  ]).flat();
  const anthropic = fed((draft) => anthropicReader(draft, OWNER), pieces);
  const output = many(100_000, (index) => ({ type: 'reasoning', id: `${index}` }));
  const responses = fed(
    (draft) => responsesReader(draft, OWNER),
    [{ type: 'response.completed', response: { output } }],
  );
  assert.equal(anthropic.taken, pieces.length);
  for (const { ms } of [anthropic, responses]) assert.ok(ms < 3_000, `${ms} ms in which nobody else is served`);
});

test('usage beyond all measure is a number that can be counted on with', () => {
  const lies = { input_tokens: 1e308, cache_read_input_tokens: 1e308, output_tokens: 1e308 };
  const { answer } = fed(
    (draft) => anthropicReader(draft, OWNER),
    [
      { type: 'message_start', message: { usage: lies } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'hi' } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: lies },
      { type: 'message_stop' },
    ],
  );
  const end = endOf(answer) as { usage: Record<string, number> };
  for (const tokens of Object.values(end.usage)) assert.ok(Number.isSafeInteger(tokens * 1000), String(tokens));
});
