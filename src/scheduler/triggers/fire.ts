import { shellWord } from '../../core/text/paths.ts';
import type { Settings } from '../../core/agent.ts';
import type { NewEvent } from '../../core/event.ts';
import { conversationId, type Ids, taskStream } from '../../core/ids.ts';
import { type Label, unionLabels } from '../../core/labels.ts';
import type { Json } from '../../core/text/json.ts';
import { matterId, matterRaised, askedKey } from '../../core/records/matter.ts';
import type { Batch, QueueOp, Store } from '../../core/ports/store.ts';
import type { Origin, Task } from '../../core/task.ts';
import { fillPlaceholders, missingFacts } from '../../core/trigger-text.ts';
import {
  limitMatter,
  limitText,
  type SkippedWhy,
  type Trigger,
  type TriggerOn,
  triggerKey,
  triggerSession,
  triggerStream,
} from '../../core/trigger.ts';
import type { Burst } from './match.ts';
import { putJson } from '../../core/records/json-blob.ts';
import { newTask, originAfter } from '../../core/records/new-task.ts';

/** The owner is not told of a limit more often than that, however short its span is. */
const TELL_MS = 3_600_000;
/** Files without a task that are on record by name, and how many of them the owner reads at once. */
const MAX_NAMED = 5_000;
const MAX_SHOWN = 20;

export interface FireDeps {
  store: Store;
  ids: Ids;
  redact(text: string): string;
  settings(): Settings;
  /** Labels of the file the trigger stands in: what it makes has them too. */
  agentLabels(agent: string): Promise<Label[]>;
}

/** A trigger as far as a firing of it needs to know. */
export interface Firing {
  id: string;
  agent: string;
  trigger: Trigger;
  /** When it fired within the span of its limit. */
  fired: readonly number[];
  /** When the owner was told of the limit last; null: never. */
  told: number | null;
  /** The event that set it. */
  setBy: string;
}

/** One commit: what the causes come to. */
export async function outcomeBatch(deps: FireDeps, firing: Firing, given: Burst, now: number): Promise<Batch> {
  const burst = { ...given, labels: unionLabels(given.labels, await deps.agentLabels(firing.agent)) };
  // A chain of tasks goes on through a trigger; the rights do not: the rule is the owner's, and no agent's wish.
  const origin = burst.task && { ...originAfter(burst.task), senders: [] };
  const rooms = await roomsOf(deps, firing, { origin, first: burst.first.id, now });
  // Also where there is no room at all, its files are on record by name.
  const isEach = firing.trigger.each === true && pathsOf(burst.facts).length > 0;
  const tight = isEach ? undefined : rooms.find(({ left }) => left <= 0);
  const refused = tight?.beyond ?? unfit(deps, firing, burst);
  if (refused !== null) return { events: await skippedEvents(deps, firing, burst, refused), sync: true };
  if (!isEach) return firedBatch(deps, firing, burst, origin);
  return eachBatch(deps, firing, burst, { origin, rooms });
}

interface Refusal {
  why: SkippedWhy;
  text: string;
  /** What the owner hears about it: of what kind, about what. */
  about: { kind: 'hops' | 'tasks' | 'limit'; id: string } | null;
}

/** How many tasks a guard leaves room for, and what becomes of those beyond. */
interface Room {
  left: number;
  beyond: Refusal;
}

async function roomsOf(
  { store, settings }: FireDeps,
  { id, trigger: { limit }, fired, told }: Firing,
  { origin, first, now }: { origin: Origin | null; first: string; now: number },
): Promise<Room[]> {
  const { limits } = settings();
  const rooms: Room[] = [];
  if (origin !== null) {
    const text = `It would be task ${origin.hops} in a row; at most ${limits.hops} are allowed (limits.hops).`;
    const beyond = { why: 'hops', text, about: { kind: 'hops', id: origin.root } } as const;
    rooms.push({ left: origin.hops > limits.hops ? 0 : Infinity, beyond });
  }
  const root = origin?.root ?? null;
  const made = root === null ? 0 : (await store.tasks({ root, limit: limits.tasks })).length;
  const text = `One message, firing or file has led to ${limits.tasks} tasks, its limit (limits.tasks).`;
  const tasks = { why: 'tasks', text, about: { kind: 'tasks', id: root ?? first } } as const;
  rooms.push({ left: root === null ? Math.max(1, limits.tasks) : limits.tasks - made, beyond: tasks });
  if (limit === null) return rooms;
  // One that seems yet to come is of a clock that was ahead, and must not count until then.
  const since = (span: number) => (at: number) => at > now - span && at <= now;
  const known = told !== null && since(Math.max(limit.perMs, TELL_MS))(told);
  const said = `It has reached its limit: ${limitText(limit)}. Further events are recorded and make no task.`;
  const about = known ? null : ({ kind: 'limit', id: limitMatter(id, first) } as const);
  const left = limit.count - fired.filter(since(limit.perMs)).length;
  rooms.push({ left, beyond: { why: 'limit', text: said, about } });
  return rooms;
}

