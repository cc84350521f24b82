import { kindOf } from './ids.ts';

/** One level of a chain of `ruche.yaml`. */
export interface EscalationLevel {
  /** Milliseconds after it was asked. */
  after: number;
  /** `<channel>:<address>`, `agent:<name>`, `webhook:<url>`, or `deny`. */
  to: string;
  /** Of a webhook: a reference such as `env:HOOK_TOKEN`, whose value is sent along. */
  secret?: string;
}

/** The chain that applies where none is named. */
export const DEFAULT_CHAIN = 'owner';

/** The end of an approval's chain. */
export const DENY = 'deny';
/** Milliseconds after which an approval that nobody answers is denied, where neither its chain nor `ruche.yaml` says when. */
export const DENIED_AFTER_MS = 24 * 3_600_000;

/** Where a level leads. */
export type Receiver =
  | { kind: 'channel'; channel: string; address: string }
  | { kind: 'agent'; agent: string }
  | { kind: 'webhook'; url: string }
  | { kind: 'deny' };

/** The channel that posts to webhooks; its addresses are URLs. */
export const WEBHOOK = 'webhook';
const AGENT = 'agent';
/** Names that a messenger cannot have, because levels mean something else by them. */
export const RESERVED_CHANNELS: readonly string[] = [AGENT, WEBHOOK];

/** Null for what is none. */
export function readReceiver(to: string): Receiver | null {
  if (to === DENY) return { kind: 'deny' };
  const [, name = '', rest = ''] = /^([a-z][a-z0-9-]{0,31}):(\S{1,2000})$/.exec(to) ?? [];
  if (name === '') return null;
  if (name === AGENT) return { kind: 'agent', agent: rest };
  if (name === WEBHOOK) return { kind: 'webhook', url: rest };
  return { kind: 'channel', channel: name, address: rest };
}

/** There is one escalation of what waits, so its name follows from it. */
export const escalationId = (about: string): string => `esc_${about}`;
export const escalationStream = (id: string): string => `escalation:${id}`;
/** Unique key of the beginning. */
export const escalationKey = (id: string): string => `escalation:${id}`;
/** Unique key of a level, of the acknowledgement (`ack`) and of the end (`end`). */
export const escalationStepKey = (id: string, step: number | 'ack' | 'end'): string => `escalation:${id}@${step}`;
/** What tasks say they come from that an escalation has made. */
export const fromEscalation = (id: string): string => `escalation:${id}`;
export const isFromEscalation = (from: string): boolean => kindOf(from) === 'escalation';

/** `ack:` and the escalation: what its button carries back. */
export const ackAction = (id: string): string => `ack:${id}`;

export type EscalationEnd = 'answered' | 'denied' | 'gone';

/** How an escalation stands, for people. Times are milliseconds since the epoch. */
export interface EscalationState {
  id: string;
  /** What waits: an approval, a question or a matter. */
  about: string;
  kind: 'approval' | 'question' | 'matter';
  chain: string;
  task: string | null;
  agent: string | null;
  /** What its levels are counted from. */
  from: number;
  levels: {
    to: string;
    /** By the chain; a level after one that could not be reached comes earlier. */
    due: number;
    reached: {
      at: number;
      outcome: 'told' | 'unreachable' | 'denies';
      why: string | null;
      task: string | null;
      /** How the task stands that sends it, or that an agent was given. */
      status: string | null;
      /** What an agent that was told has answered; null if none has. */
      answer: string | null;
    } | null;
  }[];
  /** When the next level is due; null: none comes any more. */
  next: number | null;
  acknowledged: { at: number; by: string } | null;
  /** `by`: who answered what waited; null where nobody did. */
  ended: { at: number; why: EscalationEnd; by: string | null } | null;
  /** What waits, or waited, in words. */
  text: string;
  /** What waits, in words; null once it does not. */
  pending: { text: string; reason: string } | null;
}

/** What people can ask of the escalations. `by` is the one who asks. */
export interface EscalationDesk {
  /** The open ones, the oldest first; with `ended`, the newest of those too. */
  list(options?: { ended?: boolean }): Promise<EscalationState[]>;
  /** By its own id or that of what waits; null if there is none. */
  get(id: string): Promise<EscalationState | null>;
  /** Stops its clock; what waits goes on waiting. `again`: it was so already. Null if there is none. */
  acknowledge(id: string, by: string): Promise<'done' | 'again' | 'ended' | null>;
}
