import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Event } from '../core/event.ts';
import { isEnded, type Task } from '../core/task.ts';
import { MINUTE } from './calendar.ts';
import type { Report } from './invariants.ts';
import { entriesOf, eventsOf, type Played } from './record.ts';

/** Milliseconds in which a deadline that has gone by may not have been seen. */
const SEEN = 2 * MINUTE;

/** How long after a time without models a task may still die of it. */
const AFTER = 10 * MINUTE;

export function checkTasks(played: Played, report: Report): void {
  const { tasks, orderOf, plan } = played;
  const own = tasks.filter(({ queue }) => queue !== 'outbox');
  const byOrder = Map.groupBy(own, ({ id }) => orderOf(id) ?? '');
  const retried = (order: string): number =>
    (byOrder.get(order) ?? []).filter(({ status }) => status === 'dead').length;
  const taken = new Set(entriesOf(played, 'taken').map(({ message }) => message));
  for (const { id, order } of plan.messages) {
    const about = byOrder.get(order) ?? [];
    const expected = 1 + retried(order);
    // What died last may not have been tried again yet.
    if (about.length === expected || (about.length > 0 && about.length === expected - 1)) continue;
    const found = `${about.length} (${about.map((task) => task.id).join(', ')})${taken.has(id) ? '' : ', and the platform was never told that it arrived'}`;
    report({
      invariant: 'message-once',
      about: id,
      expected: `${expected} task of ${order}`,
      found,
      look: 'log --type message.received',
    });
  }
  checkGiven(played, byOrder, report);
  checkDropped(played, byOrder, report);
  checkRejected(played, report);
  checkOrigins(played, own, report);
  checkEnds(played, report);
  checkResults(played, report);
}

/** Each run that has done its work gave every piece of it to somebody, once. */
function checkGiven(played: Played, byOrder: Map<string, Played['tasks']>, report: Report): void {
  const { plan, orderOf } = played;
  const taskOf = new Map(eventsOf(played, 'run.started').map(({ data }) => [`run:${data.run}`, data.task]));
  const created = Map.groupBy(eventsOf(played, 'task.created'), ({ stream }) => taskOf.get(stream) ?? '');
  for (const [order, tasks] of byOrder) {
    const children = plan.orders[order]?.children ?? [];
    for (const { id, status } of tasks) {
      if (status !== 'done') continue;
      const made = (created.get(id) ?? []).map(({ data }) => orderOf(data.child) ?? data.child);
      if (made.toSorted().join() === children.toSorted().join()) continue;
      const say = (list: readonly string[]): string => `the work ${list.join(', ') || '(none)'}`;
      report({
        invariant: 'order-once',
        about: id,
        expected: say(children),
        found: say(made),
        look: `log --task ${id}`,
      });
    }
  }
  const known = new Set(played.tasks.map(({ id }) => id));
  const fired = new Set<string>();
  for (const { id, data } of eventsOf(played, 'schedule.fired')) {
    if (known.has(data.task) && !fired.has(data.task)) fired.add(data.task);
    else
      report({
        invariant: 'order-once',
        about: id,
        expected: `one task ${data.task}`,
        found: 'none, or another firing has it',
        look: `log --task ${data.task}`,
      });
  }
}

function checkDropped({ plan }: Played, byOrder: Map<string, Played['tasks']>, report: Report): void {
  // One whose place another has taken may have been taken in before, or not.
  const replaced = new Set(plan.acts.flatMap((act) => (act.do === 'drop' ? (act.replaces ?? []) : [])));
  for (const act of plan.acts) {
    if (act.do !== 'drop') continue;
    const found = byOrder.get(act.order) ?? [];
    const expected = 1 + found.filter(({ status }) => status === 'dead').length;
    if (found.length === 0 && replaced.has(act.order)) continue;
    if (found.length !== expected)
      report({
        invariant: 'order-once',
        about: `tasks/${act.queue}/inbox/${act.file}`,
        expected: `${expected} task`,
        found: `${found.length}`,
        look: 'tasks list',
      });
  }
}

