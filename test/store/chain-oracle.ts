import { chainHash, GENESIS, type EventRow } from '../../src/core/event-hash.ts';
import { blobRefs, type BlobRef } from '../../src/core/blob.ts';
import { eventId } from '../../src/core/ids.ts';
import type { Audit, Blobs } from '../../src/core/ports/store.ts';
import { errorText } from '../../src/core/text/sentence.ts';

/*
 * What the tests of stores hold a record against: the chain and the blobs, recomputed by themselves. The product asks
 * `trace/verify.ts`, which looks at the readable journal and at the workspace as well, and goes on after the first misfit.
 */

/** The first thing that does not fit, and where. */
export interface Misfit {
  /** Event id. */
  event: string;
  why: string;
}

export interface ChainReport {
  /** Events that fit. */
  events: number;
  /** Hash of the last one of them. */
  head: string;
  misfit: Misfit | null;
}

/** Recomputes the chain from `previous`, the hash of event `after`. Stops at the first event that does not fit. */
export async function verifyChain(
  rows: AsyncIterable<EventRow> | Iterable<EventRow>,
  previous: string = GENESIS,
  after = 0,
): Promise<ChainReport> {
  let head = previous;
  let seq = after;
  const report = (why: string | null): ChainReport => ({
    events: seq - after,
    head,
    misfit: why === null ? null : { event: eventId(seq + 1), why },
  });
  try {
    for await (const row of rows) {
      if (row.seq !== seq + 1) return report(`the next event found is ${eventId(row.seq)}: this one is missing`);
      if (chainHash(head, row) !== row.hash)
        return report('its content, or the hash before it, is not what was written: the chain breaks here');
      head = row.hash;
      seq = row.seq;
    }
  } catch (error) {
    return report(`it cannot be read: ${errorText(error)}`);
  }
  return report(null);
}

export interface JournalReport extends ChainReport {
  /** Blobs that events name and that could be read. */
  blobs: number;
  /** Blobs whose subject's key has been erased. */
  erased: number;
}

/** The chain, and every blob that an event names: present, whole, or erased. The first misfit in order of events is named. */
export async function verifyJournal(store: Pick<Audit & Blobs, 'rows' | 'getBlob'>): Promise<JournalReport> {
  let blobs = 0;
  let erased = 0;
  let misfit: Misfit | null = null;
  async function* watched(): AsyncGenerator<EventRow> {
    const seen = new Set<string>();
    for await (const row of store.rows()) {
      yield row;
      // Only rows that fit are looked into: the chain asks for the next one only then.
      for (const ref of blobRefs(JSON.parse(row.data))) {
        if (seen.has(ref.hash)) continue;
        if (seen.size >= SEEN_BOUND) seen.clear();
        seen.add(ref.hash);
        const found = await lookAt(store, ref);
        if (found.problem !== null) {
          misfit = { event: eventId(row.seq), why: found.problem };
          return;
        }
        if (found.erased) erased++;
        else blobs++;
      }
    }
  }
  const chain = await verifyChain(watched());
  return { ...chain, misfit: chain.misfit ?? misfit, blobs, erased };
}

/** Remembered hashes only spare work; forgetting them costs a second look and nothing else. */
const SEEN_BOUND = 50_000;

async function lookAt(
  store: Pick<Blobs, 'getBlob'>,
  ref: BlobRef,
): Promise<{ erased: boolean; problem: string | null }> {
  try {
    const bytes = await store.getBlob(ref);
    if (bytes === null) return { erased: true, problem: null };
    const fits = bytes.length === ref.size;
    return {
      erased: false,
      problem: fits ? null : `blob ${ref.hash} has ${bytes.length} bytes; the event says ${ref.size}`,
    };
  } catch (error) {
    return { erased: false, problem: errorText(error) };
  }
}
