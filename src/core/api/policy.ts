import type { Effect, Verdict } from '../event.ts';
import type { Label } from '../labels.ts';
import type { Decision, PolicyCall, RuleMatch } from '../policy.ts';
import type { Json } from '../text/json.ts';

/** Where something stands in the files that govern. */
export interface Place {
  file: string;
  /** From 1; null if the whole file is meant. */
  line: number | null;
}

/** A call that nobody makes, and the circumstances under which it is judged. */
export interface PolicyQuestion {
  agent: string;
  /** `TOOL: TEXT` as people write it, or a tool with its arguments. */
  call: string | { tool: string; input: Json };
  /** None unless given. */
  labels?: readonly Label[] | undefined;
  /** Who asked for the work (see `RuleMatch.sender`); `owner` unless given. Of an `agent:NAME`, that agent's rights bound the call, too. */
  sender?: string | undefined;
  /** That of the agent unless given. */
  queue?: string | undefined;
  /** Milliseconds since the epoch; now unless given. */
  at?: number | undefined;
  /** USD that the run has cost; 0 unless given. */
  costUsd?: number | undefined;
  /** Critical arguments that somebody has vouched for. */
  vouched?: readonly string[] | undefined;
}

/** A rule, of a file or built in, that spoke of a call. */
export interface Spoken extends Decision {
  place: Place | null;
}

/** Something else that would hold, and what would be decided then. */
export interface Otherwise {
  /** `without the rule no-push (ruche.yaml:7)`. */
  what: string;
  verdict: Verdict;
  rule: string;
  /** To be put into a file. */
  yaml?: string;
}

export interface Explanation {
  agent: string;
  /** What the policy sees of the call. */
  call: PolicyCall;
  labels: readonly Label[];
  sandboxed: boolean;
  decision: Spoken;
  /** Everything else that spoke, the strictest first. */
  others: readonly Spoken[];
  /** Rules that would have spoken but for one field. */
  nearly: readonly (Spoken & { because: string })[];
  otherwise: readonly Otherwise[];
  /** What the landing asks although the call is allowed. */
  landing: readonly string[];
}

export type Answer<T> = { ok: true; value: T } | { ok: false; field: string; why: string };

export type RightsKind = 'tool' | 'path' | 'command' | 'host' | 'to';

/** One right of an agent. */
export interface Right {
  kind: RightsKind;
  /** The tool's name; a pattern of paths, commands, hosts or addresses; null: whatever no other row names. */
  what: string | null;
  /** The tool, or the pattern of tools, that it is about; null: any. */
  tool: string | null;
  effect: Effect | null;
  /** What else has to hold, in words; '' for nothing. */
  when: string;
  verdict: Verdict;
  rule: string;
  reason: string;
  place: Place | null;
}

export interface RightsTable {
  agent: string;
  sandboxed: boolean;
  rights: readonly Right[];
}

/** Answers what the policy would say, without anything happening. */
export interface PolicyDesk {
  explain(question: PolicyQuestion): Promise<Answer<Explanation>>;
  rights(agent: string): Promise<Answer<RightsTable>>;
  /** Names of the agents, the front desk first, and of the tools. */
  known(): { agents: readonly string[]; tools: readonly string[] };
}

/** What one rule has asked. */
export interface RuleStats {
  /** Its id; `landing` for changes of protected files. */
  rule: string;
  asked: number;
  approved: number;
  denied: number;
  /** Open, or ended without a person. */
  nobody: number;
  /** How long answers took; null without any. */
  medianMs: number | null;
  p90Ms: number | null;
  /** It was always approved, often enough to tell. */
  patience: boolean;
  /** Of one that only costs patience: what would spare it. */
  spare?: {
    /** `allow`: a rule in `ruche.yaml`. `narrow`: the rule itself, which no allow stands over. `grant`: a standing grant. */
    by: 'allow' | 'narrow' | 'grant';
    /** What was approved most, and how often; null if the calls are not on record. */
    match: RuleMatch | null;
    count: number;
    of: number;
  };
}

export interface PolicyStats {
  since: number;
  runs: number;
  asks: number;
  /** Asks of a hundred runs; null without runs. */
  per100: number | null;
  /** The one that asks most first. */
  rules: readonly RuleStats[];
}

/** A default that somebody has made weaker. */
export interface Weakness {
  /** `''`: it stands in no file. */
  file: string;
  /** From 1; null if the whole file is meant. */
  line: number | null;
  /** What is weaker, in one word that stays: `network-broad`. */
  id: string;
  /** Dotted path of the key; '' for none. */
  key: string;
  what: string;
  /** What to write or do instead. */
  instead: string;
}
