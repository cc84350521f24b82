import type { EscalationState } from '../core/escalation.ts';
import type { Store } from '../core/ports.ts';
import type { Pending } from '../core/runtime.ts';
import { climbOf, type Escalation, type TimeOf } from './escalation-past.ts';
import { nextDue } from './escalation-plan.ts';

/** An escalation as people look at it. */
export async function stateOf(
  { store, pending }: { store: Store; pending(id: string): Promise<Pending | null> },
  escalation: Escalation,
  { timeOf, now, since }: { timeOf: TimeOf; now: number; since: number },
): Promise<EscalationState> {
  const { id, started, reached, acknowledged, ended } = escalation;
  const { about, kind, chain, task, agent, from } = started.data;
  const climb = await climbOf(store, escalation, timeOf);
  const waits = ended === null ? await pending(about) : null;
  const levels: EscalationState['levels'] = [];
  for (const [index, { to, after }] of started.data.levels.entries()) {
    const event = reached[index];
    const due = climb.from + after;
    if (event === undefined) levels.push({ to, due, reached: null });
    else {
      const { outcome, why, task: by } = event.data;
      const status = by === null ? null : ((await store.task(by))?.status ?? null);
      levels.push({ to, due, reached: { at: event.at, outcome, why, task: by, status } });
    }
  }
  return {
    id,
    about,
    kind,
    chain,
    task,
    agent,
    from,
    levels,
    next: ended === null ? nextDue(climb, { now, since }) : null,
    acknowledged: acknowledged === null ? null : { at: acknowledged.at, by: acknowledged.actor },
    ended: ended === null ? null : { at: ended.at, why: ended.data.why },
    pending: waits === null ? null : { text: waits.text, reason: waits.reason },
  };
}
