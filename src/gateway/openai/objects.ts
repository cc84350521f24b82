import { unknownText } from '../../core/text/unknown.ts';
import type { AgentState } from '../../core/api/runtime.ts';
import type { Usage } from '../../core/model.ts';
import type { GatewayContext } from '../http/context.ts';
import { HttpError, sendJson, type ApiRequest } from '../http/reply.ts';

export interface AnswerHead {
  id: string;
  /** Seconds since the epoch. */
  created: number;
  model: string;
  /** The client asked for it in the stream. */
  usage: boolean;
}

/** Why an answer ends, in OpenAI's words. */
export type Finish = 'stop' | 'length';

const usageOf = (usage: Usage): object => ({
  prompt_tokens: usage.input,
  completion_tokens: usage.output,
  total_tokens: usage.input + usage.output,
  prompt_tokens_details: { cached_tokens: usage.cacheRead },
});

export const completion = (head: AnswerHead, text: string, usage: Usage, finish: Finish): object => ({
  id: head.id,
  object: 'chat.completion',
  created: head.created,
  model: head.model,
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: null,
      finish_reason: finish,
    },
  ],
  usage: usageOf(usage),
});

/** One chunk of a streamed answer. */
export const chunk = (
  head: AnswerHead,
  delta: { role?: 'assistant'; content?: string; reasoning_content?: string },
  finish: Finish | null,
): object => ({
  id: head.id,
  object: 'chat.completion.chunk',
  created: head.created,
  model: head.model,
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  ...(head.usage ? { usage: null } : {}),
});

export const usageChunk = (head: AnswerHead, usage: Usage): object => ({
  id: head.id,
  object: 'chat.completion.chunk',
  created: head.created,
  model: head.model,
  choices: [],
  usage: usageOf(usage),
});

/** `GET /v1/models`: the agents; the first is the one that answers where a request names none. */
export async function listModels(context: GatewayContext, request: ApiRequest): Promise<void> {
  const { created, agents } = await known(context);
  await sendJson(request, 200, { object: 'list', data: agents.map((agent) => modelOf(agent, created)) });
}

export async function oneModel(context: GatewayContext, request: ApiRequest<'name'>): Promise<void> {
  const { name } = request.params;
  const { created, agents } = await known(context);
  const agent = agents.find((each) => each.name === name);
  if (!agent)
    throw new HttpError(
      404,
      'model_not_found',
      unknownText('agent', name, { known: agents.map((each) => each.name) }),
      { param: 'model' },
    );
  await sendJson(request, 200, modelOf(agent, created));
}

async function known(context: GatewayContext): Promise<{ created: number; agents: AgentState[] }> {
  const [status, agents] = await Promise.all([context.runtime.status(), context.runtime.agents()]);
  return { created: Math.floor(status.startedAt / 1000), agents };
}

const modelOf = (agent: AgentState, created: number): object => ({
  id: agent.name,
  object: 'model',
  created,
  owned_by: 'ruche',
});
