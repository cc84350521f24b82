import type { Told } from '../wire/errors.ts';

/** What servers of this form refuse. Nothing says so beforehand: they are learned from the words of a refusal. */
export type Quirk =
  /** Takes no `stream_options`; usage is then unknown. */
  | 'no-stream-options'
  /** Wants `max_completion_tokens`. */
  | 'other-max-tokens'
  /** Takes no word of the user right behind a result. */
  | 'reply-between'
  /** Wants reasoning back with every call, empty where another model made the call. */
  | 'reasoning-always'
  /** Takes no system message. */
  | 'no-system';

const REFUSALS: readonly (readonly [Quirk, RegExp])[] = [
  ['no-stream-options', /stream_options/i],
  [
    'other-max-tokens',
    /max_completion_tokens|(?:unsupported|not supported|unknown|unrecognized).{0,60}max_tokens|max_tokens.{0,60}(?:unsupported|not supported|not compatible)/i,
  ],
  [
    'reply-between',
    /unexpected role .?user.? after role .?tool|after the optional system message, conversation roles must alternate|roles must alternate/i,
  ],
  [
    'reasoning-always',
    /reasoning_content.{0,80}(?:must be|is missing|required|passed back)|thinking is enabled but reasoning_content/i,
  ],
  [
    'no-system',
    /system (?:role|message|prompt|instruction)s? (?:is |are )?not (?:supported|enabled|allowed)|(?:does not|doesn't) support (?:the )?system (?:role|message|prompt)|developer instruction is not enabled/i,
  ],
];

/** What each model of one provider is known to refuse. Lives as long as the provider's settings. */
export class Quirks {
  readonly #known = new Map<string, Set<Quirk>>();

  of(model: string): ReadonlySet<Quirk> {
    return this.#known.get(model) ?? new Set();
  }

  /** A body built from now on does without what the refusal names. */
  learn(told: Told, model: string): void {
    if (told.status !== null && told.status !== 400 && told.status !== 422 && told.status !== 500) return;
    const known = this.#known.get(model) ?? new Set<Quirk>();
    const found = REFUSALS.find(([quirk, words]) => !known.has(quirk) && words.test(`${told.codes} ${told.text}`));
    if (found !== undefined) this.#known.set(model, known.add(found[0]));
  }
}
