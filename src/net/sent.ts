import { netStream, type Sent, type Traffic, TrafficCounts } from '../core/net/sent.ts';
import type { NewEvent } from '../core/event.ts';
import { type Clock, OVER } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import { errorText } from '../core/text/sentence.ts';
import { Mutex } from '../core/time/mutex.ts';

/** Milliseconds that records wait for others: what one answer has sent becomes one commit, and one batch of the export. */
const GROUP_MS = 200;
/** Milliseconds until the next try after a failure. */
const AGAIN_MS = 5_000;
/** Records of one commit. */
const MOST = 500;
/** Records that wait for a store that does not take them; what is older is dropped, with a warning. */
const MOST_WAITING = 10_000;

/**
 * Milliseconds in which equal calls of the runtime itself become one record after the first. A messenger's poll alone would
 * be thousands a day.
 */
const REPEAT_MS = 600_000;
/** Kinds of such calls that are told apart at once. */
const MOST_KINDS = 200;

export interface SentLog {
  record(sent: Sent): void;
  /** Sums since the process started. */
  traffic(): Traffic[];
  /** Writes what waits. */
  flush(): Promise<void>;
  /** The same, safe from a power cut, and waits no longer for more. */
  close(): Promise<void>;
}

/** Equal calls of an agent that stand for themselves in one group. */
const MOST_EQUAL = 20;

/** Joins what the runtime itself sends again and again. What an agent sends is joined only where it is too much (`crowd`). */
class Repeats {
  readonly #kinds = new Map<string, { since: number; more: Sent | null }>();

  /** What is to be recorded now. */
  take(sent: Sent): Sent[] {
    const { who, agent, run, host, port, kind, method, outcome, started } = sent;
    if (agent !== null || run !== null) return [sent];
    const key = JSON.stringify([who, host, port, kind, method, outcome]);
    const known = this.#kinds.get(key);
    if (known !== undefined && started >= known.since && started < known.since + REPEAT_MS) {
      known.more = known.more === null ? sent : joined(known.more, sent);
      return [];
    }
    const rest = this.#drop((other, since) => other === key || started >= since + REPEAT_MS);
    const [oldest] = this.#kinds.keys();
    if (this.#kinds.size >= MOST_KINDS) rest.push(...this.#drop((other) => other === oldest));
    this.#kinds.set(key, { since: started, more: null });
    return [...rest, sent];
  }

  /** What has been held back. */
  rest = (): Sent[] => this.#drop(() => true);

  #drop(which: (key: string, since: number) => boolean): Sent[] {
    const gone = [...this.#kinds].filter(([key, { since }]) => which(key, since));
    for (const [key] of gone) this.#kinds.delete(key);
    return gone.flatMap(([, { more }]) => more ?? []);
  }
}

const joined = (one: Sent, two: Sent): Sent => ({
  ...one,
  bytesOut: one.bytesOut + two.bytesOut,
  bytesIn: one.bytesIn + two.bytesIn,
  ms: one.ms + two.ms,
  calls: (one.calls ?? 1) + (two.calls ?? 1),
});

/** Joins equal calls beyond the first few: a command that does nothing but call must not fill the disk with its record. */
function crowd(waiting: readonly Sent[]): Sent[] {
  const kept: Sent[] = [];
  const seen = new Map<string, { count: number; at: number }>();
  for (const sent of waiting) {
    const { who, agent, run, host, port, kind, method, outcome } = sent;
    const key = JSON.stringify([who, agent, run, host, port, kind, method, outcome]);
    const { count, at } = seen.get(key) ?? { count: 0, at: 0 };
    const last = kept[at];
    if (count >= MOST_EQUAL && last !== undefined) kept[at] = joined(last, sent);
    else seen.set(key, { count: count + 1, at: kept.push(sent) - 1 });
  }
  return kept;
}

/** Puts on record what left, in groups and without making anybody wait. */
export function openSentLog({ store, clock, log }: { store: Pick<Store, 'commit'>; clock: Clock; log: Log }): SentLog {
  const over = new AbortController();
  const counts = new TrafficCounts();
  const repeats = new Repeats();
  let waiting: Sent[] = [];
  let lost = 0;
  let writing: Promise<void> | null = null;
  const turns = new Mutex();

  // One at a time: two would take the same records, and write them twice.
  const write = (sync: boolean): Promise<boolean> => turns.run(() => writeAll(sync));

  /** What waits now. What comes meanwhile is for the next time, so that it is joined where it is too much. */
  const writeAll = async (sync: boolean): Promise<boolean> => {
    waiting = crowd(waiting);
    const now = waiting;
    for (let at = 0; at < now.length; at += MOST) {
      const group = now.slice(at, at + MOST);
      try {
        await store.commit({ events: group.map(eventOf), sync });
      } catch (error) {
        log.warn(
          { error: errorText(error), waiting: waiting.length },
          'what left over the network is not on record yet',
        );
        return false;
      }
      // Those in front may have been dropped meanwhile.
      const done = new Set(group);
      waiting = waiting.filter((sent) => !done.has(sent));
    }
    return true;
  };

  const loop = async (): Promise<void> => {
    let wait = GROUP_MS;
    while (waiting.length > 0 && !over.signal.aborted) {
      await clock.sleep(wait, over.signal).catch(() => undefined);
      wait = over.signal.aborted || (await write(false)) ? GROUP_MS : AGAIN_MS;
    }
    writing = null;
  };

  return {
    record(sent) {
      counts.add(sent);
      waiting.push(...repeats.take(sent));
      if (waiting.length > MOST_WAITING) {
        waiting.shift();
        if (lost++ === 0) log.error({}, 'records of what left over the network are lost: the store does not take them');
      }
      if (waiting.length > 0 && !over.signal.aborted) writing ??= loop();
    },
    traffic: () => counts.all(),
    flush: async () => void (await write(false)),
    async close() {
      over.abort(OVER);
      await writing;
      waiting.push(...repeats.rest());
      while (waiting.length > 0 && (await write(true)));
    },
  };
}

const eventOf = (sent: Sent): NewEvent => ({
  type: 'net.sent',
  stream: netStream(sent.agent),
  actor: 'runtime',
  cause: null,
  labels: [],
  data: sent,
});
