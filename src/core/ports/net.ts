/** On whose behalf bytes leave. */
export interface ForWhom {
  /** `tool:fetch`, `model:<provider>`, `channel:<name>`. */
  who: string;
  /** `host` or `host:port` that may resolve to a private or loopback address; exact match. */
  privateHosts: readonly string[];
  /** If given, only these `host` or `host:port` may be contacted, at every hop. */
  only: readonly string[] | null;
}

export interface NetRequest {
  url: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  signal?: AbortSignal;
  /** Bytes of body after which the response is cut with an error. */
  maxBytes: number;
  /** Milliseconds for the whole exchange; null for none (streams have `idleMs`). */
  timeoutMs: number | null;
  /** Milliseconds without a byte. */
  idleMs: number;
  /** Redirects followed; each hop is checked again, and credentials are dropped across origins. */
  maxRedirects: number;
  /** Called before each further hop; a reason refuses it. */
  onRedirect?: (url: string) => string | null;
  /** Called at each hop that was encrypted: when the certificate of the other side ends, in milliseconds since the epoch. */
  onCertificate?: (validTo: number) => void;
}

/** The guard refused, or the network failed. `code` says which. */
export class NetError extends Error {
  readonly code: 'blocked' | 'dns' | 'connect' | 'timeout' | 'too-large' | 'redirect' | 'protocol' | 'aborted';
  /** True: not a byte of the request has left, so it can be repeated whatever it was. */
  readonly unsent: boolean;
  constructor(code: NetError['code'], message: string, options?: ErrorOptions & { unsent?: boolean }) {
    super(message, options);
    this.name = 'NetError';
    this.code = code;
    this.unsent = options?.unsent ?? false;
  }
}

/** The only way out. */
export interface Net {
  request(request: NetRequest, forWhom: ForWhom): Promise<Response>;
}
