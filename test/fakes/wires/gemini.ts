import assert from 'node:assert/strict';
import { gemini } from '../../../src/models/gemini/model.ts';
import type { ModelWire, Said } from '../../contracts/model-wires.ts';
import { sse } from '../model-server.ts';

/** One chunk: parts of the first candidate. */
export const parts = (some: readonly object[], finishReason?: string, more: object = {}): string =>
  sse({ candidates: [{ content: { role: 'model', parts: some }, index: 0, finishReason }], ...more });

const REASON = { stop: 'STOP', calls: 'STOP', hidden: 'STOP', length: 'MAX_TOKENS' };

function pieces({ text = [], calls = [], usage, end }: Said): string[] {
  const { input, output, cacheRead } = usage ?? { input: 1, output: 1, cacheRead: 0 };
  const usageMetadata = { promptTokenCount: input, candidatesTokenCount: output, cachedContentTokenCount: cacheRead };
  return [
    ...text.map((piece) => parts([{ text: piece }])),
    ...calls.map(({ id, tool, args }) =>
      parts([{ functionCall: { id, name: tool, args: JSON.parse(args.join('')) as unknown } }]),
    ),
    ...(end === null ? [] : [parts([], REASON[end], { usageMetadata })]),
  ];
}

interface Part {
  text?: string;
  functionCall?: { id?: string; name: string; args: object };
  functionResponse?: { id?: string; name: string; response: { output?: string } };
  inlineData?: { data: string };
  thoughtSignature?: string;
}

interface Content {
  role: string;
  parts: Part[];
}

/** What Gemini answers with 400 to, as far as a conversation can get it wrong; the signatures as of its third generation. */
function valid(body: Record<string, unknown>): void {
  const contents = body.contents as Content[];
  assert.equal(contents[0]?.role, 'user');
  assert.equal(contents.at(-1)?.role, 'user');
  const lastWords = contents.findLastIndex(
    ({ role, parts: some }) => role === 'user' && some.some((part) => part.text !== undefined),
  );
  for (const [index, { role, parts: some }] of contents.entries()) {
    assert.ok(role === 'user' || role === 'model');
    assert.ok(some.length > 0);
    if (role === 'model') assert.equal(contents[index - 1]?.role, 'user');
    const calls = some.flatMap((part) => part.functionCall ?? []);
    const answers = contents[index + 1]?.parts.flatMap((part) => part.functionResponse ?? []) ?? [];
    if (role === 'model')
      assert.deepEqual(
        answers.map(({ id, name }) => [id, name]),
        calls.map(({ id, name }) => [id, name]),
        'each call has its result in the next content, in order',
      );
    if (index === 0) assert.ok(some.every((part) => !part.functionResponse));
    for (const { name } of calls) assert.match(name, /^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$/);
    const first = some.find((part) => part.functionCall);
    if (first && index > lastWords) assert.ok(first.thoughtSignature, 'the first call of a step is signed');
    for (const { thoughtSignature } of some)
      assert.match(thoughtSignature ?? 'gemini-', /^(?:gemini-|skip_thought_signature_validator$)/);
  }
}

const error = (code: number, status: string, message: string, details: object[] = []): object => ({
  error: { code, message, status, details },
});

export const geminiWire: ModelWire = {
  name: 'gemini',
  open: gemini,
  baseUrl: (origin) => origin,
  pieces,
  errors: {
    limited: {
      status: 429,
      body: error(429, 'RESOURCE_EXHAUSTED', 'You exceeded your current quota, please check your plan.', [
        { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '7s' },
      ]),
    },
    broken: { status: 500, body: error(500, 'INTERNAL', 'An internal error has occurred.') },
    overloaded: { status: 503, body: error(503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.') },
    'too-long': {
      status: 400,
      body: error(
        400,
        'INVALID_ARGUMENT',
        'The input token count (1190000) exceeds the maximum number of tokens allowed (1048576).',
      ),
    },
  },
  late: { piece: sse(error(503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.')) },
  malformed: [parts([], 'MALFORMED_FUNCTION_CALL')],
  seen(body) {
    const all = (body.contents as Content[]).flatMap((content) => content.parts);
    return {
      results: all.flatMap((part) => part.functionResponse?.response.output ?? []),
      images: all.flatMap((part) => part.inlineData?.data ?? []),
    };
  },
  valid,
  never: {
    raw: { written: 'Gemini does not count what it writes to a cache' },
    aimock: { image: 'aimock drops images before a fixture sees them' },
  },
};
