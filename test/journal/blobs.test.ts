import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GENESIS } from '../../src/core/event-hash.ts';
import { blobRefs, type BlobRef } from '../../src/core/blob.ts';
import type { NewEvent } from '../../src/core/event.ts';
import type { EventRow } from '../../src/core/event-hash.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { verifyChain, verifyJournal } from '../store/chain-oracle.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { collect, commit, note, random } from '../store/kit.ts';
import { HandClock } from '../scheduler/worker-kit.ts';

type Journal = Pick<Store, 'rows' | 'getBlob'>;

const told = (ref: BlobRef): NewEvent => ({
  type: 'note.added',
  data: { note: ref },
  stream: 'run:r',
  actor: 'runtime',
  cause: null,
  labels: [],
});

async function journal(): Promise<{ store: Store; refs: [BlobRef, BlobRef]; getBlob: Store['getBlob'] }> {
  const store = openMemoryStore({ clock: new HandClock(), random });
  const refs: [BlobRef, BlobRef] = [store.putBlob(Buffer.from('one'), 'a'), store.putBlob(Buffer.from('two'), 'b')];
  await commit(store, [told(refs[0]), told(refs[1]), told(refs[0]), note('gateway', 'asked')]);
  return { store, refs, getBlob: (ref) => store.getBlob(ref) };
}

test('a whole journal: every event, every blob once, and what was erased', async () => {
  const { store, refs } = await journal();
  const rows = await collect(store.rows());
  const looked: string[] = [];
  const watched: Journal = {
    rows: () => store.rows(),
    getBlob: (ref) => {
      looked.push(ref.hash);
      return store.getBlob(ref);
    },
  };
  const head = rows.at(-1)?.hash;
  assert.deepEqual(await verifyJournal(watched), { events: 4, head, misfit: null, blobs: 2, erased: 0 });
  assert.deepEqual(looked, [refs[0].hash, refs[1].hash]);
  await store.erase('b');
  assert.deepEqual(await verifyJournal(store), { events: 4, head, misfit: null, blobs: 1, erased: 1 });
});

test('the first blob that does not fit is named with its event, and why', async () => {
  const { store, refs } = await journal();
  const rows = (): AsyncIterable<EventRow> => store.rows();
  const [, { hash }] = refs;
  const bad = (answer: () => Promise<Uint8Array | null>): Journal['getBlob'] => {
    return (ref) => (ref.hash === hash ? answer() : store.getBlob(ref));
  };
  const cases: [getBlob: Journal['getBlob'], why: string][] = [
    [bad(() => Promise.resolve(Buffer.from('four'))), `blob ${hash} has 4 bytes; the event says 3`],
    [bad(() => Promise.reject(new Error('it is gone'))), 'it is gone'],
    // oxlint-disable-next-line prefer-promise-reject-errors, typescript/prefer-promise-reject-errors
    [bad(() => Promise.reject('odd')), 'odd'],
  ];
  for (const [getBlob, why] of cases) {
    const report = await verifyJournal({ rows, getBlob });
    assert.deepEqual(report.misfit, { event: 'evt_2', why });
    assert.deepEqual([report.blobs, report.erased], [1, 0]);
  }
});

test('blobs of an event that is not what was written are not looked at', async () => {
  const { store } = await journal();
  const rows = await collect(store.rows());
  const forged = rows.with(1, { ...(rows[1] ?? assert.fail()), actor: 'person:mallory' });
  let looked = 0;
  const report = await verifyJournal({
    rows: async function* () {
      yield* forged;
    },
    getBlob: (ref) => {
      looked += 1;
      return store.getBlob(ref);
    },
  });
  assert.equal(looked, 1);
  assert.deepEqual(report, {
    events: 1,
    head: rows[0]?.hash,
    misfit: {
      event: 'evt_2',
      why: 'its content, or the hash before it, is not what was written: the chain breaks here',
    },
    blobs: 1,
    erased: 0,
  });
});

test('the chain can be checked from any event, and says what it has seen', async () => {
  const { store } = await journal();
  const rows = await collect(store.rows());
  const [first, second] = rows as [EventRow, EventRow];
  const head = rows.at(-1)?.hash;
  assert.deepEqual(await verifyChain([]), { events: 0, head: GENESIS, misfit: null });
  assert.deepEqual(await verifyChain(rows), { events: 4, head, misfit: null });
  assert.deepEqual(await verifyChain(rows.slice(2), second.hash, 2), { events: 2, head, misfit: null });
  const gap = { event: 'evt_2', why: 'the next event found is evt_3: this one is missing' };
  assert.deepEqual(await verifyChain([first, ...rows.slice(2)]), { events: 1, head: first.hash, misfit: gap });
  async function* failing(): AsyncGenerator<EventRow> {
    yield first;
    // oxlint-disable-next-line no-throw-literal, typescript/only-throw-error
    throw 'bad sector';
  }
  const unread = { event: 'evt_2', why: 'it cannot be read: bad sector' };
  assert.deepEqual(await verifyChain(failing()), { events: 1, head: first.hash, misfit: unread });
});

test('only what has hash, size and subject is a reference', () => {
  const whole = { hash: 'h', size: 1, subject: 's' };
  for (const part of [
    { ...whole, hash: 1 },
    { ...whole, size: '1' },
    { ...whole, subject: null },
    { hash: 'h' },
    null,
    7,
    'text',
  ])
    assert.deepEqual(blobRefs({ part }), []);
  assert.deepEqual(blobRefs(null), []);
  assert.deepEqual(blobRefs(whole), [whole]);
});
