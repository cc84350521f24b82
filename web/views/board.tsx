import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { BoardCard, BoardColumn, BoardView as Board } from '../../src/core/api/views.ts';
import { allWork, href } from '../lib/route.ts';
import { COLUMNS } from '../lib/words.ts';
import { Ago, Await, Away, Empty, Plain } from '../parts/small.tsx';
import { AgentSelect, Switch } from '../parts/work-head.tsx';
import { useApp, useOpened } from '../stores/app.ts';
import { resource, valueOf } from '../stores/resource.ts';

type Lane = Board['lanes'][number];

/** Cards of a cell: with all agents on one screen, and with one of them. */
const CARDS = { all: 3, one: 25 };

/** What there is to do, by how it stands and who does it. */
export function BoardView({ agent }: { agent: string }): JSX.Element {
  const { api, live, router } = useApp();
  const { board } = useOpened(agent, () => {
    const opened = resource(() => api.board(agent, agent === '' ? CARDS.all : CARDS.one), 1_000);
    const close = live.onChange(opened.changed);
    void opened.refresh();
    return { board: opened, close };
  });
  return (
    <div class="page wide-page work">
      <header class="work-head">
        <h1>Board</h1>
        <Switch to="work" agent={agent} />
        <AgentSelect agent={agent} change={(value) => router.go({ name: 'board', agent: value }, 'replace')} />
      </header>
      <Await of={board.state} what="the board" retry={() => void board.refresh()}>
        {({ lanes }) =>
          lanes.length === 0 ? (
            <Empty title="No open tasks, and none done today.">
              <a href={href(allWork(agent))}>All work</a>
            </Empty>
          ) : (
            <Lanes lanes={lanes} agent={agent} />
          )
        }
      </Await>
    </div>
  );
}

function Lanes({ lanes, agent }: { lanes: readonly Lane[]; agent: string }): JSX.Element {
  const { network } = useApp();
  const board = useRef<HTMLDivElement>(null);
  // A card that goes to another column is another element there: the keyboard goes with it.
  const focused = document.activeElement?.matches('.board-card') ? document.activeElement.getAttribute('href') : null;
  useLayoutEffect(() => {
    if (focused !== null && document.activeElement === document.body)
      board.current?.querySelector<HTMLElement>(`[href="${focused}"]`)?.focus();
  });
  const names = (valueOf(network.state.value)?.agents ?? []).map((each) => each.name);
  const place = (name: string): number => (names.includes(name) ? names.indexOf(name) : names.length);
  const idle = agent === '' ? names.filter((name) => !lanes.some((lane) => lane.agent === name)) : [];
  const total = (column: BoardColumn): number =>
    lanes.reduce((sum, { cells }) => sum + (cells.find((cell) => cell.column === column)?.total ?? 0), 0);
  return (
    <div class="board" ref={board} onKeyDown={walk}>
      <div class="lane board-head" aria-hidden="true">
        <span />
        {COLUMNS.map(({ column, label }) => (
          <span>
            {label} <span class="quiet">{total(column)}</span>
          </span>
        ))}
      </div>
      {lanes
        .toSorted((a, b) => place(a.agent) - place(b.agent))
        .map((lane) => (
          <section key={lane.agent} class="lane" aria-label={lane.agent}>
            <h2 class="lane-name">
              <a href={href({ name: 'board', agent: agent === '' ? lane.agent : '' })}>{lane.agent}</a>
            </h2>
            {COLUMNS.map((column, at) => (
              <Cell key={column.column} lane={lane} of={column} at={at} />
            ))}
          </section>
        ))}
      {idle.length > 0 && (
        <p class="quiet board-idle">
          No tasks: <a href={href({ name: 'agents' })}>{idle.join(', ')}</a>
        </p>
      )}
    </div>
  );
}

function Cell({ lane, of, at }: { lane: Lane; of: (typeof COLUMNS)[number]; at: number }): JSX.Element {
  const cell = lane.cells.find((each) => each.column === of.column);
  if (cell === undefined) return <div class="cell cell-empty" />;
  const beyond = cell.total - cell.cards.length;
  return (
    <div class="cell" data-column={at}>
      <h3 class="cell-name">
        {of.label} <span class="quiet">{cell.total}</span>
      </h3>
      <ul>
        {cell.cards.map((card) => (
          <li key={card.task}>
            <Card of={card} column={of.column} />
          </li>
        ))}
      </ul>
      {beyond > 0 && (
        <a
          class="cell-more"
          href={href({ name: 'work', agent: lane.agent, state: of.state, text: '', probes: 'show' })}
        >
          and {beyond} more
        </a>
      )}
    </div>
  );
}

function Card({ of, column }: { of: BoardCard; column: BoardColumn }): JSX.Element {
  const { now, names } = useApp();
  const open = of.endedAt === null;
  return (
    <a class={`board-card column-${column}`} href={href({ name: 'item', task: of.task })}>
      <span class="board-title">
        <Plain text={of.title === '' ? 'Untitled' : of.title} />
      </span>
      <span class="board-facts">
        {names.value.sender(of.from)} · <Ago at={of.endedAt ?? of.queuedAt} />
        {of.priority !== 0 && ` · priority ${of.priority}`}
      </span>
      {open && of.deadline !== null && (
        <span class={of.deadline < now.value ? 'bad' : 'quiet'}>
          {of.deadline < now.value ? 'was due ' : 'due '}
          <Away at={of.deadline} />
        </span>
      )}
    </a>
  );
}

/** The arrows go from card to card: up and down in a column, left and right in what an agent has. */
function walk(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
  const cell = (event.target as HTMLElement).closest<HTMLElement>('.cell');
  const step = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!cell || step === undefined) return;
  const links = (within: string): HTMLElement[] => [...event.currentTarget.querySelectorAll<HTMLElement>(within)];
  const column = links(`[data-column="${cell.dataset['column']}"] a`);
  const sideways = event.key === 'ArrowRight' || event.key === 'ArrowLeft';
  const cells = [...(cell.parentElement?.querySelectorAll<HTMLElement>('[data-column]') ?? [])];
  const next = sideways
    ? cells[cells.indexOf(cell) + step]?.querySelector<HTMLElement>('a')
    : column[column.indexOf(event.target as HTMLElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
