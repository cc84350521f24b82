import { Cron } from 'croner';
import type { CronTimes, ReadCron } from '../core/schedule.ts';

const NICKNAMES: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/**
 * Patterns by croner, asked as if clocks never changed: it makes its own choice of what a change of the clock does,
 * which is not that of OCPS. `core/firing.ts` brings the zone in.
 */
export const readCron: ReadCron = (pattern) => {
  const given = pattern.trim();
  const plain = NICKNAMES[given] ?? given;
  if (plain.startsWith('@'))
    return { ok: false, error: `there is no ${given}: use ${Object.keys(NICKNAMES).join(', ')}, or 5 or 6 fields` };
  const fields = plain.split(/[ \t]+/);
  if (fields.length !== 5 && fields.length !== 6)
    return { ok: false, error: `has ${fields.length} fields; 5 (minute first) or 6 (second first) are needed` };
  const days = fields.length - 3;
  // A list may hold the wildcard beside other values only by mistake, and OCPS knows "?" in the two fields of days alone.
  const odd = fields.findIndex(
    (field, at) => field.includes('?') && !(field === '?' && (at === days || at === days + 2)),
  );
  if (odd >= 0) return { ok: false, error: 'may have "?" only alone, in the field of the day or of the weekday' };
  try {
    const cron = new Cron(fields.join(' '), { paused: true, utcOffset: 0, mode: '5-or-6-parts' });
    return { ok: true, times: timesOf(cron) };
  } catch (error) {
    return { ok: false, error: (error as Error).message.replace(/^Cron\w*: /, '') };
  }
};

const timesOf = (cron: Cron): CronTimes => ({
  after: (wall) => cron.nextRun(new Date(wall))?.getTime() ?? null,
  before: (wall) => cron.previousRuns(1, new Date(wall))[0]?.getTime() ?? null,
});
