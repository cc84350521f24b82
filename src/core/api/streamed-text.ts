import type { Delta } from './runtime.ts';

export interface SpokenStream {
  /** Text to send for a delta, '' for none. */
  push(delta: Delta): string;
  /** Text still to be sent so that the stream ends with this answer. */
  rest(answer: string): string;
}

/**
 * Turns deltas into the text of one streamed answer. Streamed text cannot be unsaid: where a step is tried again the
 * stream says so, and where the start of a step was missed the step is left to the end, where the whole answer is known.
 */
export function spokenStream(): SpokenStream {
  let step: number | null = null;
  let said = '';
  let missed = false;
  let anything = false;
  const gap = (): string => (anything ? '\n\n' : '');
  return {
    push(delta) {
      if (delta.kind === 'discard') {
        const note = said === '' ? '' : '\n\n[The connection to the model broke here; it starts this part again.]';
        step = null;
        said = '';
        missed = false;
        return note;
      }
      if (delta.kind !== 'text' || delta.text === '') return '';
      const before = delta.step === step ? '' : gap();
      if (delta.step !== step) {
        step = delta.step;
        said = '';
        missed = false;
      }
      if (missed || delta.offset > said.length) {
        missed = true;
        return '';
      }
      const fresh = delta.text.slice(said.length - delta.offset);
      said += fresh;
      if (fresh === '') return '';
      anything = true;
      return before + fresh;
    },
    rest(answer) {
      if (said !== '' && answer.startsWith(said)) return answer.slice(said.length);
      return answer === '' ? '' : gap() + answer;
    },
  };
}
