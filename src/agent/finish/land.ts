import type { Turn } from '../run/deps.ts';
import type { Change } from '../../core/files.ts';
import type { LandingRequest, LandingResult, MergedFile } from '../../core/ports/workspace.ts';
import { visible } from '../../core/text/untrusted.ts';
import { note } from '../run/conversation.ts';
import { keepFound, keepLabels, keepMerged, rebasedLabels } from './file-labels.ts';
import type { RunLog } from '../run/log.ts';
import type { RunState, Failure } from '../run/state.ts';
import type { Rebase } from '../run/blobs.ts';
import { askedKey } from '../../core/records/matter.ts';
import { sentence } from '../../core/text/sentence.ts';

/** After so many conflicts, or refusals, the run gives up, keeps its work aside, and the owner is told. */
const MAX_CONFLICTS = 10;
const MAX_REFUSALS = 3;
/** Milliseconds between tries while `main` cannot move: at first, and at most. */
const BLOCKED_WAIT = 250;
const BLOCKED_WAIT_MAX = 5_000;
/** How long the run goes on trying. Then it makes room for others, and tries again after pauses, at most so long … */
const BLOCKED_MAX = 60_000;
const PAUSE_MAX = 60_000;
/** … and after so long without success each further try is one of the task's attempts. */
const PATIENCE = 3_600_000;

type Landed = 'landed' | 'park' | 'think' | Failure;

/** What the change does, in words a person can scan in `git log`. */
export function subjectOf(agent: string, changes: readonly Change[]): string {
  const verb = (change: Change): string => (change.oid === null ? 'remove' : change.was === null ? 'add' : 'change');
  const named = changes.slice(0, 3).map((change) => `${verb(change)} ${change.path.replace(/\s+/g, ' ')}`);
  const rest = changes.length > 3 ? ` and ${changes.length - 3} more` : '';
  const subject = `${agent}: ${named.join(', ')}${rest}`;
  return subject.length <= 120 ? subject : `${agent}: ${changes.length} files`;
}

export function landingRequest(state: RunState, at: number): LandingRequest {
  // What the run has made and removed again never was.
  const changes = [...state.changes.values()]
    .filter(({ oid, was }) => oid !== null || was !== null)
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const { run, task, agent, costUsd, labels } = state;
  const approvedBy = [...state.approvedBy];
  const provenance = { run, task, agent, model: state.model ?? 'none', costUsd, labels, approvedBy };
  return { base: state.base, changes, subject: subjectOf(agent, changes), provenance, at };
}

/** Brings the run's changes to `main`: intent, commit, receipt. */
export async function land(turn: Turn): Promise<Landed> {
  const { deps, log, stops } = turn;
  const { state } = log;
  if (state.landing === 'asked') return 'park';
  if (state.landing === 'refused')
    return dropProtected(turn, 'The owner denied your change of protected files; those files are restored.');
  if (state.landing === 'started') {
    const commit = await deps.workspace.findLanding(state.run, state.base);
    if (commit !== null) {
      await keepFound(turn, commit);
      return landed(log, commit);
    }
  }
  if (await leaveOutLost(turn)) return 'think';
  const difference = await deps.reader.protectedChanges(state.base, [...state.changes.values()]);
  if (state.landing === 'approved' && difference?.over) return dropProtected(turn, tooLate(difference.over));
  if (difference !== null && state.landing !== 'started') {
    if (difference.hidden !== null) return refused(log, tooMuch(difference.hidden));
    if (state.landing === 'none') {
      askLanding(turn, difference.text);
      return 'park';
    }
  }
  const request = landingRequest(state, deps.clock.now());
  const { base, run } = state;
  const paths = request.changes.map(({ path }) => path);
  const message = log.put(request.subject);
  if (state.landing !== 'started') {
    await keepLabels(turn, request.changes);
    log.emit({ type: 'landing.started', data: { base, paths: request.changes.length, message } });
  }
  await log.flush(true);
  const stop = AbortSignal.any([stops.cancel, stops.shutdown]);
  const merged = (files: readonly MergedFile[]): void => keepMerged(turn, files);
  const until = deps.clock.now() + BLOCKED_MAX;
  for (let wait = BLOCKED_WAIT; ; wait = Math.min(BLOCKED_WAIT_MAX, wait * 2)) {
    // A run that was cancelled, or has lost its lease, must not land.
    stop.throwIfAborted();
    await deps.landingOrder.pass(run, paths, stop);
    const result = await deps.workspace.land({ ...request, at: deps.clock.now(), merged });
    if (result.state !== 'blocked') deps.hindrances.clear(state.task);
    switch (result.state) {
      case 'landed':
      case 'empty':
        deps.landingOrder.leave(run);
        return landed(log, result.state === 'landed' ? result.commit : null);
      case 'conflict':
        // What others have landed while it waited for its turn is looked at first.
        if (await deps.landingOrder.take(run, result.paths, stop)) break;
        return conflict(turn, result);
      case 'refused':
        return result.paths === undefined ? refused(log, sentence(result.why)) : without(log, result.paths);
      case 'blocked':
        if (deps.clock.now() + wait > until) return blocked(turn, result.why);
        hinder(turn, result.why, wait);
        await deps.clock.sleep(wait, stop);
    }
  }
}

/** Tells those who look, and those who watch, why the changes do not land. Gives how long that has been so. */
function hinder({ deps, log }: Turn, why: string, wait: number): number {
  const { task, run } = log.state;
  const now = deps.clock.now();
  const before = deps.hindrances.of(task, now);
  const { since } = deps.hindrances.set(task, why, { now, until: now + wait });
  const text = `The changes cannot land yet: ${sentence(why)} They land by themselves once that is mended.`;
  if (before?.why !== why) deps.emit({ kind: 'retrying', task, run, text });
  return now - since;
}

