/** Names bytes in the blob store. `hash` is an HMAC under the subject's key, so that it says nothing once the key is gone. */
export interface BlobRef {
  hash: string;
  size: number;
  subject: string;
}
