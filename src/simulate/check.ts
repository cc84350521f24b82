import { isEnded } from '../core/task.ts';
import { checkCauses } from './check-causes.ts';
import { checkEscalations } from './check-escalations.ts';
import { checkFirings } from './check-firings.ts';
import { checkFiles } from './check-files.ts';
import { checkTasks, checkHanded } from './check-tasks.ts';
import type { Report, Violation } from './invariants.ts';
import { entriesOf, eventsOf, type Played } from './record.ts';

export function check(played: Played): Violation[] {
  const found: Violation[] = [];
  const report: Report = (violation) => void found.push(violation);
  checkFirings(played, report);
  checkCauses(played, report);
  checkTasks(played, report);
  checkHanded(played, report);
  checkFiles(played, report);
  checkReplies(played, report);
  checkStrays(played, report);
  checkAnswers(played, report);
  checkEscalations(played, report);
  for (const { event, where, message } of played.verified.findings)
    report({
      invariant: 'verify',
      about: event ?? where,
      expected: 'nothing to find',
      found: `${where}: ${message}`,
      look: 'verify',
    });
  return found;
}

/** What a model said, or that it could not: anything else is a question, or a word of the runtime's own. */
const isReply = (text: string): boolean => text.startsWith('done ') || text.startsWith('I could not finish');

/** By what arrived at the person, and not by what the runtime says it sent. */
function checkReplies(played: Played, report: Report): void {
  const arrived = Map.groupBy(
    entriesOf(played, 'arrived').filter(({ asks, text }) => asks === null && isReply(text)),
    ({ to }) => to,
  );
  const { messages } = played.plan;
  const taken = new Set(entriesOf(played, 'taken').map(({ message }) => message));
  for (const { id, chat, order } of messages) {
    if (!taken.has(id)) continue;
    const here = arrived.get(`${chat}/${id}`) ?? [];
    const keys = Map.groupBy(here, ({ key }) => key);
    const about = { invariant: 'reply-once', about: id, look: 'log --type message.' } as const;
    const failed = here.filter(({ text }) => text.startsWith('I could not finish')).length;
    // Each further try of what was dead has a reply of its own.
    const tries = [...played.tasks].filter((task) => played.orderOf(task.id) === order && isEnded(task.status)).length;
    if (keys.size !== Math.max(1, tries) || failed > keys.size)
      report({ ...about, expected: `${Math.max(1, tries)} reply to ${order}`, found: `${keys.size}` });
    // A run may have taken in a later message of its chat: both get its answer.
    const fit = messages.filter((each) => each.chat === chat).map((each) => `done ${each.order} `);
    for (const { text } of here)
      if (text.startsWith('done ') && !fit.some((begin) => text.startsWith(begin)))
        report({ ...about, expected: `a reply to ${order}`, found: text.slice(0, 200) });
    for (const [key, sends] of keys)
      for (const again of sends.slice(1))
        if (!again.again) report({ ...about, expected: `a repeat of ${key} that says so`, found: 'one that does not' });
  }
}

/** A reply that nobody waits for. */
function checkStrays(played: Played, report: Report): void {
  const known = new Set(played.plan.messages.map(({ chat, id }) => `${chat}/${id}`));
  for (const { to, key, asks, text } of entriesOf(played, 'arrived'))
    if (asks === null && isReply(text) && !known.has(to))
      report({
        invariant: 'reply-once',
        about: key,
        expected: 'a message that it replies to',
        found: `it went to ${to}`,
        look: 'log --type message.',
      });
}

function checkAnswers(played: Played, report: Report): void {
  const done = new Set([
    ...eventsOf(played, 'approval.answered').map(({ data }) => data.approval),
    ...eventsOf(played, 'question.answered').map(({ data }) => data.question),
    ...eventsOf(played, 'matter.settled').map(({ data }) => data.matter),
  ]);
  const asked = [
    ...eventsOf(played, 'approval.asked').map(({ data, stream }) => ({ id: data.approval, stream })),
    ...eventsOf(played, 'question.asked').map(({ data, stream }) => ({ id: data.question, stream })),
    ...eventsOf(played, 'matter.raised').map(({ data, stream }) => ({ id: data.matter, stream })),
  ];
  for (const { id, stream } of asked)
    if (!done.has(id))
      report({
        invariant: 'answered',
        about: id,
        expected: 'an answer: the person gave one',
        found: 'none on record',
        look: stream.startsWith('run:') ? `log --run ${stream.slice(4)}` : 'approvals',
      });
}
