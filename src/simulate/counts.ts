import { timesOf } from './calendar.ts';
import { TRIGGERS } from './causes.ts';
import type { Act, Plan } from './plan.ts';
import { entriesOf, eventsOf, type Played } from './record.ts';

export interface Planned {
  messages: number;
  webhooks: number;
  /** Pieces of work, beside what schedules and triggers make. */
  orders: number;
  firings: number;
  faults: number;
}

export interface Counts {
  /** Milliseconds since the epoch: of the beginning, the end, and when clocks were put. */
  from: number;
  to: number;
  switchAt: number;
  tasks: Record<string, number>;
  firings: number;
  /** Firings that nobody was there for, or that stood behind another one. */
  missed: number;
  /** Firings of triggers, causes that were let go, and webhooks that were taken. */
  triggered: number;
  skipped: number;
  webhooks: number;
  /** Deadlines that were missed. */
  late: number;
  handOvers: number;
  /** Levels of chains that were reached. */
  escalations: number;
  waits: number;
  landings: number;
  conflicts: number;
  /** Files that were put into inboxes, and those that were put aside. */
  files: number;
  rejected: number;
  messages: number;
  replies: number;
  /** Processes that were killed, providers that failed and so on; by kind. */
  faults: Record<string, number>;
  events: number;
  /** What the seed alone decides: what comes from outside, and what is done to it. */
  planned: Planned;
}

const tally = (names: readonly string[]): Record<string, number> => {
  const count: Record<string, number> = {};
  for (const name of names.toSorted()) count[name] = (count[name] ?? 0) + 1;
  return count;
};

export function countPlay(played: Played): Counts {
  const { plan } = played;
  const fired = eventsOf(played, 'schedule.fired');
  const skipped = eventsOf(played, 'schedule.skipped');
  return {
    from: plan.start,
    to: plan.end,
    switchAt: plan.switchAt,
    tasks: tally(played.tasks.flatMap(({ queue, status }) => (queue === 'outbox' ? [] : [status]))),
    firings: fired.length,
    missed:
      fired.reduce((sum, { data }) => sum + data.missed, 0) + skipped.reduce((sum, { data }) => sum + data.count, 0),
    triggered: eventsOf(played, 'trigger.fired').length,
    skipped: eventsOf(played, 'trigger.skipped').length,
    webhooks: eventsOf(played, 'webhook.received').length,
    late: eventsOf(played, 'task.late').length,
    handOvers: eventsOf(played, 'conversation.moved').length,
    escalations: eventsOf(played, 'escalation.reached').length,
    waits: eventsOf(played, 'tasks.awaited').length,
    landings: eventsOf(played, 'landing.finished').filter(({ data }) => data.commit !== null).length,
    conflicts: eventsOf(played, 'landing.conflicted').length,
    files: plan.acts.filter((act) => act.do === 'drop' || act.do === 'bad').length,
    rejected: eventsOf(played, 'task.rejected').length,
    messages: eventsOf(played, 'message.received').length,
    replies: entriesOf(played, 'arrived').length,
    faults: tally([...entriesOf(played, 'fault').map(({ fault }) => fault), 'clock: summer time']),
    events: played.events.length,
    planned: plannedOf(plan),
  };
}

export function plannedOf(plan: Plan): Planned {
  const { messages, hooks, orders, schedules, acts, outages } = plan;
  const own = new Set([...schedules, ...TRIGGERS].map(({ order }) => order));
  const repeats = [...messages, ...hooks].reduce((sum, { again }) => sum + again.length, 0);
  const unsent = messages.filter(({ send }) => send !== 'ok').length;
  return {
    messages: messages.length,
    webhooks: hooks.length,
    orders: Object.keys(orders).filter((order) => !own.has(order)).length,
    firings: schedules.flatMap((_, index) => plannedTimes(plan, index)).length,
    faults: acts.filter((act) => FAULTS.has(act.do)).length + outages.length + repeats + unsent + 1,
  };
}

/** When a schedule would fire if nothing went wrong, its edits included. */
function plannedTimes({ schedules, acts, start, end }: Plan, index: number): number[] {
  const edits = acts.flatMap((act) => (act.do === 'reschedule' && act.schedule === index ? [act] : []));
  const timings = [{ at: start, when: schedules[index]?.when ?? { everyMs: Infinity } }, ...edits];
  return timings.flatMap(({ at, when }, n) => timesOf(when, at, timings[n + 1]?.at ?? end));
}

/** Acts that are faults; putting clocks to summer time is one more. */
const FAULTS: ReadonlySet<Act['do']> = new Set(['kill', 'full', 'jump', 'edit', 'bad', 'stage', 'rebase', 'sleep']);
