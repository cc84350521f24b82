import type { AgentDeps, AgentTurn, Turn } from './run/deps.ts';
import { COMPACTION } from '../core/records/compaction.ts';
import { unionLabels } from '../core/labels.ts';
import { type Clock, OVER } from '../core/ports/clock.ts';
import { StoreUnavailable } from '../core/ports/store.ts';
import { WorkspaceUnavailable } from '../core/ports/workspace.ts';
import { type Claim, isEnded, type Stops, type Task, type TaskContent } from '../core/task.ts';
import { within } from '../policy/rights.ts';
import { doCalls } from './calls/calls.ts';
import { Faults } from './run/hindrances.ts';
import { fail, succeed } from './finish/finish.ts';
import { holdWork } from './finish/hold.ts';
import { land, leaveOutLost } from './finish/land.ts';
import { park, setAside } from './finish/park.ts';
import { foldRun, LeaseLost, messageOf, Overtaken, RunLog, loadJson, zoneOf } from './run/log.ts';
import { nextStep, type Step, type Failure, startState } from './run/state.ts';
import type { Placed } from './run/blobs.ts';
import { overspent } from './think/money.ts';
import { think } from './think/think.ts';
import type { BlobRef } from '../core/blob.ts';
import type { Event } from '../core/event.ts';
import { conversationId, runKey, runStream, kindOf } from '../core/ids.ts';
import type { ModelMessage, FileRef, UserMessage } from '../core/model.ts';
import { errorText } from '../core/text/sentence.ts';
import { wrapUntrusted } from '../core/text/untrusted.ts';
import { note } from './run/conversation.ts';
import { FileRefused } from '../core/files.ts';

/** Messages of the lane taken in at one step. */
const MAX_TAKEN = 20;

/**
 * Runs a claimed task to its end, or until it has to wait for a person. Starts a run or resumes the one a crash or a
 * question has interrupted. Returns when the task is settled, parked or to be retried; rejects only for bugs, an
 * unavailable store, or the shutdown signal's reason.
 */
export async function runTask(deps: AgentDeps, claim: Claim, outer: Stops): Promise<void> {
  const limit = new AbortController();
  const stops: Stops = { cancel: AbortSignal.any([outer.cancel, limit.signal]), shutdown: outer.shutdown };
  const { runMs } = deps.governance().settings.limits;
  const timer = workTimer(deps.clock, outer.shutdown, () => limit.abort(new Error('the run took too long')));
  let turn: Turn | null = null;
  try {
    await openAndWork(deps, claim, {
      stops,
      begins(opened, spentMs) {
        turn = opened;
        timer.start(runMs - spentMs, runMs / TICKS);
      },
      rests: () => timer.stop(),
      worked: () => timer.worked(),
    });
  } catch (error) {
    await brokenOff(turn, error, { outer, limit: limit.signal.aborted ? tooLong(runMs) : null });
  } finally {
    if (turn !== null) deps.landingOrder.leave((turn as Turn).log.state.run);
    await timer.stop();
  }
}

/** Of the time a run has: one of them is the most that a sleep of the machine, or a clock that is set, can take of it. */
const TICKS = 60;

/** Measures the time in which a run works, by ticks: one that lasts longer than it should was slept through. */
function workTimer(clock: Clock, shutdown: AbortSignal, reached: () => void) {
  let over = new AbortController();
  let running = Promise.resolve();
  let counted = 0;
  let ticking = { since: 0, ms: 0 };
  const ofTick = (): number => Math.min(ticking.ms, Math.max(0, clock.now() - ticking.since));
  const count = async (ms: number, most: number, end: AbortSignal): Promise<void> => {
    for (let left = ms; left > 0; left -= ticking.ms) {
      ticking = { since: clock.now(), ms: Math.min(left, most) };
      await clock.sleep(ticking.ms, end);
      counted += ticking.ms;
    }
    ticking = { since: 0, ms: 0 };
    reached();
  };
  const rest = (): void => {
    counted += ofTick();
    ticking = { since: 0, ms: 0 };
    over.abort(OVER);
  };
  return {
    start(ms: number, most: number): void {
      rest();
      over = new AbortController();
      running = count(ms, most, AbortSignal.any([over.signal, shutdown])).catch(() => undefined);
    },
    worked: (): number => counted + ofTick(),
    async stop(): Promise<void> {
      rest();
      await running;
    },
  };
}

