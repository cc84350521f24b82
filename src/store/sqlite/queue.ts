import { eventId } from '../../core/ids.ts';
import type { ClaimOptions, QueueOp, TaskFilter } from '../../core/ports/store.ts';
import { isEnded } from '../../core/task.ts';
import type { Claim, Lease, Task, TaskStatus } from '../../core/task.ts';
import { type Misfit, waitsForItself } from '../commit.ts';
import type { Db, Statement, Value } from './db.ts';
import { Known, together, type Remembers } from './known.ts';
import { checkNew, TASK_COLUMNS, taskOf, taskValues } from '../task-row.ts';
import type { TaskRow } from '../task-row.ts';

/** Prepared statements kept for the different shapes a question can have. */
const SHAPES = 64;
const OPEN_STATUSES: readonly TaskStatus[] = ['queued', 'running', 'waiting'];
/** The very words of the index `task_lane`, so that SQLite sees that it may use it. */
const OPEN = `status IN ('queued', 'running', 'waiting')`;

/** The text decides which index is used, so the tests ask SQLite for the plans of these. */
export const QUEUE_SQL = {
  nextDue: 'SELECT due FROM task INDEXED BY task_due WHERE due > ? ORDER BY due LIMIT 1',
  lane: `SELECT * FROM task INDEXED BY task_lane WHERE lane = ? AND ${OPEN} AND absorbed_by IS NULL ORDER BY ord LIMIT 1`,
  openIn: `SELECT count(*) AS n FROM task INDEXED BY task_lane WHERE lane = ? AND ${OPEN} AND absorbed_by IS NULL`,
  absorbed: `UPDATE task INDEXED BY task_absorbed SET status = ?, result = ? WHERE absorbed_by = ? AND status = 'queued' RETURNING id`,
  counts: 'SELECT status, n FROM task_count',
} as const;

const marks = (count: number): string => Array.from({ length: count }, () => '?').join(', ');

/**
 * Takes the next task: worker, end of the lease, now, the queues. A placeholder a queue, because opening a JSON list as a table
 * takes longer; `+`, because SQLite must not think of another index.
 */
export function claimSql(except: number, only: number | null): string {
  const where = [
    'due <= ?',
    ...(except > 0 ? [`+queue NOT IN (${marks(except)})`] : []),
    ...(only === null ? [] : [`+queue IN (${marks(only)})`]),
  ];
  return `UPDATE task SET status = 'running', worker = ?, token = token + 1, due = ? WHERE ord = (
    SELECT ord FROM task INDEXED BY task_claim WHERE ${where.join(' AND ')} ORDER BY priority DESC, ord LIMIT 1) RETURNING *`;
}

/** Rows, lanes and hosts that are known without asking. */
const KNOWN = 2048;
/** Workers that ask for the same queues each time: there are two. */
const ASKERS = 8;

/** Nothing that these queues hold can be claimed from `from` until before `until`. */
interface Quiet {
  except: readonly string[];
  only: readonly string[] | undefined;
  from: number;
  until: number;
}

/**
 * The task table. A row is claimable from `due` on: for the first open task of a lane that is its not-before, while it
 * runs the end of its lease. Every other row has no `due`, so a claim never looks at it.
 */
