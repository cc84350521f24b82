import type { IncomingMessage } from 'node:http';
import { StoreUnavailable } from '../core/ports/store.ts';
import { pauseAgent, resumeAgent } from './api/agents.ts';
import {
  answerApproval,
  answerQuestion,
  cancelTask,
  getTask,
  postMessage,
  streamTask,
  waitForTask,
} from './api/tasks.ts';
import { chatCompletions } from './openai/chat.ts';
import { HttpError } from './http/errors.ts';
import { acknowledgeEscalation, getEscalation, getEscalations } from './api/escalations.ts';
import type { Face } from './http/face.ts';
import { streamEvents } from './api/journal-stream.ts';
import { enter, ENTER_PATH, loginPage, loginScript, logOut, makeLogin, whoAmI } from './api/login.ts';
import type { Logins } from './http/logins.ts';
import { streamLive } from './api/live.ts';
import { listModels, oneModel } from './openai/models.ts';
import { getModels, setUpModel, testModel } from './api/models.ts';
import { failureLimit } from './http/rate-limit.ts';
import { HOOKS, receiveHook } from './api/hooks.ts';
import { changeSchedule, getSchedules } from './api/schedules.ts';
import { getTrigger, getTriggers, pauseTrigger, runTrigger } from './api/triggers.ts';
import { serveStatic } from './http/static.ts';
import * as views from './api/views.ts';
import type { ModelDesk, Views } from '../core/api/views.ts';
import { makePairing } from './api/pairing.ts';
import { sendError, sendJson, sendText, type Exchange } from './http/reply.ts';

/** Paths that supervisors poll. */
const HEALTH: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/** What answers without a token: health; where there is a page, the page, which holds no data, and the exchange of a login code. */
export function isOpen(method: string | undefined, path: string, hasPage: boolean): boolean {
  if (method === 'POST') return hasPage && path === ENTER_PATH;
  return (method === 'GET' || method === 'HEAD') && (HEALTH.has(path) || (hasPage && !isGuarded(path)));
}

/** Every endpoint but health lies behind one of these. */
const isGuarded = (path: string): boolean => /^\/(?:api|v1|metrics)(?:\/|$)/.test(path);

/** `id` is the first of `ids`, the path's own segments. */
type Route = (exchange: Exchange, id: string, query: URLSearchParams, ids: readonly string[]) => Promise<unknown>;
type On = (method: Endpoint['method'], path: string, route: Route) => void;

interface Endpoint {
  method: 'GET' | 'POST';
  /** Path segments; those with a colon stand for any one. */
  segments: readonly string[];
  route: Route;
}

/** Every endpoint, on one screen. Gives what answers a request, whatever happens to it. */
export function routes(face: Face): (exchange: Exchange) => Promise<void> {
  const endpoints: Endpoint[] = [];
  const on: On = (method, path, route) => {
    endpoints.push({ method, segments: path.split('/'), route });
  };

  on('GET', '/healthz', (exchange) => sendText(exchange, 200, 'ok\n'));
  on('GET', '/readyz', (exchange) => ready(face, exchange));
  on('GET', '/metrics', (exchange) => metrics(face, exchange));

  on('GET', '/api/status', async (exchange) => sendJson(exchange, 200, await face.runtime.status()));
  on('GET', '/api/agents', async (exchange) => sendJson(exchange, 200, { agents: await face.runtime.agentsToday() }));
  on('POST', '/api/agents/:name/pause', (exchange, name) => pauseAgent(face, exchange, name));
  on('POST', '/api/agents/:name/resume', (exchange, name) => resumeAgent(face, exchange, name));
  on('GET', '/api/events', (exchange, _id, query) => streamEvents(face, exchange, query));
  on('POST', '/api/messages', (exchange, _id, query) => postMessage(face, exchange, query));
  on('GET', '/api/tasks/:id', (exchange, id) => getTask(face, exchange, id));
  on('GET', '/api/tasks/:id/wait', (exchange, id, query) => waitForTask(face, exchange, id, query));
  on('GET', '/api/tasks/:id/stream', (exchange, id, query) => streamTask(face, exchange, id, query));
  on('POST', '/api/tasks/:id/cancel', (exchange, id) => cancelTask(face, exchange, id));
  on('GET', '/api/pending', async (exchange) => sendJson(exchange, 200, { pending: await face.runtime.pending() }));
  on('POST', '/api/approvals/:id', (exchange, id, query) => answerApproval(face, exchange, id, query));
  on('POST', '/api/questions/:id', (exchange, id, query) => answerQuestion(face, exchange, id, query));

  scheduleRoutes(on, face);
  triggerRoutes(on, face);
  on('GET', '/api/escalations', (exchange, _id, query) => getEscalations(face, exchange, query));
  on('GET', '/api/escalations/:id', (exchange, id) => getEscalation(face, exchange, id));
  on('POST', '/api/escalations/:id/ack', (exchange, id) => acknowledgeEscalation(face, exchange, id));

  on('POST', '/api/pairings', (exchange) => makePairing(face, exchange));

  on('GET', '/v1/models', (exchange) => listModels(face, exchange));
  on('GET', '/v1/models/:id', (exchange, id) => oneModel(face, exchange, id));
  on('POST', '/v1/chat/completions', (exchange) => chatCompletions(face, exchange));

  if (face.views) viewRoutes(on, face, face.views);
  if (face.desk) deskRoutes(on, face, face.desk);
  if (face.logins) loginRoutes(on, face, face.logins);

  return async (exchange) => {
    try {
      await find(endpoints, face.web, exchange.incoming)(exchange);
    } catch (error) {
      await fail(face, exchange, error);
    }
  };
}

