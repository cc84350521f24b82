import type { Event, EventType, NewEvent } from '../../core/event.ts';
import { type Label, unionLabels } from '../../core/labels.ts';
import type { Store } from '../../core/ports/store.ts';
import type { AddedFile, Workspace } from '../../core/ports/workspace.ts';
import { OUTBOX } from '../../core/records/reply.ts';
import type { Task } from '../../core/task.ts';
import type { Facts, TriggerOn } from '../../core/trigger.ts';
import type { WorkspaceWatch } from '../../core/ports/governance.ts';
import { readText, readJson } from '../../core/records/json-blob.ts';

/** Something that happened, as triggers see it. */
export interface Cause {
  on: TriggerOn;
  /** Its event. */
  id: string;
  seq: number;
  at: number;
  /** What makes it one cause: a commit that two events tell of is one. */
  key: string;
  facts: Facts;
  /** Files that were only moved: where to, and where from. */
  moved?: ReadonlyMap<string, string>;
  labels: readonly Label[];
  /** The task it came of: a chain of tasks goes on through triggers. */
  task: Task | null;
}

export interface CauseDeps {
  store: Store;
  workspace: Pick<Workspace, 'added'>;
}

/** Types of events that may be one, with what they may be. */
const CAUSES: Partial<Record<EventType, readonly TriggerOn[]>> = {
  'landing.finished': ['file.landed'],
  'person.committed': ['file.landed'],
  'main.moved': ['file.landed'],
  'task.finished': ['task.done', 'task.failed', 'task.dead'],
  'run.finished': ['run.failed'],
  'message.received': ['message'],
  'webhook.received': ['webhook'],
  'approval.asked': ['approval.waiting'],
  'config.held': ['approval.waiting'],
  'mail.received': ['mail.received'],
};

export const CAUSE_TYPES = Object.keys(CAUSES) as EventType[];

/** What an event may be to a trigger, told without looking any further. */
export const mayBe = (event: Event): readonly TriggerOn[] => CAUSES[event.type] ?? [];

/** The commit of an event that tells of one. Two may tell of the same: only the first of them counts. */
export function commitOf(event: Event): string | null {
  if (event.type === 'landing.finished' || event.type === 'person.committed') return event.data.commit;
  return event.type === 'main.moved' ? event.data.to : null;
}

/** What is left of a mail that was erased. */
const NO_MAIL: Facts = {
  from: '',
  to: [],
  subject: '',
  date: '',
  attachments: [],
  list: '',
  automatic: '',
  authentic: false,
};

/** The cause that an event is; null if it is none. */
export async function causeOf(deps: CauseDeps, event: Event): Promise<Cause | null> {
  const made = await describeCause(deps, event);
  if (made === null) return null;
  const { id, seq, at } = event;
  const common = { id, type: event.type, at: new Date(at).toISOString() };
  return { key: id, task: null, labels: [], ...made, facts: { ...common, ...made.facts }, id, seq, at };
}

type Described = Pick<Cause, 'on' | 'facts'> & Partial<Cause>;

