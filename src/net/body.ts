import type { IncomingMessage } from 'node:http';
import { pipeline, type Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { Scrub } from '../core/ports/injection.ts';
import { NetError } from '../core/ports/net.ts';
import { type Answer, netError, type Watch } from './exchange.ts';

type Chunks = AsyncIterable<Uint8Array>;

export const ACCEPT_ENCODING = 'gzip, deflate, br';

const DECODERS: Readonly<Record<string, (first: Uint8Array) => Transform>> = {
  gzip: () => zlib.createGunzip(),
  'x-gzip': () => zlib.createGunzip(),
  br: () => zlib.createBrotliDecompress(),
  // Some servers leave out the zlib header, whose first byte ends in 8.
  deflate: (first) => (((first[0] ?? 0) & 0x0f) === 8 ? zlib.createInflate() : zlib.createInflateRaw()),
};

/** The encoding to undo, '' for none. Rejects one we did not ask for, and more than one: there is no honest use. */
export function encodingOf(message: IncomingMessage): string {
  const encoding = (message.headers['content-encoding'] ?? '').trim().toLowerCase();
  if (encoding === '' || encoding === 'identity') return '';
  if (!Object.hasOwn(DECODERS, encoding))
    throw new NetError('protocol', 'the answer has a content encoding that was not asked for');
  return encoding;
}

async function* metered(message: IncomingMessage, maxBytes: number, watch: Watch): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    watch.heard();
    // What is compressed must not be larger than what it may become.
    if (bytes > maxBytes + 1024) throw tooLarge(maxBytes);
    yield chunk;
  }
}

async function* decoded(chunks: AsyncGenerator<Uint8Array>, encoding: string): AsyncGenerator<Uint8Array> {
  const first = await chunks.next();
  if (first.done) return;
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    yield first.value;
    yield* chunks;
  };
  const decoder = (DECODERS[encoding] as (first: Uint8Array) => Transform)(first.value);
  // The decoder carries every error, that of its source included, to its reader.
  pipeline(whole, decoder, () => undefined);
  yield* decoder as Chunks as AsyncGenerator<Uint8Array>;
}

async function* scrubbed(chunks: AsyncGenerator<Uint8Array>, scrub: Scrub): AsyncGenerator<Uint8Array> {
  const body = scrub.body();
  for await (const chunk of chunks) {
    const clean = body.push(chunk);
    if (clean.length > 0) yield clean;
  }
  yield body.end();
}

const tooLarge = (maxBytes: number): NetError =>
  new NetError('too-large', `the answer is longer than ${maxBytes} bytes`);

/**
 * The body as a stream that is read only as fast as it is taken. It delivers up to `maxBytes` decoded bytes and then
 * fails with `too-large`; every failure is a NetError.
 */
export function bodyStream(
  answer: Answer,
  encoding: string,
  maxBytes: number,
  where: string,
  watch: Watch,
  scrub: Scrub | null = null,
): ReadableStream<Uint8Array> {
  const raw = metered(answer.message, encoding === '' ? Infinity : maxBytes, watch);
  const plain = encoding === '' ? raw : decoded(raw, encoding);
  const chunks = scrub === null ? plain : scrubbed(plain, scrub);
  let left = maxBytes;
  let ended = false;
  const end = (drop: boolean, failure?: NetError): void => {
    ended = true;
    watch.waiting(false);
    watch.end(failure);
    if (drop) answer.drop();
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        watch.signal.addEventListener('abort', () => {
          if (ended) return;
          end(true);
          controller.error(watch.signal.reason);
        });
        watch.waiting(false);
      },
      async pull(controller) {
        watch.waiting(true);
        try {
          const next = await chunks.next();
          if (ended) return;
          watch.waiting(false);
          if (next.done) {
            end(false);
            controller.close();
            return;
          }
          if (left > 0) controller.enqueue(next.value.subarray(0, left));
          left -= next.value.length;
          if (left < 0) throw tooLarge(maxBytes);
        } catch (error) {
          if (ended) return;
          const failure = watch.signal.aborted ? (watch.signal.reason as NetError) : netError(error, where);
          end(true, failure);
          controller.error(failure);
        }
      },
      cancel: () => end(true),
    },
    { highWaterMark: 0 },
  );
}
