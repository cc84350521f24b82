import { DENY } from '../../core/escalation.ts';

/** Milliseconds that whoever was told last has at least, whatever the clock did or how long nobody was there: an answer may be under way. */
const FAIR_MS = 60_000;
/** Milliseconds after its last level in which an approval is denied, where the chain does not say when. */
const DENY_MS = 24 * 3_600_000;

export interface PlannedLevel {
  after: number;
  to: string;
}

/** Where an escalation stands, as far as time decides on it. */
export interface Climb {
  /** What the levels are counted from. */
  from: number;
  levels: readonly PlannedLevel[];
  /** Those that were reached, in their order: when, and whether it has turned out that nobody was told. */
  reached: readonly { at: number; failed: boolean }[];
  acknowledged: boolean;
}

export type Step =
  | { do: 'reach'; level: number }
  /** The last level is reached, and nobody has answered. */
  | { do: 'deny' }
  /** `until`: when the next level is due; null if time alone changes nothing. */
  | { do: 'wait'; until: number | null };

/** What is to be done now about something that still waits. `since`: when the process that looks began. Pure. */
export function planEscalation(climb: Climb, { now, since }: { now: number; since: number }): Step {
  const { levels, reached, acknowledged } = climb;
  const level = reached.length;
  // Decided, and not on record yet: its run may not have waited in that moment.
  if (levels[level - 1]?.to === DENY && !acknowledged) return { do: 'deny' };
  const due = nextDue(climb, { now, since });
  if (due === null) return { do: 'wait', until: null };
  return due <= now ? { do: 'reach', level } : { do: 'wait', until: due };
}

/** When the next level is due; null if none comes. */
export function nextDue(
  { from, levels, reached, acknowledged }: Climb,
  { now, since }: { now: number; since: number },
): number | null {
  const next = levels[reached.length];
  if (next === undefined || acknowledged) return null;
  const due = from + next.after;
  const last = reached.at(-1);
  if (next.to !== DENY) return last?.failed === true ? Math.min(due, now) : due;
  const before = levels[reached.length - 1]?.after ?? 0;
  return Math.max(due, Math.max(last?.at ?? from, since) + Math.min(FAIR_MS, next.after - before));
}

/**
 * The levels that an escalation of this kind has. Only an approval can end by being denied, and always does. What a task is
 * stuck with that an escalation made is put before people, and before no further agent.
 */
export function levelsFor(
  chain: readonly PlannedLevel[],
  { approval, ofEscalation }: { approval: boolean; ofEscalation: boolean },
): PlannedLevel[] {
  const levels = chain
    .filter(({ to }) => (to === DENY ? approval : !ofEscalation || !to.startsWith('agent:')))
    .map(({ after, to }) => ({ after, to }));
  const last = chain.at(-1);
  if (approval && last !== undefined && last.to !== DENY) levels.push({ after: last.after + DENY_MS, to: DENY });
  return levels;
}
