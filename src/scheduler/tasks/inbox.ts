import { givenTask, noRoom } from '../../core/records/new-task.ts';
import { conversationId, isAgentName, taskStream, type Ids } from '../../core/ids.ts';
import type { NewEvent } from '../../core/event.ts';
import type { Governance } from '../../core/agent.ts';
import type { Log } from '../../core/ports/log.ts';
import { type Store, StoreUnavailable } from '../../core/ports/store.ts';
import type { Files } from '../../core/files.ts';
import type { Workspace } from '../../core/ports/workspace.ts';
import { answeredKey, askedKey, matterId, matterRaised } from '../../core/records/matter.ts';
import { didYouMean } from '../../core/text/unknown.ts';
import {
  type BlockedFile,
  type InboxEntry,
  type InboxFile,
  TASK_FILE_KEYS,
  type TaskFiles,
  type UnseenInbox,
} from '../../core/ports/task-files.ts';
import { jsonDepth } from '../../core/text/json.ts';
import { visibleLine } from '../../core/text/untrusted.ts';
import { type Task, artefactOf, type NewTaskCall, type TaskCall, type TaskContent } from '../../core/task.ts';
import { workspacePath } from '../../core/text/paths.ts';
import type { Parsed } from '../../core/ports/tool.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { TaskViews } from './views.ts';
import { errorText } from '../../core/text/sentence.ts';
import { putJson } from '../../core/records/json-blob.ts';

export interface InboxDeps {
  files: TaskFiles;
  store: Store;
  workspace: Pick<Workspace, 'head'> & { files(...of: Parameters<Workspace['files']>): Pick<Files, 'stat'> };
  governance(): Governance;
  ids: Ids;
  log: Log;
  redact(text: string): string;
  /** Reads the arguments of a call of `task`. */
  parseTask(args: unknown): Parsed<TaskCall>;
}

/**
 * Makes tasks of the files in the inboxes: each once, by its name and content; what is none is put aside with the reason.
 * Whatever stands in the way of one file, or of one inbox, keeps no other.
 */
export async function takeInbox(deps: InboxDeps): Promise<void> {
  const { files, log } = deps;
  const { queues } = deps.governance().settings;
  const shut = new Set(Object.keys(queues).filter((name) => queues[name]?.state === 'draining'));
  const { files: found, unseen } = files.waiting(shut);
  for (const inbox of unseen) await tellUnseen(deps, inbox);
  for (const entry of found) {
    // They stay where they are until there is room.
    if ((await noRoom(deps.store)) !== null) return;
    try {
      await takeOne(deps, entry);
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error;
      files.later(entry);
      const about = { queue: entry.queue, file: visibleLine(entry.name), error: errorText(error) };
      log.warn(about, 'a file of an inbox could not be taken in; it is tried again in a minute');
    }
  }
}

async function takeOne(deps: InboxDeps, entry: InboxEntry): Promise<void> {
  const file = await deps.files.claim(entry);
  if (file === null) return;
  if ('blocked' in file) {
    deps.files.later(entry);
    return tellBlocked(deps, entry, file);
  }
  const read = await readTask(deps, file);
  if (!read.ok) await reject(deps, file, read.error);
  else if (await enqueue(deps, file, read.value)) await deps.files.taken(file);
}

/** Levels of arrays and objects, as in the body of a request. */
const MAX_DEPTH = 64;
const KEYS = `The keys are: ${TASK_FILE_KEYS.join(', ')}.`;

/** A task as a file gives it. */
type FileTask = NewTaskCall & Pick<Task, 'escalation'>;

