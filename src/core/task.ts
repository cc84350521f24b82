import type { BlobRef } from './blob.ts';
import type { Label } from './labels.ts';
import type { Json } from './text/json.ts';

export type TaskStatus = 'queued' | 'running' | 'waiting' | 'done' | 'failed' | 'dead' | 'cancelled';

/** A task in one of these will not change any more. */
export const isEnded = (status: TaskStatus): boolean =>
  status === 'done' || status === 'failed' || status === 'dead' || status === 'cancelled';

/** What made a task, where somebody hears of it who has not asked for it; null if a message did, a file or an agent. */
export const makerOf = ({ from }: Pick<Task, 'from'>): string | null => {
  const [, kind, name] = /^(schedule|trigger):(.+)$/s.exec(from) ?? [];
  return name === undefined ? null : `the ${kind} ${name}`;
};

/**
 * A unit of work addressed to a queue. What people said (title, input) is in the `content` blob, so that erasing a
 * person's key erases it; a task made of a chat message has none: the message is its cause.
 */
export interface Task {
  id: string;
  /** An agent's name, or a queue of `ruche.yaml`. */
  queue: string;
  /** Tasks of one lane run strictly first in, first out. */
  lane: string;
  /** The agent that runs it, and the session of the conversation it belongs to. */
  agent: string;
  session: string;
  /** `person:<id>`, `agent:<name>`, `schedule:<name>` … */
  from: string;
  content: BlobRef | null;
  priority: number;
  /** Milliseconds since the epoch; null means at once. */
  notBefore: number | null;
  deadline: number | null;
  /** Makes the task idempotent: a second one with the same key is a Duplicate. */
  key: string | null;
  /** Starts at 1. */
  attempt: number;
  maxAttempts: number;
  status: TaskStatus;
  labels: Label[];
  /** The event that made it. */
  cause: string | null;
  /** The chain of escalation for what it comes to wait for; on record with its `task.queued` only. */
  escalation?: string;
  /** The task whose run took this one in; they end together. */
  absorbedBy: string | null;
  result: BlobRef | null;
  /** Where a task that another task's run has made comes from; left out of those that people, clocks and files make. */
  origin?: Origin;
}

/** The chain of tasks that led to one. */
export interface Origin {
  /** The task of the message, firing or file that all of it began with. */
  root: string;
  /** The task whose run made this one. */
  parent: string;
  /** Tasks between the root and this one, itself counted. */
  hops: number;
  /** Agents up the chain, the root's first: their rules hold for it too. */
  senders: string[];
}

/** A worker's right to run a task until `until`. The token grows with each claim: an older one is refused (fencing). */
export interface Lease {
  task: string;
  token: number;
  worker: string;
  until: number;
}

export interface Claim {
  task: Task;
  lease: Lease;
}

/** Why work on a task is being stopped. */
export interface Stops {
  /** A person cancelled the task, or its lease is lost: whatever runs is ended. */
  cancel: AbortSignal;
  /** The process is going down: every step is left so that it can be resumed. */
  shutdown: AbortSignal;
}

/** What an agent asks of the queue, with defaults filled in. */
export type TaskCall = NewTaskCall | { action: 'read' | 'cancel' | 'wait'; tasks: string[] };

export interface NewTaskCall {
  action: 'create';
  /** The agent, which has a queue of its name. */
  agent: string;
  title: string | null;
  text: string | null;
  input: Json | null;
  /** Paths in the workspace, or `path@commit`. */
  artefacts: string[];
  key: string | null;
  priority: number;
  /** Milliseconds since the epoch. */
  notBefore: number | null;
  deadline: number | null;
  /** Tasks that must have ended before this one begins. */
  after: string[];
  /** Whether the call goes on only when the task has ended. */
  wait: boolean;
}

/** The blob of a task: what it is to do, and what it may read of others' work. */
export interface TaskContent {
  title: string | null;
  text: string | null;
  input: Json | null;
  /** `path@commit`. */
  artefacts: string[];
  /** Of a file: a note of its writer's, by which nothing is joined. */
  key?: string;
  /** Of a schedule or trigger: who gets the answer. */
  to?: string;
  /** Of a schedule, where it fired late or for others before it: when it was due, and how many those were. */
  late?: { at: number; missed: number };
}

/** `shared/report.md@<commit>` in its two parts; null for a path without a commit. */
export function artefactOf(path: string): { path: string; commit: string } | null {
  const match = /^(.+)@([0-9a-f]{40,64})$/.exec(path);
  return match?.[1] && match[2] ? { path: match[1], commit: match[2] } : null;
}
