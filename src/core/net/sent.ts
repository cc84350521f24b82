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
  /** Of equal calls that are one record: how many there were. Sizes and time are their sums. */
  calls?: number;
}

/** Where the records of an agent stand, or those of the runtime: beside the runs, which must not get longer by them. */
export const netStream = (agent: string | null): string => (agent === null ? 'net' : `net:${agent}`);
/** What calls of one kind came to since the process started. */
export interface Traffic {
  who: string;
  /** '' for the runtime itself. */
  agent: string;
  calls: number;
  /** Of them, those that were refused or broke off. */
  failed: number;
  bytesOut: number;
  bytesIn: number;
}

/** Agents with what they used, at most; what is beyond that is told together. */
const MAX_PAIRS = 200;
const OTHERS = 'other';

/** Sums for `/metrics`, whose labels must not become ever more. */
export class TrafficCounts {
  readonly #counts = new Map<string, Traffic>();

  add({ who, agent, bytesOut, bytesIn, outcome }: Sent): void {
    const own = JSON.stringify([who, agent]);
    const key = this.#counts.has(own) || this.#counts.size < MAX_PAIRS ? own : OTHERS;
    const names = key === OTHERS ? { who: OTHERS, agent: OTHERS } : { who, agent: agent ?? '' };
    const count = this.#counts.get(key) ?? { ...names, calls: 0, failed: 0, bytesOut: 0, bytesIn: 0 };
    count.calls += 1;
    count.failed += outcome === 'ok' ? 0 : 1;
    count.bytesOut += bytesOut;
    count.bytesIn += bytesIn;
    this.#counts.set(key, count);
  }

  all(): Traffic[] {
    return [...this.#counts.values()];
  }
}
