import { createHash } from 'node:crypto';
import { withoutBoundaries } from '../../core/text/untrusted.ts';
import type { Turn } from '../run/deps.ts';
import type { Label } from '../../core/labels.ts';
import { type RunLog, loadJson } from '../run/log.ts';
import type { CallState } from '../run/call.ts';
import type { RunState } from '../run/state.ts';
import type { ToolRecord } from '../run/blobs.ts';
import { conversationId, runStream } from '../../core/ids.ts';
import type { Store } from '../../core/ports/store.ts';
import { type Opened, usualTool } from '../../core/ports/tool.ts';
import { askedKey } from '../../core/records/matter.ts';

/** Puts a question to the person; the call waits for the answer. */
export function askQuestion(
  { deps, log }: Turn,
  call: CallState,
  { text, reason }: { text: string; reason: string },
  doubt: boolean,
): void {
  const question = deps.ids.next('qst');
  const data = { question, call: call.id, doubt, text: log.put({ text, reason }) };
  log.emit({ type: 'question.asked', data }, null, { key: askedKey(question) });
}

/** What the person who approved a call has said to it, for the model. */
export const noteText = ({ note }: Pick<CallState, 'note'>): string | undefined =>
  note === '' ? undefined : `[The owner approved this call and says: ${note}]`;

/** Ends a call that does not run, with a result the model can read. */
export const refuse = (log: RunLog, call: CallState, text: string): void => giveResult(log, call, false, text);

export function giveResult(log: RunLog, call: CallState, ok: boolean, words: string): void {
  const text = [words, noteText(call)].filter((part) => part !== undefined).join('\n');
  const record: ToolRecord = { ok, text, full: null, changes: [], seen: {} };
  const { id, tool } = call;
  const data = { call: id, tool, ok, result: log.put(record), labels: [], ms: 0, reconciled: false };
  log.emit({ type: 'tool.returned', data }, record);
}

/** The same with values out of a text: no words of it, and known as somebody else's. */
export function giveExtracted(
  log: RunLog,
  call: CallState,
  { text, labels, foreign }: { text: string; labels: readonly Label[]; foreign: readonly string[] },
): void {
  const record: ToolRecord = { ok: true, text, full: null, changes: [], seen: {}, foreign };
  const { id, tool } = call;
  const result = log.put(record);
  const data = { call: id, tool, ok: true, result, labels: [...labels], ms: 0, reconciled: false };
  log.emit({ type: 'tool.returned', data }, record);
}

/** The same with a text that may be long, and that others have had a hand in. */
export function giveText(
  { deps, log }: Turn,
  call: CallState,
  { ok, text, labels }: { ok: boolean; text: string; labels: Label[] },
): void {
  const { toolOutput } = deps.governance().settings.limits;
  const record: ToolRecord = {
    ok,
    ...shorten(deps.redact([text, noteText(call)].filter((part) => part !== undefined).join('\n')), toolOutput, {
      call: call.id,
      reader: usualTool(deps.tools(), 'reading'),
    }),
    changes: [],
    seen: {},
  };
  const { id, tool } = call;
  const data = { call: id, tool, ok, result: log.put(record), labels, ms: 0, reconciled: false };
  log.emit({ type: 'tool.returned', data }, record);
}

/** Characters `read output:…` gives at once, as a share of the limit. */
const HEAD_SHARE = 0.7;

/**
 * Long output: the model sees head and tail, and a handle with which the tool `reader` gives any part of the whole.
 * `limit` in characters.
 */
export function shorten(
  text: string,
  limit: number,
  { call, reader }: { call: string; reader: string },
): Pick<ToolRecord, 'text' | 'full' | 'digest'> {
  if (text.length <= limit) return { text, full: null };
  // Providers refuse half a character, which a cut can leave.
  const head = text.slice(0, Math.floor(limit * HEAD_SHARE)).toWellFormed();
  const tail = text.slice(text.length - (limit - head.length)).toWellFormed();
  const left = text.length - head.length - tail.length;
  const place = placeOf(text, head.length, limit);
  const note = `\n[… ${left} characters left out; \`${reader}\` with path "output:${call}", ${place} goes on there …]\n`;
  const digest = createHash('sha256').update(withoutBoundaries(text)).digest('base64url').slice(0, 22);
  return { text: head + note + tail, full: text, digest };
}

/** The line in which a text was cut, for the tool that reads; in a line of its own length the column too. */
function placeOf(text: string, at: number, limit: number): string {
  const start = text.lastIndexOf('\n', at - 1) + 1;
  const end = text.indexOf('\n', at);
  const offset = `offset ${text.slice(0, start).split('\n').length}`;
  return (end < 0 ? text.length : end) - start > limit / 2 ? `${offset} and column ${at - start + 1}` : offset;
}

/** What `output:<call>` or `output:<run>/<call>` of this conversation names; null for any other path. */
export async function openOutput(store: Store, state: RunState, path: string): Promise<Opened | null> {
  const match = /^output:(?:(run_[\w-]+)\/)?(s\d+c\d+)$/.exec(path);
  if (!match?.[2]) return null;
  const run = match[1] ?? state.run;
  for await (const event of store.read({ stream: runStream(run) })) {
    // Another conversation's output is not readable, even to someone who knows its name.
    if (event.type === 'run.started') {
      const { agent, session } = event.data;
      if (conversationId(agent, session) !== conversationId(state.agent, state.session)) break;
    }
    if (event.type !== 'tool.returned' || event.data.call !== match[2]) continue;
    const record = await loadJson<ToolRecord>(store, event.data.result);
    return { kind: 'output', text: record.full ?? record.text, labels: [...event.data.labels] };
  }
  return { kind: 'refused', why: `There is no output ${path} in this conversation.` };
}
