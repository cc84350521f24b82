import { StoreUnavailable } from '../core/ports/store.ts';
import type { CostDesk } from '../core/api/costs.ts';
import type { PolicyDesk } from '../core/api/policy.ts';
import type { SecretsDesk } from '../core/api/secrets.ts';
import type { ModelDesk, Views } from '../core/api/views.ts';
import * as control from './api/control.ts';
import { HOOKS, receiveHook } from './api/hooks.ts';
import {
  enter,
  ENTER_PATH,
  loginPage,
  loginScript,
  logOut,
  makeLogin,
  whoAmI,
  PROOF_PATH,
  proveOwn,
} from './api/login.ts';
import { streamEvents, streamLive } from './api/streams.ts';
import * as costs from './api/costs.ts';
import * as policy from './api/policy.ts';
import * as secrets from './api/secrets.ts';
import * as standing from './api/standing.ts';
import * as tasks from './api/tasks.ts';
import * as views from './api/views.ts';
import { failureLimit } from './http/access.ts';
import type { GatewayContext } from './http/context.ts';
import type { Logins } from './http/logins.ts';
import { HttpError, sendError, sendJson, sendText, type Exchange, type ApiRequest } from './http/reply.ts';
import { serveStatic } from './http/static.ts';
import { chatCompletions } from './openai/chat.ts';
import { listModels, oneModel } from './openai/objects.ts';

/** Paths that supervisors poll, and where commands ask whose the port is. */
const HEALTH: ReadonlySet<string> = new Set(['/healthz', '/readyz', PROOF_PATH]);

/** What answers without a token: health; where there is a page, the page, which holds no data, and the exchange of a login code. */
export function isOpen(method: string | undefined, path: string, hasPage: boolean): boolean {
  if (method === 'POST') return hasPage && path === ENTER_PATH;
  return (method === 'GET' || method === 'HEAD') && (HEALTH.has(path) || (hasPage && !isGuarded(path)));
}

/** Every endpoint but health lies behind one of these. */
const isGuarded = (path: string): boolean => /^\/(?:api|v1|metrics|hooks)(?:\/|$)/.test(path);

/** What a path names: `/api/runs/:id/exact/:hash` has `id` and `hash`. */
type Names<Path> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | Names<Rest>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never;
type Handler<Path> = (request: ApiRequest<Names<Path>>) => Promise<unknown>;
type On = <Path extends string>(method: 'GET' | 'POST', path: Path, handler: Handler<Path>) => void;

interface Endpoint {
  method: string;
  segments: readonly string[];
  handler: (request: ApiRequest<string>) => Promise<unknown>;
}

/** What answers a request, whatever happens to it. */
export function routes(context: GatewayContext): (exchange: Exchange) => Promise<void> {
  const endpoints = endpointsOf(context);
  return async (exchange) => {
    try {
      await answer(endpoints, context.web, exchange);
    } catch (error) {
      await fail(context, exchange, error);
    }
  };
}

/** Every endpoint, on one screen. */
export function endpointsOf(context: GatewayContext): readonly Endpoint[] {
  const { runtime } = context;
  const endpoints: Endpoint[] = [];
  const on: On = (method, path, handler) => {
    endpoints.push({ method, segments: path.split('/'), handler });
  };

  on('GET', '/healthz', (request) => sendText(request, 200, 'ok\n'));
  on('GET', '/readyz', (request) => ready(context, request));
  const { proof } = context;
  if (proof !== null) on('GET', PROOF_PATH, (request) => proveOwn(proof, request));
  on('GET', '/metrics', (request) => metrics(context, request));

  on('GET', '/api/status', async (request) => {
    const gateway = { ...context.address(), publicUrl: context.publicUrl(), refused: [...context.refused.values()] };
    await sendJson(request, 200, { ...(await runtime.status()), gateway });
  });
  on('GET', '/api/agents', async (request) => sendJson(request, 200, { agents: await runtime.agentsToday() }));
  on('POST', '/api/agents/:name/pause', (request) => control.pauseAgent(context, request));
  on('POST', '/api/agents/:name/resume', (request) => control.resumeAgent(context, request));
  on('GET', '/api/events', (request) => streamEvents(context, request));
  on('POST', '/api/messages', (request) => tasks.postMessage(context, request));
  on('GET', '/api/tasks/:id', (request) => tasks.getTask(context, request));
  on('GET', '/api/tasks/:id/wait', (request) => tasks.waitForTask(context, request));
  on('GET', '/api/tasks/:id/stream', (request) => tasks.streamTask(context, request));
  on('POST', '/api/tasks/:id/cancel', (request) => tasks.cancelTask(context, request));
  on('GET', '/api/pending', async (request) => sendJson(request, 200, { pending: await runtime.pending() }));
  on('POST', '/api/approvals/:id', (request) => tasks.answerApproval(context, request));
  on('POST', '/api/questions/:id', (request) => tasks.answerQuestion(context, request));
  standingRoutes(on, context);

  clockworkRoutes(on, context);
  on('GET', '/api/escalations', (request) => control.getEscalations(context, request));
  on('GET', '/api/escalations/:id', (request) => control.getEscalation(context, request));
  on('POST', '/api/escalations/:id/ack', (request) => control.acknowledgeEscalation(context, request));

  on('POST', '/api/pairings', (request) => control.makePairing(context, request));

  on('GET', '/v1/models', (request) => listModels(context, request));
  on('GET', '/v1/models/:name', (request) => oneModel(context, request));
  on('POST', '/v1/chat/completions', (request) => chatCompletions(context, request));

  if (context.views) viewRoutes(on, context, context.views);
  if (context.desk) deskRoutes(on, context, context.desk);
  if (context.costs) costRoutes(on, context, context.costs);
  if (context.policy) policyRoutes(on, context, context.policy);
  if (context.secrets) secretRoutes(on, context, context.secrets);
  if (context.logins) loginRoutes(on, context, context.logins);
  return endpoints;
}

