/** Where data came from. Labels only ever accumulate along a run. */
export type Label = 'untrusted' | 'private';

/** Sorted union without repeats, so that equal sets serialise equally. */
export const unionLabels = (...sets: readonly (readonly Label[])[]): Label[] => [...new Set(sets.flat())].sort();
