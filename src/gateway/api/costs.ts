import { type CostDesk, COSTS_BY, type CostsBy } from '../../core/api/costs.ts';
import type { ModelPrice } from '../../core/budget.ts';
import { type Fields, readObject } from '../http/body.ts';
import type { GatewayContext } from '../http/context.ts';
import { type ApiRequest, badRequest, HttpError, sendJson } from '../http/reply.ts';

/** `GET /api/costs?by=&since=`: what was spent, by agent unless told; `since` in milliseconds or as a date. */
export async function getCosts(desk: CostDesk, request: ApiRequest): Promise<void> {
  const { query } = request;
  const by = query.get('by') ?? 'agent';
  if (!isBy(by)) throw badRequest(`"by" must be one of ${COSTS_BY.join(', ')}.`, 'by');
  const given = query.get('since');
  await sendJson(request, 200, await desk.report({ by, since: given === null ? undefined : momentOf(given) }));
}

const isBy = (given: string): given is CostsBy => (COSTS_BY as readonly string[]).includes(given);

function momentOf(given: unknown): number {
  const text = typeof given === 'number' ? String(given) : given;
  const at = typeof text !== 'string' ? Number.NaN : /^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(at))
    throw badRequest('"since" must be a date such as 2026-11-23T08:15Z, or milliseconds since 1970.', 'since');
  return at;
}

/** `POST /api/costs/correct` `{model, since, input, output, cached?}`, in USD for a million tokens. */
export async function correctPrice(context: GatewayContext, desk: CostDesk, request: ApiRequest): Promise<void> {
  const fields = await readObject(request.incoming, context.limits);
  const { model } = fields;
  if (typeof model !== 'string' || !/^[^/\s]+\/\S{1,200}$/.test(model))
    throw badRequest('"model" must be provider/model, such as local/qwen3.', 'model');
  const cached = fields['cached'] === undefined ? {} : { cached: dollars(fields, 'cached') };
  const price: ModelPrice = { input: dollars(fields, 'input'), output: dollars(fields, 'output'), ...cached };
  const since = momentOf(fields['since']);
  const corrected = await desk.correct({ model, since, price }, 'person:owner');
  if (corrected === null) {
    const from = new Date(since).toISOString().slice(0, 16);
    const message = `No answers of ${model} since ${from}Z, so nothing was corrected. List the models with: ruche costs --by model.`;
    throw new HttpError(404, 'not_found', message);
  }
  await sendJson(request, 200, corrected);
}

function dollars(fields: Fields, name: string): number {
  const given = fields[name];
  if (typeof given === 'number' && given >= 0 && given <= 10_000) return given;
  throw badRequest(`"${name}" must be dollars for a million tokens, from 0 to 10000.`, name);
}
