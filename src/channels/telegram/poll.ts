import type { Message, Update } from 'grammy/types';
import type { Clock } from '../../core/ports/clock.ts';
import { HostBusy } from '../../core/ports/channel.ts';
import type { Log } from '../../core/ports/log.ts';
import { StoreUnavailable } from '../../core/ports/store.ts';
import { pauseMs, type TelegramApi, type Trouble, troubleOf } from './api.ts';
import { type Burst, bursts, unfinished } from './burst.ts';

/** What is taken in at once: an update, or all updates of one burst. */
export interface Item {
  updates: readonly Update[];
  /** How often it has been tried before. */
  tries: number;
}

export interface PollOptions {
  api: TelegramApi;
  clock: Clock;
  log: Log;
  random(): number;
  /** Resolves once an item has been taken in, or needs no more. Rejects if it must come again. */
  take(item: Item): Promise<void>;
  /** Whether a message in a group is said to the bot. */
  isForUs(message: Message): boolean;
  /** Shows people what keeps messages from coming in; null when they come in again. */
  report(problem: string | null): void;
  signal: AbortSignal;
}

/** Seconds that Telegram holds a poll. */
const HOLD = 50;
/** Milliseconds without a further part after which a burst is complete. */
const QUIET_MS = 1_000;
/** Milliseconds between two looks meanwhile, so that nobody else waits longer for it. */
const LOOK_MS = 250;
/** Times that it may grow: an album has ten parts. */
const MOST_ROUNDS = 20;
/** Tries after which an update is suspected, and no longer holds back what follows it in its chat. */
const PATIENCE = 5;
/** Milliseconds, at most, before what was rejected comes again. */
const REJECTED_MS = 5_000;
/** Chats that are served side by side. */
const CHATS = 8;
const WANTED = ['message', 'edited_message', 'callback_query'] as const;

/**
 * Takes in what people write until the signal aborts. Rejects only if the token is refused. Polls by itself, because
 * grammY's own loop acknowledges an update before its handler has ended: what is not on disk yet would be lost.
 */
export async function poll(options: PollOptions): Promise<void> {
  const { api, signal, clock, random } = options;
  const queue = new Queue(options);
  const reporter = new Reporter(options);
  while (!signal.aborted) {
    try {
      const first = await getUpdates(api, queue.offset, HOLD, signal);
      reporter.works();
      const updates = await completed(options, queue, first);
      const rejected = await queue.take(updates);
      if (rejected !== null) await clock.sleep(Math.min(REJECTED_MS, pauseMs(rejected, random)), signal);
    } catch (error) {
      if (signal.aborted) return;
      await clock.sleep(await reporter.failed(troubleOf(error)), signal).catch(() => undefined);
    }
  }
}

const getUpdates = (api: TelegramApi, offset: number | null, timeout: number, signal: AbortSignal): Promise<Update[]> =>
  api.call.getUpdates({ offset: offset ?? undefined, timeout, limit: 100, allowed_updates: WANTED }, signal as never);

/**
 * Bursts arrive part by part. Nothing of one is acknowledged before it is complete, so the same question brings all parts
 * that there are by then, after a crash, too. What is not part of one is taken in at once.
 */
async function completed(options: PollOptions, queue: Queue, first: Update[]): Promise<Update[]> {
  const { api, clock, signal } = options;
  let updates = first;
  const seen = new Set<number>();
  const takeOthers = async (): Promise<void> => {
    // What was rejected a moment ago has its own pauses.
    const fresh = updates.filter(({ update_id: id }) => !seen.has(id));
    for (const { update_id: id } of fresh) seen.add(id);
    if (fresh.some((update) => queue.isNew(update))) await queue.take(updates, queue.open(updates));
  };
  const size = (): number => queue.open(updates).flat().length;
  for (let round = 0, before = 0; round < MOST_ROUNDS && size() > before; round += 1) {
    before = size();
    let quiet = false;
    const over = clock.sleep(QUIET_MS, signal).then(() => (quiet = true));
    over.catch(() => undefined);
    await takeOthers();
    do {
      await Promise.race([over, clock.sleep(LOOK_MS, signal)]);
      updates = await getUpdates(api, queue.offset, 0, signal);
      await takeOthers();
    } while (!quiet && size() > 0);
  }
  return updates;
}

const chatOf = ({ message, edited_message: edited, callback_query: query }: Update): number =>
  (message ?? edited ?? query?.message)?.chat.id ?? query?.from.id ?? 0;

/** Updates between Telegram and the host: what is done, what must come again, and what can be acknowledged. */
class Queue {
  /** The first update that is not acknowledged; all before it are forgotten by Telegram with the next question. */
  offset: number | null = null;
  readonly #done = new Set<number>();
  readonly #tries = new Map<number, number>();
  /** Updates of which it has been said. */
  readonly #rejected = new Set<number>();
  readonly #options: PollOptions;

  constructor(options: PollOptions) {
    this.#options = options;
  }

  isNew = ({ update_id: id }: Update): boolean => id >= (this.offset ?? id) && !this.#done.has(id);

  /** Bursts that are not taken in and may not be complete. */
  open(updates: readonly Update[]): Burst[] {
    const { isForUs } = this.#options;
    return unfinished(bursts(updates, isForUs), isForUs).filter((burst) => burst.some(this.isNew));
  }

