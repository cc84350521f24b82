import { signal, type ReadonlySignal } from '@preact/signals';
import { ApiError, messageOf, type Api, type Attachment } from '../lib/api.ts';
import type { Kept } from '../lib/stored.ts';

/** A message of this page that the record does not hold yet, as far as the page knows. */
export interface Outgoing {
  /** Makes sending it twice the same as once. */
  id: string;
  agent: string;
  session: string;
  text: string;
  files: Attachment[];
  at: number;
  state: 'sending' | 'waiting' | 'accepted' | 'refused';
  /** Why it waits or was refused. */
  why: string;
  task: string | null;
  /** Attempts since the person last sent it. */
  tries: number;
  /** When the next attempt is due; null: when the connection is back. */
  due: number | null;
  /** Names of files that a reload has lost. */
  lost: string[];
  /** It begins its conversation: the gateway knows nothing of that yet. */
  begins: boolean;
}

export interface OutgoingStore {
  list: ReadonlySignal<readonly Outgoing[]>;
  send(message: Pick<Outgoing, 'agent' | 'session' | 'text' | 'files'> & { begins?: boolean }): void;
  /** Sends what waits and is due. */
  flush(): void;
  /** Sends one at once, as if for the first time. */
  again(id: string): void;
  /** Forgets it: the record has it, or the person took it back. */
  drop(id: string): void;
}

export interface OutgoingDeps {
  api: Pick<Api, 'send'>;
  kept: Kept;
  now(): number;
  newId(): string;
  /** Whether the gateway is there, and knows us. */
  connected(): boolean;
  /** It went to another agent: `@name`, or a conversation that was handed over. */
  moved(message: Outgoing, agent: string): void;
}

const KEY = 'outgoing';

/** Milliseconds after the first attempt that failed; twice as long after each further one, up to the longest. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;
/** What a gateway may ask for at most. */
const LONGEST_ASKED = 5 * 60_000;
/** Attempts that a gateway has refused, after which the person is asked. */
const TRIES = 10;

/**
 * What was sent is kept until the record has it: through a lost connection, and (without its files, which are too large
 * for the browser to keep) through a reload. A gateway that is busy is asked again after pauses that grow, and not without
 * end.
 */
export function createOutgoing({ api, kept, now, newId, connected, moved }: OutgoingDeps): OutgoingStore {
  const list = signal<readonly Outgoing[]>(restored(kept));
  let timer: ReturnType<typeof setTimeout> | undefined;
  const keep = (next: readonly Outgoing[]): void => {
    list.value = next;
    const open = next
      .filter((each) => each.state !== 'accepted')
      .map((each) => ({ ...each, files: [], lost: [...each.lost, ...each.files.map((file) => file.name)] }));
    kept.write(KEY, open.length === 0 ? null : JSON.stringify(open));
  };
  const change = (id: string, part: Partial<Outgoing>): void =>
    keep(list.peek().map((each) => (each.id === id ? { ...each, ...part } : each)));

  const attempt = async (id: string): Promise<void> => {
    const message = list.peek().find((each) => each.id === id);
    // Taken back while it stood in line.
    if (message?.state !== 'sending') return;
    const before = firstWaiting(list.peek(), message);
    if (before !== undefined) return change(id, { state: 'waiting', why: before.why, due: before.due });
    const { agent, session, text, files } = message;
    try {
      const told = await api.send({ id, agent, session, text, files });
      if (told.task === null) keep(list.peek().filter((each) => each.id !== id));
      else change(id, { state: 'accepted', task: told.task, agent: told.agent });
      if (told.agent !== agent) moved(message, told.agent);
    } catch (error) {
      change(id, failed(message, error, now(), connected()));
    }
  };
  /** One after the other, so that they arrive in the order they were written. */
  let queue = Promise.resolve();
  const enqueue = (id: string): void => {
    change(id, { state: 'sending', why: '' });
    queue = queue.then(() => attempt(id)).then(plan);
  };
  const flush = (): void => {
    if (!connected()) return;
    for (const { id, state, due } of list.peek())
      if (state === 'waiting' && (due === null || due <= now())) enqueue(id);
    plan();
  };
  /** What waits for the connection is sent when that is back; the rest when it is due. */
  const plan = (): void => {
    clearTimeout(timer);
    const due = list.peek().flatMap((each) => (each.state === 'waiting' && each.due !== null ? [each.due] : []));
    if (due.length > 0 && connected()) timer = setTimeout(flush, Math.max(0, Math.min(...due) - now()));
  };
  return {
    list,
    send({ begins = false, ...message }) {
      const fresh = { id: newId(), at: now(), state: 'sending', why: '', task: null, tries: 0, due: null } as const;
      const whole: Outgoing = { ...message, ...fresh, lost: [], begins };
      keep([...list.peek(), whole]);
      enqueue(whole.id);
    },
    flush,
    again(id) {
      const state = list.peek().find((each) => each.id === id)?.state;
      if (state !== 'waiting' && state !== 'refused') return;
      change(id, { tries: 0, lost: [] });
      enqueue(id);
    },
    drop(id) {
      keep(list.peek().filter((each) => each.id !== id));
      // What stood behind it may be sent now.
      for (const each of list.peek()) if (each.state === 'waiting') change(each.id, { due: now() });
      plan();
    },
  };
}

/** Overtaking it would turn the words of a person around. */
const firstWaiting = (list: readonly Outgoing[], { id, agent, session }: Outgoing): Outgoing | undefined =>
  list
    .slice(
      0,
      list.findIndex((each) => each.id === id),
    )
    .find((each) => each.agent === agent && each.session === session && each.state === 'waiting');

/** What becomes of a message that was not taken. */
function failed({ tries: before }: Outgoing, error: unknown, now: number, connected: boolean): Partial<Outgoing> {
  const why = messageOf(error);
  if (!(error instanceof ApiError) || !(error.passing || error.status === 401)) return { state: 'refused', why };
  const tries = before + 1;
  const pause = Math.min(FIRST_PAUSE * 2 ** before, LONGEST_PAUSE);
  // The connection is lost, or we are logged out: there is nobody who could be asked too often.
  if (!connected) return { state: 'waiting', why, tries: Math.min(tries, TRIES - 1), due: null };
  if (tries >= TRIES) return { state: 'refused', why: `${why} It was tried ${TRIES} times.`, tries };
  return { state: 'waiting', why, tries, due: now + Math.max(pause, Math.min(error.retryAfter, LONGEST_ASKED)) };
}

function restored(kept: Kept): Outgoing[] {
  const text = kept.read(KEY);
  if (text === null) return [];
  try {
    // Those of an older version of this page lack what is newer.
    return (JSON.parse(text) as (Omit<Outgoing, 'lost'> & { lost?: string[] })[]).map(({ lost = [], ...each }) => {
      const fresh = { ...each, files: [], tries: 0, due: null, begins: false, lost };
      if (lost.length > 0) return { ...fresh, state: 'refused', why: filesLost(lost) };
      return each.state === 'refused' ? { ...fresh, state: each.state } : { ...fresh, state: 'waiting', why: '' };
    });
  } catch {
    return []; // written by another version of this page
  }
}

export const filesLost = (names: readonly string[]): string =>
  `The page was reloaded, and the browser keeps no files. Choose again: ${names.join(', ')}.`;
