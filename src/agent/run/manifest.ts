import type { BlobRef } from '../../core/blob.ts';
import type { Label } from '../../core/labels.ts';

/** The blob of `model.called`: every part of the request by hash, so that a long conversation is stored once. */
export interface Manifest {
  model: string;
  system: string;
  tools: string;
  messages: BlobRef[];
  /** Where in `messages` this run's own ones begin. */
  turnFrom: number;
  /** Our estimate of its input tokens. Manifests of older versions have none. */
  tokens?: number;
  /** When it was, where the messages tell the time anew. */
  told?: number;
  /** Labels whose consequences the messages tell anew. */
  labelled?: Label[];
}
