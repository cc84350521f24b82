import type { Effect, Verdict } from './event.ts';
import type { Label } from './labels.ts';

/** What a rule looks at. Every given field must match; globs as in `src/policy`. */
export interface RuleMatch {
  tool?: string;
  effect?: Effect;
  path?: string;
  command?: string;
  host?: string;
  to?: string;
}

export interface Rule {
  id: string;
  verdict: Verdict;
  match: RuleMatch;
  reason: string;
}

/** What a tool says it is about to do, worked out from its arguments and before anything happens. */
export interface CallFacts {
  /** Paths as given; the policy makes them canonical. */
  paths?: string[];
  /** One shell command line. */
  command?: string;
  /** An absolute URL that will be contacted. */
  url?: string;
  /** Who is told something: `CHANNEL:ADDRESS`. */
  to?: string;
  /** True if it only asks a person: nothing happens but that. */
  question?: boolean;
}

export interface PolicyCall extends CallFacts {
  tool: string;
  effect: Effect;
}

/** Everything the verdict depends on; nothing else is consulted. */
export interface PolicyFacts {
  /** Rules of `ruche.yaml`. */
  rules: readonly Rule[];
  /** Rules of the agent: they may only narrow, so an `allow` among them is ignored. */
  agentRules: readonly Rule[];
  /** Tools of the agent; another one is denied. */
  tools: readonly string[];
  /** Hosts (`host` or `host:port`) the agent may reach; null means that only the network's rules decide. */
  network: readonly string[] | null;
  /** Whether shell commands are confined by a sandbox. */
  sandboxed: boolean;
  /** Addresses of those who own a messenger; none unless given. */
  owners?: readonly string[];
  /** Labels of everything the run has read. */
  labels: readonly Label[];
}

export interface Decision {
  verdict: Verdict;
  /** Id of the rule, or `builtin:<name>`. */
  rule: string;
  reason: string;
}
