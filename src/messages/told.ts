import type { Governance } from '../core/agent.ts';
import type { EventOf, NewEvent } from '../core/event.ts';
import type { OutboundMessage } from '../core/ports/channel.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { QueueOp, Store } from '../core/ports/store.ts';
import type { HeldMessages } from '../core/api/runtime.ts';
import { addressOf, type Place, quietHoursOf, zoneOfPlace } from '../core/recipient.ts';
import { readJson } from '../core/records/json-blob.ts';
import { OUTBOX, type ReplyContent } from '../core/records/reply.ts';
import { tellerName, toldAddress } from '../core/records/told.ts';
import type { Task } from '../core/task.ts';
import { closes } from '../core/time/hours.ts';
import { openWall, type Wall } from '../core/time/wall.ts';

/** One address is told at most so many messages in so many milliseconds; what comes meanwhile is collected. */
const AT_ONCE = 3;
const SPAN_MS = 60_000;
/** Messages that go out as one, with characters and files of all of them: the rest goes out as a next one. */
const MOST = 20;
const MAX_CHARS = 20_000;
const MAX_FILES = 10;

export interface ToldDeps {
  store: Store;
  clock: Pick<Clock, 'now'>;
  governance(): Pick<Governance, 'settings'>;
  /** The zone by whose clock the network lives, for quiet hours that name none. */
  zone(): string;
}

type Queued = EventOf<'message.queued'>;

const placeOfMessage = ({ data: { channel, to } }: Queued): Place => ({ channel, to });
/** What an address has been told, in the order in which it went out. */
const toldStream = (place: Place): string => `told:${addressOf(place)}`;
const collectedKey = (message: string): string => `collected:${message}`;

/** The end of the address's quiet hours, or of a minute in which it was told enough; null: it can go out now. */
export async function heldUntil(
  deps: ToldDeps,
  queued: Queued,
): Promise<Pick<EventOf<'message.held'>['data'], 'until' | 'why'> | null> {
  const now = deps.clock.now();
  const quiet = quietEnd(deps, placeOfMessage(queued), now);
  if (quiet !== null) return { until: quiet, why: 'quiet' };
  // It has its place among those that went out already.
  if ((await deps.store.byKey(collectedKey(queued.id))) !== null) return null;
  const stream = toldStream(placeOfMessage(queued));
  const last: number[] = [];
  for await (const { at } of deps.store.read({ stream, types: ['message.collected'], reverse: true, limit: AT_ONCE }))
    last.push(at);
  const since = last[AT_ONCE - 1];
  // A clock that was put back is not waited for.
  return since !== undefined && since <= now && since + SPAN_MS > now ? { until: since + SPAN_MS, why: 'many' } : null;
}

/** When the quiet hours of an address end; null outside them. */
export function quietEnd({ governance, zone }: Pick<ToldDeps, 'governance' | 'zone'>, place: Place, now: number) {
  const hours = quietHoursOf(governance().settings, place);
  if (hours === null) return null;
  const wall = openWall(hours.zone ?? zoneOfPlace(governance().settings, place) ?? zone());
  return wall === null ? null : closes(now, wall, hours);
}

/** What waits for people, by address. */
export async function heldMessages(store: Pick<Store, 'tasks'>, now: number): Promise<HeldMessages[]> {
  const held = new Map<string, HeldMessages>();
  for (const task of await store.tasks({ queue: OUTBOX, statuses: ['queued'] })) {
    const to = toldAddress(task);
    if (to === null || task.absorbedBy !== null) continue;
    const before = held.get(to);
    // The first of a lane has the time for all behind it.
    if (before !== undefined) before.count += 1;
    else if (task.notBefore !== null && task.notBefore > now && task.attempt === 1)
      held.set(to, { to, count: 1, until: task.notBefore });
  }
  return [...held.values()];
}

