import type { Facts } from '../../core/trigger.ts';
import type { ModelDesk, SetupRequest } from '../../core/api/views.ts';
import { type Fields, optionalText, requestName, readObject, text } from '../http/body.ts';
import { isObject } from '../../core/text/json.ts';
import { OWNER, type GatewayContext } from '../http/context.ts';
import {
  badRequest,
  clientSignal,
  HttpError,
  sendJson,
  unknownId,
  type Exchange,
  type ApiRequest,
} from '../http/reply.ts';

/** `POST /api/agents/:name/pause` `{reason?}`. False: it was paused already. */
export async function pauseAgent(context: GatewayContext, request: ApiRequest<'name'>): Promise<void> {
  const { name } = request.params;
  const fields = await readObject(request.incoming, context.limits);
  const reason = optionalText(fields, 'reason') ?? '';
  await answer(request, name, await context.runtime.pauseAgent(name, OWNER, reason));
}

/** `POST /api/agents/:name/resume` `{}`. False: it was not paused. */
export async function resumeAgent(context: GatewayContext, request: ApiRequest<'name'>): Promise<void> {
  const { name } = request.params;
  await readObject(request.incoming, context.limits);
  await answer(request, name, await context.runtime.resumeAgent(name, OWNER));
}

async function answer(request: Exchange, name: string, changed: boolean | null): Promise<void> {
  if (changed === null) throw unknownId('agent', name);
  await sendJson(request, 200, { agent: name, changed });
}

/** `GET /api/schedules`: every schedule with its next and its last firing. */
export async function getSchedules(context: GatewayContext, request: ApiRequest): Promise<void> {
  await sendJson(request, 200, { schedules: await context.runtime.schedules.list() });
}

/** `POST /api/schedules/:id/run|pause|resume` `{}`: the task that was made, or null. */
export async function changeSchedule(
  context: GatewayContext,
  request: ApiRequest<'id'>,
  verb: 'run' | 'pause' | 'resume',
): Promise<void> {
  const { id } = request.params;
  await readObject(request.incoming, context.limits);
  const { schedules } = context.runtime;
  const task =
    verb === 'run' ? await schedules.run(id, OWNER, requestName(request.incoming.headers, 'base64url')) : null;
  const done = verb === 'run' ? task !== null : await schedules[verb](id, OWNER);
  if (!done) throw unknownId('schedule', id);
  await sendJson(request, 200, { task });
}

/** `GET /api/triggers`: every trigger with what came of it last. */
export async function getTriggers(context: GatewayContext, request: ApiRequest): Promise<void> {
  await sendJson(request, 200, { triggers: await context.runtime.triggers.list() });
}

/** `GET /api/triggers/:id`: one of them, with its last firings and what caused them. */
export async function getTrigger(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  const found = await context.runtime.triggers.show(id);
  if (found === null) throw unknownId('trigger', id);
  const { hook } = found.trigger;
  const refused = hook === undefined ? undefined : context.refused.get(hook);
  await sendJson(request, 200, { ...found, ...(refused && { refused }) });
}

/** `POST /api/triggers/:id/run` `{event?}`: fires with these facts; the task that was made. */
export async function runTrigger(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  const { event = {} } = await readObject(request.incoming, context.limits);
  if (!isObject(event)) throw badRequest('"event" must be an object with the facts for the trigger.', 'event');
  const lacking = await context.runtime.triggers.lacking(id, event as Facts);
  if (lacking !== null) throw badRequest(lacking, 'event');
  const task = await context.runtime.triggers.run(
    id,
    OWNER,
    event as Facts,
    requestName(request.incoming.headers, 'base64url'),
  );
  if (task === null) throw unknownId('trigger', id);
  await sendJson(request, 200, { task });
}

/** `POST /api/triggers/:id/pause|resume` `{}`. */
export async function pauseTrigger(
  context: GatewayContext,
  request: ApiRequest<'id'>,
  verb: 'pause' | 'resume',
): Promise<void> {
  const { id } = request.params;
  await readObject(request.incoming, context.limits);
  if (!(await context.runtime.triggers[verb](id, OWNER))) throw unknownId('trigger', id);
  await sendJson(request, 200, { id });
}

