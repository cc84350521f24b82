import type { Socket } from 'node:net';
import { type HostPort, hostPortText } from '../net/host.ts';
import { type Reach, reaches } from '../net/reach.ts';
import type { NetFault } from '../net/sent.ts';

/** On whose behalf bytes leave. */
export interface ForWhom {
  /** `tool:fetch`, `model:<provider>`, `channel:<name>`. */
  who: string;
  /** Null: the runtime itself. */
  agent: string | null;
  run: string | null;
  /** `host` or `host:port` that may resolve to a private or loopback address; exact match. */
  privateHosts: readonly string[];
  /** If given, only this may be contacted, at every hop. */
  only: readonly Reach[] | null;
}

/** For what the owner gave the address of, such as a provider: only that, and it may be a private one. */
export function onlyAt(who: string, to: HostPort, whose: Partial<Pick<ForWhom, 'agent' | 'run'>> = {}): ForWhom {
  const address = hostPortText(to);
  return { who, agent: null, run: null, ...whose, privateHosts: [address], only: reaches(address) };
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

/** A connection for a protocol that is not HTTP. */
export interface Dial {
  /** A name or an address; IPv6 without brackets. */
  host: string;
  port: number;
  /** TLS, with the certificate checked against the host, and the protocols to offer inside it; null: plain. */
  tls: { alpn?: readonly string[] } | null;
  /** The request that will be sent on it, by a caller that holds each one against the list itself: the egress proxy. */
  http?: { method: string; path: string };
  /** How it stands on record; `dial` unless given. */
  kind?: 'dial' | 'proxy';
  signal?: AbortSignal;
  /** Milliseconds until it stands, TLS included. */
  timeoutMs: number;
  /** Milliseconds without a byte in either direction after which it is ended; null for none. */
  idleMs: number | null;
  /** Bytes that may come before it is ended; null for any number. */
  maxBytes: number | null;
}

export interface WebSocketRequest {
  /** `wss:` or `ws:`. */
  url: string;
  protocols?: readonly string[];
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Milliseconds until it stands. */
  timeoutMs: number;
  /** Milliseconds without a byte in either direction after which it is ended; null for none. */
  idleMs: number | null;
  /** Bytes of one message that comes; a longer one ends it. */
  maxMessageBytes: number;
}

export interface WebSocketLink {
  /** What the server chose. */
  readonly protocol: string;
  /** Each message as it comes: text or bytes. Ends when the other side closes, and fails with a NetError when it breaks. */
  readonly messages: ReadableStream<string | Uint8Array>;
  send(data: string | Uint8Array): Promise<void>;
  close(code?: number, reason?: string): void;
}

/** The guard refused, or the network failed. `code` says which. */
export class NetError extends Error {
  readonly code: NetFault;
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
  /**
   * A connected socket. What ends it by a limit is an `error` of the socket with a NetError. A list that names methods or
   * paths of the host does not give leave for this, since nobody looks at what is said on it.
   */
  dial(dial: Dial, forWhom: ForWhom): Promise<Socket>;
  /** A list that names methods or paths is held against the request that opens it, and against nothing after that. */
  websocket(request: WebSocketRequest, forWhom: ForWhom): Promise<WebSocketLink>;
}

/** A network that speaks HTTP and nothing else. */
export const httpOnly = (request: Net['request']): Net => ({
  request,
  dial: () => Promise.reject(new NetError('protocol', 'only HTTP is possible here')),
  websocket: () => Promise.reject(new NetError('protocol', 'only HTTP is possible here')),
});
