import type { Json } from './text/json.ts';

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
