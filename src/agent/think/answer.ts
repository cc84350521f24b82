import type {
  FinishReason,
  ModelChoice,
  ModelError,
  ModelErrorKind,
  ModelMessage,
  ModelRequest,
  Part,
  Usage,
} from '../../core/model.ts';
import type { Json } from '../../core/text/json.ts';
import { NO_USAGE } from '../../core/model.ts';

/** A model's answer as it came, whole or not. */
export interface Outcome {
  /** What arrived; partial if there is an error. */
  message: ModelMessage;
  finish: FinishReason;
  usage: Usage;
  error: ModelError | null;
  /** True if calls were left out because the answer was cut at the output limit. */
  dropped: boolean;
}

/** Reads a stream to its end. Text goes to `onText` as it comes; calls count only once the stream has finished. */
export async function collectAnswer(
  choice: Pick<ModelChoice, 'port'>,
  request: ModelRequest,
  signal: AbortSignal,
  onDelta: (kind: 'text' | 'reasoning', text: string) => void,
): Promise<Outcome> {
  const parts: Part[] = [];
  const message: ModelMessage = { role: 'assistant', parts };
  for await (const event of choice.port.stream(request, signal)) {
    switch (event.type) {
      case 'text':
      case 'reasoning':
        addText(parts, event);
        if (event.delta) onDelta(event.type, event.delta);
        break;
      case 'call':
        parts.push(event);
        break;
      case 'finish':
        return finished(message, event.reason, event.usage);
      case 'error':
        return { message, finish: 'stop', usage: event.usage, error: event.error, dropped: false };
    }
  }
  const error: ModelError = { kind: 'network', message: 'The answer ended early.', retryable: true, retryAfter: null };
  return { message, finish: 'stop', usage: NO_USAGE, error, dropped: false };
}

/** The answer as the journal keeps it: what tools are given must be what is on record, also where a provider repeats its key. */
export function withoutSecrets(outcome: Outcome, redact: (text: string) => string): Outcome {
  const parts = outcome.message.parts.map((part): Part => {
    if (part.type === 'call') return { ...part, tool: redact(part.tool), args: redact(part.args) };
    return part.type === 'image' ? part : { ...part, text: redact(part.text) };
  });
  return { ...outcome, message: { ...outcome.message, parts } };
}

type TextEvent = { type: 'text' | 'reasoning'; delta: string; opaque?: Json };

function addText(parts: Part[], event: TextEvent): void {
  const last = parts.at(-1);
  if (last?.type === event.type && (last.type === 'text' || last.type === 'reasoning')) last.text += event.delta;
  else parts.push({ type: event.type, text: event.delta });
  const current = parts.at(-1);
  if (current?.type === 'reasoning' && event.opaque !== undefined) current.opaque = event.opaque;
}

const failure = (kind: ModelErrorKind, message: string, retryable: boolean): ModelError => ({
  kind,
  message,
  retryable,
  retryAfter: null,
});

function finished(message: ModelMessage, finish: FinishReason, usage: Usage): Outcome {
  const whole: Outcome = { message, finish, usage, error: null, dropped: false };
  if (finish === 'refused') return { ...whole, error: failure('refused', 'The model refused to answer.', false) };
  const calls = message.parts.some((part) => part.type === 'call');
  if (finish === 'length') {
    // Calls of a cut answer may be cut too: none of them runs. An empty message would be refused by providers.
    const parts = message.parts.filter((part) => part.type !== 'call');
    const kept: Part[] = parts.length > 0 ? parts : [{ type: 'text', text: '[cut at the output limit]' }];
    return { ...whole, message: { ...message, parts: kept }, dropped: calls || parts.length === 0 };
  }
  const text = message.parts.some((part) => part.type === 'text' && part.text.trim() !== '');
  if (!calls && !text) return { ...whole, error: failure('invalid', 'The model gave an empty answer.', true) };
  return { ...whole, finish: calls ? 'calls' : 'stop' };
}
