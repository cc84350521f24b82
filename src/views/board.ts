import { BOARD_COLUMNS, type BoardCard, type BoardColumn, type BoardView } from '../core/api/views.ts';
import type { Book } from './book.ts';
import type { Entry } from './entry.ts';
import type { Facts } from './facts.ts';

/** Where the process is: the day that costs are counted by, too. */
export const midnightBefore = (now: number): number => new Date(now).setHours(0, 0, 0, 0);

/** Failed, and nobody has retried or dismissed it. */
export const isUnsettled = ({ status, retriedAs, dismissed }: Entry): boolean =>
  (status === 'failed' || status === 'dead') && retriedAs === null && !dismissed;

/** The column a task stands in; null for what the board does not show. */
export function columnOf(book: Book, entry: Entry, midnight: number): BoardColumn | null {
  switch (book.status(entry)) {
    case 'queued':
      return 'queued';
    case 'running':
      return 'working';
    case 'waiting': {
      const worker = entry.absorbedBy === null ? entry : (book.entries.get(entry.absorbedBy) ?? entry);
      return worker.open.length > 0 ? 'person' : 'tasks';
    }
    case 'done':
      return (entry.endedAt ?? 0) >= midnight ? 'today' : null;
    case 'failed':
    case 'dead':
      return isUnsettled(entry) ? 'failed' : null;
    case 'cancelled':
      return null;
  }
}

/** What comes first in its cell: what is claimed first, what has been so for longest, what ended last. */
const FIRST: Record<BoardColumn, (a: Entry, b: Entry) => number> = {
  queued: (a, b) => b.priority - a.priority || a.order - b.order,
  working: (a, b) => a.order - b.order,
  person: (a, b) => a.order - b.order,
  tasks: (a, b) => a.order - b.order,
  today: (a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0),
  failed: (a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0),
};

/** The tasks of each agent by how they stand: counted whole, shown as far as somebody can take in. */
export async function readBoard(facts: Facts, { agent, cards }: { agent?: string; cards: number }): Promise<BoardView> {
  const book = await facts.book();
  const midnight = midnightBefore(facts.now());
  const lanes = new Map<string, Map<BoardColumn, Entry[]>>();
  for (const entry of book.order) {
    if (agent !== undefined && entry.agent !== agent) continue;
    const column = book.entries.has(entry.task) ? columnOf(book, entry, midnight) : null;
    if (column === null) continue;
    const cells = lanes.get(entry.agent) ?? new Map<BoardColumn, Entry[]>();
    lanes.set(entry.agent, cells);
    const cell = cells.get(column);
    if (cell) cell.push(entry);
    else cells.set(column, [entry]);
  }
  const view: BoardView = { lanes: [] };
  for (const [name, cells] of [...lanes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const lane: BoardView['lanes'][number] = { agent: name, cells: [] };
    for (const column of BOARD_COLUMNS) {
      const all = cells.get(column);
      if (!all) continue;
      const shown = all.sort(FIRST[column]).slice(0, cards);
      lane.cells.push({ column, total: all.length, cards: await Promise.all(shown.map((each) => card(facts, each))) });
    }
    view.lanes.push(lane);
  }
  return view;
}

async function card(facts: Facts, entry: Entry): Promise<BoardCard> {
  const { task, from, queuedAt, endedAt, deadline, priority } = entry;
  return { task, title: await facts.title(entry), from, queuedAt, endedAt, deadline, priority };
}
