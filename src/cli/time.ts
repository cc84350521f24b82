import { readMoment } from '../core/time/wall.ts';
import { CliError } from './io.ts';

/** `2026-11-23 08:15 UTC`: by the clock of a zone, that of this machine unless given, which it names. */
export function clockTime(at: number, timeZone?: string): string {
  const format = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'short', timeZone });
  return `${format.format(at)} ${format.resolvedOptions().timeZone}`;
}

/** `3 min ago`, `in 8 h`. */
export const farAway = (at: number, now: number): string =>
  at > now ? `in ${duration(at - now)}` : `${duration(now - at)} ago`;

/** Milliseconds as the two largest units that say something. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `10m`, `2h`, `3d` before now, or a date and time as ISO 8601. Milliseconds since the epoch. */
export function sinceOf(text: string, now: number): number {
  const ago = /^(\d{1,9})([smhd])$/.exec(text);
  if (ago) return now - Number(ago[1]) * (UNITS[ago[2] ?? ''] ?? 0);
  const isDay = readMoment(text.slice(0, 10)) !== null;
  // A day alone would begin as that of Greenwich, and with its hour here.
  const date = isDay ? Date.parse(text.length === 10 ? `${text}T00:00` : text) : Number.NaN;
  if (!Number.isNaN(date)) return date;
  throw new CliError(`Invalid --since "${text}". Give 30s, 10m, 2h or 3d, or a date such as 2026-11-23T08:15.`);
}
