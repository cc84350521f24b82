import type { Event, EventOf } from '../core/event.ts';
import { readJson } from '../core/records/json-blob.ts';
import type { Reads } from '../core/ports/store.ts';

/** Everything about what governs is told in this stream, and encrypted under this subject. */
export const STREAM = 'workspace';

/** A change from outside that waits for an approval. */
export interface Held {
  approval: string;
  commit: string;
  shown: string;
}

/** What the journal says of earlier decisions. */
export interface Past {
  applied: string | null;
  held: Held | null;
  /** Set when a person approved and the process died before it applied. */
  approved: boolean;
  /** Differences a person said no to, by blob hash. */
  denied: Set<string>;
  /** Last refusal by what was refused, so that it is not told twice. */
  refused: Map<string, string>;
}

/** Folds what stands in the journal since the last settings applied. */
export async function readPast(store: Reads): Promise<Past> {
  const past: Past = { applied: null, held: null, approved: false, denied: new Set(), refused: new Map() };
  const types = ['config.applied', 'config.held', 'config.refused', 'approval.answered'] as const;
  const recent: Event[] = [];
  for await (const event of store.read({ stream: STREAM, types, reverse: true })) {
    recent.push(event);
    if (event.type === 'config.applied') break;
  }
  for (const event of recent.reverse()) {
    if (event.type === 'config.applied') past.applied = event.data.commit;
    if (event.type === 'config.held') {
      const { approval, commit, shown } = event.data;
      past.held = { approval, commit, shown: shown.hash };
      // An approval of an earlier one says nothing about this one.
      past.approved = false;
    }
    if (event.type === 'config.refused') await recall(store, event, past.refused);
    if (event.type === 'approval.answered' && event.data.approval === past.held?.approval) {
      if (event.data.verdict === 'approve') past.approved = true;
      else {
        if (event.data.by !== 'runtime') past.denied.add(past.held.shown);
        past.held = null;
      }
    }
  }
  return past;
}

async function recall(store: Reads, event: EventOf<'config.refused'>, refused: Map<string, string>): Promise<void> {
  const detail = await readJson<{ what?: string }>(store, event.data.detail);
  if (detail !== null) refused.set(detail.what ?? '', event.data.detail.hash);
}
