import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { MessageFile } from '../../core/ports/channel.ts';
import { badRequest, HttpError } from './reply.ts';
import { isObject, jsonDepth } from '../../core/text/json.ts';

export type Fields = Record<string, unknown>;

const tooLarge = (limit: number): HttpError =>
  new HttpError(
    413,
    'too_large',
    `The body is larger than ${limit} bytes. Put long material in a file of the workspace.`,
  );

/** The body as a JSON object. Throws `HttpError` for everything that is none, before anything is parsed deeply. */
export async function readObject(
  incoming: IncomingMessage,
  limits: { bodyBytes: number; jsonDepth: number },
): Promise<Fields> {
  const type = (incoming.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  // Browsers send other types across sites without asking first; this one they must ask for.
  if (type !== 'application/json')
    throw new HttpError(415, 'unsupported_media_type', 'Send JSON with the header Content-Type: application/json.');
  if (incoming.headers['content-encoding'] !== undefined)
    throw new HttpError(415, 'unsupported_encoding', 'Send the body without Content-Encoding.');
  const text = decode(await readBytes(incoming, limits.bodyBytes));
  const depth = jsonDepth(text, limits.jsonDepth);
  if (depth > limits.jsonDepth) throw badRequest(`The JSON is nested deeper than ${limits.jsonDepth} levels.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw notJson(error);
  }
  if (!isObject(value)) throw badRequest('The body must be a JSON object.');
  return value;
}

/** The client's own name for a request, by which the same one is known when it comes again; null if it gives none. */
export function idempotencyKey(headers: IncomingHttpHeaders): string | null {
  const key = headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw badRequest('Idempotency-Key must have 1 to 255 characters without spaces.', 'Idempotency-Key');
}

/** Its hash, under which the request is kept. The form is that of earlier homes, which know the request when it comes again. */
export function requestName(headers: IncomingHttpHeaders, form: 'hex' | 'base64url'): string | undefined {
  const key = idempotencyKey(headers);
  return key === null ? undefined : createHash('sha256').update(key).digest(form);
}

/** Without the piece of the body that the platform quotes: it may cut a secret in two, and no half of one is known. */
export function notJson(error: unknown): HttpError {
  const why = error instanceof Error ? error.message.replace(/(?:^|, )(?:\.{3})?"[^]*is not valid JSON$/, '') : '';
  return badRequest(`The body is not JSON${why === '' ? '.' : `: ${why}`}`);
}

/** The bytes as they came: what is signed must not be touched. */
export async function readBytes(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  if (Number(incoming.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw tooLarge(limit);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw badRequest('The body is not valid UTF-8.');
  }
}

/** A string field that must be there. Lone surrogates become U+FFFD, since they cannot be stored. */
export function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw badRequest(`"${name}" must be a string.`, name);
  if (value.trim() === '') throw badRequest(`"${name}" must not be empty.`, name);
  return value.toWellFormed();
}

/** A string field that may be missing or null. */
export function optionalText(fields: Fields, name: string): string | null {
  return fields[name] === undefined || fields[name] === null ? null : text(fields, name);
}

/** A number of the query between `min` and `max`, or `fallback` where it is not given. */
export function queryNumber(
  value: string | undefined,
  name: string,
  min: number,
  max: number,
  fallback: number,
): number {
  if (value === undefined) return fallback;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max)) throw badRequest(`"${name}" must be a number from ${min} to ${max}.`, name);
  return number;
}

/** Files of one message. */
const MAX_FILES = 20;
const MAX_NAME = 200;

/**
 * The field `files` of a message: `[{name, mediaType, data}]`, `data` in base64, `most` bytes in all. What a name may be
 * called is settled where it is kept; here it only has to be one.
 */
export function filesOf(value: unknown, most: number): MessageFile[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > MAX_FILES)
    throw badRequest(`"files" must be a list of up to ${MAX_FILES} files.`, 'files');
  let bytes = 0;
  return value.map((each: unknown, index) => {
    const file = fileOf(each, `files.${index}`);
    bytes += file.bytes.length;
    if (bytes > most)
      throw new HttpError(
        413,
        'too_large',
        `The files of one message may have at most ${Math.floor(most / 1_000_000)} MB in all.`,
      );
    return file;
  });
}

function fileOf(value: unknown, at: string): MessageFile {
  const { name, mediaType, data } = isObject(value) ? value : {};
  if (typeof name !== 'string' || name.trim() === '' || name.length > MAX_NAME)
    throw badRequest(`"${at}.name" must be a file name of up to ${MAX_NAME} characters.`, `${at}.name`);
  if (typeof mediaType !== 'string' || !/^[\w.+-]{1,100}\/[\w.+-]{1,100}$/.test(mediaType))
    throw badRequest(`"${at}.mediaType" must be a media type such as image/png.`, `${at}.mediaType`);
  if (typeof data !== 'string' || data.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(data))
    throw badRequest(`"${at}.data" must be base64, with its padding.`, `${at}.data`);
  return { name: name.toWellFormed(), mediaType: mediaType.toLowerCase(), bytes: Buffer.from(data, 'base64') };
}
