import type { Delta, TaskOutcome } from '../core/runtime.ts';
import { connect, type Connection } from './connect.ts';
import { callApi, GatewayLost, streamApi } from './http.ts';
import { CliError, type Io } from './io.ts';
import type { Options } from './options.ts';

/** Milliseconds a command waits for a gateway that went away in the middle of something. */
const AWAY = 60_000;
const PAUSE = { first: 100, most: 2_000 };

export interface Message {
  agent: string;
  text: string;
  session: string;
  /** Equal for every try, so that a message sent again after a lost connection is the same message. */
  id: string;
}

export interface Talk {
  send(message: Message): Promise<{ task: string; session: string; joined: boolean }>;
  /** The task's end, or what it waits for. `onDelta` is told of what happens meanwhile. */
  outcome(task: string, onDelta: ((delta: Delta) => void) | null): Promise<TaskOutcome>;
  call<T>(path: string, body?: unknown): Promise<T>;
}

/**
 * Talks to the gateway of a home and outlives its restart: what was lost on the way is sent again, since every request
 * here means the same when it comes twice. The first contact must succeed; a gateway that was there may come back.
 */
export function talk(io: Io, options: Options, signal: AbortSignal): Talk {
  let met = false;

  const persist = async <T>(what: (connection: Connection) => Promise<T>): Promise<T> => {
    let pause = PAUSE.first;
    let lostAt: number | null = null;
    for (;;) {
      signal.throwIfAborted();
      try {
        // Read each time: after a restart it may listen elsewhere.
        const result = await what(await connect(options));
        met = true;
        return result;
      } catch (error) {
        const away = error instanceof GatewayLost || (met && error instanceof CliError && error.exitCode === 2);
        if (!away) throw error;
        if (!met && isRefusedConnection(error)) throw gone(options, error);
        met = true; // something answered there a moment ago
        lostAt ??= io.clock.now();
        if (io.clock.now() - lostAt > AWAY) throw gone(options, error);
      }
      await io.clock.sleep(pause, signal);
      pause = Math.min(pause * 2, PAUSE.most);
    }
  };

  return {
    send: (message) => persist((connection) => callApi(connection, '/api/messages', { body: message, signal })),
    call: (path, body) => persist((connection) => callApi(connection, path, { body, signal })),
    outcome: (task, onDelta) =>
      persist(async (connection) => {
        met = true;
        for (;;) {
          const outcome = onDelta
            ? await streamed(connection, task, onDelta, signal)
            : await callApi<TaskOutcome | null>(connection, `/api/tasks/${task}/wait?seconds=50`, { signal });
          if (outcome) return outcome;
          signal.throwIfAborted();
          if (onDelta) throw new GatewayLost('The gateway ended the stream.');
        }
      }),
  };
}

async function streamed(
  connection: Connection,
  task: string,
  onDelta: (delta: Delta) => void,
  signal: AbortSignal,
): Promise<TaskOutcome | null> {
  for await (const { event, data } of streamApi(connection, `/api/tasks/${task}/stream`, signal)) {
    if (event === 'outcome') return JSON.parse(data) as TaskOutcome;
    if (event === 'delta') onDelta(JSON.parse(data) as Delta);
  }
  return null;
}

const isRefusedConnection = (error: unknown): boolean =>
  error instanceof GatewayLost && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED';

function gone(options: Options, cause: unknown): CliError {
  const why = cause instanceof Error && !isRefusedConnection(cause) ? ` ${cause.message}` : '';
  return new CliError(
    `The gateway of ${options.home} does not answer.${why} Start it with: ruche up --home ${options.home} (what it had accepted goes on then)`,
    2,
    { cause },
  );
}
