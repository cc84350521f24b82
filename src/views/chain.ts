import { setImmediate as turn } from 'node:timers/promises';
import type { Task } from '../core/task.ts';
import type { ChainNode, ChainView } from '../core/api/views.ts';
import type { Facts } from './facts.ts';
import { taskOf } from './run.ts';
import type { Event, EventOf, MatterKind } from '../core/event.ts';
import { eventId, runStream, conversationId, runOfStream, retriedBy, kindOf } from '../core/ids.ts';
import type { Reads } from '../core/ports/store.ts';
import { firstWords, readSaid, readSentence } from './exact.ts';
import { matterId, askedKey, answeredKey } from '../core/records/matter.ts';
import type { Entry } from './entry.ts';

/** Tasks that are told of one chain, and looked at to choose them. */
const SHOWN = 200;
const LOOKED_AT = 5_000;
/** Lines between two turns for others. */
const SLICE = 10;

/** Its causes up to the message, firing or file that all began with, and everything that has come of it; null for no task. */
export async function readChain(facts: Facts, id: string): Promise<ChainView | null> {
  const { store } = facts;
  await facts.book(); // what has been committed is in it
  const name = await taskOf(facts, id);
  const current = name === null ? null : await store.task(name);
  if (current === null) return null;
  const root = await rootOf(store, current);
  const family = await store.tasks({ root: root.id, limit: LOOKED_AT });
  const children = new Map<string, Task[]>();
  for (const task of family) {
    const parent = task.origin?.parent ?? root.id;
    children.set(parent, [...(children.get(parent) ?? []), task]);
  }
  const path = await ancestorsOf(store, current);
  const nodes = await originOf(facts, root);
  const teller = new Teller(facts, children, chosen(root, current, path, children), nodes);
  await teller.tell(root, nodes.length);
  return { task: current.id, nodes };
}

/** The tasks that are told: those between the root and the one that was asked about first, then its own, then by how near they are. */
function chosen(
  root: Task,
  current: Task,
  path: readonly string[],
  children: ReadonlyMap<string, Task[]>,
): Set<string> {
  const kept = new Set([root.id, ...path.slice(-SHOWN / 2), current.id]);
  for (const from of [current.id, root.id]) {
    const open = [from];
    for (let at = open.shift(); at !== undefined && kept.size < SHOWN; at = open.shift())
      for (const { id } of children.get(at) ?? []) {
        if (kept.size < SHOWN) kept.add(id);
        open.push(id);
      }
  }
  return kept;
}

/** Writes the tree down, line by line. */
class Teller {
  readonly #facts: Facts;
  readonly #children: ReadonlyMap<string, readonly Task[]>;
  readonly #kept: ReadonlySet<string>;
  readonly #nodes: ChainNode[];

  constructor(
    facts: Facts,
    children: ReadonlyMap<string, readonly Task[]>,
    kept: ReadonlySet<string>,
    nodes: ChainNode[],
  ) {
    this.#facts = facts;
    this.#children = children;
    this.#kept = kept;
    this.#nodes = nodes;
  }

