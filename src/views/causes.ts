import type { Event, EventOf } from '../core/event.ts';
import { eventId, runStream } from '../core/ids.ts';
import type { Reads } from '../core/ports/store.ts';
import type { Task } from '../core/task.ts';
import type { ChainNode } from '../core/api/views.ts';
import { firstWords, readSaid } from './blobs.ts';
import { taskNode } from './chain-lines.ts';
import type { Facts } from './facts.ts';

/** Tasks, and events between them, that are followed back to where a chain began. */
const MOST = 50;

/** The ids between the task all began with and this one, both counted. */
export async function ancestorsOf(store: Reads, task: Task): Promise<string[]> {
  const path: string[] = [];
  for (let each: Task | null = task; each !== null && path.length < MOST;) {
    path.unshift(each.id);
    each = each.origin === undefined ? null : await store.task(each.origin.parent);
  }
  return path;
}

export async function rootOf(store: Reads, task: Task): Promise<Task> {
  return (task.origin === undefined ? null : await store.task(task.origin.root)) ?? task;
}

/** What a line says, wherever in the tree it stands. */
type Line = ChainNode extends infer Node ? (Node extends ChainNode ? Omit<Node, 'depth'> : never) : never;

/**
 * What made the first task of a chain, told from the beginning: a message, a firing, a file. Where that was itself led to
 * by another task (a conversation that was handed over, an event that a trigger looks for), that one's line stands before.
 */
export async function originOf(facts: Facts, root: Task): Promise<ChainNode[]> {
  const { store } = facts;
  const lines: Line[] = [];
  const seen = new Set([root.id]);
  for (let task: Task | null = root; task !== null && lines.length < MOST;) {
    const made: Made = await whatMade(store, task);
    lines.unshift(await causeLine(facts, task, made.cause));
    const before: Task | null = made.after === null || seen.has(made.after) ? null : await store.task(made.after);
    task = before && (await rootOf(store, before));
    for (const id of before === null ? [] : (await ancestorsOf(store, before)).toReversed()) {
      seen.add(id);
      const entry = await facts.entry(id);
      if (entry !== null) lines.unshift(await taskNode(facts, entry, 0));
    }
  }
  return lines.map((line, depth) => ({ ...line, depth }));
}

/** The event that a task was made of, and the task that had led to that. */
interface Made {
  cause: Event | null;
  after: string | null;
}

async function whatMade(store: Reads, task: Task): Promise<Made> {
  const event = task.cause === null ? null : await store.event(task.cause);
  if (event === null) return { cause: null, after: null };
  if (event.type === 'message.received') return { cause: event, after: await beforeMessage(store, event) };
  // Its own: a file, or a repeat of a task that no message led to.
  const again = event.type === 'task.queued' && event.key?.startsWith('retry:') === true;
  if (again) return { cause: event, after: event.key?.slice('retry:'.length) ?? null };
  const about = event.cause === null ? null : await store.event(event.cause);
  return { cause: event, after: about && (await concerned(store, about)) };
}

/** The task of the message that this one repeats, or the one whose run handed the conversation over before it. */
async function beforeMessage(store: Reads, message: EventOf<'message.received'>): Promise<string | null> {
  const repeated = message.cause === null ? null : await store.event(message.cause);
  if (repeated?.type === 'message.received') return repeated.data.task;
  const types = ['history.given', 'message.received'] as const;
  const last = { stream: message.stream, types, before: message.seq, reverse: true, limit: 1 };
  for await (const given of store.read(last)) {
    // Both are of one commit, one after the other.
    const moved = given.type === 'history.given' ? await store.event(eventId(given.seq - 1)) : null;
    if (moved?.type === 'conversation.moved' && moved.data.to === message.data.agent)
      return startedBy(store, moved.data.run);
  }
  return null;
}

async function startedBy(store: Reads, run: string): Promise<string | null> {
  for await (const event of store.read({ stream: runStream(run), limit: 1 }))
    if (event.type === 'run.started') return event.data.task;
  return null;
}

/** The task an event is about. */
async function concerned(store: Reads, event: Event): Promise<string | null> {
  const { data, stream } = event;
  if ('task' in data && typeof data.task === 'string') return data.task;
  if ('about' in data) return data.about;
  return stream.startsWith('run:') ? startedBy(store, stream.slice('run:'.length)) : null;
}

/** What a task was made of, in a line. */
export async function causeLine({ store }: Facts, task: Task, cause: Event | null): Promise<Line> {
  const [kind = '', name = ''] = task.from.split(/:(.*)/s, 2);
  const line = { kind: 'cause', at: cause?.at ?? 0, from: task.from, title: '' } as const;
  if (cause?.type === 'message.received') {
    const { channel, from, content } = cause.data;
    const { text, files } = await readSaid(store, content.hash);
    const title = firstWords(text) || files.map((file) => file.name).join(', ');
    return { ...line, of: 'message', by: channel, from, title };
  }
  if (cause?.type === 'schedule.fired')
    return { ...line, of: 'schedule', by: cause.data.schedule, from: cause.data.by ?? 'runtime' };
  if (kind === 'trigger' || kind === 'escalation' || kind === 'file') return { ...line, of: kind, by: name };
  return { ...line, of: 'other', by: task.from };
}
