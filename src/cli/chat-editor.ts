import { createInterface, cursorTo, clearScreenDown, moveCursor, type Interface } from 'node:readline';
import { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { Clock } from '../core/ports/clock.ts';
import { type Io, oneLine } from './io.ts';

/** What somebody has entered: a line that was typed, or a text in which something was pasted. */
export interface Entry {
  text: string;
  pasted: boolean;
}

interface EditorEvents {
  onEntry(entry: Entry): void;
  /** The first key of a line: what stands on the screen now is what the person has seen. */
  onBegin(): void;
  onInterrupt(): void;
}

export interface ChatEditor {
  /** Prints above the line that is being typed. */
  out(text: string): void;
  /** Waits for a line with this prompt. */
  prompt(prompt: string): void;
  close(): void;
  readonly closed: Promise<void>;
}

/** The terminal is asked to mark what is pasted: between these two it was no key that was pressed. */
const [MARK_PASTES, UNMARK_PASTES] = ['\x1b[?2004h', '\x1b[?2004l'];
const [PASTE_BEGINS, PASTE_ENDS] = ['\x1b[200~', '\x1b[201~'];
/** Milliseconds: what follows the end of a line sooner was not typed. It is for terminals that mark nothing. */
export const BURST_MS = 20;
/** Characters of a paste that stand in the line as they are. */
const SHOWN_PASTE = 500;
/** Lines of a longer one that are shown above the line. */
const SEEN_LINES = 20;
/** Rows of an answer that are drawn anew with the line below. More of them are no longer touched. */
const LIVE_ROWS = 4;

const PROMPT = '› ';
const BREAK = /\r\n|\r|\n/g;

/** The line that is being typed, apart from what is printed meanwhile, and pastes apart from keys. */
export function chatEditor(
  io: Pick<Io, 'stdin' | 'clock'> & { editor: NodeJS.WritableStream },
  events: EditorEvents,
): ChatEditor {
  const screen = new Screen(io, events);
  const input = new PasteReader(io.clock, screen);
  const decoder = new StringDecoder('utf8');
  const take = (chunk: Buffer | string): void => input.take(typeof chunk === 'string' ? chunk : decoder.write(chunk));
  const end = (): void => {
    input.settle();
    screen.close();
  };
  io.editor.write(MARK_PASTES);
  io.stdin.on('data', take);
  io.stdin.once('end', end);
  const closed = screen.closed.then(() => {
    io.stdin.off('data', take);
    io.stdin.off('end', end);
    io.stdin.pause();
    io.editor.write(UNMARK_PASTES);
  });
  return {
    out: (text) => screen.out(text),
    prompt: (prompt) => screen.prompt(prompt),
    close: () => screen.close(),
    closed,
  };
}

/** Lines of a terminal on which nothing can be drawn. Those that come at once were pasted. */
export function plainEntries(io: Pick<Io, 'stdin' | 'clock'>, onEntry: (entry: Entry) => void): Promise<void> {
  let held = '';
  const decoder = new StringDecoder('utf8');
  const timer = new Timer(io.clock);
  const settle = (): void => {
    timer.stop();
    const lines = held.split(BREAK).filter((line) => line.trim() !== '');
    held = '';
    if (lines.length > 0) onEntry({ text: lines.join('\n'), pasted: lines.length > 1 });
  };
  return new Promise((resolve) => {
    io.stdin.on('data', (chunk: Buffer | string) => {
      held += typeof chunk === 'string' ? chunk : decoder.write(chunk);
      timer.stop();
      if (/[\r\n]/.test(held)) timer.start(BURST_MS, settle);
    });
    io.stdin.once('end', () => {
      settle();
      resolve();
    });
  });
}

class Timer {
  #running: AbortController | null = null;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(ms: number, then: () => void): void {
    this.stop();
    const running = new AbortController();
    this.#running = running;
    this.#clock.sleep(ms, running.signal).then(
      () => !running.signal.aborted && then(),
      () => undefined,
    );
  }

  stop(): void {
    this.#running?.abort();
    this.#running = null;
  }
}

/** Tells pastes from keys, with the marks of the terminal and without them. */
class PasteReader {
  readonly #timer: Timer;
  readonly #to: Pick<Screen, 'keys' | 'paste' | 'submit'>;
  /** What may be the beginning of a mark. */
  #partial = '';
  /** Of a paste whose end has not come. */
  #paste: string | null = null;
  /** From the end of a line on, until it is known whether anything follows at once. */
  #burst: string | null = null;
  /** What follows a paste at once was pasted, too: a text may hold the mark of its own end, and keys behind it. */
  #behind = false;

  constructor(clock: Clock, to: Pick<Screen, 'keys' | 'paste' | 'submit'>) {
    this.#timer = new Timer(clock);
    this.#to = to;
  }

