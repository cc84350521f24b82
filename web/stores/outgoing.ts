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
}

export interface OutgoingStore {
  list: ReadonlySignal<readonly Outgoing[]>;
  send(message: Pick<Outgoing, 'agent' | 'session' | 'text' | 'files'>): void;
  /** Sends what waits for the connection. */
  flush(): void;
  /** Sends one that was refused once more. */
  again(id: string): void;
  /** Forgets it: the record has it, or the person took it back. */
  drop(id: string): void;
}

const KEY = 'outgoing';

/**
 * What was sent is kept until the record has it: through a lost connection, and (without its files, which are too large
 * for the browser to keep) through a reload.
 */
export function createOutgoing(
  api: Pick<Api, 'send'>,
  kept: Kept,
  now: () => number,
  makeId: () => string,
  /** It went to another agent: `@name`, or a conversation that was handed over. */
  moved: (message: Outgoing, agent: string) => void,
): OutgoingStore {
  const list = signal<readonly Outgoing[]>(restored(kept));
  const keep = (next: readonly Outgoing[]): void => {
    list.value = next;
    const texts = next.filter((each) => each.files.length === 0 && each.state !== 'accepted');
    kept.write(KEY, texts.length === 0 ? null : JSON.stringify(texts));
  };
  const change = (id: string, part: Partial<Outgoing>): void =>
    keep(list.value.map((each) => (each.id === id ? { ...each, ...part } : each)));
  const attempt = async (message: Outgoing): Promise<void> => {
    const { id, agent, session, text, files } = message;
    const known = list.value.find((each) => each.id === id);
    // Taken back, or sent by an earlier turn, while it stood in line.
    if (known === undefined || known.state === 'accepted') return;
    change(id, { state: 'sending', why: '' });
    try {
      const told = await api.send({ id, agent, session, text, files });
      if (told.task === null) keep(list.value.filter((each) => each.id !== id));
      else change(id, { state: 'accepted', task: told.task, agent: told.agent });
      if (told.agent !== agent) moved(message, told.agent);
    } catch (error) {
      const waits = error instanceof ApiError && (error.passing || error.status === 401);
      change(id, { state: waits ? 'waiting' : 'refused', why: messageOf(error) });
    }
  };
  /** One after the other, so that they arrive in the order they were written. */
  let queue = Promise.resolve();
  const enqueue = (message: Outgoing): void => {
    queue = queue.then(() => attempt(message));
  };
  return {
    list,
    send(message) {
      const whole: Outgoing = { ...message, id: makeId(), at: now(), state: 'sending', why: '', task: null };
      keep([...list.value, whole]);
      enqueue(whole);
    },
    flush() {
      for (const message of list.peek()) if (message.state === 'waiting') enqueue(message);
    },
    again(id) {
      for (const message of list.value) if (message.id === id) enqueue(message);
    },
    drop(id) {
      keep(list.value.filter((each) => each.id !== id));
    },
  };
}

function restored(kept: Kept): Outgoing[] {
  const text = kept.read(KEY);
  if (text === null) return [];
  try {
    return (JSON.parse(text) as Outgoing[]).map((each) => ({ ...each, state: 'waiting', why: '' }));
  } catch {
    return []; // written by another version of this page
  }
}
