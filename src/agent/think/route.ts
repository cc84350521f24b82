import type { AgentDeps, AgentTurn } from '../run/deps.ts';
import type { Agent } from '../../core/agent.ts';
import { kindOf } from '../../core/ids.ts';
import type { ModelChoice, ModelError, Purpose } from '../../core/model.ts';
import { nextTier, type Route, routeOf } from '../../core/routing.ts';

/** Who is asked for a step, in order of preference, and why. */
export interface Routed extends Route {
  choices: readonly ModelChoice[];
}

type Asking = Pick<AgentDeps, 'models' | 'governance'>;

const routed = (deps: Pick<AgentDeps, 'models'>, agent: Agent, route: Route): Routed => ({
  ...route,
  choices: deps.models({ ...agent, model: route.to }),
});

/** Who does a step of this run. */
export function routeFor({ deps, agent, log }: AgentTurn, purpose: Purpose): Routed {
  const { state, claim } = log;
  const step = { purpose, agent, from: kindOf(claim.task.from), labels: state.labels };
  return routed(deps, agent, routeOf(step, deps.governance().settings.routing));
}

/** Who does a step that no run has begun yet. */
export const routeBefore = (deps: Asking, agent: Agent, purpose: Purpose, from: string): Routed =>
  routed(deps, agent, routeOf({ purpose, agent, from: kindOf(from), labels: [] }, deps.governance().settings.routing));

/** The same step done by others; `by` says why. */
export const routeTo = ({ deps, agent }: Pick<AgentTurn, 'deps' | 'agent'>, to: string, by: string): Routed =>
  routed(deps, agent, { to, by });

const nameOf = ({ provider, model }: ModelChoice): string => `${provider}/${model}`;

/** The next tier, where it has a model that has not been asked. */
export function routeUp(turn: Pick<AgentTurn, 'deps' | 'agent'>, from: Routed, by: string): Routed | null {
  const to = nextTier(from);
  if (to === null) return null;
  const asked = new Set(from.choices.map(nameOf));
  const { choices, ...route } = routeTo(turn, to, by);
  const others = choices.filter((choice) => !asked.has(nameOf(choice)));
  return others.length === 0 ? null : { ...route, choices: others };
}

/** Whether it is the model's own failing, which a better one may not share: refused, empty, no answer of the form, or too long for it. */
export function isOwnFailing({ kind }: ModelError, failed: ModelChoice, next: Routed): boolean {
  if (kind === 'context') return next.choices.some(({ window, assumed }) => window > failed.window || assumed === true);
  return kind === 'refused' || kind === 'invalid';
}

/** What the record says of it: nothing where an agent's own model does its own thinking. */
export const routeData = ({ to, by }: Route, purpose: Purpose): { route?: Route } =>
  purpose === 'turn' && by === 'agent' ? {} : { route: { to, by } };
