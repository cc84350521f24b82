import { GENESIS, chainHash, type EventRow } from '../core/event-hash.ts';
import { blobRefs, type BlobRef } from '../core/blob.ts';
import type { Event } from '../core/event.ts';
import { eventId, runOfStream } from '../core/ids.ts';
import { canonicalJson } from '../core/text/json.ts';
import type { JournalRepository } from '../core/ports/journal.ts';
import type { Audit, Blobs } from '../core/ports/store.ts';
import { eventJson, storedEvent } from '../journal/format.ts';
import { errorText } from '../core/text/sentence.ts';

/** The commits of `main` as far as verification needs them. */
export interface LandedHistory {
  /** Commits on `main` with a Ruche-Run trailer, one item a trailer; without those reachable from `since` (null: all). */
  landed(since: string | null): AsyncIterable<{ commit: string; run: string }>;
  /** Whether the repository has the commit at all. */
  exists(commit: string): Promise<boolean>;
}

export interface Finding {
  /** The event it concerns; null for what no event knows of. */
  event: string | null;
  where: 'chain' | 'blob' | 'journal.git' | 'main';
  /** What does not fit, in plain words. */
  message: string;
}

export interface Counts {
  events: number;
  blobs: number;
  erased: number;
  lines: number;
  commits: number;
}

export interface Verification {
  /** In order of the events; what no event knows of comes last. */
  findings: Finding[];
  counts: Counts;
}

export interface VerifyOptions {
  store: Pick<Audit & Blobs, 'rows' | 'getBlob'>;
  /** Null: there is none to compare with. */
  journal: Pick<JournalRepository, 'lines' | 'tip'> | null;
  history: LandedHistory | null;
  onProgress?: (counts: Counts) => void;
}

/** Findings kept; a broken disk need not be listed whole. */
const MAX_FINDINGS = 1000;
const PROGRESS_EVERY = 1000;
/** Remembered hashes only spare a second look. */
const SEEN_BOUND = 200_000;

interface Landing {
  seq: number;
  commit: string;
}

/** Holds the record against itself, its readable form and the workspace. Never rejects for what it finds there. */
export async function verify(options: VerifyOptions): Promise<Verification> {
  const check = new Check(options);
  // A gateway may be at work: what main holds is looked at before and after the events, and only what both show counts.
  const before = await check.landed();
  await check.events();
  await check.main(before);
  const order = (finding: Finding): number => (finding.event === null ? Infinity : Number(finding.event.slice(4)));
  const findings = check.findings.toSorted((a, b) => {
    const [left, right] = [order(a), order(b)];
    return left === right ? 0 : left - right;
  });
  return { findings, counts: check.counts };
}