async function readTask(
  deps: InboxDeps,
  { queue, text, size, unreadable, other }: InboxFile,
): Promise<Parsed<FileTask>> {
  const bad = (error: string): { ok: false; error: string } => ({ ok: false, error });
  const { agents, settings } = deps.governance();
  if (!isAgentName(queue) || !agents.has(queue))
    return bad(`There is no agent "${queue}". Agents: ${[...agents.keys()].join(', ')}.`);
  if (other !== null) return bad(`It is ${other}, and only a plain file becomes a task. Put a file there instead.`);
  if (unreadable !== null)
    return bad(`It cannot be read: ${unreadable}. See that the user who runs Ruche may read it.`);
  if (text === null)
    return bad(`The file has ${size} bytes, and a task may have 1,000,000: put the rest in a file of its own.`);
  // What recurses over it later would end in an overflow.
  if (jsonDepth(text, MAX_DEPTH) > MAX_DEPTH) return bad(`It is nested deeper than ${MAX_DEPTH} levels.`);
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    return bad(`It is not valid JSON: ${(error as Error).message}`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return bad('It must be a JSON object.');
  const unknown = Object.keys(value).find((key) => !TASK_FILE_KEYS.includes(key));
  if (unknown !== undefined) return bad(`There is no key "${unknown}".${didYouMean(unknown, TASK_FILE_KEYS)} ${KEYS}`);
  const { escalation, ...rest } = value as Record<string, unknown>;
  const chains = Object.keys(settings.escalation);
  if (escalation !== undefined && (typeof escalation !== 'string' || !chains.includes(escalation)))
    return bad(`"escalation" names no chain of ruche.yaml. Chains: ${chains.join(', ') || 'none'}.`);
  const parsed = deps.parseTask({ ...rest, action: 'create', agent: queue });
  if (!parsed.ok) return bad(`It does not fit: ${parsed.error}. ${KEYS}`);
  const call: FileTask = { ...(parsed.value as NewTaskCall), ...(escalation === undefined ? {} : { escalation }) };
  const wrong = settings.queues[queue]?.input?.misfit(call.input) ?? null;
  if (wrong !== null) return bad(`The input does not fit the queue ${queue}: ${wrong}.`);
  for (const id of call.after)
    if ((await deps.store.task(id)) === null) return bad(`"after" names ${id}, which is no task.`);
  return artefactsAt(deps, call);
}

/** Artefacts are read as they are when the file is taken in. */
async function artefactsAt({ workspace }: InboxDeps, call: FileTask): Promise<Parsed<FileTask>> {
  const head = await workspace.head();
  const artefacts: string[] = [];
  for (const given of call.artefacts) {
    const { path: raw, commit } = artefactOf(given) ?? { path: given, commit: head };
    const checked = workspacePath(raw);
    if (!checked.ok) return { ok: false, error: `The artefact ${raw} cannot be read: ${checked.reason}.` };
    const found = await workspace
      .files(commit, [])
      .stat(checked.path)
      .catch(() => null);
    if (found === null) return { ok: false, error: `There is no file ${given} on main.` };
    artefacts.push(`${checked.path}@${commit}`);
  }
  return { ok: true, value: { ...call, artefacts } };
}

/** False if it cannot be now. */
async function enqueue(deps: InboxDeps, file: InboxFile, call: FileTask): Promise<boolean> {
  const { store, ids } = deps;
  const { settings } = deps.governance();
  const queue = settings.queues[file.queue];
  if (queue?.state === 'draining') return false;
  const session = ids.next('ses');
  const { title, text, input, artefacts, key: note } = call;
  const content: TaskContent = { title, text, input, artefacts, ...(note === null ? {} : { key: note }) };
  // A file is a task by its name and content: the key in it is a note, and never makes it another's.
  const key = `file:${file.queue}:${file.hash}:${file.name}`;
  const task = givenTask(
    { ...call, key: null },
    {
      id: ids.next('tsk'),
      session,
      from: `file:${visibleLine(file.name)}`,
      content: putJson(store, content, conversationId(file.queue, session), deps.redact),
      labels: [],
      maxAttempts: queue?.maxAttempts ?? settings.maxAttempts,
      ...(call.escalation === undefined ? {} : { escalation: call.escalation }),
    },
  );
  const event: NewEvent = { type: 'task.queued', stream: taskStream(task.id), ...BY, key, data: { task } };
  const enqueue = { op: 'enqueue', task, after: call.after, causeOf: 0 } as const;
  const result = await store.commit({ events: [event], queue: [enqueue], sync: true });
  if (result.ok) return true;
  if (result.why !== 'duplicate') throw new Error(`the task of a file was refused: ${JSON.stringify(result)}`);
  deps.log.info({ queue: file.queue, file: file.name }, 'this file was taken in before: nothing new is made of it');
  return true;
}

const BY = { actor: 'runtime', cause: null, labels: [] } as const;

async function reject(deps: InboxDeps, file: InboxFile, why: string): Promise<void> {
  const { queue, name } = file;
  const reason = deps.redact(why);
  const shown = {
    text: `A file in tasks/${shownQueue(deps, queue)}/inbox/ did not become a task. ${shownName(deps, name)}: ${reason}`,
    reason: `It lies in tasks/${shownQueue(deps, queue)}/rejected/; correct it and put it back.`,
  };
  // The word comes first: what is moved away without one would be a riddle.
  const what = `${shownName(deps, name)}: ${reason}`;
  await tell(deps, { queue, name, mark: file.mark, what, series: 'rejected' }, shown);
  await deps.files.reject(file, reason);
}

/** A file that cannot be moved: as it could not be removed either, no task is made of it. */
function tellBlocked(deps: InboxDeps, { queue, name }: InboxEntry, { blocked, mark }: BlockedFile): Promise<void> {
  const what = `${shownName(deps, name)}: it cannot be moved out of the inbox: ${blocked}`;
  return tell(
    deps,
    { queue, name, mark, what, series: 'stuck' },
    {
      text: `A file in tasks/${shownQueue(deps, queue)}/inbox/ could not be taken in. ${what}`,
      reason:
        'Let the user who runs Ruche write in that folder and move that file (`ls -ld` and `lsattr` show what keeps it). The file is then taken in within a minute.',
    },
  );
}

function tellUnseen(deps: InboxDeps, { queue, why, mark }: UnseenInbox): Promise<void> {
  const what = `The folder tasks/${shownQueue(deps, queue)}/inbox/ cannot be looked into: ${why}.`;
  return tell(
    deps,
    { queue, name: '', mark, what, series: 'unseen' },
    {
      text: `${what} No task is made of the files in it.`,
      reason: 'Let the user who runs Ruche read that folder.',
    },
  );
}

const shownName = ({ redact }: InboxDeps, name: string): string => redact(visibleLine(name));
const shownQueue = ({ redact }: InboxDeps, queue: string): string => redact(visibleLine(queue)).slice(0, 64);

/** What the owner has to do differs by kind, so that an open matter of one hides no other. */
type Series = 'rejected' | 'stuck' | 'unseen';

interface Told extends InboxEntry {
  mark: string;
  what: string;
  series: Series;
}

/** On record, and before the owner, once for each file: what cannot be moved is found again at every look. */
async function tell(
  deps: InboxDeps,
  { queue, name, mark, what, series }: Told,
  shown: { text: string; reason: string },
): Promise<void> {
  const { store } = deps;
  const detail = putJson(store, { text: what }, 'inbox');
  const data = { queue: shownQueue(deps, queue), detail };
  const key = `rejected:${queue}:${mark}:${name}`;
  const rejected: NewEvent = { type: 'task.rejected', stream: 'workspace', ...BY, key, data };
  const matter = await matterOf(deps, { queue, series }, shown);
  const result = await store.commit({ events: matter === null ? [rejected] : [rejected, matter], sync: true });
  if (!result.ok && result.why !== 'duplicate')
    throw new Error(`the word of a rejected file was refused: ${JSON.stringify(result)}`);
}

const UNTIL: Readonly<Record<Series, string>> = {
  rejected: 'further files of this inbox that become no task are not reported here',
  stuck: 'further files of this inbox that cannot be moved are not reported here',
  unseen: 'this folder is not reported here again',
};

/** Tells the owner, unless an earlier file of that queue and kind still waits: ten thousand wrong files are one matter. */
async function matterOf(
  { store }: InboxDeps,
  { queue, series }: Pick<Told, 'queue' | 'series'>,
  { text, reason }: { text: string; reason: string },
): Promise<NewEvent | null> {
  let about = '';
  for (let count = 1; ; count += 1) {
    about = `${isAgentName(queue) ? queue : 'nobody'}.${series === 'rejected' ? '' : `${series}.`}${count}`;
    const matter = matterId('rejected', about);
    if ((await store.byKey(askedKey(matter))) === null) break;
    if ((await store.byKey(answeredKey(matter))) === null) return null;
  }
  const until = `Any answer settles this. Until then, ${UNTIL[series]}.`;
  const shown = { text, reason: `${reason} ${until}` };
  return { ...matterRaised({ kind: 'rejected', about, shown }, (value) => putJson(store, value, 'inbox')), ...BY };
}

/** Milliseconds between two looks. */
const LOOK_MS = 250;
/** Milliseconds to wait after one has failed. */
const FAILED_MS = 5_000;

interface TaskFilesDeps extends InboxDeps {
  clock: Clock;
  onWork(listener: () => void): () => void;
}

/** Keeps the queues as files: views are written, inboxes are read, and what somebody does to a view is undone. */
export function startTaskFiles(deps: TaskFilesDeps): { close(): Promise<void> } {
  const { store, files, clock, log } = deps;
  const stopping = new AbortController();
  const views = new TaskViews(store, files, log);
  const opened = new Set<string>();
  let changed = true;
  const unlisten = deps.onWork(() => void (changed = true));
  const openNew = async (): Promise<void> => {
    for (const queue of deps.governance().agents.keys()) {
      if (opened.has(queue)) continue;
      // Once each: a person who removes one does not find it there again a moment later.
      opened.add(queue);
      await files.open(queue);
    }
  };
  const show = async (): Promise<void> => {
    if (changed) {
      changed = false;
      await views.update();
    }
    for (const task of await views.restore()) {
      const about = { stream: taskStream(task), actor: 'runtime', cause: null, labels: [] } as const;
      await store.commit({ events: [{ type: 'task.restored', ...about, data: { task } }], sync: false });
    }
  };
  /** One that fails keeps none of the others. */
  const look = async (jobs: readonly (() => Promise<void>)[]): Promise<boolean> => {
    let isWell = true;
    for (const job of jobs)
      await job().catch((error: unknown) => {
        isWell = false;
        changed = true;
        log.warn({ error: errorText(error) }, 'the task files could not be looked after; it is tried again');
      });
    return isWell;
  };
  const loop = async (): Promise<void> => {
    const { signal } = stopping;
    while (!signal.aborted) {
      const isWell = await look([openNew, () => takeInbox(deps), show]);
      await clock.sleep(isWell ? LOOK_MS : FAILED_MS, signal).catch(() => undefined);
    }
  };
  const running = loop();
  return {
    close: () => {
      unlisten();
      stopping.abort();
      return running;
    },
  };
}
