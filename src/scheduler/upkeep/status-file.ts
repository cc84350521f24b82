import type { Clock } from '../../core/ports/clock.ts';
import type { EventOf } from '../../core/event.ts';
import { runStream, taskStream, idIn } from '../../core/ids.ts';
import type { PrivateFile } from '../../core/ports/secrets.ts';
import type { Reads } from '../../core/ports/store.ts';
import { OUTBOX } from '../../core/records/reply.ts';
import type { CheckResult } from './checks.ts';
import { Mutex } from '../../core/time/mutex.ts';
import { openWall } from '../../core/time/wall.ts';

const DAY = 86_400_000;
/** Runs of a day that are counted. */
const MAX_RUNS = 20_000;
/** Milliseconds for which what was written counts as of now. */
const FRESH_MS = 1_000;
/** Failures that are named. */
const MAX_NAMED = 20;

export interface StatusDeps {
  store: Reads;
  clock: Pick<Clock, 'now'>;
  /** IANA name of the zone whose day it is. */
  zone(): string;
  file: Pick<PrivateFile, 'write'>;
  /** Queues of which nothing is begun now, by a person's will. */
  paused(): readonly string[];
  checks(): readonly CheckResult[];
}

interface Run {
  at: number;
  run: string;
  agent: string;
  status: string;
  error: string | null;
  costUsd: number;
  unpriced: boolean;
}

/**
 * How the runtime is, as lines of `key value` that a shell script reads without any help: numbers, names and ids, nothing
 * that anybody said. It is all that commands can learn of the runtime, which they cannot reach.
 */
export class StatusFile {
  readonly #deps: StatusDeps;
  #runs: Run[] = [];
  #seq: number | null = null;
  #written = -Infinity;
  readonly #turns = new Mutex();

  constructor(deps: StatusDeps) {
    this.#deps = deps;
  }

  /** One after the other: two that read on at once would count what they find twice. */
  text(): Promise<string> {
    return this.#turns.run(() => this.#text());
  }

  async write(): Promise<void> {
    const now = this.#deps.clock.now();
    await this.#deps.file.write(await this.text());
    this.#written = now;
  }

