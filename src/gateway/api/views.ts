import { isAgentName, isSafeName } from '../../core/ids.ts';
import { IMAGE_TYPES } from '../../core/image.ts';
import type { TaskStatus } from '../../core/task.ts';
import { BOARD_COLUMNS, type BoardColumn, type RunsPage, type RunsQuery, type Views } from '../../core/api/views.ts';
import { queryNumber } from '../http/body.ts';
import { sendBytes } from '../http/static.ts';
import { badRequest, HttpError, sendJson, sendText, type ApiRequest } from '../http/reply.ts';

type Query = URLSearchParams;

const STATUSES: readonly TaskStatus[] = ['queued', 'running', 'waiting', 'done', 'failed', 'dead', 'cancelled'];
const isColumn = (name: string): name is BoardColumn => (BOARD_COLUMNS as readonly string[]).includes(name);
/** Characters of what is to be shown. */
const MAX_WHAT = 4_096;
/** Characters of a search. */
const MAX_SEARCH = 200;
/** Whom tasks are from, perhaps with a `!` in front. */
const FROM = /^!?[a-z][a-z-]{0,30}$/;

const limitOf = (query: Query, usual: number, most: number): number =>
  queryNumber(query.get('limit') || undefined, 'limit', 1, most, usual);

const nothing = (what: string): HttpError => new HttpError(404, 'not_found', `The ${what} was not found.`);

const given = (query: Query, name: string): string | undefined => query.get(name) || undefined;

/** An event id to go on from. */
function markOf(query: Query, name: string): string | undefined {
  const mark = given(query, name);
  if (mark === undefined || /^evt_\d{1,15}$/.test(mark)) return mark;
  throw badRequest(`"${name}" must be a mark from an earlier answer.`, name);
}

/** `GET /api/conversations?limit=&text=`: the newest first. */
export async function getConversations(views: Views, request: ApiRequest): Promise<void> {
  const conversations = await views.conversations(
    limitOf(request.query, 50, 1_000),
    (given(request.query, 'text') ?? '').slice(0, MAX_SEARCH),
  );
  await sendJson(request, 200, { conversations });
}

/** `GET /api/conversations/:agent/:session?before=&limit=`: its newest entries, or those before a mark. */
export async function getConversation(views: Views, request: ApiRequest<'agent' | 'session'>): Promise<void> {
  const {
    params: { agent, session },
    query,
  } = request;
  const before = markOf(query, 'before') ?? null;
  const view = await views.conversation(agent, session, before, limitOf(query, 50, 200));
  if (view === null) throw nothing('conversation');
  await sendJson(request, 200, view);
}

/** `GET /api/runs?agent=&from=&status=&column=&text=&probes=&after=&limit=`; `status` may be several, with commas between. */
export async function getRuns(views: Views, request: ApiRequest): Promise<void> {
  await sendJson(request, 200, await pageOf(views, request.query));
}

/** `GET /api/tasks`, asked in the same way: `{tasks, next, total}`. */
export async function getTasks(views: Views, request: ApiRequest): Promise<void> {
  const { runs: tasks, ...page } = await pageOf(views, request.query);
  await sendJson(request, 200, { tasks, ...page });
}

async function pageOf(views: Views, query: Query): Promise<RunsPage> {
  const status = given(query, 'status')?.split(',') ?? [];
  const unknown = status.find((each) => !(STATUSES as readonly string[]).includes(each));
  if (unknown !== undefined)
    throw badRequest(`"status" must be one or more of ${STATUSES.join(', ')}, separated by commas.`, 'status');
  const column = given(query, 'column');
  if (column !== undefined && !isColumn(column))
    throw badRequest(`"column" must be one of ${BOARD_COLUMNS.join(', ')}.`, 'column');
  const text = given(query, 'text');
  if (text !== undefined && text.length > MAX_SEARCH)
    throw badRequest(`"text" may have at most ${MAX_SEARCH} characters.`, 'text');
  const from = given(query, 'from');
  if (from !== undefined && !FROM.test(from))
    throw badRequest(
      '"from" must be a kind such as person, schedule, trigger, agent, file or a channel, or !schedule for all others.',
      'from',
    );
  const probes = given(query, 'probes');
  if (probes !== undefined && probes !== 'hide' && probes !== 'show')
    throw badRequest('"probes" must be hide or show.', 'probes');
  const wanted: RunsQuery = {
    agent: given(query, 'agent'),
    from,
    ...(probes === 'hide' ? { probes: false } : {}),
    status: status as TaskStatus[],
    column,
    text,
    after: markOf(query, 'after'),
    limit: limitOf(query, 50, 200),
  };
  return views.runs(wanted);
}

