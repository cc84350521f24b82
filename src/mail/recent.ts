import type { Delta } from '../core/runtime.ts';

/** Characters kept of one task's pieces; beyond it the oldest go, and a late listener sees that something is missing. */
const KEPT = 200_000;
/** Tasks whose pieces are kept; the oldest go first. More are never under way, but one that was cancelled may still say a word. */
const TASKS = 1_000;

/** The pieces of the work on tasks under way, so that who comes in the middle sees what others saw. */
export class Recent {
  readonly #tasks = new Map<string, Delta[]>();

  of(task: string): readonly Delta[] {
    return this.#tasks.get(task) ?? [];
  }

  add(delta: Delta): void {
    if (delta.kind === 'changed') return;
    const pieces = this.#tasks.get(delta.task) ?? [];
    const last = pieces.at(-1);
    if (delta.kind === 'discard') while (isSaid(pieces.at(-1))) pieces.pop();
    else if (delta.kind === 'text' && last?.kind === 'text' && last.step === delta.step && delta.offset >= last.offset)
      pieces[pieces.length - 1] = { ...last, text: last.text.slice(0, delta.offset - last.offset) + delta.text };
    else if (delta.kind === 'reasoning' && last?.kind === 'reasoning')
      pieces[pieces.length - 1] = { ...last, text: last.text + delta.text };
    else pieces.push(delta);
    let size = pieces.reduce((sum, piece) => sum + sizeOf(piece), 0);
    while (size > KEPT && pieces.length > 1) size -= sizeOf(pieces.shift());
    this.#tasks.set(delta.task, pieces);
    const [oldest] = this.#tasks.keys();
    if (this.#tasks.size > TASKS && oldest !== undefined) this.#tasks.delete(oldest);
  }

  /** The journal has the whole now. */
  drop(task: string): void {
    this.#tasks.delete(task);
  }
}

const isSaid = (delta: Delta | undefined): boolean => delta?.kind === 'text' || delta?.kind === 'reasoning';

const sizeOf = (delta: Delta | undefined): number => (delta && 'text' in delta ? delta.text.length : 50);
