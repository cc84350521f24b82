import { eventId } from '../../core/ids.ts';
import type { ClaimOptions, QueueOp, TaskFilter } from '../../core/ports/store.ts';
import { isEnded } from '../../core/task.ts';
import type { Claim, Lease, Task, TaskStatus } from '../../core/task.ts';
import { type Misfit, waitsForItself } from '../commit.ts';
import type { Db, Statement, Value } from './db.ts';
import { checkNew, TASK_COLUMNS, taskOf, taskValues } from '../task-row.ts';
import type { TaskRow } from '../task-row.ts';

const OPEN_STATUSES: readonly TaskStatus[] = ['queued', 'running', 'waiting'];
/** The very words of the index `task_lane`, so that SQLite sees that it may use it. */
const OPEN = `status IN ('queued', 'running', 'waiting')`;

/** The text decides which index is used, so the tests ask SQLite for the plans of these. */
export const QUEUE_SQL = {
  claim: `SELECT * FROM task INDEXED BY task_claim WHERE due <= ?
    AND queue NOT IN (SELECT value FROM json_each(?)) AND (?3 IS NULL OR queue IN (SELECT value FROM json_each(?3)))
    ORDER BY priority DESC, ord LIMIT 1`,
  nextDue: 'SELECT due FROM task INDEXED BY task_due WHERE due > ? ORDER BY due LIMIT 1',
  lane: `SELECT * FROM task INDEXED BY task_lane WHERE lane = ? AND ${OPEN} AND absorbed_by IS NULL ORDER BY ord LIMIT 1`,
  absorbed: `UPDATE task INDEXED BY task_absorbed SET status = ?, result = ? WHERE absorbed_by = ? AND status = 'queued' RETURNING id`,
  counts: 'SELECT status, n FROM task_count',
} as const;

/**
 * The task table. A row is claimable from `due` on: for the first open task of a lane that is its not-before, while it
 * runs the end of its lease. Every other row has no `due`, so a claim never looks at it.
 */
