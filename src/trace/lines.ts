import { blobRefs } from '../core/blob.ts';
import type { Event } from '../core/event.ts';
import type { JournalRepository } from '../core/ports/journal.ts';
import { canonicalJson } from '../core/text/json.ts';
import { errorText } from '../core/text/sentence.ts';

/** The lines of the readable journal, one behind the other, beside the events they were made of. */
export class Lines {
  read = 0;
  readonly #iterator: AsyncIterator<{ seq: number; json: string; path: string }> | null;
  readonly #find: (seq: number, message: string) => void;
  #next: { seq: number; json: string; path: string } | null = null;
  #last = 0;
  #broken = false;

  constructor(journal: Pick<JournalRepository, 'lines'> | null, find: (seq: number, message: string) => void) {
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