interface Working {
  stops: Stops;
  /** A run has been opened that has worked for so long already. */
  begins(turn: Turn, spentMs: number): void;
  /** It cannot go on for a while, which is no time of its own. */
  rests(): Promise<void>;
  worked(): number;
}

async function openAndWork(deps: AgentDeps, claim: Claim, { stops, begins, rests, worked }: Working): Promise<void> {
  const faults = new Faults(deps, claim.task.id, stops);
  for (;;) {
    let turn: Turn | null = null;
    try {
      const { log, spentMs } = await openRun(deps, claim);
      turn = { deps, log, stops, worked };
      begins(turn, spentMs);
      if (log.state.changes.size > 0 && log.state.landing !== 'started') await leaveOutLost(turn);
      return await steps(turn);
    } catch (error) {
      if (error instanceof Overtaken) {
        await deps.standing.refresh();
        continue;
      }
      if (!(error instanceof WorkspaceUnavailable)) throw error;
      await rests();
      // What it has done is on record, so that it goes on from there.
      await turn?.log.flush(true);
      const lasting = await faults.wait(error);
      if (lasting === null) continue;
      if (turn === null) throw error;
      return fail(turn, lasting);
    }
  }
}

/** Settles what a thrown step leaves behind; rejects with what the worker has to deal with. */
async function brokenOff(
  turn: Turn | null,
  error: unknown,
  { outer, limit }: { outer: Stops; limit: Failure | null },
): Promise<void> {
  // The worker that took the lease, or the one who cancelled the task, has written its end.
  if (error instanceof LeaseLost || outer.cancel.aborted) return letGo(turn);
  // Without a journal nothing can be said.
  if (turn === null || error instanceof StoreUnavailable) throw error;
  try {
    if (!outer.shutdown.aborted) return await fail(turn, limit ?? broken(turn, error));
    // What the shutdown interrupts is resumed; receipts that are not on disk yet must not be lost with it.
    if (error === outer.shutdown.reason) {
      await holdWork(turn);
      await turn.log.flush(true);
    }
  } catch (late) {
    if (!(late instanceof LeaseLost)) throw late;
    return letGo(turn);
  }
  throw error;
}

/** What tools keep for the case of a crash is given up if the task has ended. Another worker that goes on needs it. */
async function letGo(turn: Turn | null): Promise<void> {
  if (turn === null) return;
  const { deps, log } = turn;
  const task = await deps.store.task(log.state.task);
  if (!task || !isEnded(task.status)) return;
  for (const { tool, key } of log.state.calls) await deps.tools().get(tool)?.settled?.(key);
}

const tooLong = (ms: number): Failure => ({
  code: 'limit.time',
  message: `It took longer than ${Math.round(ms / 60_000)} minutes (limits.runMs).`,
  retryable: false,
});

/** A bug of ours: the person hears of it, the log has the details. */
function broken({ deps, log }: Turn, error: unknown): Failure {
  const text = deps.redact(errorText(error));
  const stack = deps.redact((error instanceof Error && error.stack) || '');
  deps.log.error({ run: log.state.run, error: text, stack }, 'a run broke');
  return { code: 'internal', message: `Something in Ruche went wrong: ${text}`, retryable: true };
}

async function steps(turn: Turn): Promise<void> {
  const { deps, log, stops } = turn;
  for (;;) {
    stops.shutdown.throwIfAborted();
    void holdWork(turn);
    // What is done is told, whatever has become of the agent, and of the time it was given.
    const next = nextStep(log.state);
    if (next === 'finish') return finish(turn);
    stops.cancel.throwIfAborted();
    const agent = deps.governance().agents.get(log.state.agent);
    if (!agent) return fail(turn, missingAgent(log.state.agent));
    if (deps.paused(agent.name)) return setAside(turn);
    const senders = log.claim.task.origin?.senders ?? [];
    const givers = senders.flatMap((name) => deps.governance().agents.get(name) ?? []);
    let zone: string | null = null;
    const bound = within(agent, givers, deps.sandboxed);
    const outcome = await step({ ...turn, agent: bound, zone: () => (zone ??= deps.zone()) }, next);
    if (outcome === 'end') return;
    if (outcome !== 'on') return fail(turn, outcome);
  }
}

