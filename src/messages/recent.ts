import type { Delta } from '../core/api/runtime.ts';

/** Characters kept of one task's pieces; beyond it the oldest go, and a late listener sees that something is missing. */
const KEPT = 200_000;
/** Tasks whose pieces are kept; the oldest go first. More are never under way, but one that was cancelled may still say a word. */
const TASKS = 1_000;

interface Pieces {
  list: Delta[];
  /** Characters of all of them: counted as they come and go, because a run has thousands. */
  size: number;
}

/** The pieces of the work on tasks under way, so that who comes in the middle sees what others saw. */
export class Recent {
  readonly #tasks = new Map<string, Pieces>();

  of(task: string): readonly Delta[] {
    return this.#tasks.get(task)?.list ?? [];
  }

  add(delta: Delta): void {
    if (delta.kind === 'changed') return;
    const pieces = this.#tasks.get(delta.task) ?? { list: [], size: 0 };
    const { list } = pieces;
    if (delta.kind === 'discard') while (isSaid(list.at(-1))) pieces.size -= sizeOf(list.pop());
    else {
      const joined = join(list.at(-1), delta);
      if (joined) pieces.size -= sizeOf(list.pop());
      list.push(joined ?? delta);
      pieces.size += sizeOf(list.at(-1));
    }
    while (pieces.size > KEPT && list.length > 1) pieces.size -= sizeOf(list.shift());
    this.#tasks.set(delta.task, pieces);
    const [oldest] = this.#tasks.keys();
    if (this.#tasks.size > TASKS && oldest !== undefined) this.#tasks.delete(oldest);
  }

  /** The journal has the whole now. */
  drop(task: string): void {
    this.#tasks.delete(task);
  }
}

/** The last piece with what goes on from it; null for a piece of its own. */
function join(last: Delta | undefined, delta: Delta): Delta | null {
  if (delta.kind === 'text' && last?.kind === 'text' && last.step === delta.step && delta.offset >= last.offset)
    return { ...last, text: last.text.slice(0, delta.offset - last.offset) + delta.text };
  if (delta.kind === 'reasoning' && last?.kind === 'reasoning') return { ...last, text: last.text + delta.text };
  return null;
}

const isSaid = (delta: Delta | undefined): boolean => delta?.kind === 'text' || delta?.kind === 'reasoning';

const sizeOf = (delta: Delta | undefined): number => (delta && 'text' in delta ? delta.text.length : 50);
