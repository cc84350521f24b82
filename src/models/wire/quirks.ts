import type { Told } from './errors.ts';

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
  | 'no-system'
  /** Takes no reasoning back. */
  | 'no-reasoning'
  /** Wants a string as content, also where a message only calls. */
  | 'no-null'
  /** Cannot see, or takes words alone. */
  | 'no-images'
  /** Knows few words of JSON Schema. */
  | 'plain-schemas'
  /** Wants tools named wherever earlier calls are sent, also where none may be called. */
  | 'tools-with-calls';

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
    /system (?:role|message|prompt|instruction)s? (?:is |are )?not (?:supported|enabled|allowed)|(?:does not|doesn't) support (?:the )?system (?:role|message|prompt)|developer instruction is not enabled|(?:unsupported|unknown|invalid|unexpected) (?:message )?role.{0,12}\bsystem\b|only user,? (?:and )?assistant.{0,20}roles are supported/i,
  ],
  [
    'no-reasoning',
    /(?:reasoning(?:_content|_details)?|thinking)['"`\]]*.{0,40}(?:unsupported|not (?:supported|permitted|allowed)|unknown|unrecognized)|(?:extra|unknown|unrecognized|unexpected|unsupported|additional).{0,80}\b(?:reasoning(?:_content|_details)?|thinking)\b/i,
  ],
  [
    'no-null',
    /content.{0,60}(?:\bnull\b|\bnone\b|should be a valid string|must be (?:a )?(?:non-?null |valid )?string|expected (?:a )?string|cannot be empty|is required|missing)|invalid type for .{0,40}content.{0,60}null/i,
  ],
  [
    'no-images',
    /image(?:_url|s| input| content)?['"`]?.{0,60}(?:not (?:supported|allowed|permitted)|unsupported|is not a multimodal)|(?:does not|doesn't|not|cannot|unable to) (?:support|accept|process|handle).{0,40}(?:image|vision|multimodal)|support image input|unknown variant [`'"]?image_url|not a multimodal model|mmproj|only .{0,20}text.{0,20}(?:content|supported)/i,
  ],
  [
    'tools-with-calls',
    /without .?tools=|toolConfig field must be defined|tools.{0,40}must be (?:specified|provided|defined|set).{0,80}tool|requires? .{0,20}tools.{0,40}(?:history|tool_?calls)/i,
  ],
  [
    'plain-schemas',
    /additionalProperties.{0,80}(?:unknown|unsupported|not (?:supported|permitted|allowed)|cannot find)|(?:unknown name|unsupported|unrecognized|not (?:supported|permitted|allowed)).{0,80}(?:additionalProperties|\$schema|pattern|minLength|maxLength|default)/i,
  ],
];

/** OpenRouter says 404 where none of its servers takes a request as it is. */
const REFUSING: ReadonlySet<number> = new Set([400, 404, 415, 422, 500, 501]);

/** What each model of one provider is known to refuse. Lives as long as the provider's settings. */
export class Quirks {
  readonly #known = new Map<string, Set<Quirk>>();

  readonly #told: (model: string) => readonly Quirk[];

  /** `told`: what its owner has said of a model. */
  constructor(told: (model: string) => readonly Quirk[] = () => []) {
    this.#told = told;
  }

  of(model: string): ReadonlySet<Quirk> {
    return this.#known.get(model) ?? new Set(this.#told(model));
  }

  /** A body built from now on does without what the refusal names. Gives how to forget that; null if nothing was learned. */
  learn(told: Told, model: string): (() => void) | null {
    if (told.status !== null && !REFUSING.has(told.status)) return null;
    const known = new Set(this.of(model));
    const found = REFUSALS.find(([quirk, words]) => !known.has(quirk) && words.test(`${told.codes} ${told.text}`));
    if (found === undefined) return null;
    const [quirk] = found;
    this.#known.set(model, known.add(quirk));
    return () => {
      const left = new Set(this.of(model));
      left.delete(quirk);
      this.#known.set(model, left);
    };
  }
}
