import { hostKind, parseTarget } from '../../core/net/host.ts';
import type { ModelPrice } from '../../core/budget.ts';
import type { PictureRule } from '../../core/image.ts';
import type { Usage } from '../../core/model.ts';

/** Tokens, where nothing is known of a model in the cloud. */
export const CLOUD_WINDOW = 128_000;
/**
 * Tokens, where nothing is known of a model on one's own machine. Local servers are started with small windows, and
 * some silently drop the beginning of what is longer: too small costs a compaction, too large the instructions.
 */
export const LOCAL_WINDOW = 8_192;

/** Tokens of what stands in for a model and needs each word as it was: bounded by memory alone. */
export const STAND_IN_WINDOW = 10_000_000;

const known = (name: string): ModelFacts | null => (Object.hasOwn(PRICES, name) ? (PRICES[name] ?? null) : null);

/** A dated snapshot or a preview costs what its model costs; a router puts the maker's name before it, and dots in it. */
export function modelFacts(model: string): ModelFacts | null {
  const name = model
    .slice(model.lastIndexOf('/') + 1)
    .replace(/-(?:\d{4}-\d{2}-\d{2}|20\d{6}|latest|preview)$/, '')
    .replace(/-preview$/, '');
  return known(name) ?? known(name.replaceAll('.', '-'));
}

/** Tokens a model can hold. */
export function windowOf(model: string, baseUrl: string): number {
  const parsed = parseTarget(baseUrl);
  const local = parsed.ok && hostKind(parsed.target.host) !== 'public';
  return modelFacts(model)?.window ?? (local ? LOCAL_WINDOW : CLOUD_WINDOW);
}

/** USD for a usage; 0 where no price is known. `told`: what the owner says it costs. */
export function costOf(model: string, told?: ModelPrice): (usage: Usage) => number {
  const facts = told ? { cached: told.input, cacheWrite: told.input, ...told } : modelFacts(model);
  if (!facts) return () => 0;
  return ({ input, output, cacheRead, cacheWrite }) => {
    const read = Math.min(cacheRead, input);
    const written = Math.min(cacheWrite, input - read);
    const fresh = input - read - written;
    const paid = fresh * facts.input + read * facts.cached + written * facts.cacheWrite + output * facts.output;
    return paid / 1_000_000;
  };
}

/** USD for a million tokens, and what the model can do. */
interface ModelFacts {
  input: number;
  /** Input that the provider had cached. */
  cached: number;
  /** Input that the provider puts into its cache. */
  cacheWrite: number;
  output: number;
  /** Tokens of input. */
  window: number;
  /** Tokens of one answer. */
  maxOutput: number;
  images: boolean;
  /** How pictures are counted. */
  picture: PictureRule;
  /** Whether it thinks before it answers. */
  reasoning: boolean;
  /** The day the row was read. */
  asOf: string;
}

// The makers' standard prices. They change, and mostly fall: a budget counted with old ones errs on the safe side. To add a
// model, add a line; a model that is not here costs 0. Where a maker has announced a higher price, it stands here already
// (Gemini 4 Carbon and Argon from 2026-12-01, Gemini 3.6 to 3.8 Flash from 2027-01-01). Where longer input makes the whole
// request dearer, the window ends for us at that length.

const M = 1_000_000;
type Prices = readonly [input: number, cached: number, output: number];
interface More {
  window?: number;
  maxOutput?: number;
  reasoning?: boolean;
  /** Times the price of input. */
  write?: number;
  picture?: PictureRule;
  asOf?: string;
}

function facts([input, cached, output]: Prices, usual: Required<More>, more: More): ModelFacts {
  const { window, maxOutput, reasoning, write, picture, asOf } = { ...usual, ...more };
  // Cents of a cent are exact; the rest is noise of binary fractions.
  const cacheWrite = Math.round(input * write * 1e6) / 1e6;
  return { input, cached, cacheWrite, output, window, maxOutput, images: true, picture, reasoning, asOf };
}

/** Squares of 28 pixels. Before Opus 4.7 Claude looked at less of a picture. */
const CLAUDE: PictureRule = { cell: 28, each: 1, long: 2_576, most: 4_784 };
const CLAUDE_LESS = { picture: { cell: 28, each: 1, long: 1_568, most: 1_600 } };
/** Squares of 32 pixels with `detail: high`, which is what is asked for; small models count each more than once. */
const GPT: PictureRule = { cell: 32, each: 1.2, long: 2_048, most: 2_500 };
const patches = (each: number): { picture: PictureRule } => ({ picture: { cell: 32, each, most: 1_536 } });
/** Tiles of 512 pixels. */
const tiles = (base: number, each: number): { picture: PictureRule } => ({
  picture: { cell: 512, each, base, long: 2_048, short: 768, most: 8 },
});
/** Since Gemini 3 a picture is always the same. */
const ONE: PictureRule = { cell: 10_000, each: 1_120, most: 1 };
const GEMINI_TILES = { picture: { cell: 768, each: 258, most: 121 } };

const READ = '2026-11-22';
const ANTHROPIC = { window: M, maxOutput: 128_000, reasoning: true, write: 1.25, picture: CLAUDE, asOf: READ };
const OPENAI = { window: 272_000, maxOutput: 128_000, reasoning: true, write: 1, picture: GPT, asOf: READ };
const GEMINI = { window: 1_048_576, maxOutput: 65_536, reasoning: true, write: 1, picture: ONE, asOf: READ };

