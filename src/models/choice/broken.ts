import type { ModelError, ModelPort } from '../../core/model.ts';
import { NO_USAGE } from '../../core/model.ts';

/** Stands for a model that cannot be used, so that the reason reaches a person by the ordinary way. */
export function brokenModel(kind: 'auth' | 'invalid', message: string): ModelPort {
  const error: ModelError = { kind, message, retryable: false, retryAfter: null };
  return {
    async *stream() {
      yield { type: 'error', error, usage: NO_USAGE };
    },
  };
}
