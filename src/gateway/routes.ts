import type { IncomingMessage } from 'node:http';
import { StoreUnavailable } from '../core/ports.ts';
import { answerApproval, answerQuestion, cancelTask, getTask, postMessage, streamTask, waitForTask } from './api.ts';
import { chatCompletions } from './chat.ts';
import { HttpError } from './errors.ts';
import type { Face } from './faces.ts';
import { streamEvents } from './journal-stream.ts';
import { listModels, oneModel } from './models.ts';
import { sendError, sendJson, sendText, type Exchange } from './reply.ts';

/** Paths that answer without a token: what supervisors poll. */
export const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

type Route = (exchange: Exchange, id: string, query: URLSearchParams) => Promise<unknown>;

interface Endpoint {
  method: 'GET' | 'POST';
  /** Path segments; `:id` stands for any one. */
  segments: readonly string[];
  route: Route;
}

/** Every endpoint, on one screen. Gives what answers a request, whatever happens to it. */
export function routes(face: Face): (exchange: Exchange) => Promise<void> {
  const endpoints: Endpoint[] = [];
  const on = (method: Endpoint['method'], path: string, route: Route): void => {
    endpoints.push({ method, segments: path.split('/'), route });
  };

  on('GET', '/healthz', (exchange) => sendText(exchange, 200, 'ok\n'));
  on('GET', '/readyz', (exchange) => ready(face, exchange));
  on('GET', '/metrics', (exchange) => metrics(face, exchange));

  on('GET', '/api/status', async (exchange) => sendJson(exchange, 200, await face.runtime.status()));
  on('GET', '/api/agents', async (exchange) => sendJson(exchange, 200, { agents: await face.runtime.agents() }));
  on('GET', '/api/events', (exchange, _id, query) => streamEvents(face, exchange, query));
  on('POST', '/api/messages', (exchange, _id, query) => postMessage(face, exchange, query));
  on('GET', '/api/tasks/:id', (exchange, id) => getTask(face, exchange, id));
  on('GET', '/api/tasks/:id/wait', (exchange, id, query) => waitForTask(face, exchange, id, query));
  on('GET', '/api/tasks/:id/stream', (exchange, id, query) => streamTask(face, exchange, id, query));
  on('POST', '/api/tasks/:id/cancel', (exchange, id) => cancelTask(face, exchange, id));
  on('GET', '/api/pending', async (exchange) => sendJson(exchange, 200, { pending: await face.runtime.pending() }));
  on('POST', '/api/approvals/:id', (exchange, id, query) => answerApproval(face, exchange, id, query));
  on('POST', '/api/questions/:id', (exchange, id, query) => answerQuestion(face, exchange, id, query));

  on('GET', '/v1/models', (exchange) => listModels(face, exchange));
  on('GET', '/v1/models/:id', (exchange, id) => oneModel(face, exchange, id));
  on('POST', '/v1/chat/completions', (exchange) => chatCompletions(face, exchange));

  return async (exchange) => {
    try {
      await find(endpoints, exchange.incoming)(exchange);
    } catch (error) {
      await fail(face, exchange, error);
    }
  };
}

function find(
  endpoints: readonly Endpoint[],
  { method, url = '' }: IncomingMessage,
): (exchange: Exchange) => Promise<unknown> {
  const [path = '', query = ''] = url.split(/\?(.*)/s, 2);
  const segments = path.split('/');
  const fits = (known: Endpoint): boolean =>
    known.method === (method === 'HEAD' ? 'GET' : method) &&
    known.segments.length === segments.length &&
    known.segments.every((name, at) => (name === ':id' ? segments[at] !== '' : name === segments[at]));
  const endpoint = endpoints.find(fits);
  if (!endpoint) throw new HttpError(404, 'not_found', 'There is nothing at this path with this method.');
  const id = decoded(segments[endpoint.segments.indexOf(':id')] ?? '');
  return (exchange) => endpoint.route(exchange, id, new URLSearchParams(query));
}

/** What is not encoded properly is taken as it stands: no id looks like that. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** Tells what was refused; of a bug it tells nothing but the fact, and the log gets the rest. */
async function fail(face: Face, exchange: Exchange, error: unknown): Promise<void> {
  if (exchange.outgoing.destroyed || exchange.incoming.errored) return; // the client is gone
  if (!(error instanceof HttpError)) face.log.error({ err: error, path: exchange.incoming.url }, 'a request failed');
  if (exchange.outgoing.headersSent) {
    exchange.outgoing.destroy();
    return;
  }
  await sendError(exchange, told(error));
}

/** A disk that takes nothing is no bug: the owner must hear of it to mend it. */
function told(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof StoreUnavailable)
    return new HttpError(503, 'store_unavailable', `Nothing was done: ${error.message}.`);
  return new HttpError(500, 'internal', 'Something went wrong here; the log of "ruche up" says what.');
}

async function ready(face: Face, exchange: Exchange): Promise<void> {
  const { ready: takesTurns, notReady } = await face.runtime.status();
  const reason = notReady ?? 'not ready yet';
  if (takesTurns) await sendJson(exchange, 200, { ready: true });
  else await sendJson(exchange, 503, { ready: false, reason }, { 'retry-after': '1' });
}

const metrics = async (face: Face, exchange: Exchange): Promise<boolean> =>
  sendText(exchange, 200, await face.runtime.metrics(), { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
