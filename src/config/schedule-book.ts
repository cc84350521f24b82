import type { Settings } from '../core/agent.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Json } from '../core/text/json.ts';
import type { GovernanceReader } from '../core/ports/governance.ts';
import { type Schedule, type ScheduleBook, scheduleId, whenText } from '../core/schedule.ts';
import { momentIn, nextFiring } from './schedule-words.ts';
import { editSchedules, readFrom } from './schedule-edit.ts';
import { sentence } from '../core/text/sentence.ts';

/** The schedules of an AGENT.md as its agent lists and changes them. */
export function openScheduleBook(options: {
  reader: Pick<GovernanceReader, 'check'>;
  settings: Settings;
  clock: Clock;
  /** The machine's time zone, for schedules that name none. */
  zone(): string;
}): ScheduleBook {
  const { reader, settings, clock, zone: machineZone } = options;
  const describe = (agent: string, { name, timing, work }: Schedule): string => {
    const zone = timing.zone ?? machineZone();
    const what = work.kind === 'run' ? `run: ${work.command}` : work.text;
    const next = nextOf(scheduleId(agent, name), timing);
    const coming = next === null ? 'over' : `next ${momentIn(zone, next)}`;
    return `${name}: ${whenText(timing)} (${zone}), ${coming}\n  ${what}`;
  };
  const nextOf = (id: string, timing: Schedule['timing']): number | null =>
    nextFiring(id, { ...timing, zone: timing.zone ?? machineZone() }, clock.now());

  return {
    list(agent, text) {
      const schedules = readFrom(text);
      return schedules.length === 0 ? 'None.' : schedules.map((each) => describe(agent, each)).join('\n');
    },
    change(agent, text, change) {
      const create = change.create === null ? null : withZone(change.create, machineZone);
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
        'It counts from the approval of the owner, who is asked before this answer is delivered.',
      ];
      return { ok: true, text: edited.text, said: said.join('\n') };
    },
  };
}

/** Where a clock on the wall decides, its zone stands in the file: the machine's may change, and whoever approves sees it. */
function withZone(create: { [key: string]: Json }, machineZone: () => string): { [key: string]: Json } {
  const { timezone, every, at, activeHours, until } = create;
  const byTheWall = every === undefined || activeHours !== undefined || until !== undefined;
  const ownOffset = typeof at === 'string' && /(?:Z|[+-]\d\d:?\d\d)$/i.test(at);
  if (timezone !== undefined || !byTheWall || ownOffset) return create;
  const { task, run, ...rest } = create;
  const work = { ...(task === undefined ? {} : { task }), ...(run === undefined ? {} : { run }) };
  return { ...rest, timezone: machineZone(), ...work };
}

/** `schedules.3.cron` is the model's `cron`. */
const lastKey = (key: string): string => key.replace(/^schedules\.\d+\.?/, '');
