import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Connection } from './connect.ts';
import { CliError } from './io.ts';

/** The connection failed or broke: the gateway is away, perhaps only for a moment. */
export class GatewayLost extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'GatewayLost';
  }
}

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

/** Sends a request and gives the answer with its status line read. `node:http`, because loading fetch takes longer than a whole command. */
function open(connection: Connection, path: string, call: Call): Promise<IncomingMessage> {
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      `${connection.url}${path}`,
      {
        method: call.method ?? (body === undefined ? 'GET' : 'POST'),
        agent: false,
        signal: call.signal,
        timeout: SILENCE,
        headers: {
          authorization: `Bearer ${connection.token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(call.key === undefined ? {} : { 'idempotency-key': call.key }),
        },
      },
      resolve,
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('the gateway sends nothing')));
    outgoing.on('error', (error) => reject(lost(error, call.signal)));
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

async function readAll(answer: IncomingMessage, signal: AbortSignal | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
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
  // It is going down or not up yet: for whoever can wait, that is the same as being away.
  if (status === 503 || status === 429) return new GatewayLost(message);
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
