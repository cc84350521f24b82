import type { Answer, PolicyDesk, PolicyQuestion } from '../../core/api/policy.ts';
import type { Label } from '../../core/labels.ts';
import { isObject, type Json } from '../../core/text/json.ts';
import { type Fields, optionalText, readObject } from '../http/body.ts';
import type { GatewayContext } from '../http/context.ts';
import { type ApiRequest, badRequest, HttpError, sendJson } from '../http/reply.ts';

/** `GET /api/policy`: names of the agents and tools that can be asked about. */
export const getPolicy = (desk: PolicyDesk, request: ApiRequest): Promise<unknown> =>
  sendJson(request, 200, desk.known());

/** `GET /api/policy/agents/:name`: what the agent may do, with the file and line that says so. */
export async function getRights(desk: PolicyDesk, request: ApiRequest<'name'>): Promise<void> {
  await sendJson(request, 200, answered(await desk.rights(request.params.name)));
}

/** `POST /api/policy/explain` `{agent, call, labels?, sender?, queue?, at?, costUsd?, vouched?}`: nothing happens. */
export async function explainCall(context: GatewayContext, desk: PolicyDesk, request: ApiRequest): Promise<void> {
  const question = questionOf(await readObject(request.incoming, context.limits));
  await sendJson(request, 200, answered(await desk.explain(question)));
}

function answered<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  if (answer.field === 'agent') throw new HttpError(404, 'unknown_agent', answer.why, { param: 'agent' });
  throw badRequest(answer.why, answer.field);
}

function questionOf(fields: Fields): PolicyQuestion {
  const { agent, call } = fields;
  if (typeof agent !== 'string') throw badRequest('"agent" must be the name of an agent.', 'agent');
  return {
    agent,
    call: callOf(call),
    labels: namesOf(fields, 'labels', (name): name is Label => name === 'untrusted' || name === 'private'),
    sender: optionalText(fields, 'sender') ?? undefined,
    queue: optionalText(fields, 'queue') ?? undefined,
    at: numberOf(fields, 'at'),
    costUsd: numberOf(fields, 'costUsd'),
    vouched: namesOf(fields, 'vouched', (name): name is string => name !== ''),
  };
}

function callOf(call: unknown): PolicyQuestion['call'] {
  if (typeof call === 'string') return call;
  if (isObject(call) && typeof call['tool'] === 'string')
    return { tool: call['tool'], input: (call['input'] ?? {}) as Json };
  throw badRequest('"call" must be text such as "shell: git push", or {"tool": …, "input": {…}}.', 'call');
}

function namesOf<T extends string>(fields: Fields, name: string, fits: (given: string) => given is T): T[] | undefined {
  const given = fields[name];
  if (given === undefined || given === null) return undefined;
  if (Array.isArray(given) && given.every((each): each is T => typeof each === 'string' && fits(each))) return given;
  throw badRequest(
    name === 'labels' ? '"labels" must be a list of untrusted and private.' : `"${name}" must be a list of names.`,
    name,
  );
}

function numberOf(fields: Fields, name: string): number | undefined {
  const given = fields[name];
  if (given === undefined || given === null) return undefined;
  if (typeof given === 'number' && Number.isFinite(given) && Math.abs(given) <= 8.64e15) return given;
  throw badRequest(`"${name}" must be a number.`, name);
}
