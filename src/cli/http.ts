import { createHmac } from 'node:crypto';
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import type { Connection } from './connect.ts';
import { CliError } from './io.ts';

/** The connection failed or broke: the gateway is away, perhaps only for a moment. */
export class GatewayLost extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'GatewayLost';
  }
}

/** The gateway is there and takes no request now; the message is its own, for a person. The same request may come again. */
export class GatewayBusy extends GatewayLost {}

/** The gateway refused; `status` and `code` say why, the message is for a person. */
export class ApiError extends CliError {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

interface Call {
  method?: 'GET' | 'POST';
  body?: unknown;
  signal?: AbortSignal;
  /** Names the request where it may be sent again. */
  key?: string;
}

/** Milliseconds without a byte after which a connection counts as lost. The gateway sends something every 15 s, or within a held wait of 55 s. */
const SILENCE = 90_000;

/** Another program listens where the gateway was. */
export class Stranger extends CliError {}

/** Sends a request and gives the answer with its status line read. `node:http`, because loading fetch takes longer than a whole command. */
async function open(connection: Connection, path: string, call: Call): Promise<IncomingMessage> {
  const { socket } = connection;
  if (socket !== null) {
    try {
      return await send({ socketPath: socket, agent: false }, withToken(connection, path, call));
    } catch (error) {
      if (!isUnconnected(error)) throw error; // nothing was sent otherwise
    }
  }
  const agent = new OneConnection({ keepAlive: true, maxSockets: 1 });
  const { hostname, port } = new URL(connection.url);
  const at = { hostname: hostname.replace(/^\[|\]$/g, ''), port, agent };
  await prove(connection, at, call.signal);
  return send(at, withToken(connection, path, call));
}

/** What was proved holds for the connection that it was proved on, and for no other. */
class OneConnection extends Agent {
  #made = false;
  override createConnection(...given: Parameters<Agent['createConnection']>): ReturnType<Agent['createConnection']> {
    if (this.#made) throw new GatewayLost('The connection to the gateway was lost.');
    this.#made = true;
    return super.createConnection(...given);
  }
}

const NOT_THERE = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EACCES',
  'EINVAL',
  'ENAMETOOLONG',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOTSOCK',
]);

/** That nobody listens there, as opposed to a connection that broke. */
export const isUnconnected = (error: unknown): boolean =>
  error instanceof GatewayLost && NOT_THERE.has((error.cause as NodeJS.ErrnoException | undefined)?.code ?? '');

/** Bytes of a proof: what is longer comes from somebody else, and may have no end. */
const PROOF_BYTES = 1_000;

/** Asks whose the port is before anything is sent there: after a crash, any program may have taken it. */
async function prove({ home, url, proof, nonce }: Connection, at: RequestOptions, signal?: AbortSignal): Promise<void> {
  if (proof === null)
    throw new Stranger(
      `The gateway at ${url} cannot prove that it is the one of ${home}, so the token is not sent. An older version may have started it; start it again.`,
      2,
    );
  const answer = await send(at, { path: `/proof?nonce=${nonce}`, method: 'GET', headers: {}, body: undefined, signal });
  const { port } = new URL(url);
  const own = createHmac('sha256', proof).update(`ruche gateway ${port} ${nonce}`).digest('base64url');
  const told = parse(await readAll(answer, signal, PROOF_BYTES)) as { proof?: unknown } | null;
  if (told?.proof !== own)
    throw new Stranger(
      `Another program answers at ${url}, where the gateway of ${home} was. The token was not sent to it. Start the gateway again.`,
      2,
    );
}

interface Sent {
  path: string;
  method: string;
  headers: Record<string, string>;
  body: string | undefined;
  signal: AbortSignal | undefined;
}

function withToken({ token }: Connection, path: string, { method, body: value, signal, key }: Call): Sent {
  const body = value === undefined ? undefined : JSON.stringify(value);
  const headers = {
    authorization: `Bearer ${token}`,
    connection: 'close',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(key === undefined ? {} : { 'idempotency-key': key }),
  };
  return { path, method: method ?? (body === undefined ? 'GET' : 'POST'), headers, body, signal };
}

function send(at: RequestOptions, { body, signal, ...what }: Sent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ ...at, ...what, signal, timeout: SILENCE }, resolve);
    outgoing.on('timeout', () => outgoing.destroy(new Error('the gateway sends nothing')));
    outgoing.on('error', (error) => reject(lost(error, signal)));
    outgoing.end(body);
  });
}

const lost = (error: unknown, signal: AbortSignal | undefined): unknown =>
  signal?.aborted
    ? signal.reason
    : new GatewayLost(
        `The connection to the gateway was lost (${error instanceof Error ? error.message : 'broken'}).`,
        {
          cause: error,
        },
      );

/** JSON of the answer; null for 204. Rejects with `GatewayLost`, `ApiError`, or the signal's reason. */
export async function callApi<T>(connection: Connection, path: string, call: Call = {}): Promise<T> {
  const answer = await open(connection, path, call);
  const text = await readAll(answer, call.signal);
  const status = answer.statusCode ?? 0;
  if (status === 204) return null as T;
  const value = parse(text);
  if (status >= 200 && status < 300) return value as T;
  throw refusal(status, value);
}

async function readAll(answer: IncomingMessage, signal: AbortSignal | undefined, limit = Infinity): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) break;
    }
  } catch (error) {
    throw lost(error, signal);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // another program answers on this port
  }
}

function refusal(status: number, value: unknown): Error {
  const error = (value as { error?: { message?: unknown; code?: unknown } } | null)?.error;
  const code = typeof error?.code === 'string' ? error.code : 'unknown';
  const message = typeof error?.message === 'string' ? error.message : `The gateway answered ${status}.`;
  // A disk that takes nothing waits for a person, who has to read why. Everything else passes by itself.
  if (code === 'store_unavailable') return new ApiError(status, code, message);
  if (status === 503 || status === 429) return new GatewayBusy(message);
  return new ApiError(status, code, message);
}

interface ServerEvent {
  event: string;
  data: string;
}

/** The events of an answer until it ends; one that is no stream is a single event `json`. Rejects as `callApi` does. */
export async function* streamApi(connection: Connection, path: string, call: Call): AsyncGenerator<ServerEvent> {
  const answer = await open(connection, path, call);
  if (!String(answer.headers['content-type']).startsWith('text/event-stream')) {
    const text = await readAll(answer, call.signal);
    if (answer.statusCode !== 200) throw refusal(answer.statusCode ?? 0, parse(text));
    yield { event: 'json', data: text };
    return;
  }
  const { createParser } = await import('eventsource-parser');
  let ready: ServerEvent[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => ready.push({ event: event ?? 'message', data }) });
  answer.setEncoding('utf8');
  try {
    for await (const chunk of answer as AsyncIterable<string>) {
      parser.feed(chunk);
      const now = ready;
      ready = [];
      yield* now;
    }
  } catch (error) {
    throw lost(error, call.signal);
  } finally {
    answer.destroy();
  }
}