/** Why these facts make no task, whatever room there is. */
function unfit({ settings }: FireDeps, { agent, trigger: { source, work } }: Firing, { facts }: Burst): Refusal | null {
  const schema = source.on === 'webhook' ? settings().queues[agent]?.input : null;
  const wrong = schema?.misfit(facts['body'] ?? null) ?? null;
  if (wrong !== null)
    return { why: 'input', text: `The input does not fit the queue ${agent}: ${wrong}.`, about: null };
  // What every cause of a kind may have is "(none)" where it has none; what a sender may leave out is part of the order.
  const lost = work.kind === 'task' ? missingFacts(work.text, facts).filter((name) => name.includes('.')) : [];
  if (lost.length === 0) return null;
  return { why: 'placeholder', text: `The text needs ${lost.join(', ')}, which is missing here.`, about: null };
}

/** Causes that made no task are on record with the reason; the owner is asked about a runaway, and about a limit that was met. */
async function skippedEvents(
  deps: FireDeps,
  { id }: Firing,
  burst: Burst,
  { why, text, about }: Refusal,
  /** What the owner is told in place of all of `text`. */
  told = { text: `did not fire. ${text}`, more: '' },
): Promise<NewEvent[]> {
  const { store } = deps;
  const matter = about === null ? null : matterId(about.kind, about.id);
  const isNew = matter !== null && (await store.byKey(askedKey(matter))) === null;
  const events = [skippedEvent(deps, id, burst, { why, text, matter: isNew ? matter : null })];
  if (about !== null && isNew) {
    const shown = {
      text: `The trigger ${id} ${told.text}`,
      reason: `A guard against runaway tasks stopped it.${told.more}`,
    };
    const put = (value: object) => putJson(store, value, triggerStream(id), deps.redact);
    const raised = matterRaised({ kind: about.kind, about: about.id, shown }, put);
    events.push({ ...raised, actor: 'runtime', cause: burst.first.id, labels: burst.labels });
  }
  return events;
}

/** A cause that makes no task, and why. */
export function skippedEvent(
  { store, redact }: Pick<FireDeps, 'store' | 'redact'>,
  id: string,
  { first, last, count, labels }: Pick<Burst, 'first' | 'last' | 'count' | 'labels'>,
  { why, text, matter }: { why: SkippedWhy; text: string; matter: string | null },
): NewEvent {
  const detail = putJson(store, { text }, triggerStream(id), redact);
  return {
    type: 'trigger.skipped',
    stream: triggerStream(id),
    actor: 'runtime',
    cause: first.id,
    labels,
    key: triggerKey(id, first.key),
    data: { trigger: id, first: first.id, last: last.id, count, why, detail, matter },
  };
}

function firedBatch(deps: FireDeps, firing: Firing, burst: Burst, origin: Origin | null): Batch {
  const { first, last, count, labels } = burst;
  const key = triggerKey(firing.id, first.key);
  const task = taskOf(deps, firing, burst, { origin, key });
  const data = { trigger: firing.id, task: task.id, first: first.id, last: last.id, count, by: null };
  return batchOf([
    firedTask(firing, task, { type: 'trigger.fired', actor: 'runtime', cause: first.id, labels, key, data }),
  ]);
}

/** A task for each file, as far as there is room; the others are on record as what was let go. */
async function eachBatch(
  deps: FireDeps,
  firing: Firing,
  burst: Burst,
  { origin, rooms }: { origin: Origin | null; rooms: readonly Room[] },
): Promise<Batch> {
  const { first, last, labels, facts } = burst;
  const [tightest] = rooms.toSorted((a, b) => a.left - b.left);
  const paths = pathsOf(facts);
  const fitting = paths.slice(0, Math.max(0, tightest?.left ?? Infinity));
  const fired = fitting.map((path, index) => {
    const key = `${triggerKey(firing.id, first.key)}${index === 0 ? '' : `#${index}`}`;
    const task = taskOf(deps, firing, { facts: { ...facts, path, paths: [path] }, labels }, { origin, key });
    const data = { trigger: firing.id, task: task.id, first: first.id, last: last.id, count: 1, by: null };
    return firedTask(firing, task, { type: 'trigger.fired', actor: 'runtime', cause: first.id, labels, key, data });
  });
  const batch = batchOf(fired);
  const over = paths.slice(fitting.length);
  if (tightest === undefined || over.length === 0) return batch;
  const lost = (most: number): string =>
    `${over.length} of ${paths.length} files made no task: ${listed(over, most)}. ${tightest.beyond.text}`;
  const isAll = fitting.length === 0;
  const rest = { ...burst, first: isAll ? first : { ...first, key: `${first.key}#rest` }, count: over.length };
  const told = {
    text: `${isAll ? 'did not fire' : 'fired for some files only'}. ${lost(MAX_SHOWN)}`,
    more: ` ${makeUp(firing.id, over)}`,
  };
  const skipped = await skippedEvents(deps, firing, rest, { ...tightest.beyond, text: lost(MAX_NAMED) }, told);
  return { ...batch, events: [...batch.events, ...skipped] };
}