async function describeCause({ store, workspace }: CauseDeps, event: Event): Promise<Described | null> {
  switch (event.type) {
    case 'landing.finished': {
      const { commit } = event.data;
      if (commit === null) return null;
      const { run, task } = await ofRun(store, event.stream);
      const by = { by: event.actor, run, task: task?.id ?? '', agent: task?.agent ?? '' };
      return landed(await workspace.added(null, commit), commit, { by, labels: event.labels, task });
    }
    case 'person.committed': {
      // What a person has written is the person's own, whichever run was about to read it.
      const by = { by: 'person', run: '', task: '', agent: '' };
      return landed(await workspace.added(null, event.data.commit), event.data.commit, { by, labels: [], task: null });
    }
    case 'main.moved': {
      const { from, to, by } = event.data;
      const labels: Label[] = by === 'person' ? [] : ['untrusted'];
      return landed(await workspace.added(from, to), to, {
        by: { by, run: '', task: '', agent: '' },
        labels,
        task: null,
      });
    }
    case 'task.finished':
      return ended(await store.task(event.data.task), event.data, event.labels);
    case 'run.finished': {
      const { run, status, error } = event.data;
      if (status !== 'failed' && status !== 'dead') return null;
      const { task } = await ofRun(store, event.stream);
      const facts = { run, task: task?.id ?? '', agent: task?.agent ?? '', status, error: error ?? '' };
      return { on: 'run.failed', facts, labels: event.labels, task };
    }
    case 'message.received': {
      const { channel, from: sender, agent, session, task, content } = event.data;
      const facts = { text: (await readText(store, content)) ?? '', channel, sender, agent, session, task };
      // It was written to another agent, or at another time: to this one it is data, from any author.
      return { on: 'message', facts, labels: unionLabels(event.labels, ['untrusted']) };
    }
    case 'webhook.received': {
      const { hook, delivery, content } = event.data;
      const said = (await readJson<Facts>(store, content)) ?? { name: '', body: null };
      return { on: 'webhook', facts: { ...said, hook, delivery }, labels: ['untrusted'] };
    }
    case 'mail.received': {
      const { account, folder, mail, content } = event.data;
      const said = (await readJson<Facts>(store, content)) ?? NO_MAIL;
      return { on: 'mail.received', facts: { ...said, account, folder, mail }, labels: event.labels };
    }
    case 'approval.asked': {
      const { run, task } = await ofRun(store, event.stream);
      const { approval, tool } = event.data;
      const facts = { approval, tool, run, task: task?.id ?? '', agent: task?.agent ?? '' };
      return { on: 'approval.waiting', facts, labels: event.labels, task };
    }
    case 'config.held': {
      const facts = { approval: event.data.approval, tool: 'settings', run: '', task: '', agent: '' };
      return { on: 'approval.waiting', facts };
    }
    default:
      return null;
  }
}

/** Null if nothing is there to land on: the commit is gone. */
function landed(
  added: readonly AddedFile[] | null,
  commit: string,
  { by, labels, task }: { by: Facts; labels: readonly Label[]; task: Task | null },
): Described | null {
  const files = (added ?? []).filter(({ path }) => !path.startsWith('tasks/'));
  if (files.length === 0) return null;
  const facts = { ...by, commit, paths: files.map(({ path }) => path) };
  const moved = new Map(files.flatMap(({ path, from }) => (from === null ? [] : [[path, from] as const])));
  return { on: 'file.landed', key: commit, facts, moved, labels, task };
}

function ended(
  task: Task | null,
  { status, run }: { status: Task['status']; run: string | null },
  labels: readonly Label[],
): Described | null {
  const on = ({ done: 'task.done', failed: 'task.failed', dead: 'task.dead' } as const)[status as 'done'] as
    | TriggerOn
    | undefined;
  // A reply on its way out is no work of anybody.
  if (on === undefined || task === null || task.queue === OUTBOX) return null;
  const { id, queue, agent, from, attempt } = task;
  const facts = { task: id, queue, agent, from, status, run: run ?? '', attempt };
  return { on, facts, labels: unionLabels(labels, task.labels), task };
}

async function ofRun(store: Store, stream: string): Promise<{ run: string; task: Task | null }> {
  for await (const event of store.read({ stream, limit: 1 }))
    if (event.type === 'run.started') return { run: event.data.run, task: await store.task(event.data.task) };
  return { run: '', task: null };
}

interface MovesDeps {
  store: Pick<Store, 'commit'>;
  watch: Pick<WorkspaceWatch, 'moves'>;
}

/**
 * Puts on record how `main` has moved since a commit, where nothing else tells of it: commits by hand, pulls. Gives where
 * it is now. What runs land, and what the runtime commits for a person, has an event already or will have in a moment.
 */
export async function recordMoves(
  { store, watch }: MovesDeps,
  since: string,
  told: (commit: string) => boolean,
): Promise<string> {
  let main = since;
  for (const { from, to, by } of await watch.moves(since)) {
    main = to;
    if (by === 'landing' || told(to)) continue;
    const event: NewEvent = {
      type: 'main.moved',
      stream: 'workspace',
      actor: by === 'person' ? 'person:owner' : 'runtime',
      cause: null,
      labels: by === 'person' ? [] : ['untrusted'],
      key: `moved:${from}..${to}`,
      data: { from, to, by: by === 'person' ? 'person' : 'elsewhere' },
    };
    await store.commit({ events: [event], sync: true });
  }
  return main;
}