  /** Writes it unless it is of this very moment: what begins by the clock after a sleep must not read facts of before. */
  async refresh(): Promise<void> {
    if (Math.abs(this.#deps.clock.now() - this.#written) >= FRESH_MS) await this.write();
  }

  async #text(): Promise<string> {
    const { store, clock, checks } = this.#deps;
    const now = clock.now();
    await this.#read(now - DAY);
    const counts = await store.counts();
    const bad = this.#runs.filter(({ status }) => status === 'failed' || status === 'dead');
    const count = (status: string): number => this.#runs.filter((run) => run.status === status).length;
    const named = await Promise.all(bad.slice(-MAX_NAMED).map((run) => this.#failure(run)));
    const lines = [
      ['at', seconds(now)],
      ['time', new Date(now).toISOString()],
      ['day', dayIn(this.#deps.zone(), now)],
      ['queued', counts.queued],
      ['running', counts.running],
      ['waiting', counts.waiting],
      ['oldest_queued_seconds', seconds(await this.#oldest(now))],
      ['paused', this.#deps.paused().join(' ') || 'none'],
      ['done_24h', count('done')],
      ['failed_24h', bad.length],
      ['failed_1h', bad.filter(({ at }) => at > now - DAY / 24).length],
      ['cancelled_24h', count('cancelled')],
      ['cost_usd_24h', this.#runs.reduce((sum, { costUsd }) => sum + costUsd, 0).toFixed(4)],
      ['unpriced_24h', this.#runs.filter(({ unpriced }) => unpriced).length],
      ...this.#byAgent().map((words) => ['agent', words]),
      ...this.#unpriced().map((words) => ['unpriced', words]),
      ...(await this.#waits()).map((words) => ['waits', words]),
      ...named.map((words) => ['failure', words]),
      ...checks().map(({ url, state, status, days, why }) => [
        'check',
        [state, status ?? '-', days ?? '-', url, why].join(' ').trimEnd(),
      ]),
    ];
    return `${lines.map((line) => line.join(' ')).join('\n')}\n`;
  }

  /** Name, runs that came to a good end, others, and what they cost. */
  #byAgent(): string[] {
    const names = [...new Set(this.#runs.map(({ agent }) => agent))].sort();
    return names.map((name) => {
      const runs = this.#runs.filter(({ agent }) => agent === name);
      const done = runs.filter(({ status }) => status === 'done').length;
      const costUsd = runs.reduce((sum, run) => sum + run.costUsd, 0);
      return [name, done, runs.length - done, costUsd.toFixed(4)].join(' ');
    });
  }

  /** Agents and their runs whose cost is not known whole. A line of its own: scripts divide that of an agent by its blanks. */
  #unpriced(): string[] {
    const runs = Map.groupBy(
      this.#runs.filter(({ unpriced }) => unpriced),
      ({ agent }) => agent,
    );
    return [...runs].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { length }]) => `${name} ${length}`);
  }

  /** Tasks that wait for a person, or for other tasks. */
  async #waits(): Promise<string[]> {
    const waiting = await this.#deps.store.tasks({ statuses: ['waiting'], limit: MAX_NAMED });
    return waiting.map(({ id, agent }) => `${agent} ${id}`);
  }

  /** Milliseconds that the first task waits which nothing holds back. */
  async #oldest(now: number): Promise<number> {
    const { store } = this.#deps;
    const held = new Set([OUTBOX, ...this.#deps.paused()]);
    const busy = new Set((await store.tasks({ statuses: ['running', 'waiting'] })).map(({ lane }) => lane));
    for (const task of await store.tasks({ statuses: ['queued'] })) {
      const { id, queue, lane, notBefore, attempt } = task;
      if (held.has(queue) || busy.has(lane) || attempt > 1 || (notBefore ?? 0) > now) continue;
      if ((await store.awaited(id)).length > 0) continue;
      for await (const event of store.read({ stream: taskStream(id), limit: 1 }))
        return Math.max(0, now - Math.max(event.at, notBefore ?? 0));
    }
    return 0;
  }

  /** Runs that have ended since, read on from the last look. */
  async #read(since: number): Promise<void> {
    const { store } = this.#deps;
    const types = ['run.finished'] as const;
    if (this.#seq === null) {
      const head = await store.head();
      const runs: Run[] = [];
      for await (const event of store.read({ types, reverse: true, limit: MAX_RUNS, before: head + 1 })) {
        if (event.at <= since) break;
        runs.push(runOf(event as EventOf<'run.finished'>));
      }
      this.#runs = runs.reverse();
      this.#seq = head;
    }
    for await (const event of store.read({ types, after: this.#seq })) {
      this.#runs.push(runOf(event as EventOf<'run.finished'>));
      this.#seq = event.seq;
    }
    this.#runs = this.#runs.filter(({ at }) => at > since).slice(-MAX_RUNS);
  }

  async #failure({ at, run, agent, error }: Run): Promise<string> {
    const stream = runStream(run);
    for await (const event of this.#deps.store.read({ stream, types: ['run.started'], limit: 1 }))
      if (event.type === 'run.started')
        return [new Date(at).toISOString(), agent, event.data.task, error ?? 'unknown'].join(' ');
    return [new Date(at).toISOString(), agent, run, error ?? 'unknown'].join(' ');
  }
}

/** As the network's clock has it: at eight in the morning in Tokyo it is yesterday elsewhere. */
const dayIn = (zone: string, now: number): string =>
  new Date(openWall(zone)?.at(now) ?? now).toISOString().slice(0, 10);

const seconds = (ms: number): number => Math.floor(ms / 1000);

const runOf = ({ at, actor, data }: EventOf<'run.finished'>): Run => ({
  at,
  run: data.run,
  agent: idIn('agent', actor) ?? actor,
  status: data.status,
  error: data.error,
  costUsd: data.costUsd,
  unpriced: data.unpriced === true,
});
