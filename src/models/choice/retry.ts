import type { ModelError } from '../../core/model.ts';

interface NextTry {
  /** Milliseconds to wait before it. */
  wait: number;
  /** Which of the choices. */
  index: number;
}

/** Tries of one choice while another is left, and of the last one. */
const TRIES = { withFallback: 2, last: 5 };
const FIRST_WAIT = 1_000;
const MAX_WAIT = 30_000;
/** A wait the provider asks for is honoured up to here where another model could answer instead … */
const PATIENCE = 60_000;
/** … and up to here where none could: beyond, the run makes way, and its task waits as long as was asked. */
const MAX_PATIENCE = 300_000;

/**
 * What to do after a failed model call. Pure: `random` gives a number in [0, 1).
 *
 * `tries` counts the calls of this choice (`choices[index]`) for this step, the failed one included. Null: give up.
 */
export function nextTry(
  error: Pick<ModelError, 'kind' | 'retryable' | 'retryAfter' | 'asks'>,
  tries: number,
  choices: readonly { window: number; assumed?: boolean }[],
  index: number,
  random: () => number,
): NextTry | null {
  // Nobody wants the answer any more.
  if (error.kind === 'aborted') return null;
  // What is too long for one may fit into a larger window; what one maker filters out, another may not.
  const tooLong = error.kind === 'context';
  const { window: held = 0, assumed: guessed = false } = choices[index] ?? {};
  const mayHold = ({ window, assumed = false }: (typeof choices)[number]): boolean =>
    !tooLong || window > held || guessed || assumed;
  const next = choices.findIndex((choice, at) => at > index && mayHold(choice));
  const fallback = next < 0 ? null : { wait: 0, index: next };
  if (error.kind === 'context' || error.kind === 'refused') return fallback;
  if (!error.retryable) return fallback;
  const asked = error.retryAfter ?? 0;
  if (asked > (fallback ? PATIENCE : MAX_PATIENCE)) return fallback;
  // A stall has cost minutes already.
  const stalled = error.kind === 'timeout';
  const usual = fallback ? (stalled ? 1 : TRIES.withFallback) : stalled ? 2 : TRIES.last;
  const allowed = Math.min(usual, error.asks?.most ?? usual);
  if (tries >= allowed) return fallback;
  const backoff = Math.min(MAX_WAIT, FIRST_WAIT * 2 ** (tries - 1));
  // Jitter keeps fifty runs that failed together from coming back together; never earlier than asked.
  const jittered = Math.round(backoff * (0.5 + random() / 2));
  return { wait: asked + jittered, index };
}
