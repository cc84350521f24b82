import { runStream } from '../core/ids.ts';
import type { Clock } from '../core/ports/clock.ts';
import { dayBegan } from '../core/time/wall.ts';
import type { Reads } from '../core/ports/store.ts';
import type { Paused } from '../core/api/runtime.ts';
import { isEnded, type TaskStatus } from '../core/task.ts';
import type { RunSummary, Standing } from '../core/api/views.ts';
import { readJson } from '../core/records/json-blob.ts';
import { readSentence, readTitle } from './exact.ts';
import type { Book } from './book.ts';
import type { Entry, OpenWait } from './entry.ts';
import { type Ledger, readEntry } from './ledger.ts';
import { type Asked, type Situation, standingOf } from './standing.ts';

export interface FactsOptions {
  store: Reads;
  ledger: Ledger;
  clock: Clock;
  /** Why an agent takes no work; null if it does. */
  paused: (agent: string) => Paused | null;
  /** What keeps a run of this process from going on now; null if nothing does. */
  hindered: (task: string) => Situation['hindered'];
  /** By the clock of the network's zone, which it names. */
  timeText(at: number): string;
  /** IANA name of that zone. */
  zone(): string;
}

/** How many tasks back a standing looks: one that waits for one that was taken in by another. */
const DEPTH = 3;

/** Brings together what summaries and standings are told from. */
export class Facts {
  readonly store: Reads;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #paused: (agent: string) => Paused | null;
  readonly #hindered: FactsOptions['hindered'];
  readonly #timeText: FactsOptions['timeText'];
  readonly #zone: FactsOptions['zone'];
  readonly #titles = new WeakMap<Entry, string>();

  constructor({ store, ledger, clock, paused, hindered, timeText, zone }: FactsOptions) {
    this.#timeText = timeText;
    this.#zone = zone;
    this.store = store;
    this.#hindered = hindered;
    this.#paused = paused;
    this.#ledger = ledger;
    this.#clock = clock;
  }

