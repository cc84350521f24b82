import type { AgentState } from '../../core/api/runtime.ts';
import { unknownText } from '../../core/text/unknown.ts';
import { HttpError } from '../http/errors.ts';
import type { Face } from '../http/face.ts';
import { sendJson, type Exchange } from '../http/reply.ts';

/** `GET /v1/models`: the agents; the first is the one that answers where a request names none. */
export async function listModels(face: Face, exchange: Exchange): Promise<void> {
  const { created, agents } = await known(face);
  await sendJson(exchange, 200, { object: 'list', data: agents.map((agent) => modelOf(agent, created)) });
}

export async function oneModel(face: Face, exchange: Exchange, name: string): Promise<void> {
  const { created, agents } = await known(face);
  const agent = agents.find((each) => each.name === name);
  if (!agent)
    throw new HttpError(
      404,
      'model_not_found',
      unknownText('agent', name, { known: agents.map((each) => each.name) }),
      { param: 'model' },
    );
  await sendJson(exchange, 200, modelOf(agent, created));
}

async function known(face: Face): Promise<{ created: number; agents: AgentState[] }> {
  const [status, agents] = await Promise.all([face.runtime.status(), face.runtime.agents()]);
  return { created: Math.floor(status.startedAt / 1000), agents };
}

const modelOf = (agent: AgentState, created: number): object => ({
  id: agent.name,
  object: 'model',
  created,
  owned_by: 'ruche',
});