function standingRoutes(on: On, context: GatewayContext): void {
  on('GET', '/api/grants', (request) => standing.getGrants(context, request));
  on('POST', '/api/grants/:id/revoke', (request) => standing.revoke(context, request, 'grant'));
  on('GET', '/api/endorsements', (request) => standing.getEndorsements(context, request));
  on('POST', '/api/endorsements', (request) => standing.endorse(context, request));
  on('POST', '/api/endorsements/:id/revoke', (request) => standing.revoke(context, request, 'endorsement'));
}

function clockworkRoutes(on: On, context: GatewayContext): void {
  const { failures, hooks } = context.limits;
  const limits = { failures: failureLimit(failures), rate: failureLimit(hooks), unproved: 0 };
  on('POST', `${HOOKS}:name`, (request) => receiveHook(context, limits, request));

  // An id is `<agent>/<name>`: its slash may be written as it is, or encoded.
  const each = (method: 'GET' | 'POST', before: string, after: string, handler: Handler<':id'>): void => {
    on(method, `${before}/:id${after}`, handler);
    on(method, `${before}/:agent/:name${after}`, (request) =>
      handler({ ...request, params: { id: `${request.params.agent}/${request.params.name}` } }),
    );
  };
  on('GET', '/api/schedules', (request) => control.getSchedules(context, request));
  for (const verb of ['run', 'pause', 'resume'] as const)
    each('POST', '/api/schedules', `/${verb}`, (request) => control.changeSchedule(context, request, verb));
  on('GET', '/api/triggers', (request) => control.getTriggers(context, request));
  each('GET', '/api/triggers', '', (request) => control.getTrigger(context, request));
  each('POST', '/api/triggers', '/run', (request) => control.runTrigger(context, request));
  for (const verb of ['pause', 'resume'] as const)
    each('POST', '/api/triggers', `/${verb}`, (request) => control.pauseTrigger(context, request, verb));
}

function viewRoutes(on: On, context: GatewayContext, known: Views): void {
  on('GET', '/api/conversations', (request) => views.getConversations(known, request));
  on('GET', '/api/conversations/:agent/:session', (request) => views.getConversation(known, request));
  on('GET', '/api/runs', (request) => views.getRuns(known, request));
  on('GET', '/api/tasks', (request) => views.getTasks(known, request));
  on('GET', '/api/tasks/:id/chain', (request) => views.getChain(known, request));
  on('GET', '/api/board', (request) => views.getBoard(known, request));
  on('GET', '/api/runs/:id', (request) => views.getRun(known, request));
  on('GET', '/api/runs/:id/exact/:hash', (request) => views.getExact(known, request));
  on('GET', '/api/runs/:id/diff', (request) => views.getDiff(known, request));
  on('GET', '/api/files/:agent/:session/:hash', (request) => views.getFile(known, request));
  on('GET', '/api/show', (request) => views.getShown(known, request));
  on('GET', '/api/net', (request) => views.getNet(known, request));
  on('GET', '/api/failures', (request) => views.getFailures(known, request));
  on('GET', '/api/live', (request) => streamLive(context, known, request));
  on('POST', '/api/tasks/:id/retry', (request) => tasks.retryTask(context, request));
  on('POST', '/api/tasks/:id/dismiss', (request) => tasks.dismissTask(context, request));
}

function deskRoutes(on: On, context: GatewayContext, desk: ModelDesk): void {
  on('GET', '/api/models', (request) => control.getModels(context, desk, request));
  on('POST', '/api/models/test', (request) => control.testModel(context, desk, request));
  on('POST', '/api/setup', (request) => control.setUpModel(context, desk, request));
}

function costRoutes(on: On, context: GatewayContext, desk: CostDesk): void {
  on('GET', '/api/costs', (request) => costs.getCosts(desk, request));
  on('POST', '/api/costs/correct', (request) => costs.correctPrice(context, desk, request));
}

