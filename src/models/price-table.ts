/** USD for a million tokens, and what the model can hold. */
export interface ModelFacts {
  input: number;
  /** Input that the provider had cached. */
  cached: number;
  output: number;
  /** Tokens of input. */
  window: number;
}

/**
 * OpenAI's standard tier as listed in mid 2026, read on 2026-11-22. Prices change, and mostly fall: a budget counted with
 * old ones errs on the safe side. To add a model, add a line; a model that is not here costs 0.
 *
 * Above 272k tokens of input the newest models cost twice as much, so that their window ends there for us.
 */
export const PRICES: Readonly<Record<string, ModelFacts>> = {
  'gpt-5.5': { input: 5, cached: 0.5, output: 30, window: 272_000 },
  'gpt-5.4': { input: 2.5, cached: 0.25, output: 15, window: 272_000 },
  'gpt-5.4-mini': { input: 0.75, cached: 0.075, output: 4.5, window: 272_000 },
  'gpt-5.4-nano': { input: 0.2, cached: 0.02, output: 1.25, window: 272_000 },
  'gpt-5.2': { input: 1.75, cached: 0.175, output: 14, window: 272_000 },
  'gpt-5.1': { input: 1.25, cached: 0.125, output: 10, window: 272_000 },
  'gpt-5': { input: 1.25, cached: 0.125, output: 10, window: 272_000 },
  'gpt-5-mini': { input: 0.25, cached: 0.025, output: 2, window: 272_000 },
  'gpt-5-nano': { input: 0.05, cached: 0.005, output: 0.4, window: 272_000 },
  'gpt-4.1': { input: 2, cached: 0.5, output: 8, window: 1_000_000 },
  'gpt-4.1-mini': { input: 0.4, cached: 0.1, output: 1.6, window: 1_000_000 },
  'gpt-4.1-nano': { input: 0.1, cached: 0.025, output: 0.4, window: 1_000_000 },
  'gpt-4o': { input: 2.5, cached: 1.25, output: 10, window: 128_000 },
  'gpt-4o-mini': { input: 0.15, cached: 0.075, output: 0.6, window: 128_000 },
  o3: { input: 2, cached: 0.5, output: 8, window: 200_000 },
  'o4-mini': { input: 1.1, cached: 0.275, output: 4.4, window: 200_000 },
};
