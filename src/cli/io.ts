import type { Clock } from '../core/ports/clock.ts';
import type { Ids } from '../core/ids.ts';
import { visible } from '../core/text/untrusted.ts';
import type { AppPort } from './app-port.ts';

/** Everything a command can reach of the process it runs in. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** Whether a person watches. */
  outIsTerminal: boolean;
  errIsTerminal: boolean;
  stdin: NodeJS.ReadableStream;
  inIsTerminal: boolean;
  /** Where a line editor draws; null unless both ends are a terminal. */
  editor: NodeJS.WritableStream | null;
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  userHome: string;
  clock: Clock;
  ids: Ids;
  version: string;
  /** How this program is called from here: `ruche`, or `npx ruche`. */
  self: string;
  /** Command line that starts this program anew, to which its arguments are added. */
  command: readonly string[];
  /** Calls the handler at each SIGINT or SIGTERM until the returned function is called. */
  onSignal(handler: (signal: 'SIGINT' | 'SIGTERM') => void): () => void;
  /** Sends a signal to another process, 0 to look whether it is there. False if there is none. */
  kill(pid: number, signal: 'SIGTERM' | 0): boolean;
  /** Ends the process at once. */
  exit(code: number): void;
  /** The composition root, loaded when first needed: it is most of the program. */
  loadApp(): Promise<AppPort>;
}

/** 0 done, 1 failed, 2 no gateway, 3 waits for a person. */
export type ExitCode = 0 | 1 | 2 | 3;

/** What a command says when it cannot go on: a sentence for a person, and the exit code. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  constructor(message: string, exitCode: ExitCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

/** Text of a model, a tool or a file for a terminal: nothing in it can move the cursor, set a title or hide. */
export const plain = (text: string): string => visible(text.replaceAll('\r\n', '\n'));

/** One line of at most `limit` characters. */
export function oneLine(text: string, limit: number): string {
  const line = plain(text).replace(/\s+/g, ' ').trim();
  return line.length <= limit ? line : `${line.slice(0, limit - 1).toWellFormed()}…`;
}

/** What something cost. `unpriced`: part of it went to a model whose price is unknown. */
export const dollars = (usd: number, unpriced = false): string =>
  unpriced && usd === 0 ? 'unknown' : `${unpriced ? 'at least ' : ''}${usd.toFixed(4)} USD`;
