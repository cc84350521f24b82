import { conversationId } from '../../core/ids.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Opened } from '../../core/ports/tool.ts';
import { runStream } from '../../core/ids.ts';
import { loadJson } from '../run/log.ts';
import type { RunState, ToolRecord } from '../run/state.ts';

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
): { text: string; full: string | null } {
  if (text.length <= limit) return { text, full: null };
  // Providers refuse half a character, which a cut can leave.
  const head = text.slice(0, Math.floor(limit * HEAD_SHARE)).toWellFormed();
  const tail = text.slice(text.length - (limit - head.length)).toWellFormed();
  const left = text.length - head.length - tail.length;
  const note = `\n[… ${left} characters left out; \`${reader}\` with path "output:${call}" and an offset in lines shows them …]\n`;
  return { text: head + note + tail, full: text };
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
    const record = (await loadJson(store, event.data.result)) as ToolRecord;
    return { kind: 'output', text: record.full ?? record.text, labels: [...event.data.labels] };
  }
  return { kind: 'refused', why: `There is no output ${path} in this conversation.` };
}
