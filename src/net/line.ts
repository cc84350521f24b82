import type { Socket } from 'node:net';
import type { Clock } from '../core/ports/clock.ts';
import type { Sent } from '../core/net/sent.ts';
import { type ForWhom, NetError } from '../core/ports/net.ts';

/** Takes the record of one call or connection that has ended. */
export type Recorder = (sent: Sent) => void;

/** The record of one call while it runs. */
export interface Line {
  /** It goes over this connection from now on, which others may have used before. */
  over(socket: Socket): void;
  /** What the connection carries from now on is another's. */
  left(): void;
  /** Writes it, once. */
  end(outcome: Sent['outcome']): void;
}

export const outcomeOf = (error: unknown): Sent['outcome'] => (error instanceof NetError ? error.code : 'protocol');

type What = Pick<Sent, 'host' | 'port' | 'kind' | 'method'>;

export interface Lines {
  open(forWhom: ForWhom, what: What): Line;
  /** Ends those that still run. */
  close(): void;
}

export function openLines(record: Recorder, clock: Pick<Clock, 'now'>): Lines {
  const running = new Set<Line>();
  return {
    open(forWhom, what) {
      const line: Line = openLine({ clock, record: (sent) => (running.delete(line), record(sent)) }, forWhom, what);
      running.add(line);
      return line;
    },
    close: () => running.forEach((line) => line.end('aborted')),
  };
}

/** Counts the bytes inside TLS, headers included: what was said, not how it was packed. */
function openLine(
  { record, clock }: { record: Recorder; clock: Pick<Clock, 'now'> },
  { who, agent, run }: ForWhom,
  what: What,
): Line {
  const started = clock.now();
  let socket: Socket | null = null;
  let [before, carried] = [
    { in: 0, out: 0 },
    { in: 0, out: 0 },
  ];
  let ended = false;
  // A socket counts what waits to be written, too, and of one that never came to stand all of it waits.
  let stands = false;
  const left = (): void => {
    if (socket === null) return;
    carried = {
      in: carried.in + socket.bytesRead - before.in,
      out: carried.out + (stands ? socket.bytesWritten - before.out : 0),
    };
    socket = null;
  };
  return {
    over(next) {
      left();
      socket = next;
      stands = !next.connecting;
      if (!stands)
        next.once('encrypted' in next ? 'secureConnect' : 'connect', () => {
          if (socket === next) stands = true;
        });
      before = { in: next.bytesRead, out: next.bytesWritten };
    },
    left,
    end(outcome) {
      left();
      if (ended) return;
      ended = true;
      const ms = Math.max(0, clock.now() - started);
      record({ who, agent, run, ...what, bytesOut: carried.out, bytesIn: carried.in, outcome, started, ms });
    },
  };
}
