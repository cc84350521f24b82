import type { Delta } from '../../src/core/api/runtime.ts';
import type { Change } from './changes.ts';

/** What is heard from the one stream. */
export type Told =
  | { kind: 'open' }
  | { kind: 'lost' }
  | { kind: 'changed'; change: Change | null }
  | { kind: 'delta'; delta: Delta };

/** The connection of one tab to the gateway. */
export interface Stream {
  /** Carries these tasks, each from its beginning. */
  carry(tasks: readonly string[]): void;
  retry(): void;
  close(): void;
}

/** The tabs of one browser, which share one stream. */
export interface Tabs {
  /** `hear` is called with what any tab's stream tells; `open` opens this tab's, if it is the one that holds it. */
  join(hear: (told: Told) => void, open: (tell: (told: Told) => void) => Stream): void;
  /** The tasks whose pieces this tab wants, each from its beginning. */
  want(tasks: readonly string[]): void;
  retry(): void;
  leave(): void;
}

const NAME = 'ruche.live.1';
/** Tasks that one stream carries. */
const MOST_TASKS = 20;
/** Milliseconds in which the tab that holds the stream answers; one that the browser has frozen does not. */
const ANSWER = 5_000;

type State = 'connecting' | 'open' | 'lost';
type Said =
  | { kind: 'want'; tasks: readonly string[] }
  /** Who holds the stream, and how is it? */
  | { kind: 'who' }
  | { kind: 'retry' }
  | { kind: 'bye' }
  | { kind: 'leads' }
  | { kind: 'here'; state: State }
  | { kind: 'told'; told: Told };
type From = Said & { from: string };

/** Browsers know no locks where the page came over plain HTTP from another machine: there hidden tabs close their stream. */
export const joinTabs = (newId: () => string): Tabs =>
  'locks' in navigator && 'BroadcastChannel' in globalThis ? new SharedTabs(newId()) : loneTab();

interface Parts {
  hear: (told: Told) => void;
  open: (tell: (told: Told) => void) => Stream;
}

/** The tab that holds the lock holds the stream. When it closes, the browser gives the lock to the next. */
class SharedTabs implements Tabs {
  readonly #me: string;
  readonly #channel = new BroadcastChannel(NAME);
  readonly #wants = new Map<string, readonly string[]>();
  readonly #seat = createSeat(
    () => this.#lead(),
    () => {
      this.#rest();
      this.#ask();
    },
  );
  /** Null: this tab takes no part. */
  #parts: Parts | null = null;
  /** Null: another tab holds it. */
  #stream: Stream | null = null;
  #state: State = 'connecting';
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(me: string) {
    this.#me = me;
    this.#channel.addEventListener('message', ({ data }: MessageEvent<From>) => {
      if (this.#parts === null) return;
      if (this.#stream === null) this.#follow(data, this.#parts);
      else this.#serve(data, this.#stream);
    });
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#ask();
    });
  }

  join(hear: Parts['hear'], open: Parts['open']): void {
    if (this.#parts !== null) return;
    this.#parts = { hear, open };
    this.#seat.take(false);
    this.#ask();
  }

  want(tasks: readonly string[]): void {
    this.#wants.set(this.#me, tasks);
    if (this.#stream === null) this.#say({ kind: 'want', tasks });
    else this.#carry();
  }

  retry(): void {
    if (this.#stream === null) this.#say({ kind: 'retry' });
    else this.#stream.retry();
  }

  leave(): void {
    clearTimeout(this.#silence);
    this.#parts = null;
    this.#rest();
    this.#seat.leave();
    this.#say({ kind: 'bye' });
  }

  #say(said: Said): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel takes none: it reaches this origin alone
    this.#channel.postMessage({ ...said, from: this.#me });
  }

  #lead(): void {
    clearTimeout(this.#silence);
    const mine = this.#wants.get(this.#me) ?? [];
    this.#wants.clear();
    this.#wants.set(this.#me, mine);
    this.#state = 'connecting';
    this.#stream?.close();
    this.#stream = this.#parts?.open((told) => this.#tell(told)) ?? null;
    this.#carry();
    this.#say({ kind: 'leads' });
  }

  #carry(): void {
    this.#stream?.carry([...new Set([...this.#wants.values()].flat())].slice(-MOST_TASKS));
  }

  #tell(told: Told): void {
    // Each attempt that fails is known to the tab that makes it; the others need to know once.
    if (told.kind !== 'lost' || this.#state !== 'lost') this.#say({ kind: 'told', told });
    this.#note(told);
    this.#parts?.hear(told);
  }

  #rest(): void {
    this.#stream?.close();
    this.#stream = null;
    this.#state = 'connecting';
  }

  /** Asks how the stream is. Where nobody answers, this tab takes it over. */
  #ask(): void {
    clearTimeout(this.#silence);
    if (this.#stream !== null || this.#parts === null) return;
    this.#silence = setTimeout(() => this.#seat.take(true), ANSWER);
    this.#say({ kind: 'who' });
  }

  #serve(said: From, stream: Stream): void {
    if (said.kind === 'who') this.#say({ kind: 'here', state: this.#state });
    else if (said.kind === 'retry') stream.retry();
    else if (said.kind === 'bye') this.#wants.delete(said.from);
    else if (said.kind === 'want') {
      this.#wants.set(said.from, said.tasks);
      if (said.tasks.length > 0) this.#carry();
    }
  }

  #follow(said: From, { hear }: Parts): void {
    if (said.kind === 'told' || said.kind === 'leads' || said.kind === 'here') clearTimeout(this.#silence);
    if (said.kind === 'leads') this.#say({ kind: 'want', tasks: this.#wants.get(this.#me) ?? [] });
    const told = said.kind === 'told' ? said.told : said.kind === 'here' ? this.#news(said.state) : null;
    if (told === null) return;
    this.#note(told);
    hear(told);
  }

  #note({ kind }: Told): void {
    if (kind === 'open' || kind === 'lost') this.#state = kind;
  }

  /** What of the stream's state this tab has not heard yet. */
  #news(state: State): Told | null {
    return state === 'connecting' || state === this.#state ? null : { kind: state };
  }
}

/** The lock that one tab holds. `lost`: another one has taken it, since this one did not answer. */
function createSeat(taken: () => void, lost: () => void) {
  let turn = new AbortController();
  const take = (steal: boolean): void => {
    turn.abort();
    const mine = new AbortController();
    turn = mine;
    const left = new Promise<void>((resolve) => mine.signal.addEventListener('abort', () => resolve()));
    const hold = (): Promise<void> => {
      if (mine.signal.aborted) return Promise.resolve();
      taken();
      return left;
    };
    // A request that steals takes no signal.
    navigator.locks.request(NAME, steal ? { steal } : { signal: mine.signal }, hold).catch(() => {
      if (mine.signal.aborted) return;
      lost();
      take(false);
    });
  };
  return { take, leave: () => turn.abort() };
}

/** Without help of the browser: each tab has a stream while it is seen. */
function loneTab(): Tabs {
  let stream: Stream | null = null;
  let tasks: readonly string[] = [];
  const seen = (): boolean => document.visibilityState === 'visible';
  document.addEventListener('visibilitychange', () => {
    if (seen()) stream?.carry(tasks);
    else stream?.close();
  });
  return {
    join(hear, open) {
      stream ??= open(hear);
    },
    want(wanted) {
      tasks = wanted;
      if (seen()) stream?.carry(tasks);
    },
    retry() {
      if (seen()) stream?.retry();
    },
    leave() {
      stream?.close();
      stream = null;
    },
  };
}
