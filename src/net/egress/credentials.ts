import type { IncomingMessage } from 'node:http';
import { type Readable, Transform } from 'node:stream';
import zlib from 'node:zlib';
import { unreadable } from '../../core/net/headers.ts';
import { hostPortText, type Target } from '../../core/net/host.ts';
import type { Injection, Scrub } from '../../core/ports/injection.ts';
import { Refusal, type Session } from './session.ts';

/** A request as it leaves, and what looks after its body and its answer. */
export interface Credited {
  /** Flat: name, value, name, value. */
  headers: string[];
  /** Stops a body with a placeholder that does not belong to this request. */
  body(): Transform;
  /** Null: nothing secret can come back. */
  scrub: Scrub | null;
}

const pairsOf = (flat: readonly string[]): [name: string, value: string][] =>
  flat.flatMap((name, index) => (index % 2 === 0 ? [[name.toLowerCase(), flat[index + 1] ?? '']] : []));

/** Headers by name; those that come more than once are one list. Any word can be the name of one. */
function merged(flat: readonly string[]): Record<string, string> {
  const headers = Object.create(null) as Record<string, string>;
  for (const [name, value] of pairsOf(flat)) headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  return headers;
}

/** What is as it was stays in its form. */
function changed(flat: readonly string[], before: Record<string, string>, after: Record<string, string>): string[] {
  const kept = flat.filter((_, index) => {
    const name = (flat[index - (index % 2)] ?? '').toLowerCase();
    return before[name] === after[name];
  });
  return [...kept, ...Object.entries(after).flatMap(([name, value]) => (before[name] === value ? [] : [name, value]))];
}

/** Puts the credentials in that are bound to the request. Rejects with a Refusal where the request must not leave. */
export async function withCredentials(
  { grant, injection }: Pick<Session, 'grant' | 'injection'>,
  { target, method, flat }: { target: Target; method: string; flat: readonly string[] },
): Promise<Credited> {
  const { agent, run } = grant;
  const headers = merged(flat);
  const request = { agent, run, target, method, headers };
  const injected = await injection.outgoing({ ...request, body: null });
  if (!injected.ok) throw new Refusal(403, injected.why, hostPortText(target));
  return {
    headers: changed(flat, headers, injected.headers),
    body: () => followed(injection, request),
    scrub: injected.scrub,
  };
}

function followed(injection: Injection, request: Parameters<Injection['follow']>[0]): Transform {
  const body = injection.follow(request);
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      const why = body.push(chunk);
      if (why === null) done(null, chunk);
      else done(new Refusal(403, why, hostPortText(request.target)));
    },
  });
}

const CODING = /^content-(?:length|encoding)$/;

/** Headers of an answer without what is secret in them, and without the length of a body that is changed. */
export const scrubbedHeaders = (scrub: Scrub, flat: readonly string[]): string[] =>
  pairsOf(flat).flatMap(([name, value]) =>
    // A header that is called like a value is left out.
    CODING.test(name) || scrub.text(name) !== name ? [] : [name, scrub.text(value)],
  );

/** Some servers pack all that they send, or send what they keep packed, whatever is asked for. */
const UNPACK: Readonly<Record<string, () => Transform>> = {
  gzip: () => zlib.createUnzip(),
  'x-gzip': () => zlib.createUnzip(),
  deflate: () => zlib.createUnzip(),
  br: () => zlib.createBrotliDecompress(),
};

const codingOf = ({ headers }: IncomingMessage): string => {
  const coding = (headers['content-encoding'] ?? '').trim().toLowerCase();
  return coding === 'identity' ? '' : coding;
};

/** The body of an answer as it can be looked through. Where it is broken, who reads it is cut off. */
export function plainBody(answer: IncomingMessage, reader: { end(): void; destroy(): void }): Readable {
  const unpack = UNPACK[codingOf(answer)]?.();
  if (unpack === undefined) return answer;
  let came = false;
  answer.once('data', () => (came = true));
  // Nothing at all is an empty body, packed or not.
  unpack.on('error', () => (came ? reader.destroy() : reader.end())).once('close', () => answer.destroy());
  return answer.pipe(unpack);
}

/** What the plain body of an answer goes through to lose what is secret in it; a Refusal where it cannot be looked through. */
export function scrubbedBody(scrub: Scrub, answer: IncomingMessage): Transform | Refusal {
  const coding = codingOf(answer);
  if (coding !== '' && !Object.hasOwn(UNPACK, coding))
    return new Refusal(502, 'the answer is packed, though that was not asked for, and cannot be looked through');
  const why = unreadable({
    status: answer.statusCode ?? 0,
    coding: answer.headers['transfer-encoding'] ?? '',
    type: answer.headers['content-type'] ?? '',
  });
  if (why !== null) return new Refusal(502, why);
  const body = scrub.body();
  return new Transform({
    transform: (chunk: Uint8Array, _encoding, done) => done(null, body.push(chunk)),
    flush: (done) => done(null, body.end()),
  });
}
