import type { Clock } from '../../core/ports/clock.ts';
import { flushed, head, type Exchange } from './reply.ts';

export interface EventStream {
  /** True once the status line was sent: from then on errors can only be told inside the stream. */
  readonly opened: boolean;
  open(): void;
  send(data: string, fields?: { event?: string; id?: string }): void;
  /** Keeps proxies and clients from giving up. `id` moves a client's `Last-Event-ID` on without an event. */
  keepAlive(id?: string): void;
  /** A line that programs pass over and people read in a trace. */
  comment(text: string): void;
  /** Resolves when the client has read enough for more to be written, or is gone. */
  drained(): Promise<void>;
  /** True once the last byte was handed to the network with the client still there. */
  end(): Promise<boolean>;
}

/** Server-sent events. Opens at the first write. A client that lets more than `backlog` bytes pile up is cut off. */
export function eventStream(
  exchange: Exchange,
  backlog: number,
  headers: Readonly<Record<string, string>> = {},
): EventStream {
  const { outgoing } = exchange;
  const open = (): void => {
    if (outgoing.headersSent || outgoing.destroyed) return;
    head(outgoing, 200, { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no', ...headers });
    outgoing.flushHeaders();
  };
  const write = (text: string): void => {
    open();
    if (outgoing.destroyed || outgoing.writableEnded) return;
    outgoing.write(text);
    if (outgoing.writableLength > backlog) outgoing.destroy();
  };
  return {
    get opened() {
      return outgoing.headersSent;
    },
    open,
    send(data, fields = {}) {
      const lines = data.split('\n').map((line) => `data: ${line}\n`);
      const event = fields.event === undefined ? '' : `event: ${fields.event}\n`;
      const id = fields.id === undefined ? '' : `id: ${fields.id}\n`;
      write(`${event}${id}${lines.join('')}\n`);
    },
    keepAlive(id) {
      write(id === undefined ? ': keep-alive\n\n' : `id: ${id}\n: keep-alive\n\n`);
    },
    comment(text) {
      write(`: ${text.replaceAll(/\s+/g, ' ')}\n\n`);
    },
    drained() {
      if (!outgoing.writableNeedDrain || outgoing.destroyed) return Promise.resolve();
      return new Promise((resolve) => {
        const done = (): void => {
          outgoing.off('drain', done);
          outgoing.off('close', done);
          resolve();
        };
        outgoing.once('drain', done);
        outgoing.once('close', done);
      });
    },
    end() {
      open();
      if (outgoing.destroyed) return Promise.resolve(false);
      const sent = flushed(exchange);
      outgoing.end();
      return sent;
    },
  };
}

/** Signs of life at intervals until aborted, so that nothing between here and the client gives up on a long run. */
export function heartbeat(
  clock: Clock,
  intervalMs: number,
  stream: Pick<EventStream, 'keepAlive'>,
  signal: AbortSignal,
  id?: () => string,
): AbortController {
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  const beat = async (): Promise<void> => {
    while (!until.aborted) {
      try {
        await clock.sleep(intervalMs, until);
      } catch {
        return; // aborted: the stream has ended
      }
      stream.keepAlive(id?.());
    }
  };
  void beat();
  return stop;
}
