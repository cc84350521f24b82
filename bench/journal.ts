// `node bench/journal.ts HOME EVENTS SECONDS`: makes the journal of HOME that many events long, or as long as it gets in
// the time, by writing the last turn it holds over and over under new names, spread over the last hundred days. All goes
// through the store's and the repository's own doors, so that the home opens like any other. It must not be in use.
// Prints the number of events.
import { join } from 'node:path';
import type { BlobRef } from '../src/core/blob.ts';
import type { Event, NewEvent } from '../src/core/event.ts';
import type { JournalLine } from '../src/core/ports/journal.ts';
import { conversationId, eventSeq, runStream, taskStream } from '../src/core/ids.ts';
import type { Task } from '../src/core/task.ts';
import { openSqliteStore, type SqliteStore } from '../src/store/sqlite/store.ts';
import { systemClock, systemIds as ids, systemRandom } from '../src/platform/system.ts';
import { openJournalRepository } from '../src/git/journal.ts';
import { journalLine } from '../src/journal/format.ts';

const DAYS = 100 * 86_400_000;
/** Turns written at once: one transaction of the store. */
const TOGETHER = 200;
/** Lines of one import. */
const LINES = 50_000;
const quiet = (): void => undefined;

/** A turn as it stands in the journal, with what its blobs hold. */
interface Pattern {
  events: Event[];
  blobs: Map<string, Uint8Array>;
  task: Task;
}

async function lastTurn(store: SqliteStore): Promise<Pattern> {
  const events: Event[] = [];
  for await (const event of store.read({ reverse: true })) {
    if (event.stream !== 'gateway') events.unshift(event);
    if (event.type === 'message.received') break;
  }
  const queued = events.find((event) => event.type === 'task.queued');
  if (queued?.type !== 'task.queued') throw new Error('the home has no turn to go by');
  const blobs = new Map<string, Uint8Array>();
  for (const hash of JSON.stringify(events.map((event) => event.data)).matchAll(/"hash":"([\w-]+)"/g)) {
    const bytes = await store.getBlob({ hash: hash[1] ?? '' });
    if (bytes !== null) blobs.set(hash[1] ?? '', bytes);
  }
  return { events, blobs, task: queued.data.task };
}

/** The same turn under other names, as one batch. */
function copy(store: SqliteStore, { events, blobs, task }: Pattern): Parameters<SqliteStore['commit']>[0] {
  const from = events.find((event) => event.type === 'run.started')?.data;
  if (from === undefined || !('run' in from)) throw new Error('the turn has no run');
  const [session, run, id] = [ids.next('ses'), ids.next('run'), ids.next('tsk')];
  const subject = conversationId(task.agent, session);
  const renamed = (text: string): string =>
    text.replaceAll(task.session, session).replaceAll(from.run, run).replaceAll(task.id, id);
  // Blobs name other blobs by hash, so those come first.
  const refs = new Map<string, string>();
  const rename = (text: string): string =>
    [...refs].reduce((done, [old, now]) => done.replaceAll(old, now), renamed(text));
  let result: BlobRef | null = null;
  for (const [hash, bytes] of blobs) {
    result = store.putBlob(Buffer.from(rename(Buffer.from(bytes).toString('utf8'))), subject);
    refs.set(hash, result.hash);
  }
  const first = events[0]?.seq ?? 0;
  const written = events.map((event): NewEvent => {
    const { type, data } = JSON.parse(rename(JSON.stringify({ type: event.type, data: event.data }))) as NewEvent;
    const cause = event.cause === null ? null : (eventSeq(event.cause) ?? 0) - first;
    const key = event.key === null ? undefined : `${rename(event.key)}:${id}`;
    const stream = event.stream.startsWith('run:')
      ? runStream(run)
      : event.stream.startsWith('task:')
        ? taskStream(id)
        : subject;
    return { type, data, stream, actor: event.actor, cause, labels: event.labels, key } as NewEvent;
  });
  const lane = subject;
  const queue = [
    { op: 'enqueue', task: { ...task, id, lane, session, status: 'queued' }, causeOf: 0 },
    { op: 'settle', task: id, status: 'done', result },
  ] as const;
  return { events: written, queue, sync: false };
}

const [home = '', wanted = '0', seconds = '60'] = process.argv.slice(2);
const started = Date.now();
let now = started - DAYS;
const clock = { ...systemClock, now: () => now };
const path = join(home, 'ruche.sqlite');
const store = await openSqliteStore({ path, clock, random: systemRandom.bytes, boundary: quiet });
const pattern = await lastTurn(store);
const turns = Math.max(0, Math.ceil((Number(wanted) - (await store.head())) / pattern.events.length));
for (let turn = 0; turn < turns; turn += TOGETHER) {
  if (Date.now() - started > Number(seconds) * 1000) break;
  now = started - DAYS + Math.floor((DAYS * turn) / turns);
  const batches = Array.from({ length: Math.min(TOGETHER, turns - turn) }, () => copy(store, pattern));
  const results = await Promise.all(batches.map((batch) => store.commit(batch)));
  const refused = results.find((result) => !result.ok);
  if (refused) throw new Error(`a copied turn was refused: ${JSON.stringify(refused)}`);
}
// The lines are those of the events, so that `ruche verify` passes, but filed by the day: a file a run, as the runtime writes
// them, would take Git some minutes for a million events.
const log = { debug: quiet, info: quiet, warn: console.error, error: console.error };
const repository = await openJournalRepository({
  dir: join(home, 'journal.git'),
  env: process.env,
  boundary: quiet,
  log,
});
const head = await store.head();
for (let tip = await repository.tip(); tip < head; tip = await repository.tip()) {
  const lines: JournalLine[] = [];
  for await (const row of store.rows(tip)) {
    const { json } = await journalLine(row, store);
    const day = Math.floor((100 * row.seq) / head);
    const filed = { at: started - DAYS + day * 86_400_000, actor: 'runtime', group: `day-${day}`, run: false };
    lines.push({ ...filed, seq: row.seq, weighty: false, subject: 'copies', json });
    if (lines.length === LINES) break;
  }
  await repository.append(lines);
}
repository.close();
await store.close();
console.log(head);
