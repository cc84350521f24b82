import { COMPACTION } from '../core/records/compaction.ts';
import type { Agent } from '../core/agent.ts';
import { unionLabels } from '../core/labels.ts';
import { StoreUnavailable } from '../core/ports/store.ts';
import { type Claim, isEnded, type Stops } from '../core/task.ts';
import { doCalls } from './calls/calls.ts';
import type { AgentDeps } from './run/deps.ts';
import { fail, succeed } from './finish/finish.ts';
import { land } from './finish/land.ts';
import { openRun } from './run/open.ts';
import { park } from './finish/park.ts';
import { placeFiles } from './run/received.ts';
import { LeaseLost, messageOf, Overtaken, type RunLog } from './run/log.ts';
import { setAside } from './finish/set-aside.ts';
import { nextStep, type Step } from './run/state.ts';
import type { Failure } from './run/failure.ts';
import { think } from './think/think.ts';

/** Messages of the lane taken in at one step. */
const MAX_TAKEN = 20;

/**
 * Runs a claimed task to its end, or until it has to wait for a person. Starts a run or resumes the one a crash or a
 * question has interrupted. Returns when the task is settled, parked or to be retried; rejects only for bugs, an
 * unavailable store, or the shutdown signal's reason.
 */
export async function runTask(deps: AgentDeps, claim: Claim, outer: Stops): Promise<void> {
  const limit = new AbortController();
  const done = new AbortController();
  const stops: Stops = { cancel: AbortSignal.any([outer.cancel, limit.signal]), shutdown: outer.shutdown };
  const { runMs } = deps.governance().settings.limits;
  const end = AbortSignal.any([done.signal, outer.shutdown]);
  const run: { log: RunLog | null; timer: Promise<void> | null } = { log: null, timer: null };
  try {
    await openAndWork(deps, claim, stops, (log, spentMs) => {
      run.log = log;
      run.timer ??= deps.clock.sleep(Math.max(0, runMs - spentMs), end).then(
        () => limit.abort(new Error('the run took too long')),
        () => undefined,
      );
    });
  } catch (error) {
    await brokenOff(deps, run.log, error, { outer, limit: limit.signal.aborted ? tooLong(runMs) : null });
  } finally {
    if (run.log) deps.landingOrder.leave(run.log.state.run);
    done.abort();
    await run.timer;
  }
}

async function openAndWork(
  deps: AgentDeps,
  claim: Claim,
  stops: Stops,
  opened: (log: RunLog, spentMs: number) => void,
): Promise<void> {
  for (;;) {
    const { log, spentMs } = await openRun(deps, claim);
    opened(log, spentMs);
    try {
      return await steps(deps, log, stops);
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error;
    }
  }
}

/** Settles what a thrown step leaves behind; rejects with what the worker has to deal with. */
async function brokenOff(
  deps: AgentDeps,
  log: RunLog | null,
  error: unknown,
  { outer, limit }: { outer: Stops; limit: Failure | null },
): Promise<void> {
  // Whoever took the lease, or cancelled the task, has written its end.
  if (error instanceof LeaseLost || outer.cancel.aborted) return letGo(deps, log);
  // Without a journal nothing can be said.
  if (log === null || error instanceof StoreUnavailable) throw error;
  try {
    if (!outer.shutdown.aborted) return await fail(deps, log, limit ?? broken(deps, log, error));
    // What the shutdown interrupts is resumed; receipts that are not on disk yet must not be lost with it.
    if (error === outer.shutdown.reason) await log.flush(true);
  } catch (late) {
    if (!(late instanceof LeaseLost)) throw late;
    return letGo(deps, log);
  }
  throw error;
}

/** What tools keep for the case of a crash is given up if the task has ended. Another worker that goes on needs it. */
async function letGo(deps: AgentDeps, log: RunLog | null): Promise<void> {
  const task = log && (await deps.store.task(log.state.task));
  if (!log || !task || !isEnded(task.status)) return;
  for (const { tool, key } of log.state.calls) await deps.tools().get(tool)?.settled?.(key);
}

const tooLong = (ms: number): Failure => ({
  code: 'limit.time',
  message: `It took longer than ${Math.round(ms / 60_000)} minutes (limits.runMs).`,
  retryable: false,
});

/** A bug of ours: the person hears of it, the log has the details. */
function broken(deps: AgentDeps, log: RunLog, error: unknown): Failure {
  const text = deps.redact(error instanceof Error ? error.message : String(error));
  const stack = deps.redact((error instanceof Error && error.stack) || '');
  deps.log.error({ run: log.state.run, error: text, stack }, 'a run broke');
  return { code: 'internal', message: `Something in Ruche went wrong: ${text}`, retryable: true };
}

async function steps(deps: AgentDeps, log: RunLog, stops: Stops): Promise<void> {
  for (;;) {
    stops.shutdown.throwIfAborted();
    // What is done is told, whatever has become of the agent, and of the time it was given.
    const next = nextStep(log.state);
    if (next === 'finish') return finish(deps, log);
    stops.cancel.throwIfAborted();
    const agent = deps.governance().agents.get(log.state.agent);
    if (!agent) return fail(deps, log, missingAgent(log.state.agent));
    if (deps.paused?.(agent.name) === true) return setAside(log);
    const outcome = await step(deps, log, agent, stops, next);
    if (outcome === 'end') return;
    if (outcome !== 'on') return fail(deps, log, outcome);
  }
}

async function step(
  deps: AgentDeps,
  log: RunLog,
  agent: Agent,
  stops: Stops,
  next: Exclude<Step, 'finish'>,
): Promise<'on' | 'end' | Failure> {
  switch (next) {
    case 'model': {
      const { steps: most } = deps.governance().settings.limits;
      if (log.state.step >= most)
        return { code: 'limit.steps', message: `It took more than ${most} steps (limits.steps).`, retryable: false };
      if (log.state.step > 0) await takeMessages(deps, log);
      await placeFiles(deps, log);
      return (await think(deps, log, agent, stops)) ?? 'on';
    }
    case 'calls':
      return (await doCalls(deps, log, agent, stops)) ? park(deps, log) : 'on';
    case 'land': {
      const landed = await land(deps, log, stops);
      if (landed === 'park') return park(deps, log);
      return landed === 'landed' || landed === 'think' ? 'on' : landed;
    }
  }
}

async function finish(deps: AgentDeps, log: RunLog): Promise<void> {
  const { commit, landingApproval } = log.state;
  if (commit !== null && landingApproval !== null) {
    await log.flush(true);
    await deps.governanceLanded(commit);
  }
  await succeed(deps, log);
}

const missingAgent = (name: string): Failure => ({
  code: 'agent.missing',
  message: `There is no usable agent "${name}" on main: see \`ruche doctor\`.`,
  retryable: false,
});

/** Messages that arrived in the lane while the run worked: the next model call sees them, and their tasks end with it. */
async function takeMessages(deps: AgentDeps, log: RunLog): Promise<void> {
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
