import type { Reads } from '../../core/ports/store.ts';
import type { Provider } from '../wire/provider.ts';

/** Answers looked at. */
const NEWEST = 200;

/**
 * Servers that have answered runs of this home. They were used as soon as they were found, before that needed a yes, and their
 * owner must not find the demo in their place.
 */
export async function usedServers(store: Reads, kinds: readonly Provider[]): Promise<string[]> {
  const names = kinds.flatMap(({ name, server }) => (server ? [name] : []));
  const used = new Set<string>();
  for await (const event of store.read({ types: ['model.answered'], reverse: true, limit: NEWEST }))
    if (event.type === 'model.answered' && names.includes(event.data.provider)) used.add(event.data.provider);
  return [...used];
}
