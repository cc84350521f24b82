import { givenTask, noRoom } from '../../core/records/new-task.ts';
import { conversationId, isAgentName, taskStream, type Ids } from '../../core/ids.ts';
import type { NewEvent } from '../../core/event.ts';
import type { Governance } from '../../core/agent.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Files } from '../../core/files.ts';
import type { Workspace } from '../../core/ports/workspace.ts';
import { answeredKey, askedKey, matterId, matterRaised } from '../../core/records/matter.ts';
import { didYouMean } from '../../core/text/near.ts';
import { type InboxFile, TASK_FILE_KEYS, type TaskFiles } from '../../core/ports/task-files.ts';
import type { Task } from '../../core/task.ts';
import { workspacePath } from '../../core/text/paths.ts';
import { artefactOf, type NewTaskCall, type TaskCall } from '../../core/task-call.ts';
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

/** Makes tasks of the files in the inboxes: each once, by its name and content; what is none is put aside with the reason. */
export async function takeInbox(deps: InboxDeps): Promise<void> {
  for (const file of await deps.files.waiting()) {
    // They stay where they are until there is room.
    if ((await noRoom(deps.store)) !== null) return;
    const read = await readTask(deps, file);
    if (!read.ok) await reject(deps, file, read.error);
    else if (await enqueue(deps, file, read.value)) await deps.files.taken(file);
  }
}

const KEYS = `The keys are: ${TASK_FILE_KEYS.join(', ')}.`;

/** A task as a file gives it. */
type FileTask = NewTaskCall & Pick<Task, 'escalation'>;

async function readTask(deps: InboxDeps, { queue, text, size }: InboxFile): Promise<Parsed<FileTask>> {
  const bad = (error: string): { ok: false; error: string } => ({ ok: false, error });
  const { agents, settings } = deps.governance();
  if (!isAgentName(queue) || !agents.has(queue))
    return bad(`There is no agent "${queue}". Agents: ${[...agents.keys()].join(', ')}.`);
  if (text === null)
    return bad(`The file has ${size} bytes, and a task may have 1,000,000: put the rest in a file of its own.`);
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
  const { title, text, input, artefacts } = call;
  const content = { title, text, input, artefacts };
  const key = `file:${file.queue}:${file.hash}:${file.name}`;
  const task = givenTask(call, {
    id: ids.next('tsk'),
    session,
    from: `file:${file.name}`,
    content: putJson(store, content, conversationId(file.queue, session), deps.redact),
    labels: [],
    maxAttempts: queue?.maxAttempts ?? settings.maxAttempts,
    ...(call.escalation === undefined ? {} : { escalation: call.escalation }),
  });
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
  const { store } = deps;
  const reason = deps.redact(why);
  const queue = deps.redact(file.queue).slice(0, 64);
  const detail = putJson(store, { text: `${file.name}: ${reason}` }, 'inbox');
  // The word comes first: what is moved away without one would be a riddle.
  const rejected = { type: 'task.rejected', stream: 'workspace', ...BY, data: { queue, detail } } as const;
  const matter = await rejectedMatter(deps, queue, `${deps.redact(file.name)}: ${reason}`);
  await store.commit({ events: matter === null ? [rejected] : [rejected, matter], sync: true });
  await deps.files.reject(file, reason);
}

/** Puts it before the owner, unless an earlier file of that queue still is: ten thousand wrong files are one matter. */
async function rejectedMatter({ store }: InboxDeps, queue: string, what: string): Promise<NewEvent | null> {
  let about = '';
  for (let count = 1; ; count += 1) {
    about = `${isAgentName(queue) ? queue : 'nobody'}.${count}`;
    const matter = matterId('rejected', about);
    if ((await store.byKey(askedKey(matter))) === null) break;
    if ((await store.byKey(answeredKey(matter))) === null) return null;
  }
  const shown = {
    text: `A file in tasks/${queue}/inbox/ is no task. ${what}`,
    reason: `It lies in tasks/${queue}/rejected/; correct it and put it back. Any answer settles this. Until then, further rejected files are not reported here.`,
  };
  return { ...matterRaised({ kind: 'rejected', about, shown }, (text) => putJson(store, text, 'inbox')), ...BY };
}

/** Milliseconds between two looks. */
const LOOK_MS = 250;

interface TaskFilesDeps extends InboxDeps {
  clock: Clock;
  onWork(listener: () => void): () => void;
}

/** Keeps the queues as files: views are written, inboxes are read, and what somebody does to a view is undone. */
export function startTaskFiles(deps: TaskFilesDeps): { close(): Promise<void> } {
  const { store, files, clock, log } = deps;
  const stopping = new AbortController();
  const views = new TaskViews(store, files);
  const opened = new Set<string>();
  let changed = true;
  const unlisten = deps.onWork(() => void (changed = true));
  const look = async (): Promise<void> => {
    for (const queue of deps.governance().agents.keys()) {
      if (opened.has(queue)) continue;
      // Once each: whoever removes one does not find it there again a moment later.
      opened.add(queue);
      await files.open(queue);
    }
    await takeInbox(deps);
    if (changed) {
      changed = false;
      await views.update();
    }
    for (const task of await views.restore()) {
      const event = {
        type: 'task.restored' as const,
        stream: taskStream(task),
        actor: 'runtime',
        cause: null,
        labels: [],
      };
      await store.commit({ events: [{ ...event, data: { task } }], sync: false });
    }
  };
  const loop = async (): Promise<void> => {
    const { signal } = stopping;
    let ready = false;
    while (!signal.aborted) {
      try {
        if (!ready) await views.open();
        ready = true;
        await look();
      } catch (error) {
        changed = true;
        const why = errorText(error);
        log.warn({ error: why }, 'the task files could not be looked after; it is tried again');
      }
      await clock.sleep(LOOK_MS, signal).catch(() => undefined);
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
