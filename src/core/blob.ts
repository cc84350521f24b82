/** Names bytes in the blob store. `hash` is an HMAC under the subject's key, so that it says nothing once the key is gone. */
export interface BlobRef {
  hash: string;
  size: number;
  subject: string;
}

/** Every blob an event's data names, however deep. */
export function blobRefs(value: unknown): BlobRef[] {
  if (value === null || typeof value !== 'object') return [];
  const inner = value as Record<string, unknown>;
  if (typeof inner.hash === 'string' && typeof inner.size === 'number' && typeof inner.subject === 'string')
    return [inner as unknown as BlobRef];
  return Object.values(inner).flatMap(blobRefs);
}
