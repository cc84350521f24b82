import type {
  ModelChoice,
  ModelError,
  ModelErrorKind,
  ModelEvent,
  ModelMessage,
  ModelPort,
  ModelRequest,
} from '../../src/core/model.ts';
import { NO_USAGE } from '../../src/core/model.ts';

/** What the model does, in order; a promise is a gate that is waited for. */
export type ScriptStep = ModelEvent | Promise<unknown>;
export type ScriptTurn =
  | readonly ScriptStep[]
  | ((request: ModelRequest, signal: AbortSignal) => readonly ScriptStep[] | Promise<readonly ScriptStep[]>);

export interface ScriptedModel {
  port: ModelPort;
  /** As `scripted/model`, or under the names given; window 100,000 tokens, a dollar for a million tokens. */
  choice(names?: Partial<Pick<ModelChoice, 'provider' | 'model' | 'window' | 'images' | 'unpriced'>>): ModelChoice;
  /** Copies of all requests so far, without the notes of what time it is, and of what labels lead to. */
  requests: ModelRequest[];
  /** The same as they came. */
  whole: ModelRequest[];
  /** Turns that have not been used. */
  readonly left: number;
}

export const USAGE = { ...NO_USAGE, input: 10, output: 5 };

/** A whole turn that says something. */
export const says = (text: string): ModelEvent[] => [
  { type: 'text', delta: text },
  { type: 'finish', reason: 'stop', usage: USAGE },
];

/** A whole turn that calls tools, all in one answer. */
export const calls = (...list: readonly (readonly [tool: string, args: unknown, id?: string])[]): ModelEvent[] => [
  ...list.map(([tool, args, id], index): ModelEvent => ({
    type: 'call',
    id: id ?? `call_${index}`,
    tool,
    args: typeof args === 'string' ? args : JSON.stringify(args),
  })),
  { type: 'finish', reason: 'calls', usage: USAGE },
];

const LASTING: readonly ModelErrorKind[] = ['auth', 'context', 'refused', 'invalid', 'aborted'];

/** A whole turn that fails, perhaps after some text. */
export const fails = (kind: ModelErrorKind, more: Partial<ModelError> & { after?: string } = {}): ModelEvent[] => {
  const { after = '', ...rest } = more;
  const error = { kind, message: `scripted: ${kind}`, retryable: !LASTING.includes(kind), retryAfter: null, ...rest };
  return [
    ...(after === '' ? [] : [{ type: 'text', delta: after } as const]),
    { type: 'error', error, usage: NO_USAGE },
  ];
};

const isTime = ({ role, parts: [part] }: ModelMessage): boolean =>
  role === 'user' && part?.type === 'text' && /^\[Ruche\] (?:It is |This run has read )/.test(part.text);

const ends = (event: ModelEvent | undefined): boolean => event?.type === 'finish' || event?.type === 'error';

/** A model that answers by a script: the turns in order, or one function for all of them. */
export function scriptedModel(
  script: readonly ScriptTurn[] | Exclude<ScriptTurn, readonly ScriptStep[]>,
): ScriptedModel {
  const requests: ModelRequest[] = [];
  const whole: ModelRequest[] = [];
  const left = typeof script === 'function' ? null : [...script];
  async function* stream(given: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent> {
    const request = { ...given, messages: given.messages.filter((message) => !isTime(message)) };
    whole.push(structuredClone(given));
    requests.push(structuredClone(request));
    const turn = left === null ? (script as Exclude<ScriptTurn, readonly ScriptStep[]>) : left.shift();
    const missing = `the script has no turn ${requests.length}`;
    const steps =
      typeof turn === 'function' ? await turn(request, signal) : (turn ?? fails('invalid', { message: missing }));
    let last: ModelEvent | undefined;
    for (const step of steps) {
      if (step instanceof Promise) await untilAborted(step, signal);
      if (signal.aborted) {
        yield* fails('aborted');
        return;
      }
      if (step instanceof Promise) continue;
      last = step;
      yield step;
    }
    if (!ends(last)) throw new Error('a scripted turn must end with finish or error');
  }
  const port: ModelPort = { stream };
  return {
    port,
    requests,
    whole,
    get left() {
      return left?.length ?? Infinity;
    },
    choice: (names = {}) => ({
      provider: 'scripted',
      model: 'model',
      window: 100_000,
      images: true,
      ...names,
      port,
      cost: ({ input, output }) => (names.unpriced ? 0 : (input + output) / 1_000_000),
    }),
  };
}

async function untilAborted(gate: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const aborted = Promise.withResolvers<void>();
  const abort = (): void => aborted.resolve();
  signal.addEventListener('abort', abort, { once: true });
  await Promise.race([gate, aborted.promise]);
  signal.removeEventListener('abort', abort);
}
