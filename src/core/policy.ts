import type { Effect, Verdict } from './event.ts';
import type { Reach } from './net/reach.ts';
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
  /** The HTTP method with which it is; GET unless given. */
  method?: string;
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
  /** Where the agent may go; null means that only the rules decide. */
  network: readonly Reach[] | null;
  /** True if `network` also gives leave: the agent has a list of its own. That of `ruche.yaml` alone only bounds. */
  leave?: boolean;
  /** Entries of `ruche.yaml`: one that names a private address, without a glob, opens it. */
  settingsNetwork?: readonly Reach[];
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
