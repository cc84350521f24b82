import type { ModelError, ModelErrorKind } from '../../core/model.ts';
import { NetError } from '../../core/ports/net.ts';
import type { Flaw } from './answer.ts';
import { type ErrorContext, plain, toldError } from './errors.ts';

export const failure = (kind: ModelErrorKind, retryable: boolean, message: string): ModelError => ({
  kind,
  message,
  retryable,
  retryAfter: null,
});

const setting = (provider: string, key: string): string => `${key} of models.providers.${provider} in ruche.yaml`;

export const badUrl = (reason: string, { provider }: ErrorContext): ModelError =>
  failure('invalid', false, `${setting(provider, 'baseUrl')} cannot be used: ${reason}.`);

export const noKey = (error: unknown, { redact }: ErrorContext): ModelError =>
  failure('auth', false, plain(error instanceof Error ? error.message : String(error), redact));

/** A 200 that holds no answer. `what`: a content type, or what was found instead. */
export const notAStream = (what: string, { provider, baseUrl, urlEnd }: ErrorContext): ModelError =>
  failure(
    'invalid',
    false,
    `Provider "${provider}" at ${baseUrl} gave ${what} instead of a model's answer: check ${setting(provider, 'baseUrl')} (it usually ends in ${urlEnd}).`,
  );

export function explainFlaw(flaw: Flaw, context: ErrorContext): ModelError {
  const { provider } = context;
  if (typeof flaw === 'object' && 'told' in flaw) return toldError(flaw.told, null, context);
  if (typeof flaw === 'object')
    return failure(
      'invalid',
      true,
      `Provider "${provider}" gave no usable answer: ${plain(flaw.unusable, context.redact)}`,
    );
  switch (flaw) {
    case 'cut':
      return failure('network', true, `The answer of provider "${provider}" ended early; what had arrived is kept.`);
    case 'malformed':
      return failure('invalid', true, `Provider "${provider}" sent a piece of an answer that is not valid JSON.`);
    case 'nameless':
      return failure('invalid', true, `Provider "${provider}" sent a tool call without the tool's name.`);
    case 'too-long':
      return failure('invalid', false, `Provider "${provider}" did not stop answering; the rest was not read.`);
  }
}

/** The chain of causes, innermost words last: `fetch failed` alone helps nobody. */
function causes(error: unknown): string {
  const said: string[] = [];
  for (let at: unknown = error; at instanceof Error && said.length < 4; at = at.cause) {
    if (at.message !== '' && !said.some((each) => each.includes(at.message))) said.push(at.message);
  }
  return said.length > 0 ? said.join(': ') : String(error);
}

/** What broke between us and the server; `begun`: after its answer had started. */
export function netFailure(error: unknown, context: ErrorContext, signal: AbortSignal, begun: boolean): ModelError {
  if (signal.aborted) return failure('aborted', false, 'The model call was stopped.');
  const { provider, baseUrl } = context;
  const detail = plain(causes(error), context.redact);
  const code = !(error instanceof NetError) || (begun && error.code === 'connect') ? 'protocol' : error.code;
  const check = `check ${setting(provider, 'baseUrl')}`;
  switch (code) {
    case 'blocked':
      return failure('unavailable', false, `Provider "${provider}" at ${baseUrl} may not be contacted: ${detail}`);
    case 'dns':
      return failure(
        'network',
        true,
        `The host of provider "${provider}" (${baseUrl}) was not found: ${check}. ${detail}`,
      );
    case 'connect':
      return failure(
        'network',
        true,
        `Provider "${provider}" at ${baseUrl} cannot be reached: is it running? Else ${check}. ${detail}`,
      );
    case 'timeout':
      return failure('timeout', true, `Provider "${provider}" stopped sending. ${detail}`);
    case 'too-large':
      return failure('invalid', false, `Provider "${provider}" did not stop answering; the rest was not read.`);
    case 'redirect':
      return failure('invalid', false, `Provider "${provider}" sends elsewhere: ${check}. ${detail}`);
    default:
      return failure('network', true, `The connection to provider "${provider}" broke: ${detail}`);
  }
}
