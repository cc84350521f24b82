import type { BlobRef } from '../blob.ts';
import type { Store } from '../ports/store.ts';
import { canonicalJson, redactedJson } from '../text/json.ts';

/** Canonical, so that equal values are one blob. `redact`: hides the secrets in it. */
export function putJson(
  store: Pick<Store, 'putBlob'>,
  value: unknown,
  subject: string,
  redact?: (text: string) => string,
): BlobRef {
  const json = redact === undefined ? canonicalJson(value) : redactedJson(value, redact);
  return store.putBlob(Buffer.from(json), subject);
}

/** What such a blob holds; null if it has been erased. */
export async function readJson<T>(store: Pick<Store, 'getBlob'>, ref: Pick<BlobRef, 'hash'>): Promise<T | null> {
  const bytes = await store.getBlob(ref);
  return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString('utf8')) as T);
}

/** The text in such a blob, or in the parts of a message; null if it has been erased. */
export async function readText(store: Pick<Store, 'getBlob'>, ref: Pick<BlobRef, 'hash'>): Promise<string | null> {
  const said = await readJson<{ text?: string; parts?: { text?: string }[] }>(store, ref);
  return said && (said.text ?? (said.parts ?? []).map((part) => part.text ?? '').join('\n'));
}