  take(chunk: string): void {
    let text = this.#partial + chunk;
    this.#partial = '';
    while (text !== '') {
      const mark = this.#nextMark(text);
      if (mark === null) break;
      const at = text.indexOf(mark);
      this.#pass(text.slice(0, at));
      text = text.slice(at + mark.length);
      this.#marked(mark);
    }
    const open = Math.max(beginOf(text, PASTE_ENDS), this.#paste === null ? beginOf(text, PASTE_BEGINS) : 0);
    this.#partial = text.slice(text.length - open);
    this.#pass(text.slice(0, text.length - open));
    // Escape is a key, too.
    if (this.#paste === null && (this.#partial !== '' || this.#behind))
      this.#timer.start(BURST_MS, () => this.settle());
  }

  #nextMark(text: string): string | null {
    const [begin, end] = [this.#paste === null ? text.indexOf(PASTE_BEGINS) : -1, text.indexOf(PASTE_ENDS)];
    if (begin === -1 && end === -1) return null;
    return end === -1 || (begin !== -1 && begin < end) ? PASTE_BEGINS : PASTE_ENDS;
  }

  #marked(mark: string): void {
    if (mark === PASTE_BEGINS) {
      this.settle();
      this.#paste = '';
      return;
    }
    // An end without a beginning: an end mark in the text itself has come before it.
    if (this.#paste !== null) this.#to.paste(this.#paste);
    this.#paste = null;
    this.#behind = true;
  }

  /** Nothing has followed. */
  settle(): void {
    this.#timer.stop();
    const [burst, partial] = [this.#burst, this.#partial];
    this.#burst = null;
    this.#partial = '';
    if (burst !== null) this.#end(burst);
    if (partial !== '') this.#pass(partial);
    this.#behind = false;
  }

  #pass(text: string): void {
    if (text === '') return;
    if (this.#paste !== null) {
      this.#paste += text;
      return;
    }
    const at = this.#burst === null ? text.search(/[\r\n]/) : 0;
    if (at !== 0) this.#put(at === -1 ? text : text.slice(0, at));
    if (at === -1) return;
    this.#burst = (this.#burst ?? '') + text.slice(at);
    this.#timer.start(BURST_MS, () => this.settle());
  }

  #put(text: string): void {
    if (this.#behind) this.#to.paste(text);
    else this.#to.keys(text);
  }

  /** A line has ended. With more lines behind it, all of them are one text that was pasted. */
  #end(burst: string): void {
    const rest = burst.replace(/^(?:\r\n|\r|\n)/, '');
    // oxlint-disable-next-line no-control-regex -- keys such as the arrows, and Ctrl-C
    if (rest.trim() === '' || (!this.#behind && /^[\u0000-\u001f\u007f]/.test(rest))) {
      this.#to.submit();
      if (rest.trim() !== '') this.#to.keys(rest.replace(BREAK, ''));
      return;
    }
    this.#to.paste(burst);
    if (/[\r\n]$/.test(burst)) this.#to.submit();
  }
}

/** How many characters at the end of a text may be the beginning of a mark. */
function beginOf(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length -= 1)
    if (text.endsWith(mark.slice(0, length))) return length;
  return 0;
}

/**
 * The line editor, below what is printed. The last line of an answer that still grows is drawn with the prompt, so that
 * neither stands in the other.
 */
class Screen {
  readonly closed: Promise<void>;
  readonly #output: NodeJS.WritableStream;
  readonly #events: EditorEvents;
  /** Keys go in here, one chunk at a time and at once. */
  readonly #keys: Readable;
  /** `prevRows` is how readline knows how far up its prompt begins; it has no other way to be told. */
  readonly #lines: Interface & { prevRows?: number };
  /** What stands for a paste in the line. All of them are kept: a line comes again from the history. */
  readonly #pastes = new Map<string, string>();
  #pasted = false;
  #prompt = PROMPT;
  /** Of what was printed, all behind the last end of a line. */
  #tail = '';
  /** Whether the tail stands there as it was printed, with the cursor behind it. */
  #printed = false;
  /** Whether the prompt is there, with the tail above it. While a run works, it is only from the first key on. */
  #drawn = false;
  #ended = false;

  constructor(
    { stdin, editor }: { stdin: NodeJS.ReadableStream; editor: NodeJS.WritableStream },
    events: EditorEvents,
  ) {
    this.#output = editor;
    this.#events = events;
    const raw = stdin as { setRawMode?: (raw: boolean) => unknown };
    const setRawMode = (mode: boolean): void => void raw.setRawMode?.(mode);
    this.#keys = Object.assign(new Readable({ read: () => undefined }), { setRawMode });
    this.#lines = createInterface({ input: this.#keys, output: editor, terminal: true });
    this.#lines.on('line', (line) => this.#entered(line));
    this.#lines.on('SIGINT', () => events.onInterrupt());
    // The shell has taken the marks away meanwhile.
    this.#lines.on('SIGCONT', () => void editor.write(MARK_PASTES));
    this.closed = new Promise((resolve) => this.#lines.once('close', resolve));
    this.#lines.once('close', () => {
      if (this.#drawn) editor.write('\n');
      this.#ended = true;
    });
  }

