/** A line, taken apart from the left by the quotes and lists that its words stand in. */
export class Line {
  readonly #text: string;
  #at = 0;
  /** Tabs reach to the next fourth column, counted from the beginning of the line. */
  #column = 0;
  /** Columns of a tab that are left over from it. */
  #owed = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** White space before the words, in columns, and the words without what is white behind them, or with it. */
  look(): { indent: number; words: string; all: string } {
    let column = this.#column + this.#owed;
    let at = this.#at;
    for (; ; at += 1) {
      if (this.#text[at] === ' ') column += 1;
      else if (this.#text[at] === '\t') column += 4 - (column % 4);
      else break;
    }
    const all = this.#text.slice(at);
    return { indent: column - this.#column, words: all.trimEnd(), all };
  }

  /** Goes over columns of white space, at most as many as there are. */
  skip(columns: number): void {
    for (let left = columns; left > 0; left -= 1) {
      if (this.#owed > 0) this.#owed -= 1;
      else if (this.#text[this.#at] === '\t') {
        this.#owed = 3 - (this.#column % 4);
        this.#at += 1;
      } else if (this.#text[this.#at] === ' ') this.#at += 1;
      else return;
      this.#column += 1;
    }
  }

  /** Goes over a sign and the white space before it. */
  take(sign: string): void {
    this.skip(this.look().indent);
    this.#at += sign.length;
    this.#column += sign.length;
  }

  /** All that is left, as it is. */
  get rest(): string {
    return ' '.repeat(this.#owed) + this.#text.slice(this.#at);
  }
}
