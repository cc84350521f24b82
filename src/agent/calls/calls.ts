import type { AgentDeps, AgentTurn, Turn } from '../run/deps.ts';
import type { Agent } from '../../core/agent.ts';
import type { EngineCall } from '../../core/ports/tool.ts';
import {
  type EngineToolCall,
  freshBase,
  isForEngine,
  pinnedNames,
  judge,
  decided,
  mayStillAsk,
  tooOften,
  readCall,
  type ReadyCall,
  showCall,
  type ToolCall,
} from './ready.ts';
import { aboutCall } from './asking.ts';
import { extractValues } from './extract.ts';
import { rehearse, type Rehearsal } from './rehearsal.ts';
import { runCalls, stillAllowed } from './effect.ts';
import { askQuestion, giveResult, giveText, refuse } from './results.ts';
import type { CallState } from '../run/call.ts';
import { type ShownCall, waitsFor } from '../run/log.ts';
import { handOver, callTask, takeResults } from './task.ts';
import { readPlace, tellPerson } from './tell.ts';
import { askedKey } from '../../core/records/matter.ts';

/**
 * Works through the calls of an answer in their order. Neighbours that only read run side by side; everything behind a
 * call that waits for a person waits too, because it may build on it. Returns true if the run has to park.
 */
export async function doCalls(turn: AgentTurn): Promise<boolean> {
  const { deps, log, stops } = turn;
  for (const call of log.state.calls) if (call.phase === 'new') await decideCall(turn, call);
  for (;;) {
    stops.cancel.throwIfAborted();
    const open = log.state.calls.filter((call) => call.phase !== 'returned');
    const first = open[0];
    if (!first) return false;
    if (first.phase === 'waiting') {
      if (await onWaiting(turn, open)) return true;
    } else if (first.phase === 'asking') await askApproval(turn, open);
    else if (first.phase === 'refused') refuse(log, first, refusalOf(deps, first));
    else if (first.answer !== null) await takeAnswer(turn, first);
    else if (await runNext(turn, open)) return true;
  }
}

/** What can be done while the first call waits. True if nothing can, so that the run has to park. */
async function onWaiting(turn: AgentTurn, open: readonly CallState[]): Promise<boolean> {
  const { deps, log, agent } = turn;
  const [first] = open;
  if (!first || first.tasks.length === 0) return true;
  if (await takeResults(turn, first)) return false;
  if (await waitsFor(deps, first.tasks, log.state.task)) {
    refuse(log, first, 'The task it waits for now waits for this task, so neither would end.');
    return false;
  }
  // Tasks that are given side by side work side by side.
  const next = open.find((call) => call.phase !== 'waiting');
  if (next?.phase !== 'allowed') return true;
  const ready = readCall(deps, next);
  if ('error' in ready || !isForEngine(ready)) return true;
  return asked(ready, agent).kind === 'task' ? engineCall(turn, ready) : true;
}

/** What cannot be read is explained to the model better than by the rule that denied it. */
function refusalOf(deps: AgentDeps, call: CallState): string {
  const ready = readCall(deps, call);
  return 'error' in ready ? ready.error : (call.refusal ?? 'Denied.');
}

async function runNext(turn: AgentTurn, open: readonly CallState[]): Promise<boolean> {
  const { deps, log } = turn;
  const group: ToolCall[] = [];
  for (const call of open) {
    if ((call.phase !== 'allowed' && call.phase !== 'started') || call.answer !== null) break;
    const ready = readCall(deps, call);
    // Decided on before an upgrade changed the tool: the model is told, nothing runs.
    if ('error' in ready) {
      if (group.length > 0) break;
      refuse(log, call, ready.error);
      return false;
    }
    if (isForEngine(ready)) {
      if (group.length > 0) break;
      return (await stillAllowed(turn, ready)) ? engineCall(turn, ready) : false;
    }
    if (group.length > 0 && ready.tool.effect !== 'read') break;
    group.push(ready);
    if (ready.tool.effect !== 'read') break;
  }
  await runCalls(turn, group);
  return false;
}

const asked = ({ tool, input }: EngineToolCall, agent: Agent): EngineCall => tool.asks(input, agent.name);

/** Answers a call itself. Returns true if the run has to park before it can. */
async function engineCall(turn: AgentTurn, ready: EngineToolCall): Promise<boolean> {
  const { agent } = turn;
  const { call } = ready;
  const what = asked(ready, agent);
  switch (what.kind) {
    case 'task':
      return callTask(turn, call, what.task);
    case 'hand-over':
      handOver(turn, call, what);
      return false;
    case 'extract':
      await extractValues(turn, call, what);
      return false;
    case 'message':
      await tellPerson(turn, call, what);
      return false;
    case 'question':
      askQuestion(turn, call, what, false);
      return false;
  }
}

