import { hostKind, parseTarget } from '../../core/net/host.ts';
import type { Usage } from '../../core/model.ts';
import { type ModelFacts, PRICES } from './table.ts';

/** Tokens, where nothing is known of a model in the cloud. */
export const CLOUD_WINDOW = 128_000;
/**
 * Tokens, where nothing is known of a model on one's own machine. Local servers are started with small windows, and
 * some silently drop the beginning of what is longer: too small costs a compaction, too large the instructions.
 */
export const LOCAL_WINDOW = 8_192;

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

/** USD for a usage; 0 where no price is known. */
export function costOf(model: string): (usage: Usage) => number {
  const facts = modelFacts(model);
  if (!facts) return () => 0;
  return ({ input, output, cacheRead, cacheWrite }) => {
    const read = Math.min(cacheRead, input);
    const written = Math.min(cacheWrite, input - read);
    const fresh = input - read - written;
    const paid = fresh * facts.input + read * facts.cached + written * facts.cacheWrite + output * facts.output;
    return paid / 1_000_000;
  };
}
