import { wildcardMatch, fileMatch, isDraftOf } from '../../core/text/glob.ts';
import { unionLabels } from '../../core/labels.ts';
import type { Facts, Held, TriggerSource } from '../../core/trigger.ts';
import type { Cause } from './causes.ts';

/** Characters of a message that a pattern is held against: the work grows with their product. */
const MAX_TEXT = 16_384;
/** Files of one firing that are asked about, and named. */
const MAX_PATHS = 10_000;

const fits = (wanted: string | null, given: unknown): boolean => wanted === null || wanted === given;

interface Heard {
  facts: Facts;
  /** The same of where the file was before, if the trigger names that place, too, and it was whole there. */
  before: Facts | null;
}

/** What a trigger listens to of this, conditions aside: of files, those that it names. */
export function heard(source: TriggerSource, cause: Cause): Heard[] {
  if (source.on !== cause.on) return [];
  const { facts, moved } = cause;
  if (source.on !== 'file.landed') return isHeard(source, facts) ? [{ facts, before: null }] : [];
  const isNamed = (path: string): boolean => source.paths.some((glob) => fileMatch(glob, path));
  const at = (path: string): Facts => ({ ...facts, path, paths: [path] });
  return (facts['paths'] as string[]).filter(isNamed).map((path) => {
    const from = moved?.get(path);
    const known = from !== undefined && isNamed(from) && !isDraftOf(from, path);
    return { facts: at(path), before: known ? at(from) : null };
  });
}

function isHeard(source: Exclude<TriggerSource, { on: 'file.landed' }>, facts: Facts): boolean {
  switch (source.on) {
    case 'run.failed':
      return fits(source.agent, facts['agent']);
    case 'message': {
      const { channel, sender, pattern, agent } = source;
      const known = fits(channel, facts['channel']) && fits(sender, facts['sender']) && fits(agent, facts['agent']);
      return known && (pattern === null || said(pattern, facts['text']));
    }
    case 'webhook':
      return source.hook === facts['hook'];
    case 'mail.received': {
      const { accounts, folder, from, addressee, subject, attachment, list } = source;
      const any = (glob: string | null, name: string): boolean =>
        glob === null || [facts[name]].flat().some((each) => said(glob, each));
      const within = (accounts as readonly unknown[]).includes(facts['account']) && fits(folder, facts['folder']);
      const about = any(from, 'from') && any(addressee, 'to') && any(subject, 'subject');
      return within && about && any(attachment, 'attachments') && any(list, 'list');
    }
    case 'approval.waiting':
      return fits(source.agent, facts['agent']) && fits(source.tool, facts['tool']);
    default:
      return fits(source.queue, facts['queue']) && fits(source.agent, facts['agent']);
  }
}

const said = (pattern: string, text: unknown): boolean =>
  typeof text === 'string' && wildcardMatch(pattern.toLowerCase(), text.slice(0, MAX_TEXT).toLowerCase());

/**
 * The facts for which the condition holds, as one; null if it holds for none, or why that could not be told. A file that was
 * moved from one place that fits to another is nothing new.
 */
export function holding(
  facts: readonly Heard[],
  holds: ((facts: Facts) => Held) | null,
): { facts: Facts } | { error: string } | null {
  if (holds !== null && facts.length > MAX_PATHS)
    return { error: `${facts.length} files landed at once; it is evaluated for at most ${MAX_PATHS}` };
  const left: Facts[] = [];
  const hold = (each: Facts): Held => holds?.(each) ?? { ok: true, holds: true };
  for (const { facts: each, before } of facts) {
    const held = hold(each);
    if (!held.ok) return held;
    const was = before === null ? null : hold(before);
    if (held.holds && !(was?.ok && was.holds)) left.push(each);
  }
  const [first] = left;
  if (first === undefined) return null;
  return {
    facts: left.length === 1 ? first : { ...first, ...named(left.flatMap((each) => each['paths'] as string[])) },
  };
}

const named = (paths: readonly string[]): Facts => {
  const all = [...new Set(paths)].slice(0, MAX_PATHS);
  return { path: all.length === 1 ? (all[0] ?? '') : all, paths: all };
};

/** Causes that fire together. */
export interface Burst {
  first: Pick<Cause, 'id' | 'seq' | 'key' | 'at'>;
  last: Pick<Cause, 'id' | 'seq' | 'at'>;
  count: number;
  facts: Facts;
  labels: Cause['labels'];
  /** Of the cause with the longest chain behind it. */
  task: Cause['task'];
}

export function burstWith(before: Burst | null, cause: Cause, facts: Facts): Burst {
  const { labels, task } = cause;
  if (before === null) return { first: cause, last: cause, count: 1, facts, labels, task };
  const files = cause.on === 'file.landed';
  const all = files ? [...(before.facts['paths'] as string[]), ...(facts['paths'] as string[])] : [];
  const hops = (given: Cause['task']): number => (given === null ? -1 : (given.origin?.hops ?? 0));
  return {
    first: before.first,
    last: cause,
    count: before.count + 1,
    facts: files ? { ...facts, ...named(all) } : facts,
    labels: unionLabels(before.labels, labels),
    task: hops(task) > hops(before.task) ? task : before.task,
  };
}
