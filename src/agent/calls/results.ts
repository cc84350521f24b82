import type { Label } from '../../core/labels.ts';
import type { AgentDeps } from '../run/deps.ts';
import { shorten } from './output.ts';
import type { RunLog } from '../run/log.ts';
import type { CallState, ToolRecord } from '../run/state.ts';

/** Puts a question to the person; the call waits for the answer. */
export function askQuestion(
  deps: AgentDeps,
  log: RunLog,
  call: CallState,
  shown: { text: string; reason: string },
  doubt: boolean,
): void {
  const question = deps.ids.next('qst');
  const data = { question, call: call.id, doubt, text: log.put(shown) };
  log.emit({ type: 'question.asked', data }, null, { key: `asked:${question}` });
}

/** Ends a call that does not run, with a result the model can read. */
export const refuse = (log: RunLog, call: CallState, text: string): void => giveResult(log, call, false, text);

export function giveResult(log: RunLog, call: CallState, ok: boolean, text: string): void {
  const record: ToolRecord = { ok, text, full: null, changes: [], seen: {} };
  const { id, tool } = call;
  const data = { call: id, tool, ok, result: log.put(record), labels: [], ms: 0, reconciled: false };
  log.emit({ type: 'tool.returned', data }, record);
}

/** The same with a text that may be long, and that others have had a hand in. */
export function giveText(
  deps: AgentDeps,
  log: RunLog,
  call: CallState,
  { ok, text, labels }: { ok: boolean; text: string; labels: Label[] },
): void {
  const { toolOutput } = deps.governance().settings.limits;
  const record: ToolRecord = { ok, ...shorten(deps.redact(text), toolOutput, call.id), changes: [], seen: {} };
  const { id, tool } = call;
  const data = { call: id, tool, ok, result: log.put(record), labels, ms: 0, reconciled: false };
  log.emit({ type: 'tool.returned', data }, record);
}
