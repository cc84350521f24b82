import type { Label } from './labels.ts';
import type { CriticalValue } from './policy.ts';

// What people have agreed to beyond a single call: grants, which let calls of a kind through, and endorsements, which vouch for a value.

/** One value that makes a call what it is: a critical argument, or where it goes. */
export interface NamedValue {
  name: string;
  value: string;
}

/** What a call is as far as "the same again" goes: two calls of one kind differ in nothing that settles where they go. */
export interface CallKind {
  agent: string;
  tool: string;
  values: readonly NamedValue[];
}

/** The name of the value that stands for all arguments of a call that has no others; it is their hash. */
export const WHOLE_CALL = '*';

/** A value that a grant covers: this very one, or all that fit a pattern with `*` and `?`. */
export type GrantValue = NamedValue | { name: string; glob: string };

/** `task`: it ends with the task it was given in. */
export type GrantScope = 'task' | 'standing';

/** The blob of `grant.given`. */
export interface GrantTerms {
  values: readonly GrantValue[];
}

/** Where labels of a run came from: a call, a message, an earlier run. Addresses and paths are as visible as all that people approve. */
export interface LabelSource {
  label: Label;
  /** In words: `read mail/1.eml`, `a message of telegram:222`. */
  what: string;
}

/** `critical` false: it is part of what the call is, and nobody has to vouch for it. */
export type AskedValue = CriticalValue & { critical?: false };

/** The part of an approval's blob that says what stands behind it. */
export interface AskedAbout {
  rule: string;
  reason: string;
  labels: readonly Label[];
  sources: readonly LabelSource[];
  /** The kind of the call, with who vouches for what. */
  values: readonly AskedValue[];
  /** What the run has cost so far, in USD; `unpriced`: at least that. */
  costUsd: number;
  unpriced?: true;
}

/** Approvals of the same kind after which a standing grant is offered. */
export const OFFERED_AFTER = 3;

/** What a person says to an approval beside yes or no. */
export interface Answering {
  /** Words for the agent. */
  note?: string;
  /** Of a yes: for this call alone unless given. */
  scope?: GrantScope;
  /** Milliseconds since the epoch at which a standing grant ends. */
  until?: number;
  /** How often a standing grant may be used. */
  count?: number;
  /** Patterns in the place of values, by name, that a standing grant covers. */
  globs?: Readonly<Record<string, string>>;
  /** Names of the values that the person also vouches for from now on. */
  vouch?: readonly string[];
}

export type EndorsedKind = 'address' | 'url' | 'number' | 'file' | 'text';
export const ENDORSED_KINDS: readonly EndorsedKind[] = ['address', 'url', 'number', 'file', 'text'];

/** The blob of `value.endorsed`. */
export interface EndorsedValue {
  value: string;
  /** The argument it is good for; null: any. */
  name: string | null;
  /** A person's words; '' for none. */
  note: string;
  /** Where it came from, as far as that is known. */
  sources: readonly LabelSource[];
}

export interface GrantView {
  id: string;
  scope: GrantScope;
  agent: string;
  tool: string;
  /** Null: erased, so it covers nothing any more. */
  values: readonly GrantValue[] | null;
  /** Labels that the run had in which it was approved: a run with others is asked. */
  labels: readonly Label[];
  task: string | null;
  until: number | null;
  count: number | null;
  used: number;
  lastUsed: number | null;
  at: number;
  by: string;
  /** The approval with which it was given. */
  approval: string | null;
  state: 'active' | 'expired' | 'spent' | 'revoked';
}

export interface EndorsementView {
  id: string;
  kind: EndorsedKind;
  /** Null: erased. */
  value: string | null;
  name: string | null;
  note: string;
  sources: readonly LabelSource[];
  at: number;
  by: string;
  /** The approval with which it was given; null: by itself. */
  approval: string | null;
  revoked: boolean;
  /** Decisions that rest on it. */
  used: number;
}

/** Who vouches for a file's content. */
export interface FileVouch {
  id: string;
  by: string;
  at: number;
  note: string;
}

/** Done, was so already, or there is none (null). */
export type Revoked = 'done' | 'again' | null;

/** `value`: as it is vouched for; of a path, with its blob. */
export type EndorseResult =
  | { ok: true; id: string; kind: EndorsedKind; value: string; again: boolean }
  | { ok: false; message: string };

/** What people can ask of grants and endorsements. `by` is the one who asks. */
export interface StandingDesk {
  /** The newest first; with `all` those that are over, too. */
  grants(options?: { all?: boolean }): Promise<GrantView[]>;
  revokeGrant(id: string, by: string): Promise<Revoked>;
  endorsements(options?: { all?: boolean }): Promise<EndorsementView[]>;
  endorse(
    given: { value: string; kind?: EndorsedKind; name?: string | null; note?: string },
    by: string,
  ): Promise<EndorseResult>;
  revokeEndorsement(id: string, by: string): Promise<Revoked>;
}

export const grantStream = (id: string): string => `grant:${id}`;
export const endorsementStream = (id: string): string => `endorsement:${id}`;
/** What a decision names as its rule where a grant has let a call through. */
export const grantRule = (id: string): string => `grant:${id}`;
/** Unique key of one use: a counted grant has as many as it may be used, another one for each call. */
export const grantUseKey = (id: string, use: number | string): string => `used:${id}:${use}`;
/** Unique key of the end of a grant or an endorsement: there is one. */
export const revokedKey = (id: string): string => `revoked:${id}`;
/** Unique key of what one person says to an approval that needs several. */
export const voteKey = (approval: string, person: string): string => `vote:${approval}:${person}`;