export class Queue {
  readonly #db: Db;
  readonly #shapes = new Map<string, Statement<TaskRow>>();
  readonly #sql: {
    add: Statement<never>;
    byId: Statement<TaskRow>;
    byKey: Statement<TaskRow>;
    claim: Statement<TaskRow>;
    take: Statement<never>;
    renew: Statement<never>;
    release: Statement<never>;
    nextDue: Statement<{ due: number }>;
    lane: Statement<TaskRow>;
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
    counts: Statement<{ status: TaskStatus; n: number }>;
  };

  constructor(db: Db) {
    this.#db = db;
    const marks = TASK_COLUMNS.split(',').map(() => '?');
    this.#sql = {
      add: db.prepare(`INSERT INTO task (${TASK_COLUMNS}) VALUES (${marks.join(', ')})`),
      byId: db.prepare('SELECT * FROM task WHERE id = ?'),
      byKey: db.prepare('SELECT * FROM task WHERE key = ?'),
      claim: db.prepare(QUEUE_SQL.claim),
      take: db.prepare(`UPDATE task SET status = 'running', worker = ?, token = token + 1, due = ? WHERE ord = ?`),
      renew: db.prepare(`UPDATE task SET due = ? WHERE id = ? AND status = 'running' AND token = ?`),
      release: db.prepare(
        `UPDATE task SET status = 'queued', worker = NULL, due = coalesce(not_before, 0) WHERE status = 'running'`,
      ),
      nextDue: db.prepare(QUEUE_SQL.nextDue),
      lane: db.prepare(QUEUE_SQL.lane),
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
      counts: db.prepare(QUEUE_SQL.counts),
    };
  }

  task(id: string): Task | null {
    const row = this.#sql.byId.get(id);
    return row ? taskOf(row) : null;
  }

  byKey(key: string): Task | null {
    const row = this.#sql.byKey.get(key);
    return row ? taskOf(row) : null;
  }

  holds(lease: Lease): boolean {
    const row = this.#sql.byId.get(lease.task);
    return row?.status === 'running' && row.token === lease.token;
  }

  claim({ worker, now, leaseMs, except = [], only }: ClaimOptions): Claim | null {
    const row = this.#sql.claim.get(now, JSON.stringify(except), only ? JSON.stringify(only) : null);
    if (!row) return null;
    const until = now + leaseMs;
    this.#sql.take.run(worker, until, row.ord);
    return {
      task: taskOf({ ...row, status: 'running' }),
      lease: { task: row.id, token: row.token + 1, worker, until },
    };
  }

  renew(lease: Lease, until: number): boolean {
    return this.#sql.renew.run(until, lease.task, lease.token) > 0;
  }

  releaseAll(): number {
    return this.#sql.release.run();
  }

  nextDue(now: number): number | null {
    return this.#sql.nextDue.get(now)?.due ?? null;
  }

  counts(): Record<TaskStatus, number> {
    const counts = { queued: 0, running: 0, waiting: 0, done: 0, failed: 0, dead: 0, cancelled: 0 };
    for (const { status, n } of this.#sql.counts.all()) counts[status] = n;
    return counts;
  }

  tasks(filter: TaskFilter): Task[] {
    const { sql, values } = tasksSql(filter);
    // As many as there are shapes of a filter that somebody asks for: a dozen.
    const shape = this.#shapes.get(sql) ?? this.#db.prepare<TaskRow>(sql);
    this.#shapes.set(sql, shape);
    return shape.all(...values).map(taskOf);
  }

  /** Applies one operation; `seqs` are those of the batch's events. Null if it fitted. */
  apply(op: QueueOp, seqs: readonly number[]): Misfit | null {
    if (op.op === 'enqueue') return this.#enqueue(op, seqs);
    const row = this.#sql.byId.get(op.task);
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
        this.#sql.requeue.run(row.attempt + 1, op.notBefore, op.notBefore, row.ord);
        return null;
      case 'settle':
        if (isEnded(row.status)) return misfit;
        this.#settle(row, op.status, op.result === null ? null : JSON.stringify(op.result));
        return null;
    }
  }

  /** Tasks this one waits for. */
  awaited(task: string): string[] {
    return this.#sql.awaited.all(task).map(({ until }) => until);
  }

  #wait(task: string, until: readonly string[] = []): void {
    for (const id of until) {
      const other = this.#sql.byId.get(id);
      if (other && !isEnded(other.status)) this.#sql.wait.run(task, id);
    }
  }

  #park(row: TaskRow, until?: readonly string[]): Misfit | null {
    this.#sql.park.run(row.ord);
    if (until === undefined) return null;
    this.#wait(row.id, until);
    const awaited = this.awaited(row.id);
    if (waitsForItself(row.id, awaited, (task) => this.awaited(task))) return { task: row.id, status: row.status };
    if (awaited.length === 0) this.#wake(row);
    return null;
  }

  #wake(row: TaskRow): void {
    this.#sql.unwait.run(row.id);
    this.#sql.requeue.run(row.attempt, row.not_before, row.not_before ?? 0, row.ord);
  }

  /** Lets those go on that waited for this task and for nothing else. */
  #release(ended: string): void {
    const waiters = this.#sql.waiters.all(ended);
    this.#sql.ended.run(ended);
    for (const { task } of waiters) {
      const row = this.awaited(task).length === 0 ? this.#sql.byId.get(task) : undefined;
      if (row?.status === 'waiting') this.#wake(row);
      else if (row?.status === 'queued') this.#advance(row.lane);
    }
  }

  #enqueue({ task, causeOf, after }: Extract<QueueOp, { op: 'enqueue' }>, seqs: readonly number[]): Misfit | null {
    checkNew(task);
    const known = this.#sql.byId.get(task.id);
    if (known) return { task: task.id, status: known.status };
    const seq = causeOf === undefined ? undefined : seqs[causeOf];
    if (causeOf !== undefined && seq === undefined) throw new RangeError(`causeOf ${causeOf} is no event of the batch`);
    this.#sql.add.run(...taskValues(task, seq === undefined ? task.cause : eventId(seq)));
    this.#wait(task.id, after);
    this.#advance(task.lane);
    return null;
  }

  #absorb(row: TaskRow, into: string): Misfit | null {
    if (row.status !== 'queued' || row.absorbed_by !== null) return { task: row.id, status: row.status };
    const host = this.#sql.byId.get(into);
    if (host?.status !== 'running' || host.lane !== row.lane) return { task: into, status: host?.status ?? null };
    this.#sql.absorb.run(into, row.ord);
    return null;
  }

  #settle(row: TaskRow, status: TaskStatus, result: string | null): void {
    this.#sql.end.run(status, result, row.ord);
    const absorbed = this.#sql.absorbed.all(status, result, row.id);
    this.#sql.unwait.run(row.id);
    this.#advance(row.lane);
    for (const { id } of [row, ...absorbed]) this.#release(id);
  }

  /** Makes the lane's first open task claimable if it waits for its turn, and for no other task. */
  #advance(lane: string): void {
    const first = this.#sql.lane.get(lane);
    if (first?.status !== 'queued' || first.due !== null || this.awaited(first.id).length > 0) return;
    this.#sql.due.run(first.not_before ?? 0, first.ord);
  }
}

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
