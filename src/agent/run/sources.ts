import { type Label, unionLabels } from '../../core/labels.ts';
import type { LabelSource } from '../../core/standing.ts';
import { isObject, jsonIn } from '../../core/text/json.ts';
import { visibleLine } from '../../core/text/untrusted.ts';

/** Sources that are remembered of one label: a person looks at the first of them. */
const MAX_SOURCES = 10;
/** Characters of what a call was about. */
const MAX_WORDS = 160;

/** Adds labels to those of the run, and what has brought them. */
export function addLabels(
  state: { labels: Label[]; sources: LabelSource[] },
  labels: readonly Label[],
  what: string,
): void {
  for (const label of labels) {
    const known = state.sources.filter((each) => each.label === label);
    if (known.length < MAX_SOURCES && !known.some((each) => each.what === what)) state.sources.push({ label, what });
  }
  state.labels = unionLabels(state.labels, labels);
}

/** Those of an event that carries the run's own labels, too. */
export const newLabels = (state: { labels: Label[] }, labels: readonly Label[]): Label[] =>
  labels.filter((label) => !state.labels.includes(label));

/** A call in a few words: its tool, and the first thing that it names. */
export function callWords({ tool, args }: { tool: string; args: string }): string {
  const given = jsonIn(args);
  const first = isObject(given) ? Object.values(given).find((value) => typeof value === 'string') : undefined;
  return typeof first === 'string' ? visibleLine(`${tool} ${first}`).slice(0, MAX_WORDS).toWellFormed() : tool;
}
