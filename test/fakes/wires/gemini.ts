import { gemini } from '../../../src/models/gemini.ts';
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
  functionResponse?: { response: { output?: string } };
  inlineData?: { data: string };
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
    const all = (body.contents as { parts: Part[] }[]).flatMap((content) => content.parts);
    return {
      results: all.flatMap((part) => part.functionResponse?.response.output ?? []),
      images: all.flatMap((part) => part.inlineData?.data ?? []),
    };
  },
  never: {
    raw: { written: 'Gemini does not count what it writes to a cache' },
    aimock: { image: 'aimock drops images before a fixture sees them' },
  },
};
