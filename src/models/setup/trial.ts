import type { Clock } from '../../core/ports/clock.ts';
import type { ModelChoice, ModelError, ModelRequest, Usage } from '../../core/model.ts';
import { NO_USAGE } from '../../core/model.ts';
import type { ModelTest } from '../../core/api/views.ts';

/** Milliseconds one call may take. */
const TEST_MS = 60_000;
/** Tokens: a model that thinks needs room before its one word. */
const TEST_TOKENS = 2_000;

const TEST: Omit<ModelRequest, 'model'> = {
  system: 'This is a test of the connection. Answer with one short sentence.',
  tools: [],
  messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hello! Are you there?' }] }],
  maxOutputTokens: TEST_TOKENS,
};

export interface Tried extends Omit<ModelTest, 'ref'> {
  error: ModelError | null;
}

/** One small call. Rejects for nothing but a bug. */
export async function tryOut(choice: ModelChoice, clock: Clock, signal: AbortSignal): Promise<Tried> {
  const late = new AbortController();
  const done = new AbortController();
  // It only ends the call, and is ended by it.
  clock.sleep(TEST_MS, done.signal).then(
    () => late.abort(),
    () => undefined,
  );
  const before = clock.now();
  let said = '';
  let usage: Usage = NO_USAGE;
  let error: ModelError | null = null;
  try {
    const request = { ...structuredClone(TEST), model: choice.model };
    for await (const event of choice.port.stream(request, AbortSignal.any([signal, late.signal]))) {
      if (event.type === 'text') said += event.delta;
      if (event.type === 'finish' || event.type === 'error') usage = event.usage;
      if (event.type === 'error') error = event.error;
    }
  } finally {
    done.abort();
  }
  const ms = clock.now() - before;
  if (late.signal.aborted && !signal.aborted && error)
    error = {
      ...error,
      kind: 'timeout',
      message: `${choice.provider}/${choice.model} did not answer within a minute.`,
    };
  const text = error ? error.message : said.trim() || '(an answer without words)';
  return { ok: error === null, ms, usage, costUsd: choice.cost(usage), said: text, error };
}
