import type { Clock } from '../core/ports/clock.ts';
import { openFirings } from '../core/time/firing.ts';
import type { Json } from '../core/text/json.ts';
import { type Schedule, scheduleId, type Timing, whenText } from '../core/schedule.ts';
import { readCron } from './cron.ts';
import { readSchedule } from './schedule-edit.ts';

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

/** What a schedule means, for the person who approves it: `every weekday 08:15 (UTC, the zone of this machine), next Mon 23 Nov 08:15`. */
export const explainSchedule =
  (clock: Clock, machineZone: () => string) =>
  (agent: string, given: Json, network?: string): string | null => {
    const schedule = readSchedule(given);
    if (schedule === null) return null;
    const { name, timing } = schedule;
    const zone = timing.zone ?? network ?? machineZone();
    const next = nextFiring(scheduleId(agent, name), { ...timing, zone }, clock.now());
    const whose = zone === machineZone() && network === undefined ? `${zone}, the zone of this machine` : zone;
    // One that is approved later never fires.
    const before = timing.kind === 'at' ? ' if it is approved before then' : '';
    const coming = next === null ? 'never fires' : `next ${momentIn(zone, next)}${before}`;
    return `${name}: ${clockWords(timing)} (${whose}), ${coming}`;
  };

/** The name of a schedule whose only moment has passed; null for any other. */
export const overSchedule =
  (clock: Clock, machineZone: () => string) =>
  (agent: string, given: Json, network?: string): string | null => {
    const schedule = readSchedule(given);
    if (schedule?.timing.kind !== 'at') return null;
    const { name, timing } = schedule;
    const zone = timing.zone ?? network ?? machineZone();
    const next = nextFiring(scheduleId(agent, name), { ...timing, zone }, clock.now());
    return next === null ? name : null;
  };

/** When a schedule that counts from now fires first; null if it never does. */
export function nextFiring(id: string, timing: Timing, now: number): number | null {
  const opened = openFirings({ id, timing, anchor: now, readCron });
  return opened.ok ? opened.firings.after(now) : null;
}

/** The usual patterns in words, others as they stand. */
function clockWords(timing: Schedule['timing']): string {
  const match = timing.kind === 'cron' ? /^(\d{1,2}) (\d{1,2}) \* \* (\*|1-5|[0-7])$/.exec(timing.cron.trim()) : null;
  if (match === null) return whenText(timing);
  const [, minute = '', hour = '', days = ''] = match;
  const which = days === '*' ? 'day' : days === '1-5' ? 'weekday' : (DAYS[Number(days)] ?? days);
  return `every ${which} ${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`;
}

/** `Mon 23 Nov 08:15`. */
export function momentIn(timeZone: string, at: number): string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  return `${part['weekday']} ${part['day']} ${part['month']} ${part['hour']}:${part['minute']}`;
}
