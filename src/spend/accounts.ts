import type { Agent, Settings } from '../core/agent.ts';
import { type Account, type Budget, METERS, type Spender, WINDOWS, type spansAt } from '../core/budget.ts';

type Spans = ReturnType<typeof spansAt>;

export interface Governing {
  settings: Pick<Settings, 'budget' | 'queues'>;
  agents: ReadonlyMap<string, Pick<Agent, 'budget'>>;
}

/** Where a spender's sums are kept: a queue's are those of its agent. */
export const scopesOf = ({ agent, conversation, person }: Spender): string[] => [
  'network',
  `agent:${agent}`,
  ...(conversation === null ? [] : [`conversation:${conversation}`]),
  ...(person === null ? [] : [`person:${person}`]),
];

/** The scope under which what counts for another one is summed. */
export const summedAs = (scope: string): string => scope.replace(/^queue:/, 'agent:');

/** The task whose sums a limit for a task is about: for an agent each task, for all others with all that it leads to. */
export const taskFor = (scope: string, { task, root }: Spender): string | null =>
  /^(?:agent|queue):/.test(scope) ? task : root;

/** Every budget that counts what a spender does. */
function budgetsOf({ settings, agents }: Governing, by: Spender): { scope: string; budget: Budget }[] {
  const { budget: network, queues } = settings;
  const person = by.person === null ? undefined : (network?.people?.[by.person] ?? network?.people?.['others']);
  const found: [string, Budget | undefined][] = [
    [`agent:${by.agent}`, agents.get(by.agent)?.budget],
    [`queue:${by.agent}`, queues[by.agent]?.budget],
    [`conversation:${by.conversation}`, by.conversation === null ? undefined : network?.conversation],
    [`person:${by.person}`, person],
    ['network', network],
  ];
  return found.flatMap(([scope, budget]) => (budget === undefined ? [] : [{ scope, budget }]));
}

/** The limits that hold for a spender at a moment, the narrowest budget first. */
export function accountsOf(governing: Governing, by: Spender, spans: Spans): Account[] {
  return budgetsOf(governing, by).flatMap(({ scope, budget }) =>
    METERS.flatMap((meter) =>
      WINDOWS.flatMap((window) => {
        const limit = budget.limits[meter]?.[window];
        const task = taskFor(scope, by);
        if (limit === undefined || (window === 'task' && task === null)) return [];
        const span = window === 'task' ? `task:${task}` : spans[window];
        return [{ scope, meter, window, span, limit, onExceed: budget.onExceed }];
      }),
    ),
  );
}

/** What has to be known of the past for all budgets that there are. */
export interface Needs {
  month: boolean;
  day: boolean;
  hour: boolean;
  task: boolean;
  /** Whose work it was, and not only which agent's. */
  who: boolean;
}

/** Null where there are no budgets. */
export function needsOf({ settings, agents }: Governing): Needs | null {
  const { budget, queues } = settings;
  const wide = [...Object.values(budget?.people ?? {}), ...(budget?.conversation ? [budget.conversation] : [])];
  const all = [
    ...wide,
    ...(budget ? [budget] : []),
    ...[...agents.values(), ...Object.values(queues)].flatMap((each) => each.budget ?? []),
  ].filter(({ limits }) => Object.keys(limits).length > 0);
  if (all.length === 0) return null;
  const has = (window: (typeof WINDOWS)[number]): boolean =>
    all.some(({ limits }) => METERS.some((meter) => limits[meter]?.[window] !== undefined));
  const task = has('task');
  return { month: has('month'), day: has('day'), hour: has('hour'), task, who: task || wide.length > 0 };
}
