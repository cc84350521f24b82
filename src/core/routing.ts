import type { Label } from './labels.ts';
import { type Purpose, type Tier, TIERS } from './model.ts';

/** A rule of `models.routing.rules`: the first that fits counts. What it does not name fits. */
export interface RoutingRule {
  id: string;
  steps?: readonly Purpose[];
  agent?: string;
  /** What the task came from: `schedule`, `trigger`, `agent` … */
  from?: string;
  /** The run has all of them. */
  labels?: readonly Label[];
  /** A tier or `provider/model`. */
  use: string;
}

/** A tier or `provider/model` by kind of step. */
export type StepModels = Readonly<Partial<Record<Purpose, string>>>;

export interface Routing {
  steps: StepModels;
  rules: readonly RoutingRule[];
}

/** Who is asked, and why: `agent`, `step`, `rule:ID`, `after:KIND` of what the tier before failed by, `window`, or a word of a budget's. */
export interface Route {
  /** A tier or `provider/model`. */
  to: string;
  by: string;
}

export interface RoutedStep {
  purpose: Purpose;
  agent: { name: string; model: string; routing?: StepModels };
  from: string;
  labels: readonly Label[];
}

const isTier = (name: string): name is Tier => (TIERS as readonly string[]).includes(name);

/**
 * The one place where it is settled who does a step: a rule, what the agent's file says, what `ruche.yaml` says of steps of its
 * kind, or the light tier for all but the agent's own thinking. An agent that names its model has a reason, such as where
 * its words may go: only what names the agent moves it.
 */
export function routeOf({ purpose, agent, from, labels }: RoutedStep, routing?: Routing): Route {
  const pinned = !isTier(agent.model);
  const rule = routing?.rules.find(
    (each) =>
      (each.steps?.includes(purpose) ?? true) &&
      (each.agent === undefined ? !pinned : each.agent === agent.name) &&
      (each.from === undefined || each.from === from) &&
      (each.labels?.every((label) => labels.includes(label)) ?? true),
  );
  if (rule) return { to: rule.use, by: `rule:${rule.id}` };
  const own = agent.routing?.[purpose];
  if (own !== undefined) return { to: own, by: 'agent' };
  if (purpose === 'turn' || pinned) return { to: agent.model, by: 'agent' };
  return { to: routing?.steps[purpose] ?? 'light', by: 'step' };
}

/** The tier that is asked once where the light one fails; null for others. */
export const nextTier = ({ to }: Pick<Route, 'to'>): Tier | null => (to === 'light' ? 'standard' : null);