  async tell(task: Task, depth: number): Promise<void> {
    const entry = await this.#facts.entry(task.id);
    if (entry === null) return;
    if (this.#nodes.length % SLICE === 0) await turn();
    this.#nodes.push(await taskNode(this.#facts, entry, depth));
    for (const aside of await asides(this.#facts, entry)) this.#nodes.push({ ...aside, depth: depth + 1 });
    const children = this.#children.get(task.id) ?? [];
    const shown = children.filter(({ id }) => this.#kept.has(id));
    for (const child of shown) await this.tell(child, depth + 1 + (await this.#between(child, depth + 1)));
    const left = children.filter((child) => !shown.includes(child)).reduce((sum, { id }) => sum + this.#size(id), 0);
    if (left > 0) this.#nodes.push({ kind: 'more', depth: depth + 1, at: entry.queuedAt, left });
  }

  /** A trigger or a chain of escalation that stands between a task and the one it looked at: lines told. */
  async #between(child: Task, depth: number): Promise<number> {
    if (!['trigger', 'escalation'].includes(kindOf(child.from))) return 0;
    const event = child.cause === null ? null : await this.#facts.store.event(child.cause);
    this.#nodes.push({ ...(await causeLine(this.#facts, child, event)), depth });
    return 1;
  }

  #size(task: string): number {
    return (this.#children.get(task) ?? []).reduce((sum, { id }) => sum + this.#size(id), 1);
  }
}

/** Tasks, and events between them, that are followed back to where a chain began. */
const MOST = 50;

/** The ids between the task all began with and this one, both counted. */
async function ancestorsOf(store: Reads, task: Task): Promise<string[]> {
  const path: string[] = [];
  for (let each: Task | null = task; each !== null && path.length < MOST;) {
    path.unshift(each.id);
    each = each.origin === undefined ? null : await store.task(each.origin.parent);
  }
  return path;
}

async function rootOf(store: Reads, task: Task): Promise<Task> {
  return (task.origin === undefined ? null : await store.task(task.origin.root)) ?? task;
}

/** What a line says, wherever in the tree it stands. */
type Line = ChainNode extends infer Node ? (Node extends ChainNode ? Omit<Node, 'depth'> : never) : never;

/**
 * What made the first task of a chain, told from the beginning: a message, a firing, a file. Where that was itself led to
 * by another task (a conversation that was handed over, an event that a trigger looks for), that one's line stands before.
 */
async function originOf(facts: Facts, root: Task): Promise<ChainNode[]> {
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
  const again = event.type === 'task.queued' ? retriedBy(event.key) : null;
  if (again !== null) return { cause: event, after: again };
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
  const run = runOfStream(stream);
  return run === null ? null : startedBy(store, run);
}

/** What a task was made of, in a line. */
async function causeLine({ store }: Facts, task: Task, cause: Event | null): Promise<Line> {
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

async function taskNode(facts: Facts, entry: Entry, depth: number): Promise<ChainNode> {
  const { task, agent, title, from, status, standing, queuedAt: at, ...rest } = await facts.summary(entry);
  const { commit, costUsd, unpriced } = rest;
  const answered = entry.status === 'done' && entry.result !== null;
  const result = answered ? firstWords((await readSaid(facts.store, entry.result ?? '')).text, 200) : '';
  return { kind: 'task', depth, at, task, agent, title, from, status, standing, result, commit, costUsd, unpriced };
}

type Aside = ChainNode extends infer Node ? (Node extends ChainNode ? Omit<Node, 'depth'> : never) : never;

/** What a task has led to beside tasks of its own, oldest first. */
async function asides(facts: Facts, entry: Entry): Promise<Aside[]> {
  const found = [...(await joined(facts, entry)), ...(await moves(facts, entry)), ...(await matters(facts, entry))];
  if (entry.absorbedBy !== null) found.push(await link(facts, 'taken', entry.absorbedBy, entry.queuedAt));
  if (entry.retriedAs !== null) found.push(await link(facts, 'repeats', entry.retriedAs, entry.endedAt ?? 0));
  return found.sort((a, b) => a.at - b.at);
}

async function link(
  facts: Facts,
  of: 'joined' | 'taken' | 'repeats' | 'moved',
  task: string,
  at: number,
): Promise<Aside> {
  const entry = await facts.entry(task);
  const title = entry === null ? '' : await facts.title(entry);
  return { kind: 'link', of, at, task, agent: entry?.agent ?? '', title };
}

async function joined(facts: Facts, { run }: Entry): Promise<Aside[]> {
  const found: Aside[] = [];
  if (run === null) return found;
  for await (const event of facts.store.read({ stream: runStream(run), types: ['task.created'] }))
    if (event.type === 'task.created' && event.data.joined)
      found.push(await link(facts, 'joined', event.data.child, event.at));
  return found;
}

/** Hand-overs of the conversation in this task's run, each with the message the other agent went on with. */
async function moves(facts: Facts, entry: Entry): Promise<Aside[]> {
  const found: Aside[] = [];
  if (entry.run === null) return found;
  const { agent, session, run, order, seen } = entry;
  const stream = conversationId(agent, session);
  const types = ['conversation.moved'] as const;
  for await (const event of facts.store.read({ stream, types, after: order, before: seen + 1 })) {
    if (event.type !== 'conversation.moved' || event.data.run !== run) continue;
    const next = await firstMessage(facts, conversationId(event.data.to, session), event.seq);
    if (next !== null) found.push(await link(facts, 'moved', next, event.at));
    else {
      const title = firstWords(await readSentence(facts.store, event.data.brief.hash), 200);
      found.push({ kind: 'link', of: 'moved', at: event.at, task: null, agent: event.data.to, title });
    }
  }
  return found;
}

async function firstMessage({ store }: Facts, stream: string, after: number): Promise<string | null> {
  for await (const event of store.read({ stream, types: ['message.received'], after, limit: 1 }))
    if (event.type === 'message.received') return event.data.task;
  return null;
}

/** The kinds of matter there can be about a task; guards speak of the one that all began with. */
function kindsOf({ status, deadline }: Entry, root: boolean): MatterKind[] {
  const kinds: MatterKind[] = root ? ['hops', 'tasks', 'fan-out', 'ping-pong'] : [];
  if (deadline !== null) kinds.push('deadline');
  if (status === 'dead' || status === 'failed') kinds.push('dead', 'conflict');
  kinds.push('undelivered');
  return kinds;
}

async function matters({ store }: Facts, entry: Entry): Promise<Aside[]> {
  const found: Aside[] = [];
  const { task } = entry;
  const root = (await store.task(task))?.origin === undefined;
  for (const kind of kindsOf(entry, root)) {
    const raised = await store.byKey(askedKey(matterId(kind, task)));
    if (raised?.type !== 'matter.raised') continue;
    const title = firstWords(await readSentence(store, raised.data.text.hash), 200);
    const settled = (await store.byKey(answeredKey(raised.data.matter))) !== null;
    found.push({ kind: 'matter', at: raised.at, title, settled });
  }
  return found;
}
