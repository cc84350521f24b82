/** Text events out of bytes cut anywhere. */
export interface Feed {
  /** The JSON text of each event that the bytes complete. Null: the stream has ended, and its last event counts as complete. */
  bytes(chunk: Uint8Array | null): string[];
  /** Whether any event has come. */
  readonly any: boolean;
  /** The text before the first event, up to a bound: what the server said if it is no stream of events at all. */
  readonly head: string;
}
