import { entriesOf, eventsOf, type Played } from './record.ts';

export interface Counts {
  /** Milliseconds since the epoch: of the beginning, the end, and when clocks were put. */
  from: number;
  to: number;
  switchAt: number;
  tasks: Record<string, number>;
  firings: number;
  /** Firings that nobody was there for, or that stood behind another one. */
  missed: number;
  handOvers: number;
  /** Levels of chains that were reached. */
  escalations: number;
  waits: number;
  landings: number;
  conflicts: number;
  messages: number;
  replies: number;
  /** Processes that were killed, providers that failed and so on; by kind. */
  faults: Record<string, number>;
  events: number;
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
    handOvers: eventsOf(played, 'conversation.moved').length,
    escalations: eventsOf(played, 'escalation.reached').length,
    waits: eventsOf(played, 'tasks.awaited').length,
    landings: eventsOf(played, 'landing.finished').filter(({ data }) => data.commit !== null).length,
    conflicts: eventsOf(played, 'landing.conflicted').length,
    messages: eventsOf(played, 'message.received').length,
    replies: entriesOf(played, 'arrived').length,
    faults: tally([...entriesOf(played, 'fault').map(({ fault }) => fault), 'clock: summer time']),
    events: played.events.length,
  };
}
