import { signal, type ReadonlySignal } from '@preact/signals';
import type { ConversationSummary } from '../../src/core/api/views.ts';
import type { Api } from '../lib/api.ts';
import { resource, type Resource } from './resource.ts';

/** The conversations, latest first, as far down as a person has asked for, and those that hold what is looked for. */
export interface Talks {
  list: Resource<ConversationSummary[]>;
  found: Resource<ConversationSummary[]>;
  /** What is looked for; '' shows the list. */
  text: ReadonlySignal<string>;
  look(text: string): void;
  /** True if there may be more than what was asked for. */
  isCut(shown: readonly ConversationSummary[]): boolean;
  more(): Promise<void>;
  changed(): void;
}

const PAGE = 100;
/** What the gateway gives at most; what is older can be looked for. */
const MOST = 1_000;

export function createTalks(api: Api): Talks {
  const text = signal('');
  let limit = PAGE;
  const list = resource(() => api.conversations(limit, ''), 800);
  const found = resource(() => api.conversations(PAGE, text.peek()), 800);
  return {
    list,
    found,
    text,
    look(wanted) {
      text.value = wanted.trim();
      if (text.value !== '') void found.refresh();
    },
    isCut: (shown) => text.value === '' && shown.length >= limit && limit < MOST,
    more() {
      limit = Math.min(limit + PAGE, MOST);
      return list.refresh();
    },
    changed() {
      list.changed();
      if (text.value !== '') found.changed();
    },
  };
}
