import type { AgentTurn, Turn } from '../run/deps.ts';
import { COMPACTION } from '../../core/records/compaction.ts';
import { runKey, runStream, kindOf } from '../../core/ids.ts';
import { SCRIPT } from '../../core/schedule.ts';
import { canonicalJson } from '../../core/text/json.ts';
import { type ModelChoice, type ModelEvent, NO_USAGE } from '../../core/model.ts';
import type { Store } from '../../core/ports/store.ts';
import { note } from '../run/conversation.ts';
import { usualTool } from '../../core/ports/tool.ts';
import { loadJson, type RunLog } from '../run/log.ts';
import type { Failure } from '../run/state.ts';
import type { ToolRecord } from '../run/blobs.ts';
import { readJson } from '../../core/records/json-blob.ts';

const [PROVIDER = '', MODEL = ''] = SCRIPT.split('/');

const CHANGED = 'The result of this script has changed since the last time. Say or do what follows from it.';
const FAILED = 'This script ran for the first time and failed. Say or do what follows from it.';

/** Earlier firings that are looked at for a result to compare with: some end before they have one. */
const MAX_BACK = 20;

/** Of a shell: what was to be run was not found, or may not be run. */
const NOT_RUN = /(?:^|\n)exit (?:126|127)$/;
const MAX_SHOWN = 300;

/** Why a script could not be run at all: there is no result then, and no model that would know more. */
export async function scriptUnable({ deps, log, agent }: AgentTurn): Promise<Failure | null> {
  const { state } = log;
  if (state.model !== SCRIPT || state.calls.length === 0 || state.arrived.length > 0) return null;
  await log.flush(false);
  const now = await firstResult(deps.store, state.run);
  if (now === null || now.ok) return null;
  const text = (now.full ?? now.text).trim();
  const tool = usualTool(deps.tools(), 'commands');
  const without = !agent.tools.includes(tool);
  if (!without && !NOT_RUN.test(text)) return null;
  const why = without ? `${agent.name} has no tool ${tool}` : text.slice(-MAX_SHOWN).replace(/\s*\n\s*/g, '; ');
  return { code: 'script.unable', message: `the script could not be run: ${why}.`, retryable: false };
}

/**
 * True for a run that only ran its script, and found what it had found before, or that only summarised: it leaves no words
 * in its conversation.
 */
export const isQuiet = ({ state, claim }: RunLog): boolean => state.model === SCRIPT || claim.task.from === COMPACTION;

/**
 * What stands in for a model while the script of a schedule or trigger runs: it calls the script, through the same gate as
 * any call, and ends the run if the result is that of the last time. Null as soon as a model is needed, and for every other task.
 */
export async function scriptChoice({ deps, log }: Turn): Promise<ModelChoice | null> {
  const { store } = deps;
  const { state, claim } = log;
  const ran = state.calls[0];
  if (state.model !== null && (state.model !== SCRIPT || ran === undefined)) return null;
  const command = await commandOf(store, log);
  if (command === null) return null;
  if (state.model === null) {
    const call = {
      type: 'call',
      id: MODEL,
      tool: usualTool(deps.tools(), 'commands'),
      args: canonicalJson({ command }),
    } as const;
    return saying(call, { type: 'finish', reason: 'calls', usage: NO_USAGE });
  }
  // Somebody has something to say, or was told that it changed.
  if (state.arrived.length > 0 || ran === undefined) return null;
  // What a rule refused is not on disk yet.
  await log.flush(false);
  const now = await firstResult(store, state.run);
  const before = await lastResult(store, claim.task.cause);
  const same = before === null ? now?.ok === true : now !== null && wordsOf(now) === wordsOf(before);
  if (!same) {
    log.emit({ type: 'note.added', data: { note: log.put(note(before === null ? FAILED : CHANGED)) } });
    return null;
  }
  const delta = before === null ? 'It ran for the first time.' : 'Nothing has changed since the last time.';
  return saying({ type: 'text', delta }, { type: 'finish', reason: 'stop', usage: NO_USAGE });
}

/** A model that says just this, and costs nothing. */
export function saying(...events: readonly ModelEvent[]): ModelChoice {
  const port = {
    async *stream(): AsyncGenerator<ModelEvent, void, undefined> {
      yield* events;
    },
  };
  return { provider: PROVIDER, model: MODEL, port, window: Infinity, images: false, ours: true, cost: () => 0 };
}

/** The command line of a task that runs a script. */
async function commandOf(store: Store, { claim: { task } }: RunLog): Promise<string | null> {
  if (!['schedule', 'trigger'].includes(kindOf(task.from)) || task.content === null) return null;
  const { run } = await loadJson<{ run?: unknown }>(store, task.content);
  return typeof run === 'string' ? run : null;
}

const wordsOf = ({ ok, text, full }: ToolRecord): string => canonicalJson([ok, full ?? text]);

/** What the run's first call came back with; null if it never did, or is erased. */
async function firstResult(store: Store, run: string): Promise<ToolRecord | null> {
  for await (const event of store.read({ stream: runStream(run), types: ['tool.returned'], limit: 1 })) {
    return event.type === 'tool.returned' ? readJson(store, event.data.result) : null;
  }
  return null;
}

/** The result of the last firing before this one that had any. */
async function lastResult(store: Store, cause: string | null): Promise<ToolRecord | null> {
  const fired = cause === null ? null : await store.event(cause);
  if (fired?.type !== 'schedule.fired' && fired?.type !== 'trigger.fired') return null;
  const { stream, seq, type } = fired;
  const earlier = { stream, before: seq, types: [type], reverse: true, limit: MAX_BACK } as const;
  for await (const event of store.read(earlier)) {
    const started = await store.byKey(runKey((event as typeof fired).data.task));
    const result = started?.type === 'run.started' ? await firstResult(store, started.data.run) : null;
    // One that could not be run has no result to compare with.
    if (result !== null && !NOT_RUN.test(result.text.trim())) return result;
  }
  return null;
}