async function decideCall(turn: AgentTurn, call: CallState): Promise<void> {
  const { deps, log, agent } = turn;
  const { id, tool } = call;
  const ready = readCall(deps, call);
  if ('error' in ready) {
    const reason = 'the call cannot be read';
    log.emit({ type: 'decision.made', data: { call: id, tool, verdict: 'deny', rule: 'builtin:unreadable', reason } });
    return;
  }
  const what = isForEngine(ready) ? asked(ready, agent) : null;
  // Before a person is asked to allow what would reach nobody.
  const lost = what?.kind === 'message' ? readPlace(turn, what.to) : null;
  if (lost !== null && 'wrong' in lost) {
    const data = { call: id, tool, verdict: 'deny', rule: 'builtin:unreachable', reason: lost.wrong } as const;
    log.emit({ type: 'decision.made', data });
    return;
  }
  const judged = await judge(turn, ready);
  const question = judged.decision.verdict === 'allow' && what?.kind === 'question';
  const decision = question && !mayStillAsk(turn, call) ? tooOften() : judged.decision;
  decided(turn, ready, decision === judged.decision ? judged : { ...judged, decision, use: null });
  if (decision.verdict !== 'allow' || what === null) return;
  if (what.kind === 'question' && what.early) askQuestion(turn, call, what, false);
}

/**
 * Asks for the first call, and at once for its neighbours that wait too, as long as they are not commands and change other
 * files: what they would do depends on the calls before them, so it is shown when those are done.
 */
async function askApproval(turn: AgentTurn, open: readonly CallState[]): Promise<void> {
  const { deps, log } = turn;
  const touched = new Set<string>();
  for (const [index, call] of open.entries()) {
    if (call.phase !== 'asking') break;
    const ready = readCall(deps, call);
    // It could be read when it was decided on: an upgrade has changed the tool since.
    if ('error' in ready) return index === 0 ? refuse(log, call, ready.error) : undefined;
    if (index > 0 && ready.tool.effect === 'exec') break;
    // What the person has saved is part of what the command will see.
    if (ready.tool.effect === 'exec') await freshBase(turn, [ready]);
    const change = await rehearse(turn, ready);
    if (change !== null && 'failed' in change) {
      if (index === 0) giveText(turn, call, { ok: false, text: change.failed, labels: change.labels });
      break;
    }
    const paths = Object.keys(change?.was ?? {});
    if (paths.some((path) => touched.has(path))) break;
    for (const path of paths) touched.add(path);
    const approval = deps.ids.next('apr');
    const { about, kind } = await aboutCall(turn, ready);
    const shown = log.put({ ...shownCall(turn, ready, change), about });
    const { approvers = 1 } = call.asks ?? {};
    const data = {
      approval,
      call: call.id,
      tool: call.tool,
      shown,
      rule: about.rule,
      kind,
      ...(approvers > 1 ? { approvers } : {}),
    };
    log.emit({ type: 'approval.asked', data }, null, { key: askedKey(approval) });
    if (ready.tool.effect === 'exec') break;
  }
}

/** The call as a person is shown it, with what it changes where that can be told. */
function shownCall(turn: AgentTurn, ready: ReadyCall, change: Extract<Rehearsal, { was: unknown }> | null): ShownCall {
  const skills = pinnedNames(turn);
  if (change === null) return showCall(turn.log, ready, { skills });
  const { difference, was } = change;
  const shown = showCall(turn.log, ready, { skills, was });
  return { ...shown, text: `${shown.text}\n\n${difference}`, was };
}

/** A person has answered: the agent's question, or the runtime's about a call whose fate is unknown. */
async function takeAnswer({ deps, log }: Turn, call: CallState): Promise<void> {
  const answer = call.answer ?? '';
  if (!call.doubt) return giveResult(log, call, true, answer);
  // Nobody will ask any more how it ended, and nothing of it may go on while the person decides otherwise.
  await deps.tools().get(call.tool)?.settled?.(call.key);
  // Nothing but the word itself: "yes, it arrived" must not make it happen once more.
  if (!/^\W*(retry|again|(run|do|try) it again)\W*$/i.test(answer))
    return giveResult(log, call, false, `It is unknown whether this call took effect. The owner says: ${answer}`);
  // A new name for the effect, since the old one may have happened.
  call.key += 'r';
  call.answer = null;
  call.phase = 'allowed';
}