async function step(turn: AgentTurn, next: Exclude<Step, 'finish'>): Promise<'on' | 'end' | Failure> {
  const { deps, log } = turn;
  switch (next) {
    case 'model': {
      if (log.state.step > 0) await takeMessages(turn);
      // Each message it answers brings what it would have had alone: those that join a slow run must not fail together.
      const most = deps.governance().settings.limits.steps * (1 + log.state.absorbed.length);
      if (log.state.step >= most)
        return { code: 'limit.steps', message: `It took more than ${most} steps (limits.steps).`, retryable: false };
      await placeFiles(turn);
      const thought = await think(turn);
      return thought === 'park' ? park(turn) : (thought ?? 'on');
    }
    case 'calls': {
      const limit = await overspent(turn);
      if (limit !== null) return limit === 'park' ? park(turn) : limit;
      return (await doCalls(turn)) ? park(turn) : 'on';
    }
    case 'land': {
      const landed = await land(turn);
      if (landed === 'park') return park(turn);
      return landed === 'landed' || landed === 'think' ? 'on' : landed;
    }
  }
}

async function finish(turn: Turn): Promise<void> {
  const { deps, log } = turn;
  const { commit, landingApproval } = log.state;
  if (commit !== null && landingApproval !== null) {
    await log.flush(true);
    await deps.governanceLanded(commit);
  }
  await succeed(turn);
}

const missingAgent = (name: string): Failure => ({
  code: 'agent.missing',
  message: `The agent "${name}" is missing or invalid on main: see \`ruche doctor\`.`,
  retryable: false,
});

/** Messages that arrived in the lane while the run worked: the next model call sees them, and their tasks end with it. */
async function takeMessages({ deps, log }: Turn): Promise<void> {
  const { lane, id, from } = log.claim.task;
  // A run that only summarises answers nobody.
  if (from === COMPACTION) return;
  const limit = MAX_TAKEN + log.state.absorbed.length;
  const waiting = await deps.store.tasks({ lane, statuses: ['queued'], limit });
  const arrived = waiting.filter((task) => task.absorbedBy === null);
  if (arrived.length === 0) return;
  // In a commit of their own: one that is cancelled in this moment takes no receipt with it.
  await log.flush(false);
  for (const task of arrived) {
    const message = await messageOf(deps.store, task);
    if (message === null) continue;
    const { content } = message.data;
    const labels = unionLabels(log.state.labels, message.labels, task.labels);
    log.emit({ type: 'message.taken', data: { message: message.id, task: task.id, content } }, null, { labels });
    log.queue({ op: 'absorb', task: task.id, into: id });
  }
  await log.flush(false);
}

/**
 * Starts the run of a task, or folds the one it has from its events. `spentMs`: what it has worked so far, without the
 * time in which it waited or no process was there.
 */
async function openRun(deps: AgentDeps, claim: Claim): Promise<{ log: RunLog; spentMs: number }> {
  const { task } = claim;
  const started = await deps.store.byKey(runKey(task.id));
  const { store, redact } = deps;
  const root = task.origin === undefined ? null : await store.task(task.origin.root);
  const asker = (root ?? task).from;
  if (started?.type !== 'run.started') return { log: await startRun(deps, claim, asker), spentMs: 0 };
  // The answer that lets it go on may have granted more.
  await deps.standing.settled();
  let last = started.id;
  let [spentMs, seen] = [0, started.at];
  const state = await foldRun(store, started, await firstMessage(deps, task), (event) => {
    last = event.id;
    const most = 'ms' in event.data ? event.data.ms : BETWEEN_MS;
    const ms = Math.min(event.at - seen, most);
    if (!OUTSIDE.has(event.type) && ms > 0) spentMs += ms;
    seen = event.at;
  });
  const log = new RunLog({ store, redact, claim, state, last, asker });
  const data = { worker: deps.worker, step: state.step, config: deps.governance().commit };
  log.emit({ type: 'run.resumed', data });
  // At once: the first step may be a command that has outlived the crash and goes on for long.
  await log.flush(false);
  return { log, spentMs };
}

/** The longest that lies between two records but for models and tools, which say it: a wait for a model. More was slept through. */
const BETWEEN_MS = 330_000;

/** Events before which the run did not work. */
const OUTSIDE: ReadonlySet<Event['type']> = new Set(['run.resumed', 'approval.answered', 'question.answered']);

