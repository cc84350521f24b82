/** A line, taken apart from the left by the quotes and lists that its words stand in. */
export class Line {
  /** All that is left of it. */
  rest: string;
  /** Where that begins: a tab reaches to the next fourth column. */
  #column = 0;

  constructor(text: string) {
    this.rest = text;
  }

  /** White space before the words, in columns. */
  get indent(): number {
    let columns = 0;
    for (const char of /^[ \t]*/.exec(this.rest)?.[0] ?? '')
      columns += char === ' ' ? 1 : 4 - ((this.#column + columns) % 4);
    return columns;
  }

  /** What is left without white space around it. */
  get words(): string {
    return this.rest.trim();
  }

  /** Goes over columns of white space, at most as many as there are, and then over a sign. */
  skip(columns: number, sign = ''): void {
    const spaces = Math.min(columns, this.indent);
    for (let left = spaces; left > 0; left -= 1) {
      if (this.rest[0] === '\t') this.rest = ' '.repeat(4 - (this.#column % 4)) + this.rest.slice(1);
      this.rest = this.rest.slice(1);
      this.#column += 1;
    }
    this.rest = this.rest.slice(sign.length);
    this.#column += sign.length;
  }
}
