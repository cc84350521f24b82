import { signal, type ReadonlySignal } from '@preact/signals';
import type { RunSummary } from '../../src/core/api/views.ts';
import { messageOf, type Api, type RunsFilter } from '../lib/api.ts';
import type { Live } from './changes.ts';

export type Rows =
  | { kind: 'loading' }
  | { kind: 'failed'; message: string }
  | {
      kind: 'ready';
      rows: readonly RunSummary[];
      next: string | null;
      total: number;
      /** Scripts by the clock that found nothing new and are not shown. */
      hidden: number;
      trouble: string | null;
    };

/** All work, newest first, a page at a time. */
export interface Work {
  state: ReadonlySignal<Rows>;
  loadingMore: ReadonlySignal<boolean>;
  show(filter: RunsFilter): void;
  more(): Promise<void>;
  retry(): void;
  /** Keeps the list up to date until the returned function is called. */
  follow(live: Live): () => void;
}

/** Rows asked for at first, and with each further page. */
const PAGE = 100;
const MORE = 200;
const PAUSE = 400;

export function createWork(api: Api): Work {
  const state = signal<Rows>({ kind: 'loading' });
  const loadingMore = signal(false);
  let filter: RunsFilter = { agent: '', status: '', column: '', text: '', probes: 'hide' };
  let asked = new AbortController();
  let shown = '';

  const first = async (keep: boolean): Promise<void> => {
    asked.abort();
    asked = new AbortController();
    const { signal: mine } = asked;
    if (!keep) state.value = { kind: 'loading' };
    try {
      const page = await api.runs(filter, null, PAGE, mine);
      const { total, probes: hidden = 0 } = page;
      state.value = { kind: 'ready', ...merged(state.value, page), total, hidden, trouble: null };
    } catch (error) {
      if (mine.aborted) return;
      const message = messageOf(error);
      const old = state.value;
      state.value = old.kind === 'ready' ? { ...old, trouble: message } : { kind: 'failed', message };
    }
  };

  /** True once there is a page more, or none to be had. */
  const further = async (): Promise<boolean> => {
    const old = state.value;
    const mine = filter;
    if (old.kind !== 'ready' || old.next === null) return true;
    const page = await api.runs(mine, old.next, MORE);
    const now = state.value;
    if (now.kind !== 'ready' || filter !== mine || now.next !== old.next) return false;
    state.value = { ...now, rows: distinct([...now.rows, ...page.runs]), next: page.next, trouble: null };
    return true;
  };

  return {
    state,
    loadingMore,
    show(next) {
      const key = JSON.stringify(next);
      const same = key === shown;
      shown = key;
      filter = next;
      void first(same && state.value.kind === 'ready');
    },
    async more() {
      if (loadingMore.value) return;
      loadingMore.value = true;
      try {
        // A refresh may come between: its place to go on from is another one, and is asked for then.
        while (!(await further())) continue;
      } catch (error) {
        const now = state.value;
        if (now.kind === 'ready') state.value = { ...now, trouble: messageOf(error) };
      } finally {
        loadingMore.value = false;
      }
    },
    retry: () => void first(state.value.kind === 'ready'),
    follow: (live) => follow(live, api, state, () => first(true)),
  };
}

const distinct = (rows: readonly RunSummary[]): RunSummary[] => [
  ...new Map(rows.map((row) => [row.task, row])).values(),
];

/** A newer first page, and what had been loaded beyond it. */
function merged(
  old: Rows,
  page: { runs: RunSummary[]; next: string | null },
): Pick<Rows & { kind: 'ready' }, 'rows' | 'next'> {
  if (old.kind !== 'ready' || old.rows.length <= PAGE || page.next === null)
    return { rows: page.runs, next: page.next };
  return { rows: distinct([...page.runs, ...old.rows]), next: old.next };
}

/** The first page holds nearly all that moves; a row beyond it is asked for by itself. */
function follow(live: Live, api: Api, state: { value: Rows }, refresh: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let changed = false;
  let stopped = false;
  const due = new Set<string>();
  const run = async (): Promise<void> => {
    changed = false;
    const beyond = state.value.kind === 'ready' ? state.value.rows.slice(PAGE).map((row) => row.task) : [];
    const tasks = beyond.filter((task) => due.has(task)).slice(0, 5);
    due.clear();
    await refresh();
    for (const task of tasks) {
      const fresh = await api.run(task).catch(() => null); // seen at the next change
      const now = state.value;
      if (fresh !== null && now.kind === 'ready')
        state.value = { ...now, rows: now.rows.map((row) => (row.task === task ? fresh : row)) };
    }
    // Not before: a gateway slower than the changes come would have each answer given up for the next.
    timer = changed && !stopped ? setTimeout(() => void run(), PAUSE) : undefined;
  };
  const stop = live.onChange((change) => {
    if (change !== null && change.task !== null) due.add(change.task);
    changed = true;
    timer ??= setTimeout(() => void run(), PAUSE);
  });
  return () => {
    stopped = true;
    stop();
    clearTimeout(timer);
  };
}
