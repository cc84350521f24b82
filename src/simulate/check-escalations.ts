import { MINUTE } from './calendar.ts';
import type { Report } from './invariants.ts';
import { FIRST } from './network.ts';
import { entriesOf, eventsOf, type Played } from './record.ts';

/** How long after its time a level may be reached: the longest time in which no process is there, and some. */
const LATE = 25 * MINUTE;

/** What waited went up its chain, as the journal and the scripted channel tell. */
export function checkEscalations(played: Played, report: Report): void {
  const ended = new Map(eventsOf(played, 'escalation.ended').map((event) => [event.data.escalation, event]));
  const acknowledged = new Map(
    eventsOf(played, 'escalation.acknowledged').map((event) => [event.data.escalation, event]),
  );
  const reached = Map.groupBy(eventsOf(played, 'escalation.reached'), ({ data }) => data.escalation);
  const started = eventsOf(played, 'escalation.started');
  const arrived = arrivedIn(played);
  const messages = new Map(played.tasks.map(({ id, cause }) => [id, cause ?? '']));
  for (const { data } of started) {
    const { escalation: id, levels, from } = data;
    const say = (expected: string, found: string): void =>
      report({ invariant: 'escalated', about: id, expected, found, look: 'log --type escalation.' });
    const list = reached.get(id) ?? [];
    for (const [n, event] of list.entries()) {
      if (event.data.level !== n) say(`level ${n} next`, `level ${event.data.level}`);
      const due = from + (levels[event.data.level]?.after ?? 0);
      if (event.at < due && list[n - 1]?.data.outcome !== 'unreachable') say(`level ${n} at ${due}`, `${event.at}`);
      const { to, outcome, task } = event.data;
      if (outcome === 'told' && to.startsWith('chat:') && !arrived.has(messages.get(task ?? '') ?? ''))
        say(`that ${to} was told of level ${n}`, 'that nothing arrived there');
      for (const end of [ended.get(id), acknowledged.get(id)])
        if (end && end.seq < event.seq) say(`no level after ${end.id}`, `${event.id} reaches one`);
    }
    if (!ended.has(id) && list.length < levels.length && !acknowledged.has(id))
      say('an end, or its top', `level ${list.length} of ${levels.length}, and it still waits`);
  }
  checkBegun(played, new Set(started.map(({ data }) => data.about)), report);
  checkSent(played, report);
}

/** What waited for long went up its chain at all. */
function checkBegun(played: Played, begun: ReadonlySet<string>, report: Report): void {
  const answers = new Map<string, number>();
  for (const event of played.events) {
    if (event.type === 'approval.answered') answers.set(event.data.approval, event.at);
    if (event.type === 'question.answered') answers.set(event.data.question, event.at);
    if (event.type === 'matter.settled') answers.set(event.data.matter, event.at);
  }
  const tasks = new Map(played.tasks.map((task) => [task.id, task]));
  // What an escalation has given to an agent, and what came of that, goes up no further chain: it would never end.
  const isOwn = (id: string | undefined): boolean => {
    const task = tasks.get(id ?? '');
    return task !== undefined && (task.from.startsWith('escalation:') || isOwn(task.origin?.parent));
  };
  for (const event of played.events) {
    if (event.type === 'matter.raised' && event.data.kind === 'dead' && isOwn(event.data.about)) continue;
    const id =
      event.type === 'approval.asked'
        ? event.data.approval
        : event.type === 'question.asked'
          ? event.data.question
          : event.type === 'matter.raised'
            ? event.data.matter
            : null;
    if (id === null || begun.has(id) || (answers.get(id) ?? Infinity) - event.at < FIRST + LATE) continue;
    const look = 'log --type escalation.';
    report({ invariant: 'escalated', about: id, expected: 'that it goes up its chain', found: 'it does not', look });
  }
}

const arrivedIn = (played: Played): ReadonlySet<string> =>
  new Set(entriesOf(played, 'arrived').map(({ key }) => key.replace(/\.\d+$/, '')));

/** What the outbox says it has sent did arrive. */
function checkSent(played: Played, report: Report): void {
  const arrived = arrivedIn(played);
  const sends = new Map(
    played.events.flatMap((event) =>
      event.type === 'message.sent' && event.data.channel === 'chat' ? [[event.data.message, event.id] as const] : [],
    ),
  );
  for (const [message, event] of sends)
    if (!arrived.has(message))
      report({
        invariant: 'reply-once',
        about: message,
        expected: `that it arrived, as ${event} says`,
        found: 'the platform knows nothing of it',
        look: 'log --type message.',
      });
}