/** `GET /api/runs/:id`: by task, or by run. */
export async function getRun(views: Views, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  const run = isSafeName(id) ? await views.run(id) : null;
  if (run === null) throw nothing('task');
  await sendJson(request, 200, run);
}

/** `GET /api/board?agent=&cards=`: what each agent has in each column, so many cards of each at most. */
export async function getBoard(views: Views, request: ApiRequest): Promise<void> {
  const cards = queryNumber(request.query.get('cards') || undefined, 'cards', 1, 50, 4);
  await sendJson(request, 200, await views.board({ agent: given(request.query, 'agent'), cards }));
}

/** `GET /api/tasks/:id/chain`: what led to a task, and what it has led to. */
export async function getChain(views: Views, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  const chain = isSafeName(id) ? await views.chain(id) : null;
  if (chain === null) throw nothing('task');
  await sendJson(request, 200, chain);
}

/** `GET /api/runs/:id/exact/:hash`: JSON as it was recorded, sent as text so that nothing in it is anything else. */
export async function getExact(views: Views, request: ApiRequest<'id' | 'hash'>): Promise<void> {
  const { id, hash } = request.params;
  const exact = isSafeName(id) ? await views.exact(id, hash) : null;
  if (exact === null) throw nothing('record of this run');
  await sendText(request, 200, exact, { 'content-type': 'application/json' });
}

/** `GET /api/runs/:id/diff`: what its commit changed. */
export async function getDiff(views: Views, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  const diff = isSafeName(id) ? await views.diff(id) : null;
  if (diff === null) throw nothing('commit of this run');
  await sendJson(request, 200, diff);
}

/** `GET /api/files/:agent/:session/:hash`. A file is from outside: only pictures are shown, and nothing ever runs. */
export async function getFile(views: Views, request: ApiRequest<'agent' | 'session' | 'hash'>): Promise<void> {
  const { agent, session, hash } = request.params;
  const file = /^[\w-]{1,128}$/.test(hash) ? await views.file(agent, session, hash) : null;
  if (file === null) throw nothing('file in this conversation');
  const picture = (IMAGE_TYPES as readonly string[]).includes(file.mediaType);
  const plain = file.name.replace(/[^\w. -]/g, '_');
  const name = `filename="${plain}"; filename*=UTF-8''${encodeURIComponent(file.name.toWellFormed())}`;
  await sendBytes(request, file.bytes, {
    'content-type': picture ? file.mediaType : 'application/octet-stream',
    'content-disposition': `${picture ? 'inline' : 'attachment'}; ${name}`,
    'content-security-policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
  });
}

/** `GET /api/failures?limit=`. */
export async function getFailures(views: Views, request: ApiRequest): Promise<void> {
  await sendJson(request, 200, { failures: await views.failures(limitOf(request.query, 50, 500)) });
}

/** `GET /api/net?agent=&since=&before=&limit=`: what left over the network, newest first; `since` in milliseconds or as a date. */
export async function getNet(views: Views, request: ApiRequest): Promise<void> {
  const { query } = request;
  const since = given(query, 'since');
  const from = since === undefined ? undefined : /^\d{1,15}$/.test(since) ? Number(since) : Date.parse(since);
  if (Number.isNaN(from))
    throw badRequest('"since" must be a date such as 2026-11-23T08:15Z, or milliseconds since 1970.', 'since');
  const agent = given(query, 'agent');
  if (agent !== undefined && !isAgentName(agent)) throw badRequest('"agent" must be the name of an agent.', 'agent');
  const before = markOf(query, 'before');
  await sendJson(request, 200, await views.net({ agent, since: from, before, limit: limitOf(query, 100, 1000) }));
}

/** `GET /api/show?what=`: what a path of the workspace is, and where it came from. */
export async function getShown(views: Views, request: ApiRequest): Promise<void> {
  const what = request.query.get('what') ?? '';
  if (what === '' || what.length > MAX_WHAT) throw badRequest('"what" must be a path of the workspace.', 'what');
  const origin = await views.origin(what);
  if (origin === null)
    throw new HttpError(
      404,
      'not_found',
      `There is no file "${what}" on main, and no run has written one. Give the path of a file from the root of the workspace; a folder has no labels.`,
    );
  await sendJson(request, 200, origin);
}
