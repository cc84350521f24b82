import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { RunSummary } from '../../src/core/api/views.ts';
import { duration, money } from '../lib/format.ts';
import { href } from '../lib/route.ts';
import { took } from '../lib/words.ts';
import { useApp } from '../stores/app.ts';
import { Ago, Plain, State } from './small.tsx';

/** Pixels of a row on a wide and on a narrow screen; the style sheet has the same. */
const HEIGHTS = { wide: 44, narrow: 66 };
const NARROW = '(max-width: 719px)';
/** The list with its filters. */
const here = (): string => location.pathname + location.search;
const rowHeight = (): number => (matchMedia(NARROW).matches ? HEIGHTS.narrow : HEIGHTS.wide);

/** Rows drawn beyond what is seen, so that scrolling shows no holes. */
const SPARE = 12;

interface RowsProps {
  rows: readonly RunSummary[];
  total: number;
  /** Asks for the next page; null if there is none. */
  more: (() => void) | null;
}

/** A list of any length of which only what is seen is drawn. */
export function Rows({ rows, total, more }: RowsProps): JSX.Element {
  const scroll = useRef<HTMLDivElement>(null);
  const { router } = useApp();
  const start = useRef(router.kept(here()));
  const seen = useSignal({ top: start.current, height: 800, row: rowHeight() });
  useLayoutEffect(() => {
    const element = scroll.current;
    if (!element || !router.returning) return;
    element.scrollTop = start.current;
    // Back at the row that was opened.
    element.querySelector<HTMLElement>(`a[href="${CSS.escape(router.from)}"]`)?.focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    const element = scroll.current;
    if (!element) return undefined;
    const look = (): void => {
      seen.value = { top: element.scrollTop, height: element.clientHeight, row: rowHeight() };
      router.keep(here(), element.scrollTop);
    };
    const sized = new ResizeObserver(look);
    sized.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    return () => {
      sized.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, []);
  const { top, height, row } = seen.value;
  const from = Math.max(0, Math.floor(top / row) - SPARE);
  const to = Math.min(rows.length, Math.ceil((top + height) / row) + SPARE);
  const nearEnd = to >= rows.length - SPARE;
  useEffect(() => {
    if (nearEnd) more?.();
  }, [nearEnd, rows.length, more === null]);
  return (
    <div class="rows-scroll" ref={scroll} onKeyDown={walk}>
      <ol class="rows" aria-label="Work" style={{ height: `${rows.length * row}px` }}>
        {rows.slice(from, to).map((each, index) => (
          <li
            key={each.task}
            class="row-slot"
            aria-setsize={total}
            aria-posinset={from + index + 1}
            style={{ transform: `translateY(${(from + index) * row}px)` }}
          >
            <Row run={each} />
          </li>
        ))}
      </ol>
      {more !== null && <p class="quiet center">Loading more…</p>}
    </div>
  );
}

/** The arrows go from row to row, as in other lists. */
function walk(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
  if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
  const item = (event.target as HTMLElement).closest('li');
  const place = Number(item?.getAttribute('aria-posinset') ?? 0) + (event.key === 'ArrowDown' ? 1 : -1);
  const next = event.currentTarget.querySelector<HTMLElement>(`li[aria-posinset="${place}"] a`);
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function Row({ run }: { run: RunSummary }): JSX.Element {
  const { now } = useApp();
  const ms = took(run, run.endedAt === null ? now.value : 0);
  return (
    <a class="work-row" href={href({ name: 'item', task: run.task })}>
      <span class="cell-title">
        <Plain text={run.title === '' ? 'Untitled' : run.title} />
      </span>
      <span class="cell-state">
        <State of={run.standing} />
      </span>
      <span class="cell-agent">{run.agent}</span>
      <span class="cell-took">{ms === null ? '' : duration(ms)}</span>
      <span class="cell-cost">{money(run.costUsd, run.unpriced)}</span>
      <span class="cell-when">
        <Ago at={run.queuedAt} />
      </span>
    </a>
  );
}
