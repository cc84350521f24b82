const OPEN = /^<(think|thinking|thought)>/i;
/** Anything that may yet become an opening tag. */
const OPENING = /^<(?:t(?:h(?:i(?:n(?:k(?:i(?:n(?:g)?)?)?)?)?|o(?:u(?:g(?:h(?:t)?)?)?)?)?)?)?$/i;
const CLOSE = /<\/(?:think|thinking|thought)>/i;
/** Characters of the longest closing tag. */
const LONGEST = 11;

interface Split {
  thinking: string;
  words: string;
}

/**
 * Tells thinking from words where a server puts both into the content: `<think>…</think>` at the very beginning, once or
 * several times, as vLLM without a parser and some makers' own APIs do. Some templates open the thinking in the prompt, so
 * that only its end comes: `unopened` remembers the models that do. Of those everything is held back up to that end.
 * Pieces may be cut anywhere.
 */
export class ThinkTags {
  /** `start`: at most the beginning of a tag has come. `hidden`: thinking that was never opened, as far as is known. */
  #state: 'start' | 'hidden' | 'thinking' | 'after' | 'words';
  #held = '';
  /** The end of the words, in which a closing tag may begin. */
  #tail = '';
  /** Characters held that have been looked through. */
  #looked = 0;
  readonly #unopened: (() => void) | null;

  /** `isUnopened`: this model has shown before that its thinking is not opened; `learn` is called when it shows it. */
  constructor(isUnopened: boolean, learn: () => void) {
    this.#state = isUnopened ? 'hidden' : 'start';
    this.#unopened = isUnopened ? null : learn;
  }

  split(piece: string): Split {
    if (this.#state === 'words') return { thinking: '', words: this.#words(piece) };
    this.#held += piece;
    const split = { thinking: '', words: '' };
    while (this.#step(split));
    return split;
  }

  /** Goes on to the next state; false if what is held says no more. */
  #step(split: Split): boolean {
    const state = this.#state;
    if (state === 'words') split.words += this.#words(this.#take());
    else if (state === 'start' || state === 'after') this.#begin();
    else split.thinking += this.#think();
    return this.#state !== state;
  }

  /** What is held back when no more comes: of thinking that was only thought to be some, it was the answer. */
  end(): Split {
    const rest = this.#take();
    return this.#state === 'thinking' ? { thinking: rest, words: '' } : { thinking: '', words: rest };
  }

  #begin(): void {
    const text = this.#held.trimStart();
    const open = OPEN.exec(text);
    const close = CLOSE.exec(text);
    if (open) {
      this.#state = 'thinking';
      this.#held = text.slice(open[0].length);
    } else if (close?.index === 0) {
      // The thinking itself came in a field of its own.
      this.#state = 'after';
      this.#held = text.slice(close[0].length);
    } else if (text !== '' && !OPENING.test(text) && !mayClose(text)) {
      if (this.#state === 'after') this.#held = text;
      this.#state = 'words';
    }
  }

  #think(): string {
    // What was looked through before is not looked through again, but for a tag that was cut in two.
    const from = Math.max(0, this.#looked - LONGEST);
    const found = CLOSE.exec(this.#held.slice(from));
    const close = found && { index: from + found.index, 0: found[0] };
    this.#looked = this.#held.length;
    if (close === null) {
      if (this.#state === 'hidden') return '';
      // The end of the tag may be cut in two.
      const cut = this.#held.indexOf('<', Math.max(0, this.#held.length - LONGEST));
      const size = cut < 0 ? this.#held.length : cut;
      const thinking = this.#held.slice(0, size);
      this.#held = this.#held.slice(size);
      this.#looked = 0;
      return thinking;
    }
    this.#state = 'after';
    this.#looked = 0;
    const thinking = this.#held.slice(0, close.index);
    this.#held = this.#held.slice(close.index + close[0].length);
    return thinking;
  }

  /** Words go out as they come. An end of thinking among them tells of the next answer. */
  #words(text: string): string {
    if (this.#unopened !== null) {
      const seen = this.#tail + text;
      if (CLOSE.test(seen)) this.#unopened();
      this.#tail = seen.slice(-LONGEST);
    }
    return text;
  }

  #take(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }
}

/** Whether all of the text may be the beginning of a closing tag. */
const mayClose = (text: string): boolean =>
  ['</think>', '</thinking>', '</thought>'].some((tag) => tag.startsWith(text.toLowerCase()));
