import { timesOf, type When, whenYaml } from './calendar.ts';
import type { Report } from './invariants.ts';
import type { PlannedSchedule } from './plan.ts';
import { entriesOf, eventsOf, type Played } from './record.ts';

/** Milliseconds before the end in which a firing may not have been seen yet. */
const SLACK = 10_000;

const iso = (time: number): string => new Date(time).toISOString();

/** Holds what fired against times that are reckoned here, from the plan. */
export function checkFirings(played: Played, report: Report): void {
  for (const [index, schedule] of played.plan.schedules.entries()) checkSchedule(played, index, schedule, report);
  const real = new Map(entriesOf(played, 'fired').map((entry) => [`${entry.schedule}@${entry.at}`, entry]));
  for (const { id, data } of eventsOf(played, 'schedule.fired')) {
    const entry = real.get(`${data.schedule}@${data.at}`);
    // A kill may have come between the commit and the note of it.
    if (entry === undefined || entry.wall >= data.at) continue;
    const look = 'log --type schedule.';
    report({
      invariant: 'firing-early',
      about: id,
      expected: `not before ${iso(data.at)}`,
      found: iso(entry.wall),
      look,
    });
  }
}

function checkSchedule(played: Played, index: number, schedule: PlannedSchedule, report: Report): void {
  const id = `${schedule.agent}/${schedule.name}`;
  const say = (about: string, expected: string, found: string): void =>
    report({ invariant: 'firing-once', about: `${id} ${about}`, expected, found, look: 'log --type schedule.' });
  const edits = played.plan.acts.flatMap((act) =>
    act.do === 'reschedule' && act.schedule === index ? [act.when] : [],
  );
  const timings: When[] = [schedule.when, ...edits];
  const sets = eventsOf(played, 'schedule.set').filter(({ data }) => data.schedule === id);
  if (sets.length !== timings.length) say('settings', `${timings.length}`, `${sets.length}`);
  const end = (entriesOf(played, 'closed').at(-1)?.wall ?? 0) - SLACK;
  // Clocks that were put forward have shown later times than the last one.
  const latest = Math.max(end, ...played.world.map(({ wall }) => wall));
  const expected = sets.flatMap(({ data: { anchor } }, n) => {
    const when = timings[n];
    return when === undefined ? [] : timesOf(when, anchor, Math.min(latest, sets[n + 1]?.data.anchor ?? latest));
  });
  const decided = [
    ...eventsOf(played, 'schedule.fired')
      .filter(({ data }) => data.schedule === id && data.by === null)
      .map((event) => ({ at: event.data.at, covers: event.data.missed + 1, event: event.id })),
    ...eventsOf(played, 'schedule.skipped')
      .filter(({ data }) => data.schedule === id)
      .map((event) => ({ at: event.data.at, covers: event.data.count, event: event.id })),
  ].sort((a, b) => a.at - b.at);
  let next = 0;
  for (const { at, covers, event } of decided) {
    const place = expected.indexOf(at);
    if (place < 0) say(event, `a time of ${whenYaml(schedule.when)}`, iso(at));
    else if (place - covers + 1 < next) say(event, `one fate for ${iso(at)}`, 'a second one');
    else if (place - covers + 1 > next)
      say(event, `a fate for ${iso(expected[next] ?? 0)}`, `nothing before ${iso(at)}`);
    if (place >= 0) next = place + 1;
  }
  for (const time of expected.slice(next))
    if (time + schedule.jitter <= end) say('', `a fate for ${iso(time)}`, 'nothing');
}
