import { type Clock, OVER } from '../core/ports/clock.ts';
import { NetError, type NetRequest } from '../core/ports/net.ts';

/** The time limits and the abort signal of one request, all its hops included. */
export interface Watch {
  /** Aborts with a NetError when time is up or the caller aborts. */
  signal: AbortSignal;
  /** Something came. */
  heard(): void;
  /** Whether we wait for the other side; while the caller takes its time, silence is no fault. */
  waiting(yes: boolean): void;
  /** Rejects with the NetError if the signal aborts first. */
  race<T>(work: Promise<T>): Promise<T>;
  end(): void;
}

/** Silence is counted in ticks, not read from the clock, so that a clock that jumps ends nothing. */
const TICKS = 4;

export function watch(clock: Clock, request: Pick<NetRequest, 'signal' | 'timeoutMs' | 'idleMs'>): Watch {
  const cut = new AbortController();
  const done = new AbortController();
  const end = (): void => done.abort(OVER);
  const fail = (code: NetError['code'], message: string): void => {
    cut.abort(new NetError(code, message));
    end();
  };
  const after = (ms: number, then: () => void): void =>
    // The sleep rejects when the request has ended, which is no event.
    void clock.sleep(ms, done.signal).then(then, () => undefined);

  let quiet = 0;
  let waits = true;
  const tick = (): void => {
    if (waits) quiet++;
    if (quiet > TICKS) fail('timeout', `nothing came for ${request.idleMs} ms`);
    else after(request.idleMs / TICKS, tick);
  };
  const { timeoutMs, signal } = request;
  if (signal?.aborted) fail('aborted', 'the request was aborted');
  else {
    signal?.addEventListener('abort', () => fail('aborted', 'the request was aborted'), { signal: done.signal });
    after(request.idleMs / TICKS, tick);
    if (timeoutMs !== null) after(timeoutMs, () => fail('timeout', `the exchange took longer than ${timeoutMs} ms`));
  }
  const aborted = new Promise<never>((_, reject) => {
    const onCut = (): void => reject(cut.signal.reason as NetError);
    if (cut.signal.aborted) onCut();
    else cut.signal.addEventListener('abort', onCut, { once: true });
  });
  // Nobody may be racing when it fires.
  aborted.catch(() => undefined);
  return {
    signal: cut.signal,
    heard: () => {
      quiet = 0;
    },
    waiting: (yes) => {
      if (yes && !waits) quiet = 0;
      waits = yes;
    },
    race: (work) => Promise.race([work, aborted]),
    end,
  };
}