  /** When the day began, by which costs are counted, too. */
  midnight(): number {
    return dayBegan(this.#zone(), this.now());
  }

  now(): number {
    return this.#clock.now();
  }

  /** Everything committed before the call is in it. */
  book(): Promise<Book> {
    return this.#ledger.ready();
  }

  /** Of any task, also one too old for the book. */
  async entry(task: string): Promise<Entry | null> {
    const book = await this.book();
    return book.entries.get(task) ?? (await readEntry(this.store, task));
  }

  async title(entry: Entry): Promise<string> {
    const known = this.#titles.get(entry);
    if (known !== undefined) return known;
    const title = await readTitle(this.store, entry);
    this.#titles.set(entry, title);
    return title;
  }

  /** The status of the task, or of the one whose run has taken it in, with how it stands. */
  async stands(entry: Entry): Promise<{ status: TaskStatus; standing: Standing }> {
    return this.#stands(entry, DEPTH);
  }

  async summary(entry: Entry): Promise<RunSummary> {
    const { status, standing } = await this.stands(entry);
    const taken = entry.absorbedBy === null ? null : await this.entry(entry.absorbedBy);
    const { task, agent, session, from, queuedAt, startedAt, endedAt, deadline, priority } = entry;
    const { steps, model, usage, costUsd, unpriced, commit } = entry;
    return {
      task,
      run: entry.run ?? taken?.run ?? null,
      agent,
      session,
      title: await this.title(entry),
      from,
      channel: entry.message?.channel ?? '',
      status,
      standing,
      queuedAt,
      startedAt,
      endedAt,
      deadline,
      priority,
      steps,
      model,
      usage,
      costUsd,
      unpriced,
      commit,
    };
  }

  async #stands(entry: Entry, depth: number): Promise<{ status: TaskStatus; standing: Standing }> {
    if (isEnded(entry.status)) {
      const situation = { ...(await this.#situation(entry, entry.status)), ...(await this.#ended(entry)) };
      return { status: entry.status, standing: standingOf(situation) };
    }
    const task = await this.store.task(entry.task);
    // It has ended since the book was read.
    if (task !== null && isEnded(task.status)) {
      const now = (await this.book()).entries.get(entry.task) ?? (await readEntry(this.store, entry.task));
      if (now !== null && isEnded(now.status)) return this.#stands(now, depth);
    }
    const status = task?.status ?? entry.status;
    const situation = await this.#situation(entry, status);
    if (task?.absorbedBy && depth > 0) {
      const into = await this.entry(task.absorbedBy);
      const stands = into && (await this.#stands(into, depth - 1));
      if (into && stands) {
        situation.taken = { title: await this.title(into), standing: stands.standing };
        return { status: stands.status, standing: standingOf(situation) };
      }
    }
    if (status === 'queued' && task?.notBefore && task.notBefore > situation.now)
      situation.later = { at: task.notBefore, text: this.#timeText(task.notBefore) };
    if (status === 'queued' && task && depth > 0) {
      const [first] = await this.store.tasks({ lane: task.lane, statuses: ['running', 'waiting', 'queued'], limit: 1 });
      const holder = first && first.id !== entry.task ? await this.entry(first.id) : null;
      if (holder) {
        const { standing } = await this.#stands(holder, depth - 1);
        situation.before = { title: await this.title(holder), standing };
      }
    }
    if (status === 'waiting' || status === 'queued')
      for (const id of await this.store.awaited(entry.task)) {
        const other = await this.store.task(id);
        if (other !== null) situation.awaited.push({ task: id, agent: other.agent });
      }
    if (status === 'waiting') situation.asked = await Promise.all(entry.open.map((wait) => this.#asked(entry, wait)));
    return { status, standing: standingOf(situation) };
  }

  async #situation(
    entry: Entry,
    status: TaskStatus,
  ): Promise<Situation & { awaited: { task: string; agent: string }[] }> {
    const book = await this.book();
    return {
      entry,
      status,
      now: this.now(),
      paused: this.#paused(entry.agent),
      hindered: this.#hindered(entry.task),
      taken: null,
      awaited: [],
      before: null,
      asked: [],
      failed: entry.failure === null ? '' : await readSentence(this.store, entry.failure.detail),
      denied: null,
      interrupted: entry.run !== null && entry.seen < book.startedAt && entry.open.length === 0,
      stopped: book.stopped,
    };
  }

  /** What only tasks that have ended have. */
  async #ended({ run, status, detail, result }: Entry): Promise<Partial<Situation>> {
    const denied = run === null ? null : await this.#denied(run);
    if (status === 'done' || status === 'cancelled') return { denied };
    const why = detail ?? result;
    return { denied, failed: why === null ? '' : await readSentence(this.store, why) };
  }

  async #denied(run: string): Promise<Situation['denied']> {
    for await (const event of this.store.read({ stream: runStream(run), types: ['decision.made'], reverse: true })) {
      if (event.type !== 'decision.made' || event.data.verdict !== 'deny') continue;
      const { tool, rule, reason } = event.data;
      return { tool, rule, reason };
    }
    return null;
  }

  async #asked(entry: Entry, wait: OpenWait): Promise<Asked> {
    const { kind, tool, doubt, call, at } = wait;
    const asked: Asked = { kind, tool, doubt, text: '', rule: '', reason: '', at };
    if (kind === 'question') {
      const shown = await readJson<{ text: string }>(this.store, { hash: wait.shown });
      return { ...asked, text: shown?.text ?? '(erased)' };
    }
    const stream = runStream(entry.run ?? '');
    for await (const event of this.store.read({ stream, types: ['decision.made'], reverse: true }))
      if (event.type === 'decision.made' && event.data.call === call)
        return { ...asked, rule: event.data.rule, reason: event.data.reason };
    return asked;
  }
}
