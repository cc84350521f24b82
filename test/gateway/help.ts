import { createConnection } from 'node:net';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Ids } from '../../src/core/ids.ts';
import type { Log } from '../../src/core/ports/log.ts';
import { startGateway, type Gateway, type GatewayOptions } from '../../src/gateway/server.ts';
import { fakeJournal, fakeRuntime, type FakeJournal, type FakeRuntime, type Script } from '../fakes/runtime.ts';

export const TOKEN = 'a-token-of-the-tests-0123456789';

export const realClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const abort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', abort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', abort, { once: true });
    }),
};

export function countingIds(): Ids {
  let count = 0;
  return { next: (kind) => `${kind}_x${(count += 1)}` };
}

export interface RecordedLog extends Log {
  lines: { level: string; fields: object; message: string }[];
}

export function recordedLog(): RecordedLog {
  const lines: RecordedLog['lines'] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export interface Rig {
  gateway: Gateway;
  runtime: FakeRuntime;
  journal: FakeJournal;
  log: RecordedLog;
  /** `fetch` with the token and, for a body, the JSON type. */
  call(
    path: string,
    init?: { method?: string; body?: unknown; headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Response>;
}

/** A real gateway on a free port over the fake engine, closed when `run` is done. */
export async function withGateway(
  script: Script,
  run: (rig: Rig) => Promise<void>,
  options: Partial<GatewayOptions> = {},
): Promise<void> {
  const runtime = fakeRuntime(script);
  const journal = fakeJournal();
  const log = recordedLog();
  const gateway = await startGateway({
    runtime,
    store: journal,
    token: () => TOKEN,
    host: '127.0.0.1',
    port: 0,
    clock: realClock,
    ids: countingIds(),
    log,
    redact: (text) => text,
    ...options,
  });
  const call: Rig['call'] = (path, init = {}) =>
    fetch(`${gateway.url}${path}`, {
      method: init.method ?? (init.body === undefined ? 'GET' : 'POST'),
      headers: {
        authorization: `Bearer ${TOKEN}`,
        ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...init.headers,
      },
      body: init.body === undefined ? undefined : typeof init.body === 'string' ? init.body : JSON.stringify(init.body),
      signal: init.signal,
    });
  try {
    await run({ gateway, runtime, journal, log, call });
  } finally {
    await gateway.close();
  }
}

export const echo: Script = async (run) => {
  for (const piece of run.text.match(/.{1,4}/gsu) ?? []) run.say(piece);
  return run.text;
};

/** Sends bytes as they are and gives back everything that came until the connection closed. */
export function raw(port: number, bytes: string | Uint8Array, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = '';
    const socket = createConnection(port, host, () => socket.write(bytes));
    socket.setTimeout(30_000, () => socket.destroy(new Error('nothing came for 30 s')));
    socket.on('data', (chunk) => (got += chunk.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve(got) : reject(error)));
    socket.on('close', () => resolve(got));
  });
}

export interface Gate {
  open(): void;
  opened: Promise<void>;
}

/** Lets a script wait until the test says so. */
export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, opened: promise };
}

/** The events of a server-sent stream, as they come. */
export async function* sse(response: Response): AsyncGenerator<{ event: string; id: string | null; data: string }> {
  let rest = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    rest += chunk;
    const blocks = rest.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string): string[] =>
        block
          .split('\n')
          .filter((line) => line.startsWith(`${name}: `))
          .map((line) => line.slice(name.length + 2));
      const data = field('data');
      if (data.length > 0 || field('id').length > 0)
        yield { event: field('event')[0] ?? 'message', id: field('id')[0] ?? null, data: data.join('\n') };
    }
  }
}
