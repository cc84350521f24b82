import { LLMock } from '@copilotkit/aimock';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { ModelPort, ModelRequest, Usage } from '../../src/core/model.ts';
import { httpOnly } from '../../src/core/ports/net.ts';
import type { HttpModelOptions } from '../../src/models/wire/exchange.ts';
import { envSecrets } from '../../src/secrets/env.ts';
import { modelServer, type Piece, type RawAnswer } from '../fakes/model-server.ts';
import { fakeNet } from '../fakes/net.ts';
import {
  ask,
  askedAndRead,
  askedToLook,
  collect,
  modelContract,
  type ModelHarness,
  PIXEL_BASE64,
  type Tally,
} from './model.ts';
import type { Situation } from './model-situations.ts';

/** An answer, whatever the wire makes of it. */
export interface Said {
  text?: readonly string[];
  /** `args`: the argument text in pieces, which a wire that sends calls whole joins. */
  calls?: readonly { id: string; tool: string; args: readonly string[] }[];
  usage?: Usage;
  /** `hidden`: there are calls, but the reason is the one of text. Null: no end comes. */
  end: 'stop' | 'calls' | 'hidden' | 'length' | null;
}

/** One provider: how its server speaks. To add one, write one of these and name it in `test/fakes/wires/all.ts`. */
export interface ModelWire {
  name: string;
  open(options: HttpModelOptions): ModelPort;
  /** The baseUrl of a server at `http://127.0.0.1:port`. */
  baseUrl(origin: string): string;
  /** Other than `text/event-stream`. */
  contentType?: string;
  pieces(said: Said): Piece[];
  /** The body of an error in the provider's form, and its status. `limited` need not hold the wait: a header does. */
  errors: Record<'limited' | 'broken' | 'overloaded' | 'too-long', { status: number; body: object }>;
  /** Being overloaded, as told in the middle of a stream; or why that does not happen. */
  late: { piece: Piece } | { never: string };
  /** What the provider sends where the model wrote no JSON, if that is not a call with those arguments. */
  malformed?: readonly Piece[];
  /** What stands in a request's body: texts of results, and images in base64. */
  seen(body: Record<string, unknown>): { results: string[]; images: string[] };
  /** Asserts of a request's body what the provider refuses otherwise: roles, pairs, ids, signatures. */
  valid(body: Record<string, unknown>): void;
  /** Chunks after which aimock breaks off in the middle of five pieces of text; 4 unless given. */
  mockCut?: number;
  /** Situations that its wire, or aimock's idea of it, cannot make; with the reason. */
  never: { raw: Partial<Record<Situation, string>>; aimock: Partial<Record<Situation, string>> };
}

const KEY = 'wire-key-0123456789';
const still: Clock = {
  now: () => Date.parse('2026-11-22T12:00:00Z'),
  sleep: (_ms, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    }),
};

/** A port of the wire, at a server on this machine. */
export function openWire(wire: ModelWire, origin: string, more: Partial<HttpModelOptions> = {}): ModelPort {
  return wire.open({
    provider: wire.name,
    baseUrl: wire.baseUrl(origin),
    apiKey: 'env:WIRE_KEY',
    net: fakeNet(),
    secrets: envSecrets({ env: { WIRE_KEY: KEY } }),
    clock: still,
    idleMs: 10_000,
    ...more,
  });
}

/** What a wire sends for a request: its body, as the server would parse it. */
export async function sentBy(wire: ModelWire, request: ModelRequest): Promise<Record<string, unknown>> {
  let sent = '{}';
  const net = httpOnly(async ({ body }) => {
    sent = body as string;
    return new Response('', { status: 500 });
  });
  await collect(openWire(wire, 'http://127.0.0.1:1', { net }).stream(request, new AbortController().signal));
  return JSON.parse(sent) as Record<string, unknown>;
}

/** Runs the contract twice: against exact bytes of ours, and against aimock. */
export function wireContract(wire: ModelWire): { raw: Tally; aimock: Tally } {
  return {
    raw: modelContract(`${wire.name}, raw`, () => rawHarness(wire)),
    aimock: modelContract(`${wire.name}, aimock`, () => mockHarness(wire)),
  };
}

const GOES_ON = ['Hello, ', 'this '];
const A = { id: 'call_a', tool: 'read', args: ['{"path":', '"a.md"}'] };
const B = { id: 'call_b', tool: 'read', args: ['{"path":"b', '.md"}'] };
const COUNTED: Usage = { input: 12, output: 3, cacheRead: 5, cacheWrite: 0 };