function scheduleRoutes(on: On, face: Face): void {
  on('GET', '/api/schedules', (exchange) => getSchedules(face, exchange));
  // An id is `<agent>/<name>`: its slash may be written as it is, or encoded.
  for (const id of [':id', ':agent/:name'])
    for (const verb of ['run', 'pause', 'resume'] as const)
      on('POST', `/api/schedules/${id}/${verb}`, (exchange, _id, _query, ids) =>
        changeSchedule(face, exchange, ids.join('/'), verb),
      );
}

function triggerRoutes(on: On, face: Face): void {
  const limits = { failures: failureLimit(face.limits.failures), rate: failureLimit(face.limits.hooks), unproved: 0 };
  on('POST', `${HOOKS}:name`, (exchange, name) => receiveHook(face, limits, exchange, name));
  on('GET', '/api/triggers', (exchange) => getTriggers(face, exchange));
  for (const id of [':id', ':agent/:name']) {
    on('GET', `/api/triggers/${id}`, (exchange, _id, _query, ids) => getTrigger(face, exchange, ids.join('/')));
    on('POST', `/api/triggers/${id}/run`, (exchange, _id, _query, ids) => runTrigger(face, exchange, ids.join('/')));
    for (const verb of ['pause', 'resume'] as const)
      on('POST', `/api/triggers/${id}/${verb}`, (exchange, _id, _query, ids) =>
        pauseTrigger(face, exchange, ids.join('/'), verb),
      );
  }
}

function viewRoutes(on: On, face: Face, known: Views): void {
  on('GET', '/api/conversations', (exchange, _id, query) => views.getConversations(known, exchange, query));
  on('GET', '/api/conversations/:agent/:session', (exchange, _id, query, ids) =>
    views.getConversation(known, exchange, ids, query),
  );
  on('GET', '/api/runs', (exchange, _id, query) => views.getRuns(known, exchange, query));
  on('GET', '/api/tasks', (exchange, _id, query) => views.getTasks(known, exchange, query));
  on('GET', '/api/tasks/:id/chain', (exchange, id) => views.getChain(known, exchange, id));
  on('GET', '/api/board', (exchange, _id, query) => views.getBoard(known, exchange, query));
  on('GET', '/api/runs/:id', (exchange, id) => views.getRun(known, exchange, id));
  on('GET', '/api/runs/:id/exact/:hash', (exchange, _id, _query, ids) => views.getExact(known, exchange, ids));
  on('GET', '/api/runs/:id/diff', (exchange, id) => views.getDiff(known, exchange, id));
  on('GET', '/api/files/:agent/:session/:hash', (exchange, _id, _query, ids) => views.getFile(known, exchange, ids));
  on('GET', '/api/failures', (exchange, _id, query) => views.getFailures(known, exchange, query));
  on('GET', '/api/live', (exchange, _id, query) => streamLive(face, known, exchange, query));
  on('POST', '/api/tasks/:id/retry', (exchange, id) => views.retryTask(face, exchange, id));
  on('POST', '/api/tasks/:id/dismiss', (exchange, id) => views.dismissTask(face, exchange, id));
}

function deskRoutes(on: On, face: Face, desk: ModelDesk): void {
  on('GET', '/api/models', (exchange) => getModels(face, desk, exchange));
  on('POST', '/api/models/test', (exchange) => testModel(face, desk, exchange));
  on('POST', '/api/setup', (exchange) => setUpModel(face, desk, exchange));
}

function loginRoutes(on: On, face: Face, logins: Logins): void {
  on('POST', '/api/logins', (exchange) => makeLogin(face, logins, exchange));
  on('POST', ENTER_PATH, (exchange) => enter(face, logins, exchange));
  on('POST', '/api/logout', (exchange) => logOut(face, logins, exchange));
  on('GET', '/api/me', (exchange) => whoAmI(logins, exchange));
  on('GET', '/login', loginPage);
  on('GET', '/login.js', loginScript);
}

function find(
  endpoints: readonly Endpoint[],
  web: string | null,
  { method, url = '' }: IncomingMessage,
): (exchange: Exchange) => Promise<unknown> {
  const [path = '', query = ''] = url.split(/\?(.*)/s, 2);
  const segments = path.split('/');
  const fits = (known: Endpoint): boolean =>
    known.method === (method === 'HEAD' ? 'GET' : method) &&
    known.segments.length === segments.length &&
    known.segments.every((name, at) => (name.startsWith(':') ? segments[at] !== '' : name === segments[at]));
  const endpoint = endpoints.find(fits);
  if (!endpoint && web !== null && (method === 'GET' || method === 'HEAD') && !isGuarded(path))
    return (exchange) => serveStatic(exchange, web);
  if (!endpoint) throw new HttpError(404, 'not_found', 'Nothing was found at this path with this method.');
  const ids = segments.filter((_, at) => endpoint.segments[at]?.startsWith(':')).map(decoded);
  return (exchange) => endpoint.route(exchange, ids[0] ?? '', new URLSearchParams(query), ids);
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
  return new HttpError(500, 'internal', 'Something went wrong in Ruche. See the log of "ruche up".');
}

async function ready(face: Face, exchange: Exchange): Promise<void> {
  const { ready: takesTurns, notReady } = await face.runtime.status();
  const reason = notReady ?? 'not ready yet';
  if (takesTurns) await sendJson(exchange, 200, { ready: true });
  else await sendJson(exchange, 503, { ready: false, reason }, { 'retry-after': '1' });
}

const metrics = async (face: Face, exchange: Exchange): Promise<boolean> =>
  sendText(exchange, 200, await face.runtime.metrics(), { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
