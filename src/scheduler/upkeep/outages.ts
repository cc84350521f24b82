import type { EventOf } from '../../core/event.ts';
import { runStream, taskStream } from '../../core/ids.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Store } from '../../core/ports/store.ts';
import { putJson } from '../../core/records/json-blob.ts';
import { isOutage, matterRaised, settledBy } from '../../core/records/matter.ts';
import { isEnded, type Task } from '../../core/task.ts';
import { Mutex } from '../../core/time/mutex.ts';

/** Milliseconds that work waits for a provider before the owner hears of it: what passes by itself disturbs nobody. */
const QUIET_MS = 300_000;
/** What a process that ended has left is looked for in so many events, and milliseconds. */
const LOOKED_BACK = 1_000;
const RECENT_MS = 3_600_000;
/** Pieces of work that are named. */
const MAX_NAMED = 10;
const TYPES = ['task.retried', 'run.finished', 'model.answered', 'matter.raised', 'matter.settled'] as const;
type Seen = EventOf<(typeof TYPES)[number]>;

export interface OutagesDeps {
  store: Store;
  clock: Pick<Clock, 'now'>;
  timeText(at: number): string;
}

/** Work that a provider keeps waiting, or had to be given up because of it. */
interface Kept {
  provider: string;
  since: number;
}

/**
 * Sees that a provider is down from the work that waits for it, and tells the owner once for all of it. It is settled when
 * the provider answers.
 */
export class Outages {
  readonly #deps: OutagesDeps;
  readonly #kept = new Map<string, Kept>();
  /** What the owner was told and is not over, by provider. */
  readonly #open = new Map<string, EventOf<'matter.raised'>>();
  #seq: number | null = null;
  readonly #turns = new Mutex();

  constructor(deps: OutagesDeps) {
    this.#deps = deps;
  }

