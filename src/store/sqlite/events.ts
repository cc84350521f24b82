import { GENESIS } from '../../core/event-hash.ts';
import type { EventRow } from '../../core/event-hash.ts';
import type { Event, NewEvent } from '../../core/event.ts';
import type { Db, Statement, Value } from './db.ts';
import type { Page } from '../paging.ts';
import { eventOf, placeEvent, resolveCause, storable } from '../row.ts';
import type { Upcast } from '../row.ts';

const COLUMNS = 'seq, stream, version, at, actor, cause, labels, key, schema, type, data, hash';
/** Prepared statements kept for the different shapes a read can have. */
const SHAPES = 64;

/** The event table. Works inside whatever transaction is open. */
export class Events {
  readonly #db: Db;
  readonly #upcast: Upcast;
  readonly #shapes = new Map<string, Statement<EventRow>>();
  readonly #insert: Statement<never>;
  readonly #last: Statement<{ seq: number; hash: string }>;
  readonly #version: Statement<{ version: number }>;
  readonly #byKey: Statement<EventRow>;
  readonly #bySeq: Statement<EventRow>;
  readonly #rows: Statement<EventRow>;

  constructor(db: Db, upcast: Upcast) {
    this.#db = db;
    this.#upcast = upcast;
    this.#insert = db.prepare(`INSERT INTO event (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#last = db.prepare('SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1');
    this.#version = db.prepare(
      'SELECT version FROM event INDEXED BY event_stream WHERE stream = ? ORDER BY seq DESC LIMIT 1',
    );
    this.#byKey = db.prepare(`SELECT ${COLUMNS} FROM event WHERE key = ?`);
    this.#bySeq = db.prepare(`SELECT ${COLUMNS} FROM event WHERE seq = ?`);
    this.#rows = db.prepareSafe(`SELECT ${COLUMNS} FROM event WHERE seq > ? ORDER BY seq LIMIT ?`);
  }

  head(): number {
    return this.#last.get()?.seq ?? 0;
  }

  version(stream: string): number {
    return this.#version.get(storable(stream))?.version ?? 0;
  }

  byKey(key: string): Event | null {
    return this.#event(this.#byKey.get(storable(key)));
  }

  bySeq(seq: number): Event | null {
    return this.#event(this.#bySeq.get(seq));
  }

  /** Appends all of them. The last hash is read each time: no state beside the table that could go stale. */
  append(events: readonly NewEvent[], at: number): Event[] {
    const last = this.#last.get();
    let seq = last?.seq ?? 0;
    let previous = last?.hash ?? GENESIS;
    const versions = new Map<string, number>();
    const placed: Event[] = [];
    for (const input of events) {
      seq++;
      const version = (versions.get(input.stream) ?? this.version(input.stream)) + 1;
      versions.set(input.stream, version);
      const cause = resolveCause(input.cause, placed);
      const { row, event } = placeEvent(input, { seq, version, at, previous, cause });
      const { stream, actor, labels, key, schema, type, data, hash } = row;
      this.#insert.run(seq, stream, version, at, actor, cause, labels, key, schema, type, data, hash);
      previous = hash;
      placed.push(event);
    }
    return placed;
  }

  page({ after, before, limit, reverse, stream, types }: Page): Event[] {
    const kinds = types && [...new Set(types)];
    if (kinds?.length === 0) return [];
    const order = `ORDER BY seq ${reverse ? 'DESC' : 'ASC'} LIMIT ?`;
    const marks = kinds?.map(() => '?').join(', ');
    let sql: string;
    let values: Value[];
    if (stream !== undefined) {
      const only = kinds ? ` AND type IN (${marks})` : '';
      sql = `SELECT ${COLUMNS} FROM event INDEXED BY event_stream WHERE stream = ? AND seq > ? AND seq < ?${only} ${order}`;
      values = [storable(stream), after, before, ...(kinds ?? []), limit];
    } else if (kinds) {
      // One ordered walk a type, merged: a single IN would sort everything there is for each page.
      const walk = 'SELECT seq FROM event INDEXED BY event_type WHERE type = ? AND seq > ? AND seq < ?';
      sql = `SELECT ${COLUMNS} FROM (${kinds.map(() => walk).join(' UNION ALL ')} ${order}) JOIN event USING (seq)
        ORDER BY seq ${reverse ? 'DESC' : 'ASC'}`;
      values = [...kinds.flatMap((kind) => [kind, after, before]), limit];
    } else {
      sql = `SELECT ${COLUMNS} FROM event WHERE seq > ? AND seq < ? ${order}`;
      values = [after, before, limit];
    }
    return this.#shape(sql)
      .all(...values)
      .map((row) => eventOf(row, this.#upcast));
  }

  /** As stored; a number that damage has made too large comes as text. */
  rows(after: number, limit: number): EventRow[] {
    return this.#rows.all(after, limit);
  }

  #event(row: EventRow | undefined): Event | null {
    return row ? eventOf(row, this.#upcast) : null;
  }

  #shape(sql: string): Statement<EventRow> {
    const known = this.#shapes.get(sql);
    if (known) return known;
    if (this.#shapes.size >= SHAPES) this.#shapes.clear();
    const made = this.#db.prepare<EventRow>(sql);
    this.#shapes.set(sql, made);
    return made;
  }
}
