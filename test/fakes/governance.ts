import { NO_SCRIPTS } from '../../src/core/skill.ts';
import type { Agent, Governance, Settings } from '../../src/core/agent.ts';

export const SETTINGS: Settings = {
  providers: [],
  tiers: { light: [], standard: [], strong: [] },
  rules: [],
  channels: [],
  concurrency: 50,
  limits: {
    steps: 20,
    runMs: 60_000,
    toolOutput: 2_000,
    shellMs: 10_000,
    shellMemory: 2 ** 30,
    shellProcesses: 64,
    hops: 8,
    tasks: 200,
    fanOut: 25,
  },
  queues: {},
  bindings: [],
  checks: [],
  compaction: null,
  escalation: {},
  maxAttempts: 3,
};

/** An agent as its file has it, with nothing in it but what is given. */
export const anAgent = (more: Partial<Agent> & { name: string }): Agent => ({
  description: '',
  model: 'standard',
  tools: [],
  rules: [],
  network: null,
  schedules: [],
  instructions: '',
  ...more,
});

export const governing = (agents: readonly Agent[], more: Partial<Governance> = {}): Governance => ({
  commit: 'c',
  settings: SETTINGS,
  agents: new Map(agents.map((each) => [each.name, each])),
  skills: [],
  scripts: NO_SCRIPTS,
  problems: [],
  ...more,
});
