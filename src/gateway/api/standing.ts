import { type Answering, ENDORSED_KINDS, type EndorsedKind, type Revoked } from '../../core/standing.ts';
import { isObject } from '../../core/text/json.ts';
import { type Fields, optionalText, readObject, text } from '../http/body.ts';
import { OWNER, type GatewayContext } from '../http/context.ts';
import { type ApiRequest, badRequest, HttpError, sendJson, unknownId } from '../http/reply.ts';

/** Characters of what a person says to an approval. */
const MAX_NOTE = 2_000;

/** What a person says to an approval beside the verdict. `reason` is what older clients call the note. */
export function answeringOf(fields: Fields): Answering {
  const note = noteOf(fields, 'note') ?? noteOf(fields, 'reason');
  const { scope, until, count, globs, vouch } = fields;
  if (scope !== undefined && scope !== 'task' && scope !== 'standing')
    throw badRequest('"scope" must be "task" or "standing"; leave it out for this call alone.', 'scope');
  if (until !== undefined && !Number.isSafeInteger(until))
    throw badRequest('"until" must be a time in milliseconds since the epoch.', 'until');
  if (count !== undefined && !Number.isSafeInteger(count)) throw badRequest('"count" must be a whole number.', 'count');
  if (globs !== undefined && !(isObject(globs) && Object.values(globs).every((glob) => typeof glob === 'string')))
    throw badRequest('"globs" must be an object of patterns by name.', 'globs');
  if (vouch !== undefined && !(Array.isArray(vouch) && vouch.every((name) => typeof name === 'string')))
    throw badRequest('"vouch" must be a list of names of values.', 'vouch');
  return {
    ...(note === undefined ? {} : { note }),
    ...(scope === undefined ? {} : { scope }),
    ...(until === undefined ? {} : { until: until as number }),
    ...(count === undefined ? {} : { count: count as number }),
    ...(globs === undefined ? {} : { globs: globs as Record<string, string> }),
    ...(vouch === undefined ? {} : { vouch }),
  };
}

function noteOf(fields: Fields, name: string): string | undefined {
  const given = fields[name];
  if (given === undefined || given === null) return undefined;
  if (typeof given !== 'string' || given.length > MAX_NOTE)
    throw badRequest(`"${name}" must be a text of at most ${MAX_NOTE} characters.`, name);
  return given.trim() === '' ? undefined : given.trim().toWellFormed();
}

/** `GET /api/grants`: those in force; with `?all` those that are over, too. */
export async function getGrants(context: GatewayContext, request: ApiRequest): Promise<void> {
  const grants = await context.runtime.standing.grants({ all: request.query.has('all') });
  await sendJson(request, 200, { grants });
}

/** `GET /api/endorsements`: those in force; with `?all` those that were revoked, too. */
export async function getEndorsements(context: GatewayContext, request: ApiRequest): Promise<void> {
  const endorsements = await context.runtime.standing.endorsements({ all: request.query.has('all') });
  await sendJson(request, 200, { endorsements });
}

/** `POST /api/endorsements` `{value, kind?, name?, note?}`. */
export async function endorse(context: GatewayContext, request: ApiRequest): Promise<void> {
  const fields = await readObject(request.incoming, context.limits);
  const kind = optionalText(fields, 'kind') as EndorsedKind | null;
  if (kind !== null && !ENDORSED_KINDS.includes(kind))
    throw badRequest(`"kind" must be one of ${ENDORSED_KINDS.join(', ')}.`, 'kind');
  const result = await context.runtime.standing.endorse(
    {
      value: text(fields, 'value'),
      name: optionalText(fields, 'name'),
      note: noteOf(fields, 'note') ?? '',
      ...(kind === null ? {} : { kind }),
    },
    OWNER,
  );
  if (!result.ok) throw new HttpError(409, 'refused', result.message);
  const { id, kind: found, value, again } = result;
  await sendJson(request, 200, { id, kind: found, value, again });
}

/** `POST /api/grants/:id/revoke` and `POST /api/endorsements/:id/revoke` `{}`. False: it was revoked before. */
export async function revoke(
  context: GatewayContext,
  request: ApiRequest<'id'>,
  what: 'grant' | 'endorsement',
): Promise<void> {
  const { id } = request.params;
  await readObject(request.incoming, context.limits);
  const { standing } = context.runtime;
  const done: Revoked = await (what === 'grant'
    ? standing.revokeGrant(id, OWNER)
    : standing.revokeEndorsement(id, OWNER));
  if (done === null) throw unknownId(what, id);
  await sendJson(request, 200, { id, revoked: done === 'done' });
}
