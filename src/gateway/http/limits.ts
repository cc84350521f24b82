/** Every bound of the gateway. What happens at each is said beside it. */
export interface GatewayLimits {
  /** Bytes of a request body; above: 413. */
  bodyBytes: number;
  /** Bytes of the body of a message, which may bring files; above: 413. */
  uploadBytes: number;
  /** Bytes of the body of a webhook; above: 413. */
  hookBytes: number;
  /** Webhooks at once of one hook, and those made up for each second; above: 429. */
  hooks: { burst: number; perSecond: number };
  /** Webhooks being read at once, before it is known who sends them; above: 503. A part of `requests`. */
  unproved: number;
  /** Bytes of the files of one message; above: 413. */
  fileBytes: number;
  /** Nested arrays and objects in a body; above: 400. */
  jsonDepth: number;
  /** Bytes of all request headers; above: 431. */
  headerBytes: number;
  /** Milliseconds until the headers are there; then the connection is closed. */
  headersMs: number;
  /** Milliseconds until the whole request is there; then 408. */
  requestMs: number;
  /** Milliseconds an idle connection is kept. */
  keepAliveMs: number;
  /** Open connections; above: a new one is closed at once. */
  connections: number;
  /** Requests under way; above: 503. */
  requests: number;
  /** Bytes waiting for a client that does not read; above: it is cut off (its run goes on). */
  backlogBytes: number;
  /** Milliseconds between keep-alives of a stream. */
  heartbeatMs: number;
  /** Wrong tokens at once from one address, and those forgiven each second; above: 429. */
  failures: { burst: number; perSecond: number };
  /** Milliseconds that open answers have to go out when the gateway closes. */
  closeMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  bodyBytes: 8 * 1024 * 1024,
  // Base64 makes four bytes of three.
  uploadBytes: 36 * 1024 * 1024,
  hookBytes: 1_000_000,
  hooks: { burst: 100, perSecond: 10 },
  unproved: 128,
  fileBytes: 25_000_000,
  jsonDepth: 64,
  headerBytes: 16 * 1024,
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 30_000,
  connections: 1_024,
  requests: 512,
  backlogBytes: 4 * 1024 * 1024,
  heartbeatMs: 15_000,
  failures: { burst: 20, perSecond: 5 },
  closeMs: 1_500,
};