class Check {
  readonly findings: Finding[] = [];
  readonly counts: Counts = { events: 0, blobs: 0, erased: 0, lines: 0, commits: 0 };
  readonly #options: VerifyOptions;
  readonly #seen = new Set<string>();
  readonly #landings = new Map<string, Landing[]>();
  /** Runs whose landing was begun: its commit may be there before its receipt. */
  readonly #begun = new Set<string>();
  #firstConfig: string | null = null;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  #find(seq: number | null, where: Finding['where'], message: string): void {
    if (this.findings.length < MAX_FINDINGS)
      this.findings.push({ event: seq === null ? null : eventId(seq), where, message });
  }

  /** One walk over the events: chain, blobs, and the lines of the readable journal beside them. */
  async events(): Promise<void> {
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
        this.counts.events += 1;
        await this.#content(row, lines, row.seq <= tip);
        if (seq % PROGRESS_EVERY === 0) this.#options.onProgress?.(this.counts);
      }
    } catch (error) {
      this.#find(seq + 1, 'chain', `it cannot be read: ${errorText(error)}`);
    }
    await lines.end(seq);
    this.counts.lines = lines.read;
    this.#options.onProgress?.(this.counts);
  }

  /** Up to where lines can be expected. A tip that cannot be read is told of, and every line is looked for. */
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
    this.#remember(event);
    let whole = true;
    for (const ref of blobRefs(event.data)) if (!(await this.#blob(event.seq, ref))) whole = false;
    // A blob that cannot be read has been told of; its line cannot be made to compare with.
    const expected = async (): Promise<string | null> => (whole ? eventJson(event, this.#options.store) : null);
    await lines.compare(event, exported, expected);
  }

  #remember(event: Event): void {
    if (event.type === 'config.applied') this.#firstConfig ??= event.data.commit;
    const run = runOfStream(event.stream);
    if (run === null) return;
    if (event.type === 'landing.started') this.#begun.add(run);
    if (event.type !== 'landing.finished' || event.data.commit === null) return;
    const landings = this.#landings.get(run) ?? [];
    landings.push({ seq: event.seq, commit: event.data.commit });
    this.#landings.set(run, landings);
  }

  async #blob(seq: number, ref: BlobRef): Promise<boolean> {
    if (this.#seen.has(ref.hash)) return true;
    try {
      const bytes = await this.#options.store.getBlob(ref);
      if (bytes === null) this.counts.erased += 1;
      else if (bytes.length === ref.size) this.counts.blobs += 1;
      else {
        this.#find(seq, 'blob', `blob ${ref.hash} has ${bytes.length} bytes; the event says ${ref.size}`);
        return false;
      }
    } catch (error) {
      this.#find(seq, 'blob', errorText(error));
      return false;
    }
    if (this.#seen.size >= SEEN_BOUND) this.#seen.clear();
    this.#seen.add(ref.hash);
    return true;
  }

  /** `commit run` of each landing on `main`. */
  async landed(since: string | null = null): Promise<Set<string>> {
    const found = new Set<string>();
    try {
      for await (const { commit, run } of this.#options.history?.landed(since) ?? []) found.add(`${commit} ${run}`);
    } catch (error) {
      this.#find(null, 'main', `the workspace cannot be read: ${errorText(error)}`);
    }
    return found;
  }

  /** Each landing is on `main` under its run's name, and `main` holds no work of a run that the journal knows not. */
  async main(before: ReadonlySet<string>): Promise<void> {
    const { history } = this.#options;
    if (!history) return;
    const now = await this.landed();
    for (const [run, landings] of this.#landings)
      for (const { seq, commit } of landings) {
        this.counts.commits += 1;
        if (now.has(`${commit} ${run}`)) continue;
        const there = await history.exists(commit);
        const why = there ? `main does not hold under the name of ${run}` : 'the workspace does not have';
        this.#find(seq, 'main', `it landed as commit ${commit}, which ${why}`);
      }
    for (const item of await this.landed(this.#firstConfig)) {
      const [commit = '', run = ''] = item.split(' ');
      const known = this.#landings.get(run)?.some((landing) => landing.commit === commit) ?? false;
      if (known || this.#begun.has(run) || !before.has(item)) continue;
      this.#find(null, 'main', `commit ${commit} on main names ${run}, which the journal does not know`);
    }
    this.#options.onProgress?.(this.counts);
  }
}

/** The lines of the readable journal, one behind the other, beside the events they were made of. */
class Lines {
  read = 0;
  readonly #iterator: AsyncIterator<{ seq: number; json: string; path: string }> | null;
  readonly #find: (seq: number, message: string) => void;
  #next: { seq: number; json: string; path: string } | null = null;
  #last = 0;
  #broken = false;

  constructor(journal: VerifyOptions['journal'], find: (seq: number, message: string) => void) {
    this.#iterator = journal ? journal.lines()[Symbol.asyncIterator]() : null;
    this.#find = find;
  }

  /** Fixes what is read before the events are: a running gateway writes on, and a line must not seem to lack its event. */
  async begin(): Promise<void> {
    await this.#at(1);
  }

  /** The line at or after `seq`; lines that are out of place are told of on the way. */
  async #at(seq: number): Promise<{ seq: number; json: string; path: string } | null> {
    while (!this.#next || this.#next.seq < seq) {
      const next = await this.#pull(seq);
      if (!next) return null;
      if (next.seq <= this.#last) this.#find(next.seq, `it stands twice: again in ${next.path}`);
      else this.#next = next;
      this.#last = Math.max(this.#last, next.seq);
    }
    return this.#next;
  }

  async #pull(seq: number): Promise<{ seq: number; json: string; path: string } | null> {
    if (!this.#iterator || this.#broken) return null;
    try {
      const next = await this.#iterator.next();
      if (next.done === true) return null;
      this.read += 1;
      return next.value;
    } catch (error) {
      this.#broken = true;
      this.#find(seq, errorText(error));
      return null;
    }
  }

  /**
   * `exported`: there must be a line. One that is there is compared even so: what the tip of the repository says of itself
   * can be forged with the lines. `made` gives null: the line cannot be made, so only its place is looked at.
   */
  async compare(event: Event, exported: boolean, made: () => Promise<string | null>): Promise<void> {
    const line = await this.#at(event.seq);
    if (line?.seq !== event.seq) {
      if (exported && !this.#broken) this.#find(event.seq, 'its line is missing');
      return;
    }
    this.#next = null;
    const expected = await made();
    if (expected === null || line.json === expected) return;
    const same = withoutContent(line.json) === withoutContent(expected);
    this.#find(
      event.seq,
      same && expected.includes('"erased":true')
        ? `its line in ${line.path} still holds what was erased: make journal.git anew`
        : `its line in ${line.path} is not what was written`,
    );
  }

  async end(head: number): Promise<void> {
    for (let line = await this.#at(head + 1); line; line = await this.#at(line.seq + 1)) {
      this.#find(line.seq, `a line stands in ${line.path}, but there is no such event`);
      this.#next = null;
    }
    await this.#iterator?.return?.();
  }
}

/** The line with contents taken out, so that what was erased since it was written does not count. */
function withoutContent(json: string): string {
  const strip = (value: unknown): unknown => {
    if (value === null || typeof value !== 'object') return value;
    if (Array.isArray(value)) return value.map(strip);
    const [ref] = 'hash' in value && 'subject' in value ? blobRefs(value) : [];
    if (ref) return { hash: ref.hash, size: ref.size, subject: ref.subject };
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, strip(inner)]));
  };
  try {
    return canonicalJson(strip(JSON.parse(json)));
  } catch {
    // Not JSON: it equals only itself.
    return json;
  }
}