export class Queue implements Remembers {
  readonly #db: Db;
  readonly #alone: boolean;
  readonly #shapes = new Map<string, Statement<TaskRow>>();
  readonly #rows: Known<string, TaskRow>;
  /** Open tasks of a lane that are not taken in by another. */
  readonly #lanes: Known<string, number>;
  /** Whether a task has taken others in. */
  readonly #hosts: Known<string, boolean>;
  /** Tasks by status, and rows of `task_wait`. */
  readonly #numbers: Known<TaskStatus | 'waits', number>;
  readonly #quiet: Known<string, Quiet>;
  /** The smallest `due` after `from`. */
  readonly #next: Known<'next', { from: number; due: number | null }>;
  readonly #memory: Remembers;
  readonly #sql: {
    add: Statement<TaskRow>;
    byId: Statement<TaskRow>;
    byKey: Statement<TaskRow>;
    renew: Statement<never>;
    release: Statement<never>;
    nextDue: Statement<{ due: number }>;
    lane: Statement<TaskRow>;
    openIn: Statement<{ n: number }>;
    due: Statement<never>;
    absorb: Statement<never>;
    park: Statement<never>;
    requeue: Statement<never>;
    end: Statement<never>;
    absorbed: Statement<{ id: string }>;
    wait: Statement<never>;
    awaited: Statement<{ until: string }>;
    waiters: Statement<{ task: string }>;
    unwait: Statement<never>;
    ended: Statement<never>;
    waits: Statement<{ n: number }>;
    counts: Statement<{ status: TaskStatus; n: number }>;
  };

  /** `alone`: nobody else writes, so that what is known stays true. */
  constructor(db: Db, alone: boolean) {
    this.#db = db;
    this.#alone = alone;
    const limit = alone ? KNOWN : 0;
    this.#rows = new Known(limit);
    this.#lanes = new Known(limit);
    this.#hosts = new Known(limit);
    this.#numbers = new Known(limit);
    this.#quiet = new Known(Math.min(limit, ASKERS));
    this.#next = new Known(limit);
    this.#memory = together([this.#rows, this.#lanes, this.#hosts, this.#numbers, this.#quiet, this.#next]);
    const columns = TASK_COLUMNS.split(',').length;
    // The first of its lane can be claimed at once.
    const first = `NOT EXISTS (SELECT 1 FROM task INDEXED BY task_lane WHERE lane = ? AND ${OPEN} AND absorbed_by IS NULL)`;
    this.#sql = {
      add: db.prepare(
        `INSERT INTO task (${TASK_COLUMNS}, due) VALUES (${marks(columns)}, CASE WHEN ${first} THEN ? END)
         ON CONFLICT (id) DO NOTHING RETURNING *`,
      ),
      byId: db.prepare('SELECT * FROM task WHERE id = ?'),
      byKey: db.prepare('SELECT * FROM task WHERE key = ?'),
      renew: db.prepare(`UPDATE task SET due = ? WHERE id = ? AND status = 'running' AND token = ?`),
      release: db.prepare(
        `UPDATE task SET status = 'queued', worker = NULL, due = coalesce(not_before, 0) WHERE status = 'running'`,
      ),
      nextDue: db.prepare(QUEUE_SQL.nextDue),
      lane: db.prepare(QUEUE_SQL.lane),
      openIn: db.prepare(QUEUE_SQL.openIn),
      due: db.prepare('UPDATE task SET due = ? WHERE ord = ?'),
      absorb: db.prepare('UPDATE task SET absorbed_by = ?, due = NULL WHERE ord = ?'),
      park: db.prepare(`UPDATE task SET status = 'waiting', worker = NULL, due = NULL WHERE ord = ?`),
      requeue: db.prepare(
        `UPDATE task SET status = 'queued', worker = NULL, attempt = ?, not_before = ?, due = ? WHERE ord = ?`,
      ),
      end: db.prepare('UPDATE task SET status = ?, result = ?, worker = NULL, due = NULL WHERE ord = ?'),
      absorbed: db.prepare(QUEUE_SQL.absorbed),
      wait: db.prepare('INSERT OR IGNORE INTO task_wait (task, until) VALUES (?, ?)'),
      awaited: db.prepare('SELECT until FROM task_wait WHERE task = ?'),
      waiters: db.prepare('SELECT task FROM task_wait WHERE until = ?'),
      unwait: db.prepare('DELETE FROM task_wait WHERE task = ?'),
      ended: db.prepare('DELETE FROM task_wait WHERE until = ?'),
      waits: db.prepare('SELECT count(*) AS n FROM task_wait'),
      counts: db.prepare(QUEUE_SQL.counts),
    };
  }

  mark(): () => void {
    return this.#memory.mark();
  }

  keep(): void {
    this.#memory.keep();
  }

  task(id: string): Task | null {
    const row = this.#row(id);
    return row ? taskOf(row) : null;
  }

  byKey(key: string): Task | null {
    const row = this.#sql.byKey.get(key);
    return row ? taskOf(row) : null;
  }

  holds(lease: Lease): boolean {
    const row = this.#row(lease.task);
    return row?.status === 'running' && row.token === lease.token;
  }

  /** Whether it is known without asking that a claim would find nothing. */
  isQuiet({ now, except = [], only }: ClaimOptions): boolean {
    const quiet = this.#quiet.get(askerOf(except, only));
    return quiet !== undefined && quiet.from <= now && now < quiet.until;
  }

  claim({ worker, now, leaseMs, except = [], only }: ClaimOptions): Claim | null {
    if (only?.length === 0) return null;
    const until = now + leaseMs;
    const sql = claimSql(except.length, only?.length ?? null);
    const row = this.#shape(sql).get(worker, until, now, ...except, ...(only ?? []));
    if (!row) {
      const next = this.nextDue(now) ?? Infinity;
      this.#quiet.set(askerOf(except, only), { except, only, from: now, until: next });
      return null;
    }
    this.#replace(this.#rows.get(row.id), row);
    return { task: taskOf(row), lease: { task: row.id, token: row.token, worker, until } };
  }

  renew(lease: Lease, until: number): boolean {
    if (this.#sql.renew.run(until, lease.task, lease.token) === 0) return false;
    const row = this.#rows.get(lease.task);
    if (row) this.#replace(row, { ...row, due: until });
    else this.#forgetDues();
    return true;
  }

  releaseAll(): number {
    const released = this.#sql.release.run();
    for (const known of [this.#rows, this.#numbers]) known.clear();
    this.#forgetDues();
    return released;
  }

  leaseEnd(task: string): number | null {
    const row = this.#row(task);
    return row?.status === 'running' ? row.due : null;
  }

  nextDue(now: number): number | null {
    const known = this.#next.get('next');
    if (known && known.from <= now && (known.due === null || now < known.due)) return known.due;
    const due = this.#sql.nextDue.get(now)?.due ?? null;
    this.#next.set('next', { from: now, due });
    return due;
  }

  counts(): Record<TaskStatus, number> {
    const counts = { queued: 0, running: 0, waiting: 0, done: 0, failed: 0, dead: 0, cancelled: 0 };
    const statuses = Object.keys(counts) as TaskStatus[];
    const known = statuses.map((status) => this.#numbers.get(status));
    if (known.every((n) => n !== undefined)) {
      statuses.forEach((status, at) => (counts[status] = known[at] ?? 0));
      return counts;
    }
    for (const { status, n } of this.#sql.counts.all()) counts[status] = n;
    for (const status of statuses) this.#numbers.set(status, counts[status]);
    return counts;
  }

  tasks(filter: TaskFilter): Task[] {
    const { lane, statuses } = filter;
    const open = lane !== undefined && statuses?.every((status) => OPEN_STATUSES.includes(status));
    // Those taken in are gone from a lane with their host, so that none at all are left then.
    if (open && this.#alone && this.#openIn(lane) === 0) return [];
    const { sql, values } = tasksSql(filter);
    return this.#shape(sql)
      .all(...values)
      .map(taskOf);
  }

  /** Applies one operation; `seqs` are those of the batch's events. Null if it fitted, else nothing was written. */
  apply(op: QueueOp, seqs: readonly number[]): Misfit | null {
    if (op.op === 'enqueue') return this.#enqueue(op, seqs);
    const row = this.#row(op.task);
    const misfit = { task: op.task, status: row?.status ?? null };
    if (!row) return misfit;
    switch (op.op) {
      case 'absorb':
        return this.#absorb(row, op.into);
      case 'park':
        if (row.status !== 'running') return misfit;
        return this.#park(row, op.until);
      case 'wake':
        if (row.status === 'waiting') this.#wake(row);
        return null;
      case 'retry':
        if (row.status !== 'running') return misfit;
        this.#requeue(row, op.uncounted ? row.attempt : row.attempt + 1, op.notBefore, op.notBefore);
        return null;
      case 'settle':
        if (isEnded(row.status)) return misfit;
        this.#settle(row, op.status, op.result === null ? null : JSON.stringify(op.result));
        return null;
    }
  }

  /** Tasks this one waits for. */
  awaited(task: string): string[] {
    return this.#waits() === 0 ? [] : this.#sql.awaited.all(task).map(({ until }) => until);
  }

  #row(id: string): TaskRow | undefined {
    const known = this.#rows.get(id);
    if (known) return known;
    const row = this.#sql.byId.get(id);
    return row && this.#rows.set(id, row);
  }

  /** What is known follows a row that has been written. `before` is undefined where it was not known. */
  #replace(before: TaskRow | undefined, row: TaskRow): TaskRow {
    this.#rows.set(row.id, row);
    if (before === undefined) this.#numbers.clear();
    else if (before.status !== row.status) {
      this.#count(before.status, -1);
      this.#count(row.status, 1);
    }
    if (before === undefined || before.due !== row.due) this.#dueChanged(before, row);
    return row;
  }

  #count(what: TaskStatus | 'waits', by: number): void {
    const known = this.#numbers.get(what);
    if (known !== undefined) this.#numbers.set(what, known + by);
  }

  #dueChanged(before: TaskRow | undefined, { queue, due }: TaskRow): void {
    const next = this.#next.get('next');
    if (next && (before === undefined || (before.due !== null && before.due === next.due))) this.#next.forget('next');
    else if (next && due !== null && due > next.from && (next.due === null || due < next.due))
      this.#next.set('next', { ...next, due });
    if (due === null) return;
    for (const [asker, quiet] of this.#quiet.entries()) {
      if (quiet.only ? !quiet.only.includes(queue) : quiet.except.includes(queue)) continue;
      if (due <= quiet.from) this.#quiet.forget(asker);
      else if (due < quiet.until) this.#quiet.set(asker, { ...quiet, until: due });
    }
  }

  #forgetDues(): void {
    this.#next.clear();
    this.#quiet.clear();
  }

  #waits(): number {
    return this.#numbers.get('waits') ?? this.#numbers.set('waits', this.#sql.waits.get()?.n ?? 0);
  }

  #open(until: readonly string[]): string[] {
    return until.filter((id) => {
      const other = this.#row(id);
      return other !== undefined && !isEnded(other.status);
    });
  }

  #wait(task: string, until: readonly string[]): void {
    for (const id of until) this.#count('waits', this.#sql.wait.run(task, id));
  }

  #unwait(task: string): void {
    if (this.#waits() > 0) this.#count('waits', -this.#sql.unwait.run(task));
  }

  #park(row: TaskRow, until?: readonly string[]): Misfit | null {
    const open = this.#open(until ?? []);
    const awaited = [...this.awaited(row.id), ...open];
    if (until !== undefined && waitsForItself(row.id, awaited, (task) => this.awaited(task)))
      return { task: row.id, status: row.status };
    this.#sql.park.run(row.ord);
    const parked = this.#replace(row, { ...row, status: 'waiting', worker: null, due: null });
    this.#wait(row.id, open);
    if (until !== undefined && awaited.length === 0) this.#wake(parked);
    return null;
  }

  #wake(row: TaskRow): void {
    this.#unwait(row.id);
    this.#requeue(row, row.attempt, row.not_before, row.not_before ?? 0);
  }

  #requeue(row: TaskRow, attempt: number, notBefore: number | null, due: number): void {
    this.#sql.requeue.run(attempt, notBefore, due, row.ord);
    this.#replace(row, { ...row, status: 'queued', worker: null, attempt, not_before: notBefore, due });
  }

  /** Lets those go on that waited for this task and for nothing else. */
  #release(ended: string): void {
    if (this.#waits() === 0) return;
    const waiters = this.#sql.waiters.all(ended);
    if (waiters.length === 0) return;
    this.#count('waits', -this.#sql.ended.run(ended));
    for (const { task } of waiters) {
      const row = this.awaited(task).length === 0 ? this.#row(task) : undefined;
      if (row?.status === 'waiting') this.#wake(row);
      else if (row?.status === 'queued') this.#advance(row.lane);
    }
  }

  #enqueue({ task, causeOf, after = [] }: Extract<QueueOp, { op: 'enqueue' }>, seqs: readonly number[]): Misfit | null {
    checkNew(task);
    const seq = causeOf === undefined ? undefined : seqs[causeOf];
    if (causeOf !== undefined && seq === undefined) throw new RangeError(`causeOf ${causeOf} is no event of the batch`);
    const until = this.#open(after);
    const due = until.length > 0 ? null : (task.notBefore ?? 0);
    const row = this.#sql.add.get(...taskValues(task, seq === undefined ? task.cause : eventId(seq)), task.lane, due);
    if (!row) return { task: task.id, status: this.#row(task.id)?.status ?? null };
    this.#rows.set(row.id, row);
    this.#hosts.set(row.id, false);
    this.#count('queued', 1);
    const others = row.due === null ? this.#lanes.get(row.lane) : 0;
    if (others !== undefined) this.#lanes.set(row.lane, others + 1);
    if (row.due !== null) this.#dueChanged({ ...row, due: null }, row);
    this.#wait(row.id, until);
    return null;
  }

  #absorb(row: TaskRow, into: string): Misfit | null {
    if (row.status !== 'queued' || row.absorbed_by !== null) return { task: row.id, status: row.status };
    const host = this.#row(into);
    if (host?.status !== 'running' || host.lane !== row.lane) return { task: into, status: host?.status ?? null };
    this.#sql.absorb.run(into, row.ord);
    this.#replace(row, { ...row, absorbed_by: into, due: null });
    this.#hosts.set(into, true);
    this.#leave(row.lane);
    return null;
  }

  #settle(row: TaskRow, status: TaskStatus, result: string | null): void {
    this.#sql.end.run(status, result, row.ord);
    this.#replace(row, { ...row, status, result, worker: null, due: null });
    const guests = this.#hosts.get(row.id) === false ? [] : this.#sql.absorbed.all(status, result, row.id);
    for (const { id } of guests) {
      this.#rows.forget(id);
      this.#count('queued', -1);
      this.#count(status, 1);
    }
    this.#unwait(row.id);
    if (row.absorbed_by === null) this.#leave(row.lane);
    this.#advance(row.lane);
    for (const { id } of [row, ...guests]) this.#release(id);
  }

  #openIn(lane: string): number {
    return this.#lanes.get(lane) ?? this.#lanes.set(lane, this.#sql.openIn.get(lane)?.n ?? 0);
  }

  /** One task fewer is open in the lane. */
  #leave(lane: string): void {
    const open = this.#lanes.get(lane);
    if (open !== undefined) this.#lanes.set(lane, open - 1);
  }

  /** Makes the lane's first open task claimable if it waits for its turn, and for no other task. */
  #advance(lane: string): void {
    if (this.#lanes.get(lane) === 0) return;
    const first = this.#sql.lane.get(lane);
    if (!first) this.#lanes.set(lane, 0);
    if (first?.status !== 'queued' || first.due !== null || this.awaited(first.id).length > 0) return;
    const due = first.not_before ?? 0;
    this.#sql.due.run(due, first.ord);
    this.#replace(first, { ...first, due });
  }

  #shape(sql: string): Statement<TaskRow> {
    const known = this.#shapes.get(sql);
    if (known) return known;
    // As many as there are shapes of a filter that somebody asks for, and numbers of queues: a few dozen.
    if (this.#shapes.size >= SHAPES) this.#shapes.clear();
    const made = this.#db.prepare<TaskRow>(sql);
    this.#shapes.set(sql, made);
    return made;
  }
}

