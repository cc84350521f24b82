import type { Api, GrammyError, HttpError, InputFile } from 'grammy';
import { parseTarget } from '../../core/net/host.ts';
import { type ForWhom, type Net, NetError, onlyAt } from '../../core/ports/net.ts';
import { errorText } from '../../core/text/sentence.ts';

export interface ApiOptions {
  /** Name of the channel in `ruche.yaml`. */
  name: string;
  token: string;
  /** Telegram's own if absent; one that is named may be on a private address. */
  apiRoot?: string;
  net: Net;
}

/** The Bot API as it is documented, over the one way out. */
export interface TelegramApi {
  call: Api['raw'];
  file(bytes: Uint8Array, name: string): InputFile;
  /** What `getFile` has named. Rejects with NetError or OddAnswer. */
  download(path: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>;
}

/** An answer that is none of the Bot API, from a proxy on the way for example. */
class OddAnswer extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`the answer (HTTP ${status}) is not one of the Bot API`);
    this.name = 'OddAnswer';
    this.status = status;
  }
}

const ROOT = 'https://api.telegram.org';
/** Milliseconds: a held poll lasts 50 s, an upload of 50 MB over a slow line ten minutes. */
const CALL_MS = 65_000;
const UPLOAD_MS = 600_000;
const MAX_ANSWER = 16_000_000;
/** Milliseconds, however long Telegram asks to wait: then it is asked again. */
const MAX_WAIT = 3_600_000;

/** grammY's browser build: 8 ms and 7 MB to load, where the one for Node brings an HTTP client of its own (60 ms, 21 MB). */
const load = (): Promise<Pick<typeof import('grammy'), 'Api' | 'InputFile'>> => import('grammy/web');

export async function openApi({ name, token, apiRoot, net }: ApiOptions): Promise<TelegramApi> {
  const root = apiRoot?.replace(/\/+$/, '') ?? ROOT;
  const parsed = parseTarget(root);
  if (!parsed.ok)
    throw new NetError('blocked', `channels.${name}.apiRoot in ruche.yaml cannot be used: ${parsed.reason}`);
  const own = onlyAt(`channel:${name}`, parsed.target);
  const forWhom: ForWhom = apiRoot === undefined ? { ...own, privateHosts: [] } : own;
  const { Api, InputFile } = await load();
  const fetch = (url: unknown, init: RequestInit): Promise<unknown> => fetchOver(net, forWhom, String(url), init);
  const api = new Api(token, { apiRoot: root, fetch: fetch as never, timeoutSeconds: UPLOAD_MS / 1000 });
  return {
    call: api.raw,
    file: (bytes, fileName) => new InputFile(bytes, fileName),
    async download(path, maxBytes, signal) {
      const segments = path.split('/').map(encodeURIComponent);
      if (segments.some((segment) => /^\.*$/.test(segment))) throw new OddAnswer(200);
      const url = `${root}/file/bot${token}/${segments.join('/')}`;
      const limits = { maxBytes, timeoutMs: UPLOAD_MS, idleMs: CALL_MS, maxRedirects: 0 };
      const response = await net.request({ url, signal, ...limits }, forWhom);
      if (response.ok) return response.bytes();
      await response.body?.cancel();
      throw new OddAnswer(response.status);
    },
  };
}

async function fetchOver(net: Net, forWhom: ForWhom, url: string, init: RequestInit): Promise<unknown> {
  const { method, signal, body } = init;
  const type = new Headers(init.headers).get('content-type') ?? 'application/json';
  const patience = typeof body === 'string' ? CALL_MS : UPLOAD_MS;
  const response = await net.request(
    {
      url,
      method,
      headers: { 'content-type': type },
      body: typeof body === 'string' ? body : await new Response(body).bytes(),
      signal: signal ?? undefined,
      maxBytes: MAX_ANSWER,
      timeoutMs: patience,
      idleMs: patience,
      maxRedirects: 0,
    },
    forWhom,
  );
  const answer = parseAnswer(await response.text());
  if (answer === null) throw new OddAnswer(response.status);
  return { json: () => Promise.resolve(answer) };
}

function parseAnswer(text: string): object | null {
  try {
    const answer: unknown = JSON.parse(text);
    return answer !== null && typeof answer === 'object' && 'ok' in answer ? answer : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Why a call failed. `unsent`: nothing has left. `lost`: it may have been carried out. */
export type Trouble =
  | { kind: 'refused'; code: number; says: string; retryAfter: number | null; movedTo: number | null }
  | { kind: 'unsent' | 'lost'; says: string };

export function troubleOf(error: unknown): Trouble {
  if (error instanceof Error && 'error_code' in error) return refusal(error as GrammyError);
  const inner = error instanceof Error && error.name === 'HttpError' ? (error as HttpError).error : error;
  const says = errorText(inner);
  if (inner instanceof NetError && (inner.unsent || inner.code === 'dns' || inner.code === 'blocked'))
    return { kind: 'unsent', says };
  // A proxy that refuses has not let it through.
  const refused = inner instanceof OddAnswer && inner.status >= 400 && inner.status < 500;
  return { kind: refused ? 'unsent' : 'lost', says };
}

function refusal({ error_code: code, description, parameters }: GrammyError): Trouble {
  const says = `Telegram says: ${description}`;
  if (code >= 500) return { kind: 'lost', says };
  const { retry_after: seconds, migrate_to_chat_id: movedTo } = parameters;
  // Whatever a server writes there: without end nothing would ever be sent again, and no number would be no wait at all.
  const asked = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : 1_000;
  const retryAfter = code === 429 ? Math.min(MAX_WAIT, asked) : null;
  return { kind: 'refused', code, says, retryAfter, movedTo: movedTo ?? null };
}

/** Waits that double from a second to a minute; chance keeps many bots from coming back in the same moment. */
export const pauseMs = (failures: number, random: () => number): number =>
  Math.min(60_000, 1_000 * 2 ** Math.min(failures, 10)) * (0.5 + random() / 2);
