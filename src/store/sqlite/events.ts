import { GENESIS } from '../../core/event-hash.ts';
import type { EventRow } from '../../core/event-hash.ts';
import type { Event, NewEvent } from '../../core/event.ts';
import type { Db, Statement, Value } from './db.ts';
import { Known, together, type Remembers } from './known.ts';
import type { Page } from '../paging.ts';
import { eventOf, placeEvent, resolveCause, storable } from '../row.ts';
import type { Upcast } from '../row.ts';
import { Tail } from './tail.ts';

const COLUMNS = 'seq, stream, version, at, actor, cause, labels, key, schema, type, data, hash';
/** Prepared statements kept for the different shapes a read can have. */
const SHAPES = 64;
/** Streams whose end is known. */
const STREAMS = 4096;
/** Rows of one INSERT: as many as fit of the largest first. */
const TOGETHER = [16, 4, 1] as const;

/** The end of a stream: version and seq of its last event, and where its first stands if that is known, else 0. */
interface End {
  version: number;
  last: number;
  born: number;
}

const NOTHING: End = { version: 0, last: 0, born: 0 };

/**
 * The event table. Works inside whatever transaction is open. What is appended is in memory until `write`, which has to come
 * before the transaction ends: all that is asked in between is answered from there.
 */
export class Events implements Remembers {
  readonly #db: Db;
  readonly #upcast: Upcast;
  readonly #alone: boolean;
  readonly #shapes = new Map<string, Statement<EventRow>>();
  readonly #inserts = new Map<number, Statement<never>>();
  readonly #last: Statement<{ seq: number; hash: string }>;
  readonly #end: Statement<{ seq: number; version: number }>;
  readonly #byKey: Statement<EventRow>;
  readonly #bySeq: Statement<EventRow>;
  readonly #rows: Statement<EventRow>;
  readonly #ends: Known<string, End>;
  readonly #tail = new Tail();
  readonly #memory: Remembers;
  /** The last event; null until it has been looked up. */
  #head: { seq: number; hash: string } | null = null;
  #unwritten: EventRow[] = [];

  /** `alone`: nobody else writes, so that what is known stays true. */
  constructor(db: Db, upcast: Upcast, alone: boolean) {
    this.#db = db;
    this.#upcast = upcast;
    this.#alone = alone;
    this.#ends = new Known(alone ? STREAMS : 0);
    this.#memory = together([this.#ends, this.#tail]);
    this.#last = db.prepare('SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1');
    this.#end = db.prepare(
      'SELECT seq, version FROM event INDEXED BY event_stream WHERE stream = ? ORDER BY seq DESC LIMIT 1',
    );
    this.#byKey = db.prepare(`SELECT ${COLUMNS} FROM event WHERE key = ?`);
    this.#bySeq = db.prepare(`SELECT ${COLUMNS} FROM event WHERE seq = ?`);
    this.#rows = db.prepareSafe(`SELECT ${COLUMNS} FROM event WHERE seq > ? ORDER BY seq LIMIT ?`);
  }

  head(): number {
    return this.#headNow().seq;
  }

  version(stream: string): number {
    return this.#endOf(storable(stream)).version;
  }

  byKey(key: string): Event | null {
    return this.#tail.byKey(storable(key)) ?? this.#event(this.#byKey.get(storable(key)));
  }

  /** Only among the last events: what is older, the database refuses to hold twice. */
  lately(key: string): Event | null {
    return this.#tail.byKey(storable(key)) ?? null;
  }

  bySeq(seq: number): Event | null {
    return this.#tail.bySeq(seq) ?? this.#event(this.#bySeq.get(seq));
  }

  /** Appends all of them, in memory. */
  append(events: readonly NewEvent[], at: number): Event[] {
    let { seq, hash: previous } = this.#headNow();
    const placed: Event[] = [];
    for (const input of events) {
      seq++;
      const name = storable(input.stream);
      const { version: before, born } = this.#endOf(name);
      const version = before + 1;
      const cause = resolveCause(input.cause, placed);
      const { row, event } = placeEvent(input, { seq, version, at, previous, cause });
      previous = row.hash;
      placed.push(event);
      this.#ends.set(name, { version, last: seq, born: version === 1 ? seq : born });
      this.#tail.push(this.#upcast(event));
      this.#unwritten.push(row);
    }
    if (placed.length > 0) this.#head = { seq, hash: previous };
    return placed;
  }

  /** Events that are in memory only. */
  get unwritten(): number {
    return this.#unwritten.length;
  }

  write(): void {
    const rows = this.#unwritten;
    let done = 0;
    for (const size of TOGETHER)
      for (; rows.length - done >= size; done += size)
        this.#insert(size).run(...rows.slice(done, done + size).flatMap(valuesOf));
    this.#unwritten = [];
  }

  mark(): () => void {
    const undo = this.#memory.mark();
    const [head, unwritten] = [this.#head, this.#unwritten.length];
    return () => {
      undo();
      this.#head = head;
      this.#unwritten.length = Math.min(unwritten, this.#unwritten.length);
    };
  }

  keep(): void {
    this.#memory.keep();
  }

  page(page: Page): Event[] {
    const kinds = page.types && [...new Set(page.types)];
    if (kinds?.length === 0) return [];
    const stream = page.stream === undefined ? undefined : storable(page.stream);
    const end = stream === undefined ? undefined : this.#ends.get(stream);
    if (end && page.after >= end.last) return [];
    const recent = this.#tail.page({ ...page, stream }, end?.born);
    return recent ?? this.#stored({ ...page, stream, types: kinds });
  }

  #stored({ after, before, limit, reverse, stream, types: kinds }: Page): Event[] {
    const order = `ORDER BY seq ${reverse ? 'DESC' : 'ASC'} LIMIT ?`;
    const marks = kinds?.map(() => '?').join(', ');
    let sql: string;
    let values: Value[];
    if (stream !== undefined) {
      const only = kinds ? ` AND type IN (${marks})` : '';
      sql = `SELECT ${COLUMNS} FROM event INDEXED BY event_stream WHERE stream = ? AND seq > ? AND seq < ?${only} ${order}`;
      values = [stream, after, before, ...(kinds ?? []), limit];
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

  #headNow(): { seq: number; hash: string } {
    if (this.#head) return this.#head;
    const last = this.#last.get() ?? { seq: 0, hash: GENESIS };
    if (this.#alone) this.#head = last;
    return last;
  }

  #endOf(stream: string): End {
    const known = this.#ends.get(stream);
    if (known) return known;
    const last = this.#end.get(stream);
    return this.#ends.set(stream, last ? { version: last.version, last: last.seq, born: 0 } : NOTHING);
  }

  #event(row: EventRow | undefined): Event | null {
    return row ? eventOf(row, this.#upcast) : null;
  }

  #insert(rows: number): Statement<never> {
    const known = this.#inserts.get(rows);
    if (known) return known;
    const marks = Array.from({ length: rows }, () => '(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').join(', ');
    const made = this.#db.prepare<never>(`INSERT INTO event (${COLUMNS}) VALUES ${marks}`);
    this.#inserts.set(rows, made);
    return made;
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

const valuesOf = ({
  seq,
  stream,
  version,
  at,
  actor,
  cause,
  labels,
  key,
  schema,
  type,
  data,
  hash,
}: EventRow): Value[] => [seq, stream, version, at, actor, cause, labels, key, schema, type, data, hash];
