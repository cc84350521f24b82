import type { BlobRef } from './blob.ts';
import type { MatterKind, NewEvent } from './event.ts';
import type { Label } from './labels.ts';

/** One matter of a kind about one task: a runaway that goes on does not ask a hundred times. */
export const matterId = (kind: MatterKind, about: string): string => `mat_${kind}_${about}`;

/** The blob of `matter.raised`. */
export interface MatterText {
  text: string;
  reason: string;
}

/** Puts something before the owner. Nothing waits for the answer; chains of escalation begin here. */
export function matterRaised(
  about: { kind: MatterKind; task: string; text: BlobRef },
  by: { actor: string; cause: string | null; labels: readonly Label[] },
): NewEvent {
  const { kind, task, text } = about;
  const matter = matterId(kind, task);
  const data = { matter, kind, about: task, text };
  return { type: 'matter.raised', stream: `matter:${matter}`, key: `asked:${matter}`, ...by, data };
}
