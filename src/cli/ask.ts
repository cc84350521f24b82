import { isSafeName } from '../core/ids.ts';
import type { TaskOutcome } from '../core/runtime.ts';
import { pendingText } from './approvals.ts';
import { CliError, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { progressLine } from './progress.ts';
import { talk, type Talk } from './talk.ts';

export interface AskFlags {
  session?: string;
  json?: boolean;
  /** Seconds; the run goes on after it. */
  timeout?: string;
}

/** `ruche ask AGENT "text"`: one message, its answer on stdout. */
export async function ask(io: Io, options: Options, agent: string, text: string, flags: AskFlags): Promise<ExitCode> {
  if (flags.session !== undefined && !isSafeName(flags.session))
    throw new CliError('--session may hold letters, digits, "-" and "_", up to 128 of them.');
  if (text.trim() === '') throw new CliError('There is nothing to ask: give the text in quotes.');
  const message = {
    agent,
    text,
    session: flags.session ?? io.ids.next('ses'),
    id: io.ids.next('msg'),
  };
  return within(io, flags.timeout, async (signal) => {
    const gateway = talk(io, options, signal);
    const { task } = await gateway.send(message);
    return { task, show: () => show(io, gateway, task, flags.json === true) };
  });
}

/** `ruche answer ID TEXT`: answers a question and shows what comes of it. */
export async function answer(io: Io, options: Options, id: string, text: string, flags: AskFlags): Promise<ExitCode> {
  return within(io, flags.timeout, async (signal) => {
    const gateway = talk(io, options, signal);
    const { task } = await gateway.call<{ task: string | null }>(`/api/questions/${encodeURIComponent(id)}`, { text });
    return { task, show: () => showIfAny(io, gateway, task, flags.json === true) };
  });
}

/** `ruche approve|deny ID`: the same for an approval. */
export async function decide(
  io: Io,
  options: Options,
  id: string,
  verdict: 'approve' | 'deny',
  flags: AskFlags,
): Promise<ExitCode> {
  return within(io, flags.timeout, async (signal) => {
    const gateway = talk(io, options, signal);
    const path = `/api/approvals/${encodeURIComponent(id)}`;
    const { task } = await gateway.call<{ task: string | null }>(path, { verdict });
    return { task, show: () => showIfAny(io, gateway, task, flags.json === true) };
  });
}

/** Runs in two parts, so that a timeout or Ctrl-C after the first can name the task that goes on. */
async function within(
  io: Io,
  timeout: string | undefined,
  begin: (signal: AbortSignal) => Promise<{ task: string | null; show: () => Promise<ExitCode> }>,
): Promise<ExitCode> {
  const seconds = timeout === undefined ? null : Number(timeout);
  if (seconds !== null && !(seconds > 0)) throw new CliError(`--timeout is "${timeout}": give a number of seconds.`);
  const stop = new AbortController();
  const unlisten = io.onSignal(() => stop.abort(new CliError('Interrupted.')));
  const done = new AbortController();
  if (seconds !== null)
    io.clock.sleep(seconds * 1000, done.signal).then(
      () => stop.abort(new CliError(`No answer within ${seconds} s.`)),
      () => undefined,
    );
  let task: string | null = null;
  try {
    const begun = await begin(stop.signal);
    task = begun.task;
    return await begun.show();
  } catch (error) {
    if (!stop.signal.aborted || task === null) throw error;
    const why = stop.signal.reason instanceof CliError ? stop.signal.reason.message : 'Stopped.';
    throw new CliError(`${why} Task ${task} goes on; "ruche status" shows it, and its answer is kept.`);
  } finally {
    unlisten();
    done.abort();
  }
}

async function showIfAny(io: Io, gateway: Talk, task: string | null, json: boolean): Promise<ExitCode> {
  if (task !== null) return show(io, gateway, task, json);
  io.out(json ? `${JSON.stringify({ task: null, status: 'done' })}\n` : 'Done.\n');
  return 0;
}

async function show(io: Io, gateway: Talk, task: string, json: boolean): Promise<ExitCode> {
  const progress = io.errIsTerminal && !json ? progressLine(io) : null;
  let outcome: TaskOutcome;
  try {
    outcome = await gateway.outcome(task, progress === null ? null : (delta) => progress.show(delta));
  } finally {
    progress?.clear();
  }
  if (json) io.out(`${JSON.stringify(report(outcome))}\n`);
  else if (outcome.status === 'done') io.out(`${plain(outcome.text)}\n`);
  else if (outcome.waits.length > 0) io.out(`${outcome.waits.map(pendingText).join('\n\n')}\n`);
  else io.err(`${plain(outcome.text)}\n`);
  return exitCodeOf(outcome);
}

const exitCodeOf = (outcome: TaskOutcome): ExitCode =>
  outcome.status === 'done' ? 0 : outcome.waits.length > 0 || outcome.status === 'waiting' ? 3 : 1;

function report(outcome: TaskOutcome): object {
  const { task, run, session, status, text, commit, waits } = outcome;
  const shown = waits.map(({ kind, id, tool, text: what, reason }) => ({ kind, id, tool, text: what, reason }));
  return { task, run, session, status, text, commit, ...(waits.length > 0 ? { waits: shown } : {}) };
}
