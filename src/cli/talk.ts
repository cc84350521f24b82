import type { Delta, TaskOutcome } from '../core/api/runtime.ts';
import { connect, startText, type Connection } from './connect.ts';
import { callApi, GatewayBusy, GatewayLost, isUnconnected, streamApi } from './http.ts';
import { CliError, plain, type Io } from './io.ts';
import type { Options } from './options.ts';

/** Milliseconds a command waits for a gateway that went away in the middle of something. */
const AWAY = 60_000;
const PAUSE = { first: 100, most: 2_000 };

/** What the gateway says of a message it has taken. */
export interface Accepted {
  /** Null: nothing was to be done. */
  task: string | null;
  /** Who answers: the agent it was addressed to with `@name`. */
  agent?: string;
  /** This verdict had been given before. */
  again?: boolean;
  /** Several persons have to approve, and so many have. */
  more?: { needed: number; have: number };
  /** The grant that was given with it. */
  grant?: string;
  /** What the sender is to know at once. */
  note?: string;
}

interface Listeners {
  onAccepted?: (told: Accepted) => void;
  /** The work is accepted; it goes on from here whatever becomes of this process. */
  onTask?: (task: string) => void;
  onDelta?: (delta: Delta) => void;
  /** The gateway went away, or takes nothing now; told once each time, in words for a person. */
  onAway?: (text: string) => void;
}

export interface Talk {
  call<T>(path: string, body?: unknown): Promise<T>;
  /** Posts what begins or continues a task, and gives its end or what it waits for; null if there is no task. */
  follow(path: string, body: object, listeners: Listeners): Promise<TaskOutcome | null>;
}

/**
 * Talks to the gateway of a home and outlives its restart: what was lost on the way is sent again, since every request
 * here means the same when it comes twice. The first contact must succeed; a gateway that was there may come back.
 */
export function talk(io: Io, options: Options, signal: AbortSignal): Talk {
  let met = false;

  const persist = async <T>(
    what: (connection: Connection) => Promise<T>,
    onAway = (text: string): void => io.err(`${text}\n`),
  ): Promise<T> => {
    const told = new Set<string>();
    let pause = PAUSE.first;
    let lostAt: number | null = null;
    for (;;) {
      signal.throwIfAborted();
      try {
        // Read each time: after a restart it may listen elsewhere.
        const result = await what(await connect(io, options));
        met = true;
        return result;
      } catch (error) {
        const away = error instanceof GatewayLost || (met && error instanceof CliError && error.exitCode === 2);
        if (!away) throw error;
        if (!met && isUnconnected(error)) throw gone(io, options, error);
        met = true; // something answered there a moment ago
        const text = awayText(error);
        if (!told.has(text)) onAway(text);
        told.add(text);
        lostAt ??= io.clock.now();
        if (io.clock.now() - lostAt > AWAY) throw gone(io, options, error);
      }
      await io.clock.sleep(pause, signal);
      pause = Math.min(pause * 2, PAUSE.most);
    }
  };

  return {
    call(path, body) {
      // A firing whose answer was lost must not be a second one.
      const key = body === undefined ? undefined : io.ids.next('msg');
      return persist((connection) => callApi(connection, path, { body, signal, key }));
    },
    follow(path, body, listeners) {
      let task: string | null = null;
      return persist(async (connection) => {
        const events =
          task === null
            ? streamApi(connection, `${path}?stream`, { body, signal })
            : streamApi(connection, `/api/tasks/${task}/stream`, { signal });
        for await (const { event, data } of events) {
          met = true;
          const told = JSON.parse(data) as unknown;
          if (event === 'outcome') return told as TaskOutcome;
          if (event === 'delta') listeners.onDelta?.(told as Delta);
          if (event === 'json' || event === 'accepted') listeners.onAccepted?.(told as Accepted);
          if (event === 'json') return null;
          if (event !== 'accepted') continue;
          ({ task } = told as { task: string });
          listeners.onTask?.(task);
        }
        throw new GatewayLost('The gateway ended the stream.');
      }, listeners.onAway);
    },
  };
}

/** Of a gateway that answers it must not be said that it is lost. */
const awayText = (error: unknown): string =>
  error instanceof GatewayBusy
    ? `${plain(error.message)} Trying again for up to ${AWAY / 1000} s.`
    : `Lost the gateway; waiting up to ${AWAY / 1000} s for it to come back.`;

function gone(io: Io, options: Options, cause: unknown): CliError {
  if (cause instanceof GatewayBusy)
    return new CliError(
      `${cause.message} The gateway of ${options.home} runs, but took nothing for ${AWAY / 1000} s. Try again later.`,
      1,
      { cause },
    );
  const why = cause instanceof Error && !isUnconnected(cause) ? ` ${cause.message}` : '';
  return new CliError(
    `The gateway of ${options.home} does not answer.${why} ${startText(io, options)} (accepted work goes on after that)`,
    2,
    { cause },
  );
}
