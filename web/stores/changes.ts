import type { ReadonlySignal } from '@preact/signals';
import type { Delta } from '../../src/core/api/runtime.ts';
import type { ViewChange } from '../../src/core/api/views.ts';

/** What the gateway tells by itself: that something changed, and the pieces of work that is watched. */
export interface Live {
  state: ReadonlySignal<'connecting' | 'open' | 'lost'>;
  /** Calls with what changed, or null: everything may have. */
  onChange(listener: (change: Change | null) => void): () => void;
  /** Pieces of one task's work; null when earlier ones may have been missed, before the first piece that follows. */
  watch(task: string, listener: (delta: Delta | null) => void): () => void;
  /** Tries at once instead of waiting. */
  retry(): void;
  close(): void;
}

export type Change = Omit<ViewChange, 'seq'>;
