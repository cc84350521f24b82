import { computed, effect, signal, type ReadonlySignal } from '@preact/signals';
import type { ConversationEntry, ConversationView } from '../../src/core/api/views.ts';
import { ApiError, messageOf, type Api } from '../lib/api.ts';
import { continues, EMPTY, fold, type Draft } from './draft.ts';
import type { Live } from './changes.ts';
import type { Outgoing, OutgoingStore } from './outgoing.ts';
import { resource, valueOf, type Loaded } from './resource.ts';

export type Message = ConversationEntry & { kind: 'message' };
export type Reply = ConversationEntry & { kind: 'reply' };

/** One conversation, as it is and as it is being written. */
export interface Talk {
  agent: string;
  session: string;
  state: ReadonlySignal<Loaded<ConversationView>>;
  /** Messages that the record does not hold yet. */
  sending: ReadonlySignal<readonly Outgoing[]>;
  /** How many were sent here since it was opened. */
  sent: ReadonlySignal<number>;
  /** The task under way, and what is seen of its answer so far. */
  working: ReadonlySignal<string | null>;
  draft: ReadonlySignal<Draft>;
  /** Why earlier messages could not be loaded; null if nothing is wrong. */
  earlierTrouble: ReadonlySignal<string | null>;
  loadEarlier(): Promise<void>;
  refresh(): Promise<void>;
  close(): void;
}

const PAGE = 40;

export function createTalk(
  { api, live, outgoing }: { api: Api; live: Live; outgoing: OutgoingStore },
  agent: string,
  session: string,
): Talk {
  const older = signal<Older | null>(null);
  const mine = new Set<string>();
  const latest = resource(async () => {
    const page = begins(outgoing, agent, session) ?? (await loadLatest(api, agent, session));
    if (older.value !== null)
      older.value = carried(older.value, valueOf(latest.state.value)?.entries ?? [], page.entries);
    return page;
  });
  const state = computed(() => joined(latest.state.value, older.value));
  const entries = computed(() => valueOf(state.value)?.entries ?? []);
  const sending = computed(() => {
    const known = new Set(entries.value.map((entry) => entry.task));
    return outgoing.list.value.filter(
      (each) => each.agent === agent && each.session === session && !(each.task !== null && known.has(each.task)),
    );
  });
  const sent = computed(() => {
    for (const each of sending.value) mine.add(each.id);
    return mine.size;
  });
  const working = computed(() => workingTask(entries.value, sending.value));
  const draft = signal<Draft>(EMPTY);
  const earlierTrouble = signal<string | null>(null);

  const stops = [
    live.onChange((change) => {
      const elsewhere =
        change !== null && change.agent !== null && !(change.agent === agent && change.session === session);
      if (!elsewhere) latest.changed();
    }),
    effect(() => follow(live, working.value, draft)),
    effect(() => settle(entries.value, outgoing)),
    effect(() => markSeen(api, entries.value)),
  ];
  return {
    agent,
    session,
    state,
    sending,
    sent,
    working,
    draft,
    earlierTrouble,
    async loadEarlier() {
      try {
        for (;;) {
          const from = valueOf(state.value)?.earlier;
          if (!from) return;
          const page = await api.conversation(agent, session, from, PAGE);
          earlierTrouble.value = null;
          // The conversation has moved on meanwhile: what was asked for would leave a gap.
          if (valueOf(state.value)?.earlier !== from) continue;
          older.value = { entries: [...page.entries, ...(older.value?.entries ?? [])], earlier: page.earlier };
          return;
        }
      } catch (error) {
        earlierTrouble.value = messageOf(error);
      }
    },
    refresh: () => latest.refresh(),
    close() {
      for (const stop of stops) stop();
    },
  };
}

/** Asking for a conversation before its first message has arrived would be an error in the browser's console. */
const begins = (outgoing: OutgoingStore, agent: string, session: string): ConversationView | null =>
  outgoing.list
    .peek()
    .some((each) => each.begins && each.agent === agent && each.session === session && each.state !== 'accepted')
    ? { agent, session, entries: [], earlier: null }
    : null;

/** A conversation that nobody has begun yet is an empty one. */
async function loadLatest(api: Api, agent: string, session: string): Promise<ConversationView> {
  try {
    return await api.conversation(agent, session, null, PAGE);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return { agent, session, entries: [], earlier: null };
    throw error;
  }
}

type Older = { entries: readonly ConversationEntry[]; earlier: string | null };

/** What the latest page no longer holds joins what was loaded before it; null where messages between them are not known. */
function carried(older: Older, before: readonly ConversationEntry[], now: readonly ConversationEntry[]): Older | null {
  const [first] = now;
  const at = before.findIndex((entry) => entry.id === first?.id);
  return at < 0 ? null : { ...older, entries: [...older.entries, ...before.slice(0, at)] };
}

/** The latest page moves on as messages come in; what has been loaded before it stays, without a gap or a repeat. */
function joined(latest: Loaded<ConversationView>, older: Older | null): Loaded<ConversationView> {
  if (latest.kind !== 'ready' || older === null) return latest;
  const fresh = new Set(latest.value.entries.map((entry) => entry.id));
  const before = older.entries.filter((entry) => !fresh.has(entry.id));
  return {
    ...latest,
    value: { ...latest.value, entries: [...before, ...latest.value.entries], earlier: older.earlier },
  };
}

function workingTask(entries: readonly ConversationEntry[], sending: readonly Outgoing[]): string | null {
  const open = entries.find(
    (entry): entry is Message =>
      entry.kind === 'message' && (entry.standing.state === 'working' || entry.standing.state === 'retrying'),
  );
  if (open) return open.task;
  // Accepted a moment ago: its first words may come before the record is read again.
  return entries.some(isOpen) ? null : (sending.find((each) => each.state === 'accepted')?.task ?? null);
}

const isOpen = (entry: ConversationEntry): boolean =>
  entry.kind === 'message' && (entry.standing.state === 'queued' || entry.standing.state === 'waiting');

/** Shows the pieces of the task under way; a late listener begins at the beginning. */
function follow(live: Live, task: string | null, draft: { value: Draft }): (() => void) | undefined {
  draft.value = EMPTY;
  if (task === null) return undefined;
  let fresh = false;
  return live.watch(task, (delta) => {
    if (delta === null) fresh = true;
    else {
      // After a reconnect all is told from the beginning, or goes on with what comes next.
      draft.value = fold(fresh && !continues(draft.value, delta) ? EMPTY : draft.value, delta);
      fresh = false;
    }
  });
}

/** What the record holds need not be kept here any more. */
function settle(entries: readonly ConversationEntry[], outgoing: OutgoingStore): void {
  const known = new Set(entries.map((entry) => entry.task));
  for (const each of outgoing.list.peek()) if (each.task !== null && known.has(each.task)) outgoing.drop(each.id);
}

/** An answer to a message over HTTP has arrived once it is shown; nobody else will say so. */
function markSeen(api: Api, entries: readonly ConversationEntry[]): void {
  for (const entry of entries)
    if (entry.kind === 'reply' && entry.task !== null && entry.delivery.state === 'waiting')
      // Said again with the next look at the conversation if it did not get through.
      api.seen(entry.task).catch(() => undefined);
}