  /**
   * Gives the most failures of those that must come again; null if all is done. What is `open` waits, and so does what was
   * said behind it in its chat.
   */
  async take(updates: readonly Update[], open: readonly Burst[] = []): Promise<number | null> {
    const groups = bursts(updates, this.#options.isForUs);
    const waiting = new Set(open.map(([first]) => first.update_id));
    const fresh = groups.filter((group) => group.some(this.isNew));
    const lanes = Map.groupBy(fresh, ([first]) => chatOf(first)).values();
    const rejected: Burst[] = [];
    let taken = 0;
    const work = async (): Promise<void> => {
      for (const lane of lanes)
        for (const group of lane) {
          if (this.#options.signal.aborted || waiting.has(group[0].update_id)) break;
          if (await this.#try(group)) taken += 1;
          else {
            rejected.push(group);
            // What follows in this chat waits, so that the order stays; but not without end.
            if (this.#triesOf(group) < PATIENCE) break;
          }
        }
    };
    await Promise.all(Array.from({ length: CHATS }, work));
    // Others get through, so it is the update that is bad, and not the host.
    if (taken > 0) for (const group of rejected) if (this.#triesOf(group) >= PATIENCE) await this.#lastTry(group);
    this.#acknowledge(groups);
    const again = rejected.filter((group) => group.some(this.isNew));
    return again.length === 0 ? null : Math.max(...again.map(this.#triesOf));
  }

  #triesOf = ([first]: Burst): number => this.#tries.get(first.update_id) ?? 0;

  async #try(group: Burst): Promise<boolean> {
    const tries = this.#triesOf(group);
    try {
      await this.#options.take({ updates: group, tries });
    } catch (error) {
      if (this.#options.signal.aborted) return false;
      // A full disk or a full queue is not the message's fault.
      const failures = error instanceof HostBusy || error instanceof StoreUnavailable ? tries : tries + 1;
      this.#tries.set(group[0].update_id, failures);
      const about = { update: group[0].update_id, failures, error: String(error) };
      const level = this.#rejected.has(group[0].update_id) ? 'debug' : 'warn';
      this.#rejected.add(group[0].update_id);
      this.#options.log[level](about, 'a message from Telegram was not taken in, and will come again');
      return false;
    }
    for (const { update_id: id } of group) this.#done.add(id);
    return true;
  }

  async #lastTry(group: Burst): Promise<void> {
    const before = this.#triesOf(group);
    // It got through, or there was no room for anybody, or everything ends.
    if ((await this.#try(group)) || this.#triesOf(group) === before) return;
    for (const { update_id: id } of group) this.#done.add(id);
    const about = { updates: group.map(({ update_id: id }) => id), tries: this.#triesOf(group) };
    this.#options.log.error(
      about,
      'a message from Telegram is skipped: it was rejected each time, and others were not',
    );
  }

  #acknowledge(groups: readonly Burst[]): void {
    const known = groups.flat().map(({ update_id: id }) => id);
    if (known.length === 0) return;
    const open = known.filter((id) => id >= (this.offset ?? id) && !this.#done.has(id));
    let offset = Math.min(...open, Math.max(...known) + 1);
    // A part of a burst that comes again without the others would be taken for a message of its own.
    for (const group of groups.toReversed()) {
      const [first, last] = [group[0].update_id, group.at(-1)?.update_id ?? 0];
      if (first < offset && offset <= last) offset = first;
    }
    offset = Math.max(offset, this.offset ?? offset);
    this.offset = offset;
    for (const ids of [this.#done, this.#rejected]) for (const id of ids) if (id < offset) ids.delete(id);
    for (const id of this.#tries.keys()) if (id < offset) this.#tries.delete(id);
  }
}

export const UNREACHED = 'Telegram cannot be reached; it is tried again until it can';
const TAKEN = 'another program fetches the messages of this bot: stop it, or give each a bot of its own';

/** Says once what is wrong and once that it is over, and how long to wait. */
class Reporter {
  #failures = 0;
  readonly #options: PollOptions;

  constructor(options: PollOptions) {
    this.#options = options;
  }

  works(): void {
    if (this.#failures > 0) {
      this.#options.log.info({}, 'messages from Telegram come in again');
      this.#options.report(null);
    }
    this.#failures = 0;
  }

  /** Milliseconds to wait. Rejects if waiting is of no use. */
  async failed(trouble: Trouble): Promise<number> {
    const { api, log, random, signal, report } = this.#options;
    const code = trouble.kind === 'refused' ? trouble.code : null;
    if (code === 401 || code === 404) throw new RefusedToken();
    const first = this.#failures++ === 0;
    if (code === 409 && /webhook/i.test(trouble.says)) {
      log.warn({}, 'somebody has set a webhook for this bot; it is removed, since messages are fetched from here');
      await api.call.deleteWebhook({}, signal as never).catch(() => undefined);
    } else if (first && code === 409) {
      log.warn({ error: trouble.says }, TAKEN);
      report(TAKEN);
    } else if (first) {
      log.warn({ error: trouble.says }, UNREACHED);
      report(UNREACHED);
    }
    const asked = trouble.kind === 'refused' ? (trouble.retryAfter ?? 0) : 0;
    return Math.max(asked, pauseMs(this.#failures - 1, random));
  }
}

/** Telegram does not know the token, or not any more. */
export class RefusedToken extends Error {
  constructor() {
    super('Telegram refuses the token');
    this.name = 'RefusedToken';
  }
}