/** `GET /api/escalations`: those under way; with `?all` the newest that are over, too. */
export async function getEscalations(context: GatewayContext, request: ApiRequest): Promise<void> {
  const escalations = await context.runtime.escalations.list({ ended: request.query.has('all') });
  await sendJson(request, 200, { escalations });
}

/** `GET /api/escalations/:id`: by its own id, or that of what waits. */
export async function getEscalation(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  const escalation = await context.runtime.escalations.get(id);
  if (escalation === null) throw unknownId('escalation', id);
  await sendJson(request, 200, escalation);
}

/** `POST /api/escalations/:id/ack` `{}`. False: it was acknowledged before, or is over. */
export async function acknowledgeEscalation(context: GatewayContext, request: ApiRequest<'id'>): Promise<void> {
  const { id } = request.params;
  await readObject(request.incoming, context.limits);
  const done = await context.runtime.escalations.acknowledge(id, OWNER);
  if (done === null) throw unknownId('escalation', id);
  await sendJson(request, 200, { acknowledged: done === 'done', ended: done === 'ended' });
}

/** `POST /api/pairings` `{channel}`: a code that makes the person who sends it over that channel an owner, once. */
export async function makePairing(context: GatewayContext, request: ApiRequest): Promise<void> {
  const channel = text(await readObject(request.incoming, context.limits), 'channel');
  const pairing = await context.runtime.pair(channel);
  if (!pairing.ok) throw new HttpError(404, 'unknown_channel', pairing.message);
  const { code, until } = pairing;
  await sendJson(request, 200, { channel, code, until });
}

/** `GET /api/models`: what is configured and found. */
export async function getModels(context: GatewayContext, desk: ModelDesk, request: ApiRequest): Promise<void> {
  await sendJson(request, 200, await desk.list(clientSignal(request, context.closing)));
}

/** `POST /api/models/test` `{ref}`: one small call, and what came of it. */
export async function testModel(context: GatewayContext, desk: ModelDesk, request: ApiRequest): Promise<void> {
  const ref = text(await readObject(request.incoming, context.limits), 'ref');
  await sendJson(request, 200, await desk.test(ref, clientSignal(request, context.closing)));
}

/** `POST /api/setup`, a SetupRequest: tried, and kept if it works. 200 also for what does not: the answer says which field to mend. */
export async function setUpModel(context: GatewayContext, desk: ModelDesk, request: ApiRequest): Promise<void> {
  const wanted = readSetup(desk, await readObject(request.incoming, context.limits));
  await sendJson(request, 200, await desk.setup(wanted, clientSignal(request, context.closing)));
}

function readSetup({ makers, servers }: ModelDesk, fields: Fields): SetupRequest {
  const optional = <Name extends string>(name: Name): { [key in Name]?: string } => {
    const value = optionalText(fields, name);
    return value === null ? {} : ({ [name]: value } as { [key in Name]: string });
  };
  const { kind, provider } = fields;
  const either = (names: readonly string[]): string =>
    names
      .map((name) => `"${name}"`)
      .join(', ')
      .replace(/, ([^,]*)$/, ' or $1');
  if (kind === 'key') {
    if (typeof provider !== 'string' || !makers.includes(provider))
      throw badRequest(`"provider" must be ${either(makers)}.`, 'provider');
    return { kind, provider, key: text(fields, 'key'), ...optional('model'), ...optional('baseUrl') };
  }
  if (kind === 'url')
    return { kind, baseUrl: text(fields, 'baseUrl'), model: text(fields, 'model'), ...optional('key') };
  if (typeof kind === 'string' && servers.includes(kind))
    return { kind, baseUrl: text(fields, 'baseUrl'), ...optional('model') };
  throw badRequest(`"kind" must be ${either(['key', 'url', ...servers])}.`, 'kind');
}