  /** To be called every few seconds. */
  look(): Promise<void> {
    return this.#turns.run(async () => {
      this.#seq ??= await this.#begin();
      for await (const event of this.#deps.store.read({ after: this.#seq, types: TYPES })) {
        await this.#take(event as Seen);
        this.#seq = event.seq;
      }
      await this.#raise();
    });
  }

  /** What was under way when the last process ended. */
  async #begin(): Promise<number> {
    const { store } = this.#deps;
    const head = await store.head();
    for await (const event of store.read({ types: ['matter.raised', 'matter.settled'] }))
      await this.#take(event as Seen);
    const found: Seen[] = [...this.#open.values()];
    for (const { id } of (await store.tasks({ statuses: ['queued'] })).filter(({ notBefore }) => notBefore !== null)) {
      const last = { stream: taskStream(id), types: ['task.retried'], reverse: true, limit: 1 } as const;
      for await (const event of store.read(last)) found.push(event as Seen);
    }
    const last = { types: ['run.finished', 'model.answered'], reverse: true, limit: LOOKED_BACK } as const;
    for await (const event of store.read(last)) {
      if (event.at < this.#deps.clock.now() - RECENT_MS) break;
      found.push(event as Seen);
    }
    // An answer of before an outage does not end it.
    this.#open.clear();
    for (const event of found.sort((a, b) => a.seq - b.seq)) await this.#take(event);
    return head;
  }

  async #take(event: Seen): Promise<void> {
    switch (event.type) {
      case 'task.retried':
        if (isOutage(event.data.error)) await this.#keep(event.data.task, event.data.run);
        return;
      case 'run.finished': {
        const { run, status, error } = event.data;
        const task = status === 'dead' && isOutage(error ?? '') ? await this.#taskOf(run) : null;
        if (task !== null) await this.#keep(task, run);
        return;
      }
      case 'model.answered':
        return this.#answered(event.data.provider);
      case 'matter.raised':
        if (event.data.kind === 'outage') this.#open.set(providerOf(event.data.about), event);
        return;
      case 'matter.settled':
        for (const [provider, { data }] of this.#open)
          if (data.matter === event.data.matter) this.#open.delete(provider);
    }
  }

  async #keep(id: string, run: string): Promise<void> {
    const { store } = this.#deps;
    const task = await store.task(id);
    const failed: { provider: string; at: number }[] = [];
    const types = ['model.failed', 'model.answered'] as const;
    for await (const event of store.read({ stream: runStream(run), types, reverse: true })) {
      if (event.type !== 'model.failed') break;
      failed.push({ provider: event.data.provider, at: event.at });
    }
    const [last, first] = [failed.at(0), failed.at(-1)];
    if (last === undefined || first === undefined || task === null) return;
    this.#kept.set(id, { provider: last.provider, since: first.at });
  }

  async #taskOf(run: string): Promise<string | null> {
    for await (const event of this.#deps.store.read({ stream: runStream(run), types: ['run.started'], limit: 1 }))
      if (event.type === 'run.started') return event.data.task;
    return null;
  }

  async #answered(provider: string): Promise<void> {
    for (const [id, kept] of this.#kept) if (kept.provider === provider) this.#kept.delete(id);
    const raised = this.#open.get(provider);
    if (raised === undefined) return;
    const { store } = this.#deps;
    const text = 'It answers again; what waited goes on by itself.';
    const settled = settledBy(raised, (subject) => putJson(store, { text }, subject));
    // A person may have been first.
    await store.commit({ events: [settled], sync: true });
    this.#open.delete(provider);
  }

  async #raise(): Promise<void> {
    const { store, clock } = this.#deps;
    const byProvider = Map.groupBy(this.#kept, ([, { provider }]) => provider);
    for (const [provider, kept] of byProvider) {
      if (this.#open.has(provider)) continue;
      const tasks = await Promise.all(kept.map(async ([id, each]) => ({ ...each, task: await store.task(id) })));
      const open = tasks.filter(({ task }) => task !== null && task.status !== 'cancelled' && task.status !== 'done');
      // Another provider has answered it, or nobody wants it any more.
      for (const { task } of tasks)
        if (task?.status === 'done' || task?.status === 'cancelled') this.#kept.delete(task.id);
      const since = Math.min(...open.map((each) => each.since));
      const lost = open.some(({ task }) => task !== null && isEnded(task.status));
      if (open.length === 0 || (!lost && clock.now() - since < QUIET_MS)) continue;
      const shown = this.#words(
        provider,
        since,
        open.flatMap(({ task }) => task ?? []),
      );
      const raised = matterRaised({ kind: 'outage', about: `${provider}@${since}`, shown }, (words) =>
        putJson(store, words, 'outages'),
      );
      const result = await store.commit({
        events: [{ ...raised, actor: 'runtime', cause: null, labels: [] }],
        sync: true,
      });
      // Answered by a person while the outage goes on: they know.
      if (!result.ok && result.why === 'duplicate' && result.existing?.type === 'matter.raised')
        this.#open.set(provider, result.existing);
    }
  }

  #words(provider: string, since: number, tasks: readonly Task[]): { text: string; reason: string } {
    const [given, waiting] = [
      tasks.filter(({ status }) => isEnded(status)),
      tasks.filter(({ status }) => !isEnded(status)),
    ];
    const named = (list: readonly Task[]): string =>
      `${list
        .slice(0, MAX_NAMED)
        .map(({ id, agent, from }) => `${id} of ${agent} (${from})`)
        .join(', ')}${list.length > MAX_NAMED ? ` and ${list.length - MAX_NAMED} more` : ''}`;
    const pieces = (count: number): string => `${count} piece${count === 1 ? '' : 's'} of work`;
    const parts = [
      `The model provider ${provider} has not answered since ${this.#deps.timeText(since)}.`,
      ...(waiting.length > 0
        ? [`${pieces(waiting.length)} wait${waiting.length === 1 ? 's' : ''} for it: ${named(waiting)}.`]
        : []),
      ...(given.length > 0 ? [`${pieces(given.length)} had to be given up: ${named(given)}.`] : []),
    ];
    return {
      text: parts.join(' '),
      reason: [
        'What waits goes on by itself when the provider answers, and this closes itself then.',
        ...(given.length > 0 ? ['`ruche tasks retry ID` has done once more what was given up.'] : []),
        '`ruche models --test` asks it now; any answer settles this.',
      ].join(' '),
    };
  }
}

const providerOf = (about: string): string => about.slice(0, about.lastIndexOf('@'));