  keys(text: string): void {
    if (this.#ended) return;
    const first = text.charCodeAt(0);
    if (this.#lines.line === '') {
      this.#begin();
      // Ctrl-C and the like show nothing.
      if (!this.#drawn && (first === 0x1b || (first >= 0x20 && first !== 0x7f))) this.#draw();
    }
    this.#keys.emit('data', Buffer.from(text));
  }

  paste(text: string): void {
    if (this.#ended || text === '') return;
    if (this.#lines.line === '') this.#begin();
    if (!this.#drawn) this.#draw();
    this.#pasted = true;
    const lines = text.split(BREAK);
    // oxlint-disable-next-line no-control-regex -- they would act as keys
    const isPlain = lines.length === 1 && text.length <= SHOWN_PASTE && !/[\u0000-\u001f\u007f-\u009f]/.test(text);
    if (isPlain) return this.#lines.write(text);
    const number = this.#pastes.size === 0 ? '' : ` ${this.#pastes.size + 1}`;
    const name = `[pasted text${number}: ${lines.length} line${lines.length === 1 ? '' : 's'}]`;
    this.#pastes.set(name, lines.join('\n'));
    // Nobody has to send what they cannot see.
    const more = lines.length > SEEN_LINES ? [`… ${lines.length - SEEN_LINES} more`] : [];
    const seen = lines.slice(0, SEEN_LINES).map((line) => oneLine(line, SHOWN_PASTE));
    this.out(`${this.#tail === '' ? '' : '\n'}${[...seen, ...more].map((line) => `  │ ${line}\n`).join('')}`);
    this.#lines.write(name);
  }

  submit(): void {
    if (this.#ended) return;
    const { line } = this.#lines;
    // Nothing was typed, and an answer has the screen.
    if (!this.#drawn && line === '') return;
    this.#lines.write('', { ctrl: true, name: 'e' });
    this.#erase();
    // What was typed stands above the line that still grows.
    this.#lines.setPrompt(this.#prompt);
    this.#lines.prompt(true);
    this.#drawn = false;
    if (line !== '') this.#prompt = PROMPT;
    this.#keys.emit('data', Buffer.from('\r'));
    if (line === '' && !this.#ended) this.#draw();
  }

  out(text: string): void {
    const all = this.#tail + text;
    const at = all.lastIndexOf('\n') + 1;
    if (this.#drawn) this.#erase();
    this.#output.write(this.#drawn ? all.slice(0, at) : text);
    this.#tail = all.slice(at);
    if (this.#drawn) this.#draw();
    else this.#printed = true;
  }

  prompt(prompt: string): void {
    if (this.#ended) return;
    if (this.#drawn) this.#erase();
    this.#prompt = prompt;
    this.#draw();
  }

  close(): void {
    if (!this.#ended) this.#lines.close();
  }

  #entered(line: string): void {
    let [text, pasted] = [line, this.#pasted];
    for (const [name, content] of this.#pastes) {
      pasted ||= text.includes(name);
      text = text.replace(name, () => content);
    }
    this.#output.write(this.#tail);
    this.#printed = true;
    this.#events.onEntry({ text, pasted });
  }

  #begin(): void {
    this.#pasted = false;
    this.#events.onBegin();
  }

  /** Takes away the prompt with the tail above it; the cursor is where the tail began. */
  #erase(): void {
    this.#rewind(this.#lines.getCursorPos().rows);
  }

  #rewind(rows: number): void {
    if (rows > 0) moveCursor(this.#output, 0, -rows);
    cursorTo(this.#output, 0);
    clearScreenDown(this.#output);
    this.#lines.prevRows = 0;
    this.#printed = false;
  }

  #draw(): void {
    if (this.#printed && this.#tail !== '') {
      const { rows, cols } = this.#extent(this.#tail);
      this.#rewind(cols === 0 ? rows - 1 : rows);
    }
    // What would fill the screen is printed for good: nothing can be drawn anew above its first row.
    while (this.#extent(this.#tail).rows >= LIVE_ROWS) {
      const at = this.#tail.lastIndexOf(' ', this.#tail.length - 2) + 1 || this.#tail.length;
      this.#output.write(`${this.#tail.slice(0, at)}\n`);
      this.#tail = this.#tail.slice(at);
    }
    this.#lines.setPrompt(this.#tail === '' ? this.#prompt : `${this.#tail}\n${this.#prompt}`);
    this.#lines.prevRows = 0;
    this.#lines.prompt(true);
    this.#drawn = true;
    this.#printed = false;
  }

  /** Where the cursor is behind a text that begins a row. */
  #extent(text: string): { rows: number; cols: number } {
    const { line, cursor } = this.#lines;
    Object.assign(this.#lines, { line: '', cursor: 0 });
    this.#lines.setPrompt(text);
    const extent = this.#lines.getCursorPos();
    Object.assign(this.#lines, { line, cursor });
    return extent;
  }
}