function policyRoutes(on: On, context: GatewayContext, desk: PolicyDesk): void {
  on('GET', '/api/policy', (request) => policy.getPolicy(desk, request));
  on('GET', '/api/policy/agents/:name', (request) => policy.getRights(desk, request));
  on('POST', '/api/policy/explain', (request) => policy.explainCall(context, desk, request));
}

function secretRoutes(on: On, context: GatewayContext, desk: SecretsDesk): void {
  on('GET', '/api/secrets', (request) => secrets.getSecrets(desk, request));
  on('POST', '/api/secrets/:name', (request) => secrets.setSecret(context, desk, request));
  on('POST', '/api/secrets/:name/remove', (request) => secrets.removeSecret(context, desk, request));
  on('POST', '/api/secrets-key', (request) => secrets.rotateKey(context, desk, request));
}

function loginRoutes(on: On, context: GatewayContext, logins: Logins): void {
  on('POST', '/api/logins', (request) => makeLogin(context, logins, request));
  on('POST', ENTER_PATH, (request) => enter(context, logins, request));
  on('POST', '/api/logout', (request) => logOut(context, logins, request));
  on('GET', '/api/me', (request) => whoAmI(logins, request));
  on('GET', '/login', loginPage);
  on('GET', '/login.js', loginScript);
}

/** The first endpoint that fits answers; what is neither that nor guarded is a place of the page. */
function answer(endpoints: readonly Endpoint[], web: string | null, exchange: Exchange): Promise<unknown> {
  const { method = '', url = '' } = exchange.incoming;
  const wanted = method === 'HEAD' ? 'GET' : method;
  const [path = '', query = ''] = url.split(/\?(.*)/s, 2);
  const segments = path.split('/');
  for (const endpoint of endpoints) {
    const params = endpoint.method === wanted ? match(endpoint.segments, segments) : null;
    if (params) return endpoint.handler({ ...exchange, params, query: new URLSearchParams(query) });
  }
  if (path.startsWith(HOOKS) && method !== 'POST')
    throw new HttpError(405, 'method_not_allowed', 'A hook takes POST.', { headers: { allow: 'POST' } });
  if (web !== null && wanted === 'GET' && !isGuarded(path) && isForPage(path, exchange))
    return serveStatic(exchange, web);
  throw new HttpError(404, 'not_found', notFound(path));
}

/** Names of other APIs, which clients ask for whose base URL lacks its end, or that take Ruche for another server. */
const OTHER_API =
  /^\/+(?:v\d\w*|models?|health|chat\/completions|completions?|responses|embeddings|messages|audio|props|info|version|tags|generate|openai|engines)(?:\/|$)/;

/** A browser asks for HTML. What asks for JSON, or for an API that stands elsewhere, must not take the page for an answer. */
function isForPage(path: string, { incoming: { headers } }: Exchange): boolean {
  const { accept = '*/*' } = headers;
  if (accept.includes('text/html')) return true;
  return !OTHER_API.test(path) && (accept.includes('*/*') || path.includes('.'));
}

const CHAT = 'Chat completions are at POST /v1/chat/completions, the agents at GET /v1/models';

function notFound(path: string): string {
  const what = 'Nothing was found at this path with this method.';
  if (/\/(?:responses|completions|embeddings|messages)\/*$/.test(path) && !path.includes('/chat/'))
    return `${what} ${CHAT}: set the client to chat completions, with a base URL that ends in /v1.`;
  return /^\/+v\d/.test(path) || OTHER_API.test(path)
    ? `${what} ${CHAT}: a base URL ends in /v1, without a slash.`
    : what;
}

/** What stands in the path for each name, or null where the path is another. */
function match(names: readonly string[], path: readonly string[]): Record<string, string> | null {
  if (names.length !== path.length) return null;
  const params: Record<string, string> = {};
  for (const [at, name] of names.entries()) {
    const segment = path[at] ?? '';
    if (name.startsWith(':') && segment !== '') params[name.slice(1)] = decoded(segment);
    else if (name !== segment) return null;
  }
  return params;
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
async function fail(context: GatewayContext, exchange: Exchange, error: unknown): Promise<void> {
  if (exchange.outgoing.destroyed || exchange.incoming.errored) return; // the client is gone
  if (!(error instanceof HttpError)) context.log.error({ err: error, path: exchange.incoming.url }, 'a request failed');
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

async function ready(context: GatewayContext, exchange: Exchange): Promise<void> {
  const { ready: takesTurns, notReady } = await context.runtime.status();
  const reason = notReady ?? 'not ready yet';
  if (takesTurns) await sendJson(exchange, 200, { ready: true });
  else await sendJson(exchange, 503, { ready: false, reason }, { 'retry-after': '1' });
}

const metrics = async (context: GatewayContext, exchange: Exchange): Promise<boolean> =>
  sendText(exchange, 200, await context.runtime.metrics(), {
    'content-type': 'text/plain; version=0.0.4; charset=utf-8',
  });
