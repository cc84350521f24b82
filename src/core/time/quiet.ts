import type { Wall } from './wall.ts';

const MINUTE = 60_000;
/** Of a day. */
const MINUTES = 24 * 60;

const modDay = (minutes: number): number => ((minutes % MINUTES) + MINUTES) % MINUTES;

/** When hours of the day (`from` and `to` in minutes; they may cross midnight) that have begun end; null outside them. */
export function quietUntil({ from, to }: { from: number; to: number }, wall: Wall, now: number): number | null {
  const minute = Math.floor(wall.at(now) / MINUTE);
  const left = modDay(to - minute);
  if (modDay(minute - from) >= modDay(to - from)) return null;
  const end = (minute + left) * MINUTE;
  const instant = wall.instant(end);
  // Where clocks are put forward over the end, or have shown it once already, the time that is left counts.
  return instant !== null && instant > now ? instant : now + left * MINUTE;
}