/** The run has tried for long enough: others get its place, and it comes back, later and later. */
function blocked(turn: Turn, why: string): Failure {
  const failure = {
    code: 'landing.blocked',
    message: `The changes could not land on main: ${sentence(why)}`,
    retryable: true,
  };
  const lasted = hinder(turn, why, PAUSE_MAX);
  return lasted > PATIENCE ? failure : { ...failure, after: Math.min(PAUSE_MAX, lasted / 2) };
}

function landed(log: RunLog, commit: string | null): Landed {
  log.emit({ type: 'landing.finished', data: { commit, paths: log.state.changes.size } });
  return 'landed';
}

const tooMuch = (hidden: string): string =>
  `a person has to approve your changes of protected files, and cannot be shown them whole: ${hidden}. Make them in smaller steps, or leave them out.`;

function askLanding({ deps, log }: Turn, diff: string): void {
  const approval = deps.ids.next('apr');
  // That it changes what governs is the reason, which the person who is asked reads beside it.
  const shown = log.put({ text: visible(diff), bound: '' });
  const data = { approval, call: 'landing', tool: 'landing', shown };
  log.emit({ type: 'approval.asked', data }, null, { key: askedKey(approval) });
}

/** What a person has said with the answer for a change of protected files, in words for the agent; null if that is nothing. */
export const landingSaid = ({ landing, landingNote }: RunState): string | null =>
  landingNote === ''
    ? null
    : `The owner ${landing === 'refused' ? 'denied' : 'approved'} your change of protected files and says: ${landingNote}`;

/** Goes back to the model, from another base or with another overlay, and tells it why and what a person has said. */
function rebase(log: RunLog, onto: string, { changes, labels = [] }: Rebase, text: string): void {
  const content: Rebase = { changes, ...(labels.length > 0 ? { labels } : {}) };
  const said = landingSaid(log.state);
  log.emit({ type: 'landing.conflicted', data: { onto, detail: log.put(content) } }, content);
  const told = [text, said ?? ''].filter(Boolean).join('\n');
  if (told !== '') log.emit({ type: 'note.added', data: { note: log.put(note(told)) } });
}

function conflict(turn: Turn, { onto, changes, text }: Extract<LandingResult, { state: 'conflict' }>): Landed {
  const { log } = turn;
  if (log.state.conflicts >= MAX_CONFLICTS)
    return {
      code: 'landing.conflict',
      message: `The changes conflict with main again and again.\n${text}`,
      retryable: false,
    };
  rebase(
    log,
    onto,
    { changes, labels: rebasedLabels(turn, changes) },
    `Your changes conflict with what others landed on main meanwhile. The conflicting files are back at main's version; make your change to them again if it is still wanted, or say that you gave it up.\n${text}`,
  );
  return 'think';
}

function refused(log: RunLog, why: string): Landed {
  if (log.state.refusals >= MAX_REFUSALS)
    return { code: 'landing.refused', message: `The changes cannot land: ${why}`, retryable: false };
  const { base, changes } = log.state;
  rebase(
    log,
    base,
    { changes: [...changes.values()] },
    `Your changes cannot land on main: ${why} Fix that, or say that you gave it up.`,
  );
  return 'think';
}

/**
 * What can never come to main is left out, and the rest lands. The model hears of it, unless those are files that came with
 * messages: they were there to work with, the record holds them, and it could not mend that.
 */
function without(log: RunLog, paths: readonly { path: string; why: string }[]): Landed {
  const { base, changes, placed } = log.state;
  const never = new Set(paths.map(({ path }) => path));
  const kept = [...changes.values()].filter(({ path }) => !never.has(path));
  const told = paths.filter(({ path }) => !placed.has(path)).map(({ why }) => sentence(why));
  const text = `These files cannot land on main and are left out; your other changes land.\n${told.join('\n')}\nWrite them elsewhere if they are still wanted, or say that they are missing.`;
  rebase(log, base, { changes: kept }, told.length === 0 ? '' : text);
  return 'think';
}

/**
 * What the repository has lost can neither be read nor land: somebody pruned it in the moment it was written, or the
 * workspace is a clone. The model has written it, and may do so again. True if something was left out.
 */
export async function leaveOutLost({ deps, log }: Turn): Promise<boolean> {
  const { base, changes } = log.state;
  const lost = new Set(await deps.workspace.lost(base, [...changes.values()]));
  if (lost.size === 0) return false;
  const kept = [...changes.values()].filter(({ path }) => !lost.has(path));
  const text = `The repository has lost the content of ${[...lost].join(', ')}, as you had left it: these paths are as on main again. Write them anew if they are still wanted, or say that they are missing.`;
  rebase(log, base, { changes: kept }, text);
  return true;
}

const tooLate = (names: readonly string[]): string =>
  `The owner approved your change of protected files after the moment of ${names.join(', ')} had passed, so it would never fire. Those files are restored and nothing of the change is in force: say so, or ask whether another moment will do.`;

/** The change of protected files is not to be: those go back, the rest may land. */
async function dropProtected({ deps, log }: Turn, why: string): Promise<Landed> {
  const { base, changes } = log.state;
  const kept: Change[] = [];
  for (const change of changes.values())
    if ((await deps.reader.protectedChanges(base, [change])) === null) kept.push(change);
  rebase(log, base, { changes: kept }, why);
  return 'think';
}