async function startRun(deps: AgentDeps, claim: Claim, asker: string): Promise<RunLog> {
  const { task } = claim;
  const { agent, session, attempt, cause } = task;
  const { commit: config } = deps.governance();
  const conversation = await deps.conversations.load(deps.store, conversationId(agent, session));
  const base = await deps.workspace.head();
  const { foreign } = conversation;
  const data = {
    run: deps.ids.next('run'),
    task: task.id,
    agent,
    session,
    attempt,
    config,
    base,
    ...(foreign === null ? {} : { foreign }),
  };
  const labels = unionLabels(task.labels, conversation.labels, await deps.agentLabels(agent));
  const stream = runStream(data.run);
  const event = { type: 'run.started' as const, data, stream, labels };
  const state = startState({ ...event, ...NOT_YET, at: deps.clock.now() }, await firstMessage(deps, task));
  const values = foreign === null ? null : await loadJson<readonly string[]>(deps.store, foreign);
  const log = new RunLog({ store: deps.store, redact: deps.redact, claim, state, last: cause, asker });
  log.emit({ type: 'run.started', data }, values, { key: runKey(task.id) });
  return log;
}

/** What only the store knows of an event. */
const NOT_YET = { seq: 0, id: '', version: 0, actor: '', cause: null, key: null, schema: 1, hash: '' };

/** What came from outside with a trigger stands between marks, and as far as a model can be expected to read it. */
function inputText({ id, from }: Task, input: unknown, limit: number, mark: AgentDeps['mark']): string {
  const text = JSON.stringify(input);
  if (kindOf(from) !== 'trigger') return text;
  const cut = text.length > limit ? `\n[${text.length - limit} more characters were left out]` : '';
  return wrapUntrusted(text.slice(0, limit).toWellFormed() + cut, from, mark(id));
}

/** The message the run answers; a task that came otherwise is put in words, with a note of where it comes from. */
async function firstMessage(deps: AgentDeps, task: Task): Promise<BlobRef[]> {
  const { store, governance } = deps;
  const received = await messageOf(store, task);
  if (received !== null) return [received.data.content];
  const given = task.content === null ? {} : await loadJson<Partial<TaskContent>>(store, task.content);
  const { title = null, text = null, input = null, artefacts = [], late } = given;
  const limit = governance().settings.limits.toolOutput;
  const said = [text ?? title, input === null ? null : inputText(task, input, limit, deps.mark)]
    .filter(Boolean)
    .join('\n');
  const about = [
    `This is a task from ${task.from}${title === null ? '' : `: ${title}`}. Your answer is its result.`,
    ...(late === undefined ? [] : [lateText(late, deps.timeText(late.at, await zoneOf(deps, task)))]),
    ...(artefacts.length > 0
      ? [`It comes with these files, to be read under these names: ${artefacts.join(', ')}`]
      : []),
  ];
  const put = (message: ModelMessage): BlobRef =>
    store.putBlob(Buffer.from(JSON.stringify(message)), conversationId(task.agent, task.session));
  return [put(note(about.join('\n'))), put({ role: 'user', parts: [{ type: 'text', text: said }] })];
}

/** What an agent has to know that does now what was to be done earlier. */
function lateText({ missed }: NonNullable<TaskContent['late']>, due: string): string {
  const others =
    missed === 0
      ? ''
      : ` It stands for ${missed} earlier firing${missed === 1 ? '' : 's'} that nobody was there for, too.`;
  return `It was due ${due}.${others} Do it once, for today, with the facts of now.`;
}

/** Puts the files that came with messages into the run's view, where the text of the message says they are. */
async function placeFiles({ deps, log }: Turn): Promise<void> {
  const { state } = log;
  const came: FileRef[] = [...state.answerFiles];
  for (const ref of state.arrived) {
    const message: UserMessage = await deps.conversations.message(deps.store, ref);
    came.push(...(message.files ?? []));
  }
  const fresh = came.filter((file) => !state.placed.has(file.path));
  if (fresh.length === 0) return;
  const files = deps.workspace.files(state.base, [...state.changes.values()]);
  const placed: Placed = { changes: [] };
  for (const { path, name, blob } of fresh) {
    const bytes = await deps.store.getBlob(blob);
    try {
      if (bytes !== null) placed.changes.push(await files.place(path, bytes));
    } catch (error) {
      if (!(error instanceof FileRefused)) throw error;
      // The model must not look for a file that is not there.
      log.emit({
        type: 'note.added',
        data: { note: log.put(note(`The file ${name} could not be kept: ${error.message}`)) },
      });
    }
  }
  const data = { files: placed.changes.length, detail: log.put(placed) };
  log.emit({ type: 'files.placed', data }, placed);
}
