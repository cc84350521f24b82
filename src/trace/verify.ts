import { GENESIS, chainHash, type EventRow } from '../core/event-hash.ts';
import { blobRefs, type BlobRef } from '../core/blob.ts';
import type { Event } from '../core/event.ts';
import { eventId } from '../core/ids.ts';
import type { JournalRepository } from '../core/ports/journal.ts';
import { type Audit, type Blobs, StoreUnavailable } from '../core/ports/store.ts';
import { eventJson, storedEvent } from '../journal/format.ts';
import { errorText } from '../core/text/sentence.ts';
import { type Counts, type Finding, inOrder, Report } from './finding.ts';
import { Lines } from './lines.ts';
import { type LandedHistory, MainCheck } from './main.ts';
import { QueueCheck, type QueueStore } from './queue.ts';

export interface Verification {
  /** In order of the events; what no event knows of comes last. */
  findings: Finding[];
  /** What a person has changed and may change: no fault. */
  notes: Finding[];
  counts: Counts;
}

export interface VerifyOptions {
  store: Pick<Audit & Blobs, 'rows' | 'getBlob'> & QueueStore;
  /** Null: there is none to compare with. */
  journal: Pick<JournalRepository, 'lines' | 'tip'> | null;
  history: LandedHistory | null;
  onProgress?: (counts: Counts) => void;
}

const PROGRESS_EVERY = 1000;
/** Remembered hashes only spare a second look. */
const SEEN_BOUND = 200_000;

/** Holds the record against itself, its readable form and the workspace. Never rejects for what it finds there. */
export async function verify(options: VerifyOptions): Promise<Verification> {
  const report = new Report();
  const main = options.history && new MainCheck(options.history, options.store, report);
  const queue = new QueueCheck(options.store, report);
  await main?.before();
  await new Events(options, report, [queue, ...(main ? [main] : [])]).walk();
  await queue.rows();
  await main?.check();
  options.onProgress?.(report.counts);
  return { findings: inOrder(report.findings), notes: inOrder(report.notes), counts: report.counts };
}

/** The events themselves: the chain, the blobs they name, and their lines in journal.git. */
class Events {
  readonly #options: VerifyOptions;
  readonly #report: Report;
  /** Who looks at each event that can be read. */
  readonly #others: readonly { remember(event: Event): void }[];
  readonly #seen = new Set<string>();

  constructor(options: VerifyOptions, report: Report, others: readonly { remember(event: Event): void }[]) {
    this.#options = options;
    this.#report = report;
    this.#others = others;
  }

  /** One walk over the events: chain, blobs, and the lines of the readable journal beside them. */
  async walk(): Promise<void> {
    const lines = new Lines(this.#options.journal, (seq, message) => this.#find(seq, 'journal.git', message));
    let previous = GENESIS;
    let seq = 0;
    const tip = await this.#tip();
    await lines.begin();
    try {
      for await (const row of this.#options.store.rows()) {
        if (row.seq !== seq + 1)
          this.#find(seq + 1, 'chain', `it is missing: the next event found is ${eventId(row.seq)}`);
        else if (chainHash(previous, row) !== row.hash)
          this.#find(row.seq, 'chain', 'its content, or the hash before it, is not what was written');
        previous = row.hash;
        seq = row.seq;
        this.#report.counts.events += 1;
        await this.#content(row, lines, row.seq <= tip);
        if (seq % PROGRESS_EVERY === 0) this.#options.onProgress?.(this.#report.counts);
      }
    } catch (error) {
      this.#find(seq + 1, 'chain', `it cannot be read: ${errorText(error)}`);
    }
    await lines.end(seq);
    this.#report.counts.lines = lines.read;
    this.#options.onProgress?.(this.#report.counts);
  }

  /** Up to where lines can be expected. A tip that cannot be read is reported, and every line is looked for. */
  async #tip(): Promise<number> {
    try {
      return (await this.#options.journal?.tip()) ?? 0;
    } catch (error) {
      this.#find(null, 'journal.git', errorText(error));
      return Infinity;
    }
  }

  async #content(row: EventRow, lines: Lines, exported: boolean): Promise<void> {
    let event: Event;
    try {
      event = storedEvent(row);
    } catch (error) {
      this.#find(row.seq, 'chain', `its data cannot be read: ${errorText(error)}`);
      return;
    }
    for (const each of this.#others) each.remember(event);
    let whole = true;
    for (const ref of blobRefs(event.data)) if (!(await this.#blob(event.seq, ref))) whole = false;
    // A blob that cannot be read has been told of; its line cannot be made to compare with.
    const expected = async (): Promise<string | null> => (whole ? eventJson(event, this.#options.store) : null);
    await lines.compare(event, exported, expected);
  }

  async #blob(seq: number, ref: BlobRef): Promise<boolean> {
    if (this.#seen.has(ref.hash)) return true;
    try {
      const bytes = await this.#options.store.getBlob(ref);
      if (bytes === null) this.#report.counts.erased += 1;
      else if (bytes.length === ref.size) this.#report.counts.blobs += 1;
      else {
        this.#find(seq, 'blob', `blob ${ref.hash} has ${bytes.length} bytes; the event says ${ref.size}`);
        return false;
      }
    } catch (error) {
      const why =
        error instanceof StoreUnavailable ? 'the part of the database that holds it is damaged' : errorText(error);
      this.#find(seq, 'blob', `blob ${ref.hash} cannot be read: ${why}`);
      return false;
    }
    if (this.#seen.size >= SEEN_BOUND) this.#seen.clear();
    this.#seen.add(ref.hash);
    return true;
  }

  #find(seq: number | null, where: Finding['where'], message: string): void {
    this.#report.find(seq, where, message);
  }
}
