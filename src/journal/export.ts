import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../core/ports/clock.ts';
import type { JournalLine, JournalRepository } from '../core/ports/journal.ts';
import type { Log } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import { journalLine } from './format.ts';
import { errorText } from '../core/text/sentence.ts';

export interface ExportOptions {
  store: Pick<Store, 'commit' | 'head' | 'rows' | 'getBlob'>;
  repository: JournalRepository;
  clock: Clock;
  log: Log;
  /** Milliseconds between batches; 500 unless given. Three times as many after a large one: each costs a process of Git. */
  everyMs?: number;
  /** Events in one batch; 2000 unless given. */
  batch?: number;
}

export interface JournalExport {
  /** Seq of the last event that has reached the repository. */
  exported(): number;
  /** Why it is behind, in plain words; null if it is written. */
  problem(): string | null;
  /** Resolves once every event up to `seq` has reached it. */
  reached(seq: number): Promise<void>;
  /** Brings over what is there, once, and stops. */
  close(): Promise<void>;
}

/** Characters of lines in one batch: what is held in memory at once. */
const MAX_CHARACTERS = 8_000_000;
/** Imports between two looks at whether packs should be rolled up. */
const MAINTAIN_EVERY = 20;
/** Lines made without letting others run. */
const BREATH = 20;
/** Events that make a batch a large one. */
const LARGE = 300;
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 60_000;

/** Keeps the readable journal at most a batch behind the store. What it did is in the repository's tip and nowhere else. */
export async function startExport(options: ExportOptions): Promise<JournalExport> {
  const { store, repository, clock, log } = options;
  const stop = new AbortController();
  const waiting = new Set<{ seq: number; done: () => void }>();
  let exported = await repository.tip();
  let failing = 0;
  let problem: string | null = null;

  const moved = (): void => {
    for (const waiter of waiting) if (waiter.seq <= exported && waiting.delete(waiter)) waiter.done();
  };

  /** One batch; true if there may be more. */
  const step = async (): Promise<boolean> => {
    const head = await store.head();
    if (exported > head) throw new Error(`journal.git holds event ${exported}, but the database ends at ${head}`);
    if (exported === head) return false;
    try {
      await repository.append(await nextLines(options, exported));
    } finally {
      exported = await repository.tip();
    }
    moved();
    return exported < head;
  };

  const failed = (error: unknown): number => {
    failing += 1;
    const wait = Math.min(FIRST_WAIT * 2 ** (failing - 1), LONGEST_WAIT);
    problem = errorText(error);
    const fields = { error: problem, exported, retryInMs: wait };
    log.warn(fields, 'the readable journal (journal.git) could not be written; it is tried again');
    return wait;
  };

  const loop = async (): Promise<void> => {
    let imports = 0;
    while (!stop.signal.aborted) {
      let wait = options.everyMs ?? 500;
      try {
        const before = exported;
        const more = await step();
        if (exported - before >= LARGE) wait *= 3;
        if (exported > before && ++imports % MAINTAIN_EVERY === 0) await repository.maintain();
        if (failing > 0) log.info({ exported }, 'the readable journal is written again');
        failing = 0;
        problem = null;
        if (more) wait = 0;
      } catch (error) {
        wait = failed(error);
      }
      if (wait > 0) await clock.sleep(wait, stop.signal).catch(() => undefined);
    }
  };

  const checking = checkWhole(options, stop.signal).then(async () => {
    exported = await repository.tip();
  });
  const running = loop();
  return {
    exported: () => exported,
    problem: () => problem,
    reached: (seq) =>
      new Promise((done) => {
        waiting.add({ seq, done });
        moved();
      }),
    async close() {
      stop.abort();
      await Promise.all([running, checking]);
      try {
        while (await step());
      } catch (error) {
        // The next start goes on from the tip.
        failed(error);
      }
      for (const { done } of waiting) done();
    },
  };
}

/** Damage below the tip is in nobody's way until somebody reads there. Beside the work, so that no start waits for it. */
async function checkWhole({ repository, log }: ExportOptions, signal: AbortSignal): Promise<void> {
  try {
    await repository.check(signal);
  } catch (error) {
    if (!signal.aborted) log.warn({ error: errorText(error) }, 'journal.git could not be checked for damage');
  }
}

async function nextLines(options: ExportOptions, after: number): Promise<JournalLine[]> {
  // What a power cut takes from the database must not stand here: the next start would find it missing.
  await options.store.commit({ events: [], sync: true });
  const lines: JournalLine[] = [];
  let characters = 0;
  for await (const row of options.store.rows(after)) {
    const line = await journalLine(row, options.store);
    lines.push(line);
    characters += line.json.length;
    // Turns go on meanwhile: a batch made in one go would hold them for a tenth of a second.
    if (lines.length % BREATH === 0) await setImmediate();
    if (lines.length >= (options.batch ?? 2000) || characters >= MAX_CHARACTERS) break;
  }
  return lines;
}
