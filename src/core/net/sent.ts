/** Why the guard refused, or how the network failed. */
export type NetFault = 'blocked' | 'dns' | 'connect' | 'timeout' | 'too-large' | 'redirect' | 'protocol' | 'aborted';

/** What left for whom, and what came back: sizes and places, never a path, a header or content. */
export interface Sent {
  /** `tool:fetch`, `model:<provider>`, `channel:<name>`. */
  who: string;
  /** Null: the runtime itself. */
  agent: string | null;
  run: string | null;
  host: string;
  port: number;
  kind: 'request' | 'dial' | 'websocket' | 'proxy';
  /** Of a request. */
  method?: string;
  /** Inside TLS, headers included. */
  bytesOut: number;
  bytesIn: number;
  /** `ok`, or why it was refused or broke off. */
  outcome: 'ok' | NetFault;
  /** Milliseconds since the epoch. */
  started: number;
  ms: number;
}

/** Where the records of an agent stand, or those of the runtime: beside the runs, which must not get longer by them. */
export const netStream = (agent: string | null): string => (agent === null ? 'net' : `net:${agent}`);
