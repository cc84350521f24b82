import type { Event, EventOf } from '../core/event.ts';
import { NO_USAGE, type Usage, addUsage } from '../core/model.ts';
import { isEnded, type Task, type TaskStatus } from '../core/task.ts';

/** Something a run has asked and nobody has answered. */
export interface OpenWait {
  kind: 'approval' | 'question';
  id: string;
  call: string;
  tool: string;
  doubt: boolean;
  /** Blob of the question, or of the call that is shown. */
  shown: string;
  at: number;
}

/** What a run is at. */
export interface Doing {
  kind: 'model' | 'tool' | 'landing';
  /** `provider/model`, or the tool. */
  name: string;
  since: number;
}

/** A task and its run as far as lists and standings need them, folded from the journal. Hashes name blobs. */
export interface Entry {
  task: string;
  agent: string;
  session: string;
  from: string;
  /** The message it answers. */
  message: { id: string; channel: string; content: string; at: number } | null;
  content: string | null;
  /** Seq of the event that queued it, and of the last one folded. */
  order: number;
  seen: number;
  run: string | null;
  queuedAt: number;
  startedAt: number | null;
  endedAt: number | null;
  status: TaskStatus;
  attempt: number;
  maxAttempts: number;
  deadline: number | null;
  priority: number;
  retry: { at: number; code: string } | null;
  open: readonly OpenWait[];
  doing: Doing[];
  /** The last failure of a model, until one answers. */
  failure: { model: string; detail: string; at: number } | null;
  /** Task whose run has taken this one in. */
  absorbedBy: string | null;
  endedBy: string;
  /** Blobs of the reply and of what went wrong. */
  result: string | null;
  detail: string | null;
  steps: number;
  model: string | null;
  usage: Usage;
  costUsd: number;
  unpriced: boolean;
  commit: string | null;
  /** The task that delivers the same message once more. */
  retriedAs: string | null;
  dismissed: boolean;
}

const NONE: readonly OpenWait[] = [];

export function newEntry(event: Event, task: Task, message: Entry['message']): Entry {
  return {
    task: task.id,
    agent: task.agent,
    session: task.session,
    from: task.from,
    message,
    content: task.content?.hash ?? null,
    order: event.seq,
    seen: event.seq,
    run: null,
    queuedAt: event.at,
    startedAt: null,
    endedAt: null,
    status: 'queued',
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    deadline: task.deadline,
    priority: task.priority,
    retry: null,
    open: NONE,
    doing: [],
    failure: null,
    absorbedBy: null,
    endedBy: '',
    result: null,
    detail: null,
    steps: 0,
    model: null,
    usage: NO_USAGE,
    costUsd: 0,
    unpriced: false,
    commit: null,
    retriedAs: null,
    dismissed: false,
  };
}

/** The entry after one more event of its task or run. Changes it in place; an event it has seen is left out. */
export function foldEntry(entry: Entry, event: Event): void {
  if (event.seq <= entry.seen) return;
  entry.seen = event.seq;
  switch (event.type) {
    case 'task.retried':
      Object.assign(entry, { status: 'queued', attempt: event.data.attempt, doing: [] });
      entry.retry = { at: event.data.notBefore, code: event.data.error };
      return;
    case 'task.finished':
      return end(entry, event);
    case 'task.dismissed':
      entry.dismissed = true;
      return;
    case 'run.started':
      Object.assign(entry, { run: event.data.run, startedAt: event.at, status: 'running' });
      return;
    case 'run.resumed':
      Object.assign(entry, { status: 'running', retry: null, failure: null, doing: [] });
      return;
    case 'run.parked':
      Object.assign(entry, { status: entry.open.length > 0 || forTasks(event) ? 'waiting' : 'queued', doing: [] });
      return;
    case 'run.finished':
      entry.steps = Math.max(entry.steps, event.data.steps);
      entry.detail = event.data.detail?.hash ?? null;
      return;
    case 'landing.started':
      entry.doing = [{ kind: 'landing', name: '', since: event.at }];
      return;
    case 'landing.conflicted':
      entry.doing = [];
      return;
    case 'landing.finished':
      entry.doing = [];
      if (event.data.commit !== null) entry.commit = event.data.commit;
      return;
    default:
      foldModel(entry, event);
      foldCall(entry, event);
      foldWait(entry, event);
  }
}

/** It goes on when those have ended, which its own record tells only then. */
const forTasks = (event: EventOf<'run.parked'>): boolean => event.data.waits.some((wait) => wait.kind === 'task');

function end(entry: Entry, event: EventOf<'task.finished'>): void {
  const { status, result } = event.data;
  Object.assign(entry, { status, endedAt: event.at, endedBy: event.actor, retry: null, failure: null });
  Object.assign(entry, { open: NONE, doing: [], result: result?.hash ?? null });
}

function foldModel(entry: Entry, event: Event): void {
  switch (event.type) {
    case 'model.called': {
      const name = `${event.data.provider}/${event.data.model}`;
      entry.doing = [{ kind: 'model', name, since: event.at }];
      entry.model = name;
      entry.steps = Math.max(entry.steps, event.data.step);
      return;
    }
    case 'model.answered':
      entry.doing = [];
      entry.failure = null;
      entry.model = `${event.data.provider}/${event.data.model}`;
      entry.steps = Math.max(entry.steps, event.data.step);
      entry.usage = addUsage(entry.usage, event.data.usage);
      entry.costUsd += event.data.costUsd;
      entry.unpriced ||= event.data.unpriced === true;
      return;
    case 'model.failed': {
      const { provider, model, detail } = event.data;
      entry.doing = [];
      entry.failure = { model: `${provider}/${model}`, detail: detail.hash, at: event.at };
      return;
    }
    default:
  }
}

function foldCall(entry: Entry, event: Event): void {
  switch (event.type) {
    case 'tool.started':
      entry.doing = [...entry.doing, { kind: 'tool', name: event.data.tool, since: event.at }];
      return;
    case 'tool.returned': {
      const at = entry.doing.findIndex((each) => each.name === event.data.tool);
      if (at >= 0) entry.doing = entry.doing.toSpliced(at, 1);
      return;
    }
    default:
  }
}

function foldWait(entry: Entry, event: Event): void {
  switch (event.type) {
    case 'approval.asked': {
      const { approval: id, call, tool, shown } = event.data;
      const wait: OpenWait = { kind: 'approval', id, call, tool, doubt: false, shown: shown.hash, at: event.at };
      entry.open = [...entry.open, wait];
      return;
    }
    case 'question.asked': {
      const { question: id, call, doubt, text } = event.data;
      entry.open = [...entry.open, { kind: 'question', id, call, tool: '', doubt, shown: text.hash, at: event.at }];
      return;
    }
    case 'approval.answered':
      return answered(entry, event.data.approval);
    case 'question.answered':
      return answered(entry, event.data.question);
    default:
  }
}

/** A run goes on once all that it asked is answered. */
function answered(entry: Entry, id: string): void {
  entry.open = entry.open.filter((wait) => wait.id !== id);
  if (entry.open.length === 0 && entry.status === 'waiting') entry.status = 'queued';
}

export const hasEnded = (entry: Entry): boolean => isEnded(entry.status);
