import type { Settings } from '../core/agent.ts';
import { readSpan } from '../core/text/duration.ts';
import { openWall } from '../core/time/wall.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Json } from '../core/text/json.ts';
import type { GovernanceReader } from '../core/ports/governance.ts';
import { type Schedule, type ScheduleBook, scheduleId, whenText } from '../core/schedule.ts';
import { momentIn, nextFiring } from './schedule-words.ts';
import { editSchedules, readFrom } from './schedule-edit.ts';
import { sentence } from '../core/text/sentence.ts';

/** The longest time from now, in milliseconds. */
const LONGEST = 366 * 86_400_000;

/** The schedules of an AGENT.md as its agent lists and changes them. */
export function openScheduleBook(options: {
  reader: Pick<GovernanceReader, 'check'>;
  settings: Settings;
  clock: Clock;
  /** The network's time zone, for schedules that name none. */
  zone(): string;
}): ScheduleBook {
  const { reader, settings, clock, zone: ownZone } = options;
  const describe = (agent: string, { name, timing, work }: Schedule): string => {
    const zone = timing.zone ?? ownZone();
    const what = work.kind === 'run' ? `run: ${work.command}` : work.text;
    const next = nextOf(scheduleId(agent, name), timing);
    const coming = next === null ? 'over' : `next ${momentIn(zone, next)}`;
    return `${name}: ${whenText(timing)} (${zone}), ${coming}\n  ${what}`;
  };
  const nextOf = (id: string, timing: Schedule['timing']): number | null =>
    nextFiring(id, { ...timing, zone: timing.zone ?? ownZone() }, clock.now());

  return {
    list(agent, text) {
      const schedules = readFrom(text);
      return schedules.length === 0 ? 'None.' : schedules.map((each) => describe(agent, each)).join('\n');
    },
    change(agent, text, change) {
      const zone = change.zone ?? ownZone();
      const named = change.create?.['timezone'];
      const wall = typeof named === 'string' ? named : zone;
      const asked = change.create === null ? null : withMoment(change.create, clock.now(), wall);
      if (asked !== null && !asked.ok) return asked;
      const create = asked === null ? null : withZone(asked.create, zone);
      const edited = editSchedules(text, { ...change, create });
      if (!edited.ok) return { ok: false, error: sentence(edited.error) };
      const path = `agents/${agent}/AGENT.md`;
      const name = change.create?.['name'];
      const own = `schedules.${readFrom(edited.text).findIndex((each) => each.name === name)}.`;
      // What would only be a warning in the file can still be put right by who asks for it.
      const wrong = reader
        .check(path, new TextEncoder().encode(edited.text), settings)
        .find(({ severity, key }) => severity === 'error' || (key.startsWith(own) && key.endsWith('.to')));
      if (wrong) return { ok: false, error: sentence(`${lastKey(wrong.key)} ${wrong.message}`.trim()) };
      const made = readFrom(edited.text).find((each) => each.name === name);
      if (made && nextOf(scheduleId(agent, made.name), made.timing) === null)
        return { ok: false, error: `"${made.name}" would never fire: ${whenText(made.timing)} is over.` };
      const said = [
        ...(change.remove === null ? [] : [`${change.remove} is removed.`]),
        ...(made ? [`Made ${describe(agent, made)}`] : []),
        // Read before the approval and after it: the answer comes when that has been given.
        'It applies once the owner approves it, who is asked before this answer is delivered.',
      ];
      return { ok: true, text: edited.text, said: said.join('\n') };
    },
  };
}

/** With the moment that `in` means from now, which a file can only name as such. */
function withMoment(
  create: { [key: string]: Json },
  now: number,
  zone: string,
): { ok: true; create: { [key: string]: Json } } | { ok: false; error: string } {
  const { in: span, ...rest } = create;
  if (span === undefined || span === null) return { ok: true, create: rest };
  const ms = typeof span === 'string' ? readSpan(span) : null;
  if (ms === null || ms < 1000 || ms > LONGEST)
    return { ok: false, error: '"in" must be a time from now such as 30m, 2h or 3d, of 1s to 366d.' };
  const others = ['cron', 'every', 'at'].filter((key) => (rest[key] ?? null) !== null);
  if (others.length > 0) return { ok: false, error: `"in" is a time of its own: leave out ${others.join(' and ')}.` };
  const moment = Math.ceil((now + ms) / 1000) * 1000;
  const wall = openWall(zone);
  const shown = wall?.at(moment) ?? moment;
  // In an hour that comes twice only its offset tells which one is meant.
  const at = (wall?.instant(shown) ?? moment) === moment ? iso(shown) : `${iso(moment)}Z`;
  const { name, task, run, ...more } = rest;
  const work = { ...(task === undefined ? {} : { task }), ...(run === undefined ? {} : { run }) };
  return { ok: true, create: { ...(name === undefined ? {} : { name }), at, ...more, ...work } };
}

const iso = (ms: number): string => new Date(ms).toISOString().slice(0, 19);

/** Where a clock on the wall decides, its zone stands in the file: that of the network may change, and the person who approves sees it. */
function withZone(create: { [key: string]: Json }, zone: string): { [key: string]: Json } {
  const { timezone, every, at, activeHours, until } = create;
  const byTheWall = every === undefined || activeHours !== undefined || until !== undefined;
  const ownOffset = typeof at === 'string' && /(?:Z|[+-]\d\d:?\d\d)$/i.test(at);
  if (timezone !== undefined || !byTheWall || ownOffset) return create;
  const { task, run, ...rest } = create;
  const work = { ...(task === undefined ? {} : { task }), ...(run === undefined ? {} : { run }) };
  return { ...rest, timezone: zone, ...work };
}

/** `schedules.3.cron` is the model's `cron`. */
const lastKey = (key: string): string => key.replace(/^schedules\.\d+\.?/, '');
