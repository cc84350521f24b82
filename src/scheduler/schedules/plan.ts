import type { Firings } from '../../core/time/firing.ts';
import type { Missed } from '../../core/schedule.ts';

/** Milliseconds after which a firing counts as missed. A restart, or a busy moment, is no reason to let one go. */
export const GRACE_MS = 60_000;
/** Firings that are counted one by one. */
const MAX_COUNT = 1_000;

/** What is to be done about the firings that have become due. */
export interface Plan {
  /** Times that fire now, oldest first. */
  fire: number[];
  /** Earlier ones that do not: how many (at most 1,000 are counted), and the last of them. */
  left: { count: number; at: number } | null;
}

/**
 * Everything after `cursor` that is due. Null if nothing is: also where the clock was put back behind times that have
 * fired. Of several at once the newest may be in time; the others are missed, whether the process was gone, the machine
 * slept or the clock leapt.
 */
export function planFirings(firings: Firings, cursor: number, now: number, missed: Missed): Plan | null {
  let newest = firings.upTo(now);
  while (newest !== null && newest > cursor && firings.due(newest) > now) newest = firings.upTo(newest - 1);
  if (newest === null || newest <= cursor) return null;
  const late = now - firings.due(newest) > GRACE_MS;
  const most = missed.mode === 'all' ? missed.max : missed.mode === 'skip' && late ? 0 : 1;
  const times: number[] = [];
  for (let time: number | null = newest; time !== null && time > cursor; time = firings.upTo(time - 1)) {
    times.push(time);
    if (times.length === most + MAX_COUNT) break;
  }
  const [at] = times.slice(most);
  return { fire: times.slice(0, most).reverse(), left: at === undefined ? null : { count: times.length - most, at } };
}
