import type { ModelMessage, Part } from '../../core/model.ts';
import type { CallState } from './state.ts';

/** The one message that holds the results of a step's calls, in the order of the calls. */
export function resultsMessage(calls: readonly CallState[]): ModelMessage {
  const parts = calls.map((call): Part => ({
    type: 'result',
    id: call.modelId,
    tool: call.tool,
    text: call.result?.text ?? 'This call did not finish.',
    isError: call.result?.isError ?? true,
  }));
  return { role: 'tool', parts };
}

const textMessage = (text: string): ModelMessage => ({ role: 'user', parts: [{ type: 'text', text }] });

/** A message of the runtime, told apart from what people say. */
export const note = (text: string): ModelMessage => textMessage(`[Ruche] ${text}`);