/** The answer of a raw server; `result` and `image` are told from what was sent. */
function rawAnswer(wire: ModelWire, situation: Situation): RawAnswer {
  const headers = { 'content-type': wire.contentType ?? 'text/event-stream' };
  const says = (said: Said): RawAnswer => ({ headers, pieces: wire.pieces(said) });
  switch (situation) {
    case 'call':
      return says({ calls: [A], end: 'calls' });
    case 'parallel':
      return says({ calls: [A, B], end: 'calls' });
    case 'hidden':
      return says({ calls: [A], end: 'hidden' });
    case 'usage':
      return says({ text: ['x'], usage: COUNTED, end: 'stop' });
    case 'written':
      return says({ text: ['x'], usage: { ...COUNTED, cacheWrite: 4 }, end: 'stop' });
    case 'endless':
      return { ...says({ text: GOES_ON, end: null }), end: 'hang' };
    case 'cut':
      return { ...says({ text: GOES_ON, end: null }), end: 'cut' };
    case 'late':
      return {
        headers,
        pieces: [...wire.pieces({ text: GOES_ON, end: null }), ...('piece' in wire.late ? [wire.late.piece] : [])],
      };
    case 'malformed':
      if (wire.malformed) return { headers, pieces: wire.malformed };
      return says({ calls: [{ ...A, args: ['{"path":', 'a.md'] }], end: 'calls' });
    case 'empty':
      return says({ end: 'stop' });
    case 'long':
      return says({ text: GOES_ON, end: 'length' });
    case 'limited':
    case 'broken':
    case 'overloaded':
    case 'too-long': {
      const { status, body } = wire.errors[situation];
      const wait: Record<string, string> = situation === 'limited' ? { 'retry-after': '7' } : {};
      return {
        status,
        headers: { 'content-type': 'application/json', ...wait },
        pieces: [JSON.stringify(body)],
      };
    }
    default:
      return says({ text: ['Hel', 'lo'], end: 'stop' });
  }
}

const requestFor = (situation: Situation): ModelRequest => {
  if (situation === 'result') return askedAndRead('do result');
  return situation === 'image' ? askedToLook('do image') : ask(`do ${situation}`);
};

async function rawHarness(wire: ModelWire): Promise<ModelHarness> {
  const server = await modelServer();
  return {
    port: openWire(wire, new URL(server.baseUrl).origin),
    request(situation) {
      const never = wire.never.raw[situation];
      if (never !== undefined) return never;
      if (situation === 'late' && 'never' in wire.late) return wire.late.never;
      server.next(({ body }) => {
        if (situation !== 'result' && situation !== 'image') return rawAnswer(wire, situation);
        const { results, images } = wire.seen(body);
        return { ...rawAnswer(wire, 'text'), pieces: wire.pieces({ text: [...results, ...images], end: 'stop' }) };
      });
      return requestFor(situation);
    },
    close: () => server.close(),
  };
}

/** What aimock can say of itself, on any of its wires. */
async function mocked(wire: ModelWire): Promise<LLMock> {
  const mock = new LLMock({ port: 0, logLevel: 'silent', chunkSize: 4 });
  const [a, b] = ['a.md', 'b.md'].map((path) => ({ name: 'read', arguments: JSON.stringify({ path }) }));
  if (!a || !b) throw new Error('two calls');
  mock.onMessage('do text', { content: 'Hello from the mock, in more than one piece.' });
  mock.onMessage('do call', { toolCalls: [a] });
  mock.onMessage('do parallel', { toolCalls: [a, b] });
  mock.onMessage('do hidden', { toolCalls: [a], finishReason: 'stop' });
  mock.onMessage('do result', ({ messages }) => ({ content: `It says ${JSON.stringify(messages.at(-1)?.content)}.` }));
  mock.onMessage('do image', ({ messages }) => {
    const seen = JSON.stringify(messages).includes(PIXEL_BASE64);
    return { content: seen ? PIXEL_BASE64 : 'nothing to be seen' };
  });
  mock.onMessage('do endless', { content: 'a word and '.repeat(60) }, { latency: 20 });
  const truncateAfterChunks = wire.mockCut ?? 4;
  mock.onMessage('do cut', { content: 'Hello, this goes on.' }, { truncateAfterChunks, latency: 5 });
  mock.onMessage('do empty', { content: '' });
  mock.onMessage('do long', { content: 'Hello, this goes on.', finishReason: 'length' });
  for (const situation of ['limited', 'broken', 'overloaded', 'too-long'] as const) {
    const { status, body } = wire.errors[situation];
    const { error } = body as { error: string | { message: string; type?: string; status?: string; code?: string } };
    const told = typeof error === 'string' ? { message: error } : error;
    const { message, type = told.status, code } = told;
    mock.onMessage(`do ${situation}`, { error: { message, type, code }, status, retryAfter: 7 });
  }
  await mock.start();
  return mock;
}

const NEVER_MOCKED: Partial<Record<Situation, string>> = {
  usage: 'aimock drops the count of cached tokens',
  written: 'aimock drops the count of cached tokens',
  malformed: 'aimock turns arguments that are no JSON into {}',
  late: 'aimock fails before a stream or not at all',
};

async function mockHarness(wire: ModelWire): Promise<ModelHarness> {
  const mock = await mocked(wire);
  const never = { ...NEVER_MOCKED, ...wire.never.aimock };
  return {
    port: openWire(wire, mock.url),
    request: (situation) => never[situation] ?? requestFor(situation),
    close: () => mock.stop(),
  };
}
