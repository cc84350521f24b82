// Whole values of the types that tests need a part of. What a test does not name is as usual.
import type { Agent, Governance, Problem, Settings } from '../../src/core/agent.ts';
import type { DataOf, Event, EventType } from '../../src/core/event.ts';

export const agentOf = (name: string, more: Partial<Agent> = {}): Agent => ({
  name,
  description: `The agent ${name}.`,
  model: 'standard',
  tools: [],
  rules: [],
  network: null,
  schedules: [],
  instructions: 'You help.',
  ...more,
});

const LIMITS: Settings['limits'] = {
  steps: 20,
  runMs: 60_000,
  toolOutput: 2_000,
  shellMs: 10_000,
  shellMemory: 2 ** 30,
  shellProcesses: 64,
  hops: 8,
  tasks: 200,
  fanOut: 25,
};

export const settingsOf = (more: Partial<Settings> = {}): Settings => ({
  providers: [],
  tiers: { light: [], standard: [], strong: [] },
  rules: [],
  channels: [],
  concurrency: 50,
  limits: LIMITS,
  queues: {},
  maxAttempts: 3,
  ...more,
});

interface Governing {
  commit?: string;
  settings?: Partial<Settings>;
  agents?: readonly Agent[];
  problems?: readonly Problem[];
}

export const governanceOf = ({ commit = 'c', settings = {}, agents = [], problems = [] }: Governing): Governance => ({
  commit,
  settings: settingsOf(settings),
  agents: new Map(agents.map((agent) => [agent.name, agent])),
  problems,
});

/** An event as it stands in a journal, but for its hash. */
export function eventOf<T extends EventType>(
  seq: number,
  type: T,
  data: DataOf<T>,
  more: Partial<Pick<Event, 'stream' | 'at' | 'actor' | 'cause' | 'labels' | 'key'>> = {},
): Event {
  const usual = { stream: 's', at: 0, actor: 'runtime', cause: null, labels: [], key: null };
  const place = { seq, id: `evt_${seq}`, version: 1, schema: 2, hash: '' };
  // A type and its data belong together, which a type parameter cannot say of a union.
  return { ...usual, ...more, ...place, type, data } as unknown as Event;
}
