import { setImmediate as turn } from 'node:timers/promises';
import { eventId, eventSeq, kindOf } from '../core/ids.ts';
import { SCRIPT } from '../core/schedule.ts';
import {
  type ConversationSummary,
  type FailureView,
  type RunsPage,
  type RunsQuery,
  BOARD_COLUMNS,
  type BoardCard,
  type BoardColumn,
  type BoardView,
} from '../core/api/views.ts';
import { firstWords, readSaid } from './exact.ts';
import type { Book } from './book.ts';
import type { Entry } from './entry.ts';
import type { Facts } from './facts.ts';

/** Entries of a page. */
const PAGE = { usual: 50, most: 200 };
/** Titles read between two turns for others. */
const SLICE = 100;

/** The tasks a query finds, newest first. */
export async function runsPage(facts: Facts, query: RunsQuery): Promise<RunsPage> {
  const book = await facts.book();
  const limit = Math.min(Math.max(1, query.limit ?? PAGE.usual), PAGE.most);
  const before = eventSeq(query.after ?? '') ?? Number.MAX_SAFE_INTEGER;
  const midnight = facts.midnight();
  const words = wordsOf(query.text ?? '');
  const page: Entry[] = [];
  let total = 0;
  let more = false;
  let looked = 0;
  let probes = 0;
  for (const entry of book.order.toReversed()) {
    if (!fits(book, entry, query, midnight)) continue;
    if (words.length > 0) {
      if (++looked % SLICE === 0) await turn();
      if (!(await holds(facts, entry, words))) continue;
    }
    if (query.probes === false && isProbe(entry)) {
      probes += 1;
      continue;
    }
    total += 1;
    if (entry.order >= before) continue;
    if (page.length < limit) page.push(entry);
    else more = true;
  }
  const last = page.at(-1);
  return {
    runs: await inTurn(page, (entry) => facts.summary(entry)),
    next: more && last ? eventId(last.order) : null,
    total,
    ...(query.probes === false ? { probes } : {}),
  };
}

/** A script that ran by the clock and had nothing to say: hundreds of them a day would bury what people do. */
const isProbe = ({ from, status, model }: Entry): boolean =>
  kindOf(from) === 'schedule' && status === 'done' && model === SCRIPT;

/** What gives work by itself. All others are people: the owner on this machine, or somebody in a channel (`telegram:1`). */
const NOT_PEOPLE = ['agent', 'schedule', 'trigger', 'file', 'escalation'];

/** Whether it is from this kind, or with `!` from any other. People are found as `person`, as `owner` and by their channel. */
function isFrom(from: string, wanted: string): boolean {
  if (wanted.startsWith('!')) return !isFrom(from, wanted.slice(1));
  const kind = kindOf(from) || from;
  return kind === wanted || (wanted === 'person' && !NOT_PEOPLE.includes(kind));
}

function fits(book: Book, entry: Entry, { agent, from, status, column }: RunsQuery, midnight: number): boolean {
  if (from !== undefined && !isFrom(entry.from, from)) return false;
  if (agent !== undefined && entry.agent !== agent) return false;
  if (column !== undefined && columnOf(book, entry, midnight) !== column) return false;
  return status === undefined || status.length === 0 || status.includes(book.status(entry));
}

async function holds(facts: Facts, entry: Entry, words: readonly string[]): Promise<boolean> {
  const { task, run, session, agent } = entry;
  return holdsAll([await facts.title(entry), task, run, session, agent], words);
}

const wordsOf = (text: string): string[] => text.toLowerCase().split(/\s+/).filter(Boolean);

function holdsAll(where: readonly (string | null)[], words: readonly string[]): boolean {
  const text = where.join('\n').toLowerCase();
  return words.every((word) => text.includes(word));
}

/** One after the other: a page is not worth fifty readers at once. */
async function inTurn<In, Out>(items: readonly In[], read: (item: In) => Promise<Out>): Promise<Out[]> {
  const all: Out[] = [];
  for (const item of items) all.push(await read(item));
  return all;
}

/** Conversations at once, at most. */
const MOST_TALKS = 1_000;

/** The conversations that were written in last, newest first; with `text` those whose title, agent or session holds its words. */
export async function conversationList(facts: Facts, limit: number, text = ''): Promise<ConversationSummary[]> {
  const book = await facts.book();
  const words = wordsOf(text);
  const most = Math.min(limit, MOST_TALKS);
  const found: ConversationSummary[] = [];
  let looked = 0;
  for (const row of [...book.conversations.values()].reverse()) {
    if (found.length >= most) break;
    if (++looked % SLICE === 0) await turn();
    const entry = await facts.entry(row.lastTask);
    if (entry === null) continue;
    const { agent, session, channel, lastAt, messages } = row;
    const first = await readSaid(facts.store, row.first);
    const title = firstWords(first.text) || first.files.map((file) => file.name).join(', ');
    if (!holdsAll([title, agent, session], words)) continue;
    const { standing } = await facts.stands(entry);
    found.push({ agent, session, title, channel, lastAt, messages, standing });
  }
  return found;
}

/** Tasks that failed and that nobody has taken care of, newest first. */
export async function failureList(facts: Facts, limit: number): Promise<FailureView[]> {
  const book = await facts.book();
  const open = book.order.filter(isUnsettled);
  const newest = open.sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0)).slice(0, limit);
  return inTurn(newest, async (entry) => {
    const { task, run, agent, session, endedAt, queuedAt, message, content } = entry;
    const { standing } = await facts.stands(entry);
    return {
      task,
      run,
      agent,
      session,
      title: await facts.title(entry),
      at: endedAt ?? queuedAt,
      why: standing.why,
      canRetry: message !== null || content !== null,
    };
  });
}

/** Failed, and nobody has retried or dismissed it. */
const isUnsettled = ({ status, retriedAs, dismissed }: Entry): boolean =>
  (status === 'failed' || status === 'dead') && retriedAs === null && !dismissed;

/** The column a task stands in; null for what the board does not show. */
function columnOf(book: Book, entry: Entry, midnight: number): BoardColumn | null {
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
  const midnight = facts.midnight();
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
