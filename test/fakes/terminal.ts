import { Writable } from 'node:stream';

/** A terminal that keeps what a person would see: rows of text, and a cursor that the usual sequences move. */
export class FakeTerminal extends Writable {
  readonly isTTY = true;
  readonly columns: number;
  readonly #rows: string[][] = [[]];
  #row = 0;
  #column = 0;
  /** All that was written, with its sequences. */
  raw = '';

  constructor(columns = 40) {
    super({ decodeStrings: false });
    this.columns = columns;
  }

  /** Rows from the first one on, without the empty ones at the end. */
  shown(): string {
    const rows = this.#rows.map((row) =>
      Array.from(row, (cell) => cell ?? ' ')
        .join('')
        .trimEnd(),
    );
    return rows.join('\n').trimEnd();
  }

  override _write(chunk: string | Buffer, _: unknown, done: () => void): void {
    const text = String(chunk);
    this.raw += text;
    // oxlint-disable-next-line no-control-regex -- it reads them
    for (const [piece, count = '', kind] of text.matchAll(/\u001b\[\??([\d;]*)([A-Za-z])|[^]/gu)) {
      if (kind !== undefined) this.#control(kind, count === '' ? null : Number(count));
      else this.#put(piece);
    }
    done();
  }

  #control(kind: string, count: number | null): void {
    if (kind === 'A') this.#row = Math.max(0, this.#row - (count ?? 1));
    if (kind === 'B') this.#row += count ?? 1;
    if (kind === 'C') this.#column += count ?? 1;
    if (kind === 'D') this.#column = Math.max(0, this.#column - (count ?? 1));
    if (kind === 'G') this.#column = (count ?? 1) - 1;
    if (kind === 'J') this.#rows.splice(this.#row + 1);
    if (kind === 'J' || kind === 'K') this.#current().splice(this.#column);
  }

  #put(character: string): void {
    if (character === '\r') this.#column = 0;
    else if (character === '\n') [this.#row, this.#column] = [this.#row + 1, 0];
    else if (character >= ' ') {
      // Only the next character wraps.
      if (this.#column >= this.columns) [this.#row, this.#column] = [this.#row + 1, 0];
      this.#current()[this.#column] = character;
      this.#column += 1;
    }
  }

  #current(): string[] {
    while (this.#rows.length <= this.#row) this.#rows.push([]);
    return this.#rows[this.#row] ?? [];
  }
}
