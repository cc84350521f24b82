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
  /** Labels that the run carries, all of them. */
  labels?: readonly Label[];
  /** Who asked for the work: `CHANNEL:ADDRESS`, `agent:NAME`, `schedule:AGENT/NAME`, `trigger:AGENT/NAME`. */
  sender?: string;
  queue?: string;
  /** Hours of the day by the network's clock, `22:00-07:00`. */
  hours?: string;
  /** Holds once the run has cost more than this, in USD. */
  costOver?: number;
  /** Globs for critical arguments by name; each must be there and fit. */
  args?: Readonly<Record<string, string>>;
}

/** A value that settles where a call goes or what it does there, and who has vouched for it. */
export interface CriticalValue {
  /** The tool's argument. */
  name: string;
  value: string;
  /** Why it may be used with outside data in the run; null: nobody has vouched for it. */
  vouched: 'owner' | 'contact' | 'constant' | 'record' | 'endorsed' | null;
  /** It was taken out of a text from outside, or holds something that was. */
  foreign?: true;
  /** What vouches for it: the id of a message, task, grant or endorsement, the name of a contact or record. */
  by?: string;
}

/**
 * Something that a service keeps, in the fields in which it keeps it: not what somebody wrote in a text. What the owner calls
 * by its name may be used without a question, wherever its id or an address in it comes from.
 */
export interface KeptRecord {
  /** Whose tools may use what stands in it, such as `calendar`; null: any, as with an address book. */
  service: string | null;
  id: string;
  /** What people call it: a title, the name of a file, of a person. */
  names: readonly string[];
  /** Addresses and accounts in its fields. */
  values: readonly string[];
  amounts?: readonly number[];
  /** Who has put it there: the owner, somebody else (so that its names say nothing), or this very run. */
  by: 'owner' | 'other' | 'run';
}

export interface Rule {
  id: string;
  verdict: Verdict;
  match: RuleMatch;
  reason: string;
  /** Of a rule that asks: how many different persons have to say yes; one unless given. */
  approvers?: number;
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
  /** The account it uses; null: those of the agent, whichever. */
  account?: string | null;
  /** True if it only asks a person: nothing happens but that. */
  question?: boolean;
  /** True if it leaves the house or cannot be undone; unless given, what a tool of effect `send` does and what contacts a URL. */
  leaves?: boolean;
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
  /** Accounts of the agent; another one is denied. None unless given. */
  accounts?: readonly string[];
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
  /** Critical arguments of the call, one entry a value. */
  critical?: readonly CriticalValue[];
  /** Who asked for the work (see `RuleMatch.sender`). */
  sender?: string;
  /** Whom all of it began with, where agents have given each other the work. */
  asker?: string;
  queue?: string;
  /** Milliseconds since the epoch. */
  at?: number;
  /** IANA name of the zone in which rules count hours. */
  zone?: string;
  /** USD that the run has cost so far. */
  costUsd?: number;
}

/**
 * What a decision was made from, as it is kept on record: call and facts without what the files at `config` say (rules,
 * tools, network), so that it can be made again under other files.
 */
export interface DecisionRecord {
  agent: string;
  /** Agents whose rights bound this run. */
  senders: readonly string[];
  /** Commit of the files that governed. */
  config: string;
  call: PolicyCall;
  facts: Omit<PolicyFacts, 'rules' | 'agentRules' | 'tools' | 'accounts' | 'network' | 'leave' | 'settingsNetwork'>;
}

export interface Decision {
  verdict: Verdict;
  /** Id of the rule, or `builtin:<name>`, or `grant:<id>`. */
  rule: string;
  reason: string;
  /** Of an ask: how many different persons have to say yes; one unless given. */
  approvers?: number;
}
