import { durationText } from '../../core/text/duration.ts';
import { eventSeq } from '../../core/ids.ts';
import type { Reads } from '../../core/ports/store.ts';
import { limitText, sourceText, type TriggerFiring, type TriggerState } from '../../core/trigger.ts';
import { describe } from '../../journal/words.ts';
import { hookSecret, type ReadSecret } from './hook-secret.ts';
import type { Outcome, Standing } from './standing.ts';

/** How a trigger stands, in words. */
export async function stateOf(
  { store, secret }: { store: Reads; secret: ReadSecret },
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
export async function firingOf(store: Reads, event: Outcome): Promise<TriggerFiring> {
  const { first, count } = event.data;
  const cause = first === null ? null : await store.event(first);
  const common = { at: event.at, cause: first, count };
  const what = cause === null ? '' : `${cause.actor.replace(/^person:/, '')} ${describe(cause, new Map())}`;
  if (event.type === 'trigger.skipped') {
    const { detail } = event.data;
    const why = detail === null ? null : await textOf(store, detail.hash);
    return { ...common, what, task: null, status: event.data.why, why, by: null };
  }
  const task = await store.task(event.data.task);
  const status = task?.status ?? 'unknown';
  return { ...common, what, task: event.data.task, status, why: null, by: event.data.by };
}

async function textOf(store: Reads, hash: string): Promise<string | null> {
  const bytes = await store.getBlob({ hash });
  return bytes === null ? null : ((JSON.parse(Buffer.from(bytes).toString('utf8')) as { text?: string }).text ?? null);
}

/** Deliveries to its hook that came to nothing: no condition held. `outcomes`: what is on record of the others. */
export async function unmatched(
  store: Reads,
  { trigger: { source }, from, waiting, paused }: Standing,
  { outcomes, limit }: { outcomes: readonly Outcome[]; limit: number },
): Promise<TriggerFiring[]> {
  if (source.on !== 'webhook' || paused) return [];
  const spans = outcomes.map(({ data: { first, last } }) => [eventSeq(first ?? '') ?? 0, eventSeq(last ?? '') ?? 0]);
  if (waiting !== null) spans.push([waiting.burst.first.seq, waiting.burst.last.seq]);
  // Of what is older than the outcomes that were read nobody knows here what became of it.
  const oldest = outcomes.length < limit ? from : Math.min(...spans.map(([first = 0]) => first));
  const found: TriggerFiring[] = [];
  for await (const event of store.read({ types: ['webhook.received'], after: oldest, reverse: true })) {
    if (event.type !== 'webhook.received' || event.data.hook !== source.hook) continue;
    if (found.length >= limit) break;
    if (spans.some(([first = 0, last = 0]) => event.seq >= first && event.seq <= last)) continue;
    const what = `${event.actor} ${describe(event, new Map())}`;
    const common = { at: event.at, cause: event.id, what, count: 1, task: null, by: null };
    found.push({ ...common, status: 'no match', why: 'its condition does not hold' });
  }
  return found;
}
