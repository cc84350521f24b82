import type { KeptRecord } from '../../core/policy.ts';
import type { BlobRef } from '../../core/blob.ts';
import type { Change } from '../../core/files.ts';
import type { Label } from '../../core/labels.ts';

/** The blob of `tool.returned`. */
export interface ToolRecord {
  ok: boolean;
  /** What the model reads. */
  text: string;
  /** The whole text, where `text` is only its head and tail. */
  full: string | null;
  /** What that is known by, the marks of single calls aside. */
  digest?: string;
  changes: Change[];
  /** Blob oid by path, null where there is no file. */
  seen: Record<string, string | null>;
  /** What the service keeps, of which it tells. */
  records?: readonly KeptRecord[];
  /** Values in it that were taken out of a text from outside. */
  foreign?: readonly string[];
}

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
  /** This run's own messages that stand shortened in `messages`, by their place in it, as they are. */
  whole?: Record<number, BlobRef>;
  /** It was quiet for so long before the run that no provider has the conversation in its cache. */
  cold?: true;
}

/** The blob of `files.placed`. */
export interface Placed {
  changes: Change[];
}

/** The blob of `landing.conflicted`. */
export interface Rebase {
  changes: Change[];
  /** Labels of those that were joined with what others had written. */
  labels?: [path: string, labels: Label[]][];
}
