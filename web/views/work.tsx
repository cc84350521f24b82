import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { plural } from '../lib/format.ts';
import type { Route } from '../lib/route.ts';
import { FILTERS, filterOf } from '../lib/words.ts';
import { AgentSelect, Switch } from '../parts/work-head.tsx';
import { Button, Empty, Loading, Trouble } from '../parts/small.tsx';
import { Rows } from '../parts/rows.tsx';
import { useApp } from '../stores/app.ts';

type WorkRoute = Extract<Route, { name: 'work' }>;

/** Everything the agents do and have done. */
export function WorkView({ route }: { route: WorkRoute }): JSX.Element {
  const { work, live, router } = useApp();
  const { agent, state, text, probes } = route;
  // Before it is painted: what was shown here the last time may have been narrowed to something else.
  useLayoutEffect(() => {
    const { status = '', column = '' } = filterOf(state) ?? {};
    work.show({ agent, status, column, text, probes: probes === 'show' ? '' : 'hide' });
  }, [agent, state, text, probes]);
  useEffect(() => work.follow(live), []);
  const change = (part: Partial<WorkRoute>): void => {
    const now = router.route.peek();
    if (now.name === 'work') router.go({ ...now, ...part }, 'replace');
  };
  return (
    <div class="page wide-page work">
      <header class="work-head">
        <h1>Work</h1>
        <Switch to="board" agent={agent} />
        <Search text={text} change={(value) => change({ text: value })} />
        <AgentSelect agent={agent} change={(value) => change({ agent: value })} />
        <div class="filters" role="group" aria-label="State">
          {filters(state).map((each) => (
            <button
              type="button"
              class="filter"
              aria-pressed={state === each.state}
              onClick={() => change({ state: each.state })}
            >
              {each.label}
            </button>
          ))}
          <button
            type="button"
            class="filter"
            aria-pressed={probes === 'show'}
            title="Show scripts of schedules that found nothing new, too"
            onClick={() => change({ probes: probes === 'show' ? '' : 'show' })}
          >
            By the clock too
          </button>
        </div>
      </header>
      <List
        filtered={agent !== '' || state !== '' || text !== ''}
        clear={() => change({ agent: '', state: '', text: '' })}
      />
    </div>
  );
}

/** A column of the board is offered while it is shown. */
function filters(state: string): typeof FILTERS {
  const column = FILTERS.some((each) => each.state === state) ? undefined : filterOf(state);
  return column ? [...FILTERS, column] : FILTERS;
}

function List({ filtered, clear }: { filtered: boolean; clear: () => void }): JSX.Element {
  const { work } = useApp();
  const state = work.state.value;
  if (state.kind === 'loading') return <Loading what="the work" />;
  if (state.kind === 'failed') return <Trouble message={state.message} what="the work" retry={work.retry} />;
  if (state.rows.length === 0)
    return filtered ? (
      <Empty title="No tasks match these filters.">
        <Button onClick={clear}>Show all</Button>
      </Empty>
    ) : state.hidden > 0 ? (
      <Empty title="So far only scripts ran by the clock, and none found anything new." />
    ) : (
      <Empty title="No agent has done anything yet.">
        <a href="/">Start a chat</a>
      </Empty>
    );
  return (
    <>
      <p class="quiet work-count" role="status">
        {plural(state.total, 'task', 'tasks')}
        {filtered && ' found'}
        {state.hidden > 0 && ` · ${plural(state.hidden, 'script', 'scripts')} by the clock found nothing new`}
        {state.trouble !== null && ` · may be out of date: ${state.trouble}`}
      </p>
      <Rows rows={state.rows} total={state.total} more={state.next === null ? null : () => void work.more()} />
    </>
  );
}

/** Milliseconds of quiet before what is typed is looked for. */
const PAUSE = 200;

function Search({ text, change }: { text: string; change: (text: string) => void }): JSX.Element {
  const typed = useSignal(text);
  const said = useRef(text);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useLayoutEffect(() => {
    // What this field has said itself is older than what is typed in it by now.
    if (text === said.current) return;
    clearTimeout(timer.current);
    said.current = text;
    typed.value = text;
  }, [text]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <input
      id="search"
      class="search"
      type="search"
      placeholder="Search"
      aria-label="Search the work"
      value={typed.value}
      onInput={(event) => {
        const { value } = event.currentTarget;
        typed.value = value;
        clearTimeout(timer.current);
        timer.current = setTimeout(() => {
          said.current = value;
          change(value);
        }, PAUSE);
      }}
    />
  );
}