const anthropic = (prices: Prices, more: More = {}): ModelFacts => facts(prices, ANTHROPIC, more);
const openai = (prices: Prices, more: More = {}): ModelFacts => facts(prices, OPENAI, more);
/** Since GPT-5.6 writing to the cache has its price. */
const openai6 = (prices: Prices): ModelFacts => facts(prices, OPENAI, { write: 1.25 });
const gemini = (prices: Prices, more: More = {}): ModelFacts => facts(prices, GEMINI, more);

export const PRICES: Readonly<Record<string, ModelFacts>> = {
  'claude-fable-5-1': anthropic([10, 0.25, 50]),
  'claude-fable-5': anthropic([10, 1, 50]),
  'claude-opus-5-5': anthropic([4, 0.2, 20]),
  'claude-opus-5': anthropic([5, 0.5, 25]),
  'claude-opus-4-8': anthropic([5, 0.5, 25]),
  'claude-opus-4-7': anthropic([5, 0.5, 25]),
  'claude-opus-4-6': anthropic([5, 0.5, 25], CLAUDE_LESS),
  'claude-opus-4-5': anthropic([5, 0.5, 25], { window: 200_000, maxOutput: 64_000, ...CLAUDE_LESS }),
  'claude-sonnet-5-5': anthropic([2, 0.1, 10]),
  'claude-sonnet-5': anthropic([2, 0.2, 10]),
  'claude-sonnet-4-6': anthropic([3, 0.3, 15], { maxOutput: 64_000, ...CLAUDE_LESS }),
  'claude-sonnet-4-5': anthropic([3, 0.3, 15], { window: 200_000, maxOutput: 64_000, ...CLAUDE_LESS }),
  // Five times as dear above 100k tokens.
  'claude-haiku-5-5': anthropic([0.1, 0.01, 0.5], { window: 100_000 }),
  'claude-haiku-4-5': anthropic([1, 0.1, 5], { window: 200_000, maxOutput: 64_000, ...CLAUDE_LESS }),

  'gpt-6.2-astra': openai6([8, 0.4, 40]),
  'gpt-6.2-sol': openai6([2, 0.1, 10]),
  'gpt-6.1-sol': openai6([2, 0.1, 10]),
  'gpt-6.1-terra': openai6([1, 0.05, 5]),
  'gpt-6-astra': openai6([10, 1, 50]),
  'gpt-6-sol': openai6([2, 0.2, 10]),
  'gpt-6-luna': openai6([0.1, 0.01, 0.5]),
  'gpt-5.6-sol': openai6([4, 0.4, 20]),
  'gpt-5.6-terra': openai6([2, 0.2, 12]),
  'gpt-5.6-luna': openai6([0.2, 0.02, 1.2]),
  'gpt-5.5': openai([5, 0.5, 30]),
  'gpt-5.4': openai([2.5, 0.25, 15]),
  'gpt-5.4-mini': openai([0.75, 0.075, 4.5], patches(1.62)),
  'gpt-5.4-nano': openai([0.2, 0.02, 1.25], patches(2.46)),
  'gpt-5.2': openai([1.75, 0.175, 14], patches(1.2)),
  'gpt-5.1': openai([1.25, 0.125, 10], tiles(70, 140)),
  'gpt-5': openai([1.25, 0.125, 10], tiles(70, 140)),
  'gpt-5-mini': openai([0.25, 0.025, 2], patches(1.62)),
  'gpt-5-nano': openai([0.05, 0.005, 0.4], patches(2.46)),
  'gpt-4.1': openai([2, 0.5, 8], { window: M, maxOutput: 32_768, reasoning: false, ...tiles(85, 170) }),
  'gpt-4.1-mini': openai([0.4, 0.1, 1.6], { window: M, maxOutput: 32_768, reasoning: false, ...patches(1.62) }),
  'gpt-4.1-nano': openai([0.1, 0.025, 0.4], { window: M, maxOutput: 32_768, reasoning: false, ...patches(2.46) }),
  'gpt-4o': openai([2.5, 1.25, 10], { window: 128_000, maxOutput: 16_384, reasoning: false, ...tiles(85, 170) }),
  'gpt-4o-mini': openai([0.15, 0.075, 0.6], {
    window: 128_000,
    maxOutput: 16_384,
    reasoning: false,
    ...tiles(2_833, 5_667),
  }),
  o3: openai([2, 0.5, 8], { window: 200_000, maxOutput: 100_000, ...tiles(75, 150) }),
  'o4-mini': openai([1.1, 0.275, 4.4], { window: 200_000, maxOutput: 100_000, ...patches(1.72) }),

  'gemini-4-carbon': gemini([4, 0.2, 20]),
  'gemini-4-argon': gemini([4, 0.2, 20]),
  'gemini-4-hydrogen': gemini([1.5, 0.075, 7.5]),
  'gemini-3.8-flash': gemini([1.5, 0.15, 7.5]),
  'gemini-3.7-flash': gemini([1.5, 0.15, 7.5]),
  'gemini-3.6-flash': gemini([1.5, 0.15, 7.5]),
  'gemini-3.5-flash': gemini([1.5, 0.15, 9]),
  'gemini-3.5-flash-lite': gemini([0.3, 0.03, 2.5]),
  'gemini-3.1-pro': gemini([2, 0.2, 12], { window: 200_000 }),
  'gemini-3.1-flash-lite': gemini([0.25, 0.025, 1.5]),
  'gemini-2.5-pro': gemini([1.25, 0.125, 10], { window: 200_000, ...GEMINI_TILES }),
  'gemini-2.5-flash': gemini([0.3, 0.03, 2.5], GEMINI_TILES),
  'gemini-2.5-flash-lite': gemini([0.1, 0.01, 0.4], GEMINI_TILES),
};
