import { duration } from './status.ts';

/** `2026-11-23 08:15 UTC`: by the clock of a zone, that of this machine unless given, which it names. */
export function clockTime(at: number, timeZone?: string): string {
  const format = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'short', timeZone });
  return `${format.format(at)} ${format.resolvedOptions().timeZone}`;
}

/** `3 min ago`, `in 8 h`. */
export const farAway = (at: number, now: number): string =>
  at > now ? `in ${duration(at - now)}` : `${duration(now - at)} ago`;
