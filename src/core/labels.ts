import { pathMatch } from './text/glob.ts';

/** Where data came from. Labels only ever accumulate along a run. */
export type Label = 'untrusted' | 'private';

/** Sorted union without repeats, so that equal sets serialise equally. */
export const unionLabels = (...sets: readonly (readonly Label[])[]): Label[] => [...new Set(sets.flat())].sort();

/** What agents remember of people and work, as it lies in every workspace. */
const MEMORY = /^(?:agents\/[^/]+\/(?:MEMORY\.md$|memory\/)|(?:shared\/)?memory\/)/;

/** True for memory, and for what `private` in `ruche.yaml` names. */
export const isPrivatePath = (path: string, globs: readonly string[] = []): boolean =>
  MEMORY.test(path) || globs.some((glob) => pathMatch(glob, path));