/** Words for the record that a message waits, and its task with them. */
export function holding(
  queued: Queued,
  task: string,
  held: Pick<EventOf<'message.held'>['data'], 'until' | 'why'>,
): { event: NewEvent; queue: QueueOp[] } {
  const data = { message: queued.id, ...placeOfMessage(queued), ...held };
  return {
    event: { type: 'message.held', stream: queued.stream, actor: 'runtime', cause: queued.id, labels: [], data },
    queue: [{ op: 'retry', task, notBefore: held.until, uncounted: true }],
  };
}

/**
 * What goes out with a message, itself first: all that wait for its address, as far as they fit. Settled once: a crash
 * finds the same again.
 */
export async function collect(
  { store }: ToldDeps,
  queued: Queued,
  { id, lane }: Task,
  commit: (events: readonly NewEvent[], queue: QueueOp[]) => Promise<boolean>,
): Promise<Queued[] | null> {
  const known = await store.byKey(collectedKey(queued.id));
  if (known?.type === 'message.collected') {
    const events = await Promise.all(known.data.messages.map((message) => store.event(message)));
    return events.filter((event) => event?.type === 'message.queued');
  }
  const messages = [queued];
  const queue: QueueOp[] = [];
  let room = spaceAfter({ chars: MAX_CHARS, files: MAX_FILES }, await saidIn(store, queued));
  for (const other of await store.tasks({ lane, statuses: ['queued'], limit: MOST })) {
    const event = other.absorbedBy === null && other.cause !== null ? await store.event(other.cause) : null;
    if (event?.type !== 'message.queued' || messages.length >= MOST) continue;
    room = spaceAfter(room, await saidIn(store, event));
    // They keep their order: none goes ahead of one that does not fit.
    if (room.chars < 0 || room.files < 0) break;
    messages.push(event);
    queue.push({ op: 'absorb', task: other.id, into: id });
  }
  const place = placeOfMessage(queued);
  const data = { ...place, messages: messages.map((each) => each.id) };
  const common = { actor: 'runtime', cause: queued.id, labels: [], key: collectedKey(queued.id) };
  const done = await commit([{ ...common, type: 'message.collected', stream: toldStream(place), data }], queue);
  return done ? messages : null;
}

interface Said {
  chars: number;
  files: number;
}

const spaceAfter = (room: Said, said: Said): Said => ({
  chars: room.chars - said.chars,
  files: room.files - said.files,
});

async function saidIn(store: Store, { data }: Queued): Promise<Said> {
  const reply = await readJson<ReplyContent>(store, data.content);
  return { chars: reply?.text.length ?? 0, files: reply?.files?.length ?? 0 };
}

/** Several as one, each with who tells it and when; null if all have been erased. */
export function joined(
  deps: Pick<ToldDeps, 'governance' | 'zone'>,
  parts: readonly { queued: Queued; content: OutboundMessage | null }[],
): OutboundMessage | null {
  const left = parts.filter((part) => part.content !== null);
  const [first] = left;
  if (first === undefined || parts.length === 1) return first?.content ?? null;
  const { settings } = deps.governance();
  const place = placeOfMessage(first.queued);
  const wall = openWall(quietHoursOf(settings, place)?.zone ?? zoneOfPlace(settings, place) ?? deps.zone());
  const texts = left.map(({ queued, content }) => {
    const who = tellerName(queued.data.told ?? `agent:${queued.data.agent}`);
    return `**${who}**, ${timeOfDay(wall, queued.at)}\n\n${quoted(content?.text ?? '')}`;
  });
  const text = [`${left.length} messages`, ...texts].join('\n\n---\n\n');
  return { text, files: left.flatMap(({ content }) => content?.files ?? []), buttons: [] };
}

/** So that no text can end itself and go on as another's, or take the next ones into a code block that it leaves open. */
const quoted = (text: string): string =>
  text
    .split(/\r\n|\r|\n/)
    .map((line) => `> ${line}`.trimEnd())
    .join('\n');

const timeOfDay = (wall: Wall | null, at: number): string =>
  new Date(wall === null ? at : wall.at(at)).toISOString().slice(11, 16);