function checkRejected(played: Played, report: Report): void {
  const { plan, text, workspace } = played;
  const told = eventsOf(played, 'task.rejected');
  const say = (about: string, expected: string, found: string): void =>
    report({ invariant: 'rejected-once', about, expected, found, look: 'log --type task.rejected' });
  const said = ({ data }: (typeof told)[number]): string =>
    (JSON.parse(text(data.detail) || '{"text":""}') as { text: string }).text;
  const known = new Set<string>();
  for (const act of plan.acts) {
    if (act.do !== 'bad') continue;
    const about = `tasks/${act.queue}/inbox/${act.file}`;
    const own = told.filter((each) => each.data.queue === act.queue && said(each).startsWith(`${act.file}: `));
    for (const { id } of own) known.add(id);
    if (own.length !== 1) say(about, 'one word of it', `${own.length}`);
    for (const name of [act.file, `${act.file}.reason.txt`])
      if (lstatSync(join(workspace, 'tasks', act.queue, 'rejected', name), { throwIfNoEntry: false }) === undefined)
        say(about, `${name} in rejected/`, 'it is not there');
  }
  for (const each of told) if (!known.has(each.id)) say(each.id, 'a file that no task can be made of', said(each));
}

/** Nothing is worked on that nobody asked for: each task is named by what made it. */
function checkOrigins({ events }: Played, own: readonly Task[], report: Report): void {
  const made = new Set(events.flatMap((event) => madeBy(event) ?? []));
  for (const { id, from } of own)
    // Files in an inbox leave no event of their own; how many tasks became of them is counted above.
    if (!made.has(id) && !from.startsWith('file:'))
      report({
        invariant: 'order-once',
        about: id,
        expected: 'an event that made it',
        found: `none, and it says it is from ${from}`,
        look: `log --task ${id}`,
      });
}

/** The task that came of an event. */
function madeBy(event: Event): string | null {
  switch (event.type) {
    case 'message.received':
    case 'schedule.fired':
    case 'trigger.fired':
    case 'escalation.reached':
      return event.data.task;
    case 'task.created':
      return event.data.child;
    case 'task.queued':
      return event.key?.startsWith('retry:') ? event.data.task.id : null;
    default:
      return null;
  }
}

function checkEnds(played: Played, report: Report): void {
  const asked = new Set(openQuestions(played).map(({ stream }) => stream));
  const runOf = new Map(eventsOf(played, 'run.started').map(({ data }) => [data.task, `run:${data.run}`]));
  const ends = new Map(eventsOf(played, 'task.finished').map((event) => [event.data.task, event]));
  for (const { id, status, queue } of played.tasks) {
    const look = `log --task ${id}`;
    const owned = status === 'waiting' && asked.has(runOf.get(id) ?? '');
    if (!isEnded(status) && !owned)
      report({
        invariant: 'task-ended',
        about: id,
        expected: 'an end, or a person it waits for',
        found: `it is ${status} in ${queue}`,
        look,
      });
    const end = ends.get(id);
    if (queue === 'outbox' || !isEnded(status) || status === 'done') continue;
    const at = end?.at ?? 0;
    if (!played.plan.outages.some(({ both, from, to }) => both && at >= from && at <= to + AFTER))
      report({
        invariant: 'task-failed',
        about: id,
        expected: 'that it is done',
        found: `${status}: ${played.text(end?.data.result ?? null).slice(0, 200)}`,
        look,
      });
  }
}

/** What a person was asked and has not answered. */
function openQuestions(played: Played): Event[] {
  const done = new Set([
    ...eventsOf(played, 'approval.answered').map(({ data }) => data.approval),
    ...eventsOf(played, 'question.answered').map(({ data }) => data.question),
  ]);
  return [
    ...eventsOf(played, 'approval.asked').filter(({ data }) => !done.has(data.approval)),
    ...eventsOf(played, 'question.asked').filter(({ data }) => !done.has(data.question)),
  ];
}

/** A call that waited for tasks has returned, after all of them, with what each of them said. */
function checkResults(played: Played, report: Report): void {
  const returned = new Map(
    eventsOf(played, 'tool.returned').map((event) => [`${event.stream} ${event.data.call}`, event]),
  );
  const ends = new Map(eventsOf(played, 'task.finished').map((event) => [event.data.task, event]));
  for (const { stream, data } of eventsOf(played, 'tasks.awaited')) {
    const back = returned.get(`${stream} ${data.call}`);
    const look = `log --run ${stream.slice('run:'.length)}`;
    const about = { invariant: 'results', about: `${data.call} of ${stream}`, look } as const;
    if (back === undefined) {
      report({ ...about, expected: `results of ${data.children.join(', ')}`, found: 'it never went on' });
      continue;
    }
    const text = played.text(back.data.result);
    for (const child of data.children) {
      const end = ends.get(child);
      const said = JSON.parse(played.text(end?.data.result ?? null) || '{"text":""}') as { text: string };
      const whole = text.includes(child) && text.includes(JSON.stringify(said.text).slice(1, -1));
      if (end === undefined || end.seq > back.seq || !whole)
        report({ ...about, expected: `the result of ${child}: ${said.text}`, found: text.slice(0, 300) });
    }
  }
}

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
