import { MINUTE } from './calendar.ts';
import type { Report } from './invariants.ts';
import { eventsOf, type Played } from './record.ts';

/** Milliseconds in which a deadline that has gone by may not have been seen. */
const SEEN = 2 * MINUTE;

/** What was given along with a task: files, and a time by which it had to end. */
export function checkHanded(played: Played, report: Report): void {
  checkArtefacts(played, report);
  checkLate(played, report);
}

function checkArtefacts(played: Played, report: Report): void {
  const { plan, orderOf, tasks, text } = played;
  const taskOf = new Map(eventsOf(played, 'run.started').map(({ data }) => [`run:${data.run}`, data.task]));
  const shown = Map.groupBy(eventsOf(played, 'tool.returned'), ({ stream }) => taskOf.get(stream) ?? '');
  for (const { id, status } of tasks) {
    const reads = plan.orders[orderOf(id) ?? '']?.reads;
    if (reads === undefined || status !== 'done') continue;
    const texts = (shown.get(id) ?? []).map(({ data }) => text(data.result));
    if (texts.length === 0 || !texts.every((each) => each.includes(reads)))
      report({
        invariant: 'artefacts',
        about: id,
        expected: `that it has read "${reads}"`,
        found: texts.join('; ').slice(0, 300) || 'nothing',
        look: `log --task ${id}`,
      });
  }
}

function checkLate(played: Played, report: Report): void {
  const late = Map.groupBy(eventsOf(played, 'task.late'), ({ data }) => data.task);
  const matters = Map.groupBy(eventsOf(played, 'matter.raised'), ({ data }) => `${data.kind} ${data.about}`);
  const ends = new Map(eventsOf(played, 'task.finished').map(({ at, data }) => [data.task, at]));
  const begins = new Map(eventsOf(played, 'task.queued').map(({ at, data }) => [data.task.id, at]));
  for (const { id, deadline } of played.tasks) {
    const say = (expected: string, found: string): void =>
      report({ invariant: 'late-once', about: id, expected, found, look: `log --task ${id}` });
    const noted = late.get(id)?.length ?? 0;
    const raised = matters.get(`deadline ${id}`)?.length ?? 0;
    if (noted !== raised) say(`${noted} matters of it`, `${raised}`);
    if (deadline === null) {
      if (noted > 0) say('no deadline', 'one that was missed');
      continue;
    }
    // What is tried again may be late from its beginning.
    const over = (ends.get(id) ?? Infinity) - Math.max(deadline, begins.get(id) ?? 0);
    if (noted > 1 || (noted === 0 && over > SEEN)) say('that it is late, once', `${noted} times`);
    if (noted > 0 && over <= 0) say('that it was in time', 'that it was late');
  }
}
