import { durationText } from '../core/duration.ts';
import type { Store } from '../core/ports.ts';
import { limitText, sourceText, type TriggerFiring, type TriggerState } from '../core/trigger.ts';
import { describe } from '../journal/words.ts';
import { hookSecret, type ReadSecret } from './hook-secret.ts';
import type { Outcome, Standing } from './trigger-past.ts';

/** How a trigger stands, in words. */
export async function stateOf(
  { store, secret }: { store: Store; secret: ReadSecret },
  standing: Standing,
): Promise<TriggerState> {
  const { id, agent, trigger, paused, waiting, last } = standing;
  const { name, source, when, debounce, limit, work } = trigger;
  const known = source.on === 'webhook' ? await hookSecret(source.auth.secret, source.hook, secret) : null;
  return {
    id,
    agent,
    name,
    ...(known === null || known.ok ? {} : { note: known.why }),
    on: sourceText(source),
    when,
    debounce: debounce === 0 ? null : durationText(debounce),
    limit: limit === null ? null : limitText(limit),
    does: work.kind === 'run' ? `run: ${work.command}` : work.text,
    paused,
    waiting: waiting === null ? null : { count: waiting.burst.count, due: waiting.due },
    last: last === null ? null : await firingOf(store, last),
  };
}

/** What came of one cause, or a burst of them. */
export async function firingOf(store: Store, event: Outcome): Promise<TriggerFiring> {
  const { first, count } = event.data;
  const cause = first === null ? null : await store.event(first);
  const common = { at: event.at, cause: first, count };
  const what = cause === null ? '' : `${cause.actor.replace(/^person:/, '')} ${describe(cause, new Map())}`;
  if (event.type === 'trigger.skipped') return { ...common, what, task: null, status: event.data.why, by: null };
  const task = await store.task(event.data.task);
  return { ...common, what, task: event.data.task, status: task?.status ?? 'unknown', by: event.data.by };
}