/** The names as a placeholder shows each, as many as there is room for. */
function listed(paths: readonly string[], most: number): string {
  const names = paths.slice(0, most).map((path) => fillPlaceholders('{{path}}', { path }));
  return `${names.join(', ')}${paths.length > most ? ` and ${paths.length - most} more` : ''}`;
}

const escaped = (text: string): string =>
  text
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');

/** How a person makes up for files that made no task. */
function makeUp(id: string, [path = '']: readonly string[]): string {
  // Hidden characters as JSON writes them, and each quote as a shell takes it.
  const json = JSON.stringify({ path }).replace(/\p{C}/gu, (hidden) => escaped(hidden));
  const event = shellWord(json);
  return `Every name is in \`ruche triggers show ${id} --json\`. Make each up with: ruche triggers run ${id} --event ${event}`;
}

const pathsOf = ({ path, paths }: Burst['facts']): string[] =>
  [paths ?? path ?? []].flat().filter((each) => typeof each === 'string');

/** A person has it fire, with facts of their own. */
export function byHandBatch(
  deps: FireDeps,
  firing: Firing,
  { by, facts, labels, key }: { by: string; facts: Burst['facts']; labels: Burst['labels']; key: string | null },
): Batch {
  const task = taskOf(deps, firing, { facts, labels }, { origin: null, key: null });
  const data = { trigger: firing.id, task: task.id, first: null, last: null, count: 1, by };
  const named = key === null ? {} : { key };
  const fired = { type: 'trigger.fired', actor: by, cause: firing.setBy, labels, data, ...named } as const;
  return batchOf([firedTask(firing, task, fired)]);
}

interface FiredTask {
  task: Task;
  fired: NewEvent;
}

const firedTask = (
  { id }: Firing,
  task: Task,
  fired: Omit<NewEvent & { type: 'trigger.fired' }, 'stream'>,
): FiredTask => ({
  task,
  fired: { ...fired, stream: triggerStream(id) },
});

/** Each task with the firing that is its cause. */
function batchOf(all: readonly FiredTask[]): Batch {
  const events: NewEvent[] = [];
  const queue: QueueOp[] = [];
  for (const { task, fired } of all) {
    const cause = events.length;
    const { labels } = fired;
    events.push(fired);
    events.push({ type: 'task.queued', stream: taskStream(task.id), actor: 'runtime', cause, labels, data: { task } });
    queue.push({ op: 'enqueue', task, causeOf: cause });
  }
  return { events, queue, sync: true };
}

function taskOf(
  { store, ids, redact, settings }: FireDeps,
  { id, agent, trigger: { name, work, source, to } }: Firing,
  { facts, labels }: Pick<Burst, 'facts' | 'labels'>,
  { origin, key }: { origin: Origin | null; key: string | null },
): Task {
  const { queues, maxAttempts } = settings();
  // A script is compared with its last result; what a model hears about one cause must not reach the next.
  const session = work.kind === 'run' ? triggerSession(name) : ids.next('ses');
  const input = inputOf(source.on, facts);
  const told = to === undefined ? {} : { to };
  const content =
    work.kind === 'run'
      ? { title: `run: ./${work.command}`, run: `./${work.command}`, ...told }
      : { title: null, text: fillPlaceholders(work.text, facts), input, artefacts: [], ...told };
  return newTask({
    id: ids.next('tsk'),
    agent,
    session,
    from: `trigger:${id}`,
    content: putJson(store, content, conversationId(agent, session), redact),
    key,
    maxAttempts: queues[agent]?.maxAttempts ?? maxAttempts,
    labels,
    ...(origin === null ? {} : { origin }),
  });
}

/** What a text has no room for: the body of a webhook, and every file of those that landed at once. */
function inputOf(on: TriggerOn, facts: Burst['facts']): Json {
  if (on === 'webhook') return facts['body'] ?? null;
  const paths = on === 'file.landed' ? pathsOf(facts) : [];
  return paths.length > 1 ? { paths } : null;
}