const askerOf = (except: readonly string[], only: readonly string[] | undefined): string =>
  `${except.join(' ')}|${only?.join(' ') ?? '*'}`;

/** Names the index that leaves the fewest rows to look at; nothing that is asked often walks through ended tasks. */
export function tasksSql({ statuses, lane, queue, absorbedBy, parent, root, deadlineBy, limit = -1 }: TaskFilter): {
  sql: string;
  values: Value[];
} {
  const where: string[] = [];
  const values: Value[] = [];
  const add = (term: string, ...given: Value[]): void => {
    where.push(term);
    values.push(...given);
  };
  const openOnly = statuses?.every((status) => OPEN_STATUSES.includes(status)) ?? false;
  let index = '';
  if (absorbedBy !== undefined) index = 'INDEXED BY task_absorbed';
  else if (parent !== undefined) index = 'INDEXED BY task_parent';
  else if (root !== undefined) index = 'INDEXED BY task_root';
  else if (deadlineBy !== undefined && openOnly) {
    index = 'INDEXED BY task_deadline';
    add(`${OPEN} AND deadline IS NOT NULL`);
  } else if (lane !== undefined && openOnly) {
    index = 'INDEXED BY task_lane';
    add(OPEN);
  } else if (statuses) index = 'INDEXED BY task_status';
  // Placeholders, and not one JSON list: opening that as a table takes longer than the look-up.
  if (statuses) add(`status IN (${statuses.map(() => '?').join(', ')})`, ...statuses);
  if (lane !== undefined) add('lane = ?', lane);
  if (queue !== undefined) add('queue = ?', queue);
  if (absorbedBy !== undefined) add('absorbed_by = ?', absorbedBy);
  if (parent !== undefined) add('parent = ?', parent);
  if (root !== undefined) add('root = ?', root);
  if (deadlineBy !== undefined) add('deadline <= ?', deadlineBy);
  const clause = where.length > 0 ? `WHERE ${where.join(' AND ')}` : '';
  return { sql: `SELECT * FROM task ${index} ${clause} ORDER BY ord LIMIT ?`, values: [...values, limit] };
}
