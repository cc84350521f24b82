const OPEN = '<think>';
const CLOSE = '</think>';

interface Split {
  thinking: string;
  words: string;
}

/**
 * Tells thinking from words where a server puts both into the content: `<think>…</think>` at the very beginning, as vLLM
 * without a parser and some makers' own APIs do. Pieces may be cut anywhere.
 */
export class ThinkTags {
  /** `start`: at most the beginning of the tag has come. `after`: blanks behind its end are skipped. */
  #state: 'start' | 'thinking' | 'after' | 'words' = 'start';
  #held = '';

  split(piece: string): Split {
    if (this.#state === 'words') return { thinking: '', words: piece };
    this.#held += piece;
    if (this.#state === 'start') this.#begin();
    const thinking = this.#state === 'thinking' ? this.#think() : '';
    if (this.#state === 'after') {
      this.#held = this.#held.trimStart();
      if (this.#held !== '') this.#state = 'words';
    }
    return { thinking, words: this.#state === 'words' ? this.#take() : '' };
  }

  /** What is held back when no more comes. */
  end(): Split {
    const rest = this.#take();
    return this.#state === 'thinking' ? { thinking: rest, words: '' } : { thinking: '', words: rest };
  }

  #begin(): void {
    const text = this.#held.trimStart();
    if (text.startsWith(OPEN)) {
      this.#state = 'thinking';
      this.#held = text.slice(OPEN.length);
    } else if (!OPEN.startsWith(text)) this.#state = 'words';
  }

  #think(): string {
    const end = this.#held.indexOf(CLOSE);
    if (end >= 0) this.#state = 'after';
    // The end of the tag may be cut in two.
    const size = end >= 0 ? end : this.#held.length - partOf(this.#held, CLOSE);
    const thinking = this.#held.slice(0, size);
    this.#held = this.#held.slice(end >= 0 ? end + CLOSE.length : size);
    return thinking;
  }

  #take(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }
}

/** How many characters at the end of the text may be the beginning of the tag. */
function partOf(text: string, tag: string): number {
  for (let size = Math.min(tag.length - 1, text.length); size > 0; size -= 1)
    if (tag.startsWith(text.slice(-size))) return size;
  return 0;
}
