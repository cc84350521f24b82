import type { BlobRef } from '../../core/blob.ts';
import type { Event } from '../../core/event.ts';
import { conversationId, runKey, runStream } from '../../core/ids.ts';
import { unionLabels } from '../../core/labels.ts';
import type { ModelMessage } from '../../core/model.ts';
import type { Claim, Task } from '../../core/task.ts';
import type { TaskContent } from '../../core/task-call.ts';
import { wrapUntrusted } from '../../core/text/untrusted.ts';
import { note } from './notes.ts';
import type { AgentDeps } from './deps.ts';
import { loadContent, loadJson, messageOf, RunLog } from './log.ts';
import { evolve, type RunState, startState } from './state.ts';

/**
 * Starts the run of a task, or folds the one it has from its events. `spentMs`: what it has worked so far, without the
 * time in which it waited or no process was there.
 */
export async function openRun(deps: AgentDeps, claim: Claim): Promise<{ log: RunLog; spentMs: number }> {
  const { task } = claim;
  const started = await deps.store.byKey(runKey(task.id));
  const { store, redact } = deps;
  if (started?.type !== 'run.started') return { log: await startRun(deps, claim), spentMs: 0 };
  let state: RunState | null = null;
  let last = started.id;
  let [spentMs, seen] = [0, started.at];
  const { limits } = deps.governance().settings;
  for await (const event of store.read({ stream: started.stream })) {
    if (state === null) state = startState(started, await firstMessage(deps, task));
    evolve(state, event, await loadContent(store, event));
    last = event.id;
    const ms = event.at - seen;
    // More than the whole time of a run cannot have gone by: the clock was set.
    if (!OUTSIDE.has(event.type) && ms > 0 && ms <= limits.runMs) spentMs += ms;
    seen = event.at;
  }
  if (state === null) throw new Error(`run ${started.stream} has no events`);
  const log = new RunLog({ store, redact, claim, state, last });
  const data = { worker: deps.worker, step: state.step, config: deps.governance().commit };
  log.emit({ type: 'run.resumed', data });
  // At once: the first step may be a command that has outlived the crash and goes on for long.
  await log.flush(false);
  return { log, spentMs };
}

/** Events before which the run did not work. */
const OUTSIDE: ReadonlySet<Event['type']> = new Set(['run.resumed', 'approval.answered', 'question.answered']);

async function startRun(deps: AgentDeps, claim: Claim): Promise<RunLog> {
  const { task } = claim;
  const { agent, session, attempt, cause } = task;
  const { commit: config } = deps.governance();
  const conversation = await deps.conversations.load(deps.store, conversationId(agent, session));
  const base = await deps.workspace.head();
  const data = { run: deps.ids.next('run'), task: task.id, agent, session, attempt, config, base };
  const labels = unionLabels(task.labels, conversation.labels);
  const stream = runStream(data.run);
  const event = { type: 'run.started' as const, data, stream, labels };
  const state = startState({ ...event, ...NOT_YET, at: deps.clock.now() }, await firstMessage(deps, task));
  const log = new RunLog({ store: deps.store, redact: deps.redact, claim, state, last: cause });
  log.emit({ type: 'run.started', data }, null, { key: runKey(task.id) });
  return log;
}

/** What only the store knows of an event. */
const NOT_YET = { seq: 0, id: '', version: 0, actor: '', cause: null, key: null, schema: 1, hash: '' };

/** What came from outside with a trigger stands between marks, and as far as a model can be expected to read it. */
function inputText({ id, from }: Task, input: unknown, limit: number): string {
  const text = JSON.stringify(input);
  if (!from.startsWith('trigger:')) return text;
  const cut = text.length > limit ? `\n[${text.length - limit} more characters were left out]` : '';
  return wrapUntrusted(text.slice(0, limit).toWellFormed() + cut, from, id);
}

/** The message the run answers; a task that came otherwise is put in words, with a note of where it comes from. */
async function firstMessage({ store, governance }: AgentDeps, task: Task): Promise<BlobRef[]> {
  const received = await messageOf(store, task);
  if (received !== null) return [received.data.content];
  const given = task.content === null ? {} : ((await loadJson(store, task.content)) as Partial<TaskContent>);
  const { title = null, text = null, input = null, artefacts = [] } = given;
  const limit = governance().settings.limits.toolOutput;
  const said = [text ?? title, input === null ? null : inputText(task, input, limit)].filter(Boolean).join('\n');
  const about = [
    `This is a task from ${task.from}${title === null ? '' : `: ${title}`}. Your answer is its result.`,
    ...(artefacts.length > 0
      ? [`It comes with these files, to be read under these names: ${artefacts.join(', ')}`]
      : []),
  ];
  const put = (message: ModelMessage): BlobRef =>
    store.putBlob(Buffer.from(JSON.stringify(message)), conversationId(task.agent, task.session));
  return [put(note(about.join('\n'))), put({ role: 'user', parts: [{ type: 'text', text: said }] })];
}
