import type { BlobRef } from '../../core/blob.ts';
import type { EscalationState } from '../../core/escalation.ts';
import { answeredKey, askedKey } from '../../core/records/matter.ts';
import type { Reads } from '../../core/ports/store.ts';
import { OUTBOX } from '../../core/records/reply.ts';
import type { Pending } from '../../core/api/runtime.ts';
import { climbOf, type Escalation, type TimeOf } from './standing.ts';
import { nextDue } from './plan.ts';

/** Of a blob with a text; null if it is gone. */
async function textOf(store: Reads, ref: BlobRef): Promise<string | null> {
  const bytes = await store.getBlob(ref);
  return bytes === null ? null : ((JSON.parse(Buffer.from(bytes).toString('utf8')) as { text?: string }).text ?? null);
}

/** What was asked: it is told also when nothing waits any more. */
async function askedText(store: Reads, about: string): Promise<string> {
  const asked = await store.byKey(askedKey(about));
  const ref =
    asked?.type === 'approval.asked' || asked?.type === 'config.held'
      ? asked.data.shown
      : asked?.type === 'question.asked' || asked?.type === 'matter.raised'
        ? asked.data.text
        : null;
  return ref === null ? '' : ((await textOf(store, ref)) ?? '(erased)');
}

async function answeredBy(store: Reads, about: string): Promise<string | null> {
  const answer = await store.byKey(answeredKey(about));
  const known =
    answer?.type === 'approval.answered' || answer?.type === 'question.answered' || answer?.type === 'matter.settled';
  return known ? answer.data.by : null;
}

/** An escalation as people look at it. */
export async function stateOf(
  { store, pending }: { store: Reads; pending(id: string): Promise<Pending | null> },
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
      const given = by === null ? null : await store.task(by);
      const answer = given?.agent && given.queue !== OUTBOX && given.result ? await textOf(store, given.result) : null;
      const status = given?.status ?? null;
      levels.push({ to, due, reached: { at: event.at, outcome, why, task: by, status, answer } });
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
    ended: ended === null ? null : { at: ended.at, why: ended.data.why, by: await answeredBy(store, about) },
    text: waits?.text ?? (await askedText(store, about)),
    pending: waits === null ? null : { text: waits.text, reason: waits.reason },
  };
}
