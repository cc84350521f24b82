import { hash } from 'node:crypto';

/** An event exactly as it is stored. `labels` and `data` are the JSON texts that the hash covers, byte for byte. */
export interface EventRow {
  seq: number;
  stream: string;
  version: number;
  at: number;
  actor: string;
  cause: string | null;
  labels: string;
  key: string | null;
  schema: number;
  type: string;
  data: string;
  hash: string;
}

/** What the first event's hash is chained to. */
export const GENESIS = '';

/**
 * SHA-256, base64url, over the previous hash and every column of the row. The columns before `data` are one JSON array,
 * which holds no raw newline, so that no two different rows can give the same text.
 */
export function chainHash(previous: string, row: Omit<EventRow, 'hash'>): string {
  const { seq, stream, version, at, actor, cause, labels, key, schema, type, data } = row;
  const head = JSON.stringify([previous, seq, stream, version, at, actor, cause, labels, key, schema, type]);
  return hash('sha256', `${head}\n${data}`, 'base64url');
}
