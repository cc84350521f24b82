import { isSafeName } from '../core/ids.ts';
import type { Delta, TaskOutcome } from '../core/api/runtime.ts';
import { answeringOf, type ApproveFlags } from './standing.ts';
import { pendingTexts, verdictWords, watchSchedules } from './approvals.ts';
import { agentNamed, agentNames } from './unknown.ts';
import { asCalled } from './explain.ts';
import { CliError, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { progressLine } from './progress.ts';
import { talk, type Accepted } from './talk.ts';
import type { ApprovalVerdict } from '../core/agreed.ts';

export interface AskFlags {
  session?: string;
  json?: boolean;
  /** Seconds; the run goes on after it. */
  timeout?: string;
}

/** `ruche ask [AGENT] "text"`: one message, its answer on stdout. Without an agent the front desk gets it. */
export async function ask(
  io: Io,
  options: Options,
  named: string | undefined,
  text: string,
  flags: AskFlags,
): Promise<ExitCode> {
  if (flags.session !== undefined && !isSafeName(flags.session))
    throw new CliError('Invalid --session. Use up to 128 letters, digits, "-" and "_".');
  if (text.trim() === '') throw new CliError('The message is empty. Give the text in quotes.');
  const agent = named ?? (await frontDesk(io, options, text));
  const session = flags.session ?? io.ids.next('ses');
  // Equal for every try: a message sent again after a lost connection is the same message.
  const message = { agent, text, session, id: io.ids.next('msg') };
  return follow(io, options, '/api/messages', message, flags);
}

/** Who gets what is addressed to nobody. A text that is only the name of an agent is a message that was forgotten. */
async function frontDesk(io: Io, options: Options, text: string): Promise<string> {
  const names = await agentNames(talk(io, options, new AbortController().signal));
  if (names.includes(text)) throw new CliError(`There is no message for ${text}. Give the text in quotes.`);
  return agentNamed(names, undefined);
}

/** `ruche answer ID TEXT`: answers a question and shows what comes of it. */
export const answer = (io: Io, options: Options, id: string, text: string, flags: AskFlags): Promise<ExitCode> =>
  follow(io, options, `/api/questions/${encodeURIComponent(id)}`, { text }, flags);

/** `ruche approve|deny ID`: says what that did, and shows what comes of it. */
export async function decide(
  io: Io,
  options: Options,
  id: string,
  verdict: ApprovalVerdict,
  flags: AskFlags & ApproveFlags,
  note = flags.note ?? '',
): Promise<ExitCode> {
  const path = `/api/approvals/${encodeURIComponent(id)}`;
  const body = { verdict, ...(note === '' ? {} : { note }), ...(verdict === 'approve' ? answeringOf(io, flags) : {}) };
  if (flags.json) return follow(io, options, path, body, flags);
  const since = await watchSchedules(talk(io, options, new AbortController().signal));
  const before = async (told: Accepted, outcome: TaskOutcome | null): Promise<string[]> => {
    const changes = verdict === 'approve' && told.again !== true ? await since(outcome?.commit ?? null) : [];
    return [asCalled(verdictWords(id, verdict, told), io.self), ...changes];
  };
  return follow(io, options, path, body, flags, before);
}

/** What is said before what has come of it. */
type Before = (told: Accepted, outcome: TaskOutcome | null) => Promise<string[]>;

/** Shows what a request leads to. A timeout or Ctrl-C ends only the waiting, and names the task that goes on. */
async function follow(
  io: Io,
  options: Options,
  path: string,
  body: object,
  flags: AskFlags,
  before?: Before,
): Promise<ExitCode> {
  const { timeout } = flags;
  const seconds = timeout === undefined ? null : Number(timeout);
  if (seconds !== null && !(seconds > 0))
    throw new CliError(`Invalid --timeout "${timeout}". Give a number of seconds.`);
  const stop = new AbortController();
  const done = new AbortController();
  const unlisten = io.onSignal(() => stop.abort(new CliError('Interrupted.')));
  if (seconds !== null)
    io.clock.sleep(seconds * 1000, done.signal).then(
      () => stop.abort(new CliError(`No answer within ${seconds} s.`)),
      () => undefined,
    );
  const progress = io.errIsTerminal && !flags.json ? progressLine(io) : null;
  let task: string | null = null;
  let accepted: Accepted = { task: null };
  /** Why it takes longer, as it was told last. */
  let held = '';
  try {
    const onTask = (id: string): void => void (task = id);
    const onAway = (text: string): void => {
      progress?.clear();
      io.err(`${text}\n`);
    };
    const onAccepted = (told: Accepted): void => {
      const { task: id, agent = '', note } = told;
      accepted = told;
      if (id === null && agent !== '') throw new CliError(`There is no message for ${agent}. Write it after the name.`);
      if (note !== undefined) onAway(plain(note));
    };
    const onDelta = (delta: Delta): void => {
      if (delta.kind !== 'retrying') return progress?.show(delta);
      held = delta.text;
      // In JSON the outcome says it.
      if (!flags.json) onAway(plain(held));
    };
    const listeners = { onAccepted, onTask, onAway, onDelta };
    const outcome = await talk(io, options, stop.signal).follow(path, body, listeners);
    progress?.clear();
    const said = (await before?.(accepted, outcome)) ?? [];
    if (said.length > 0) io.out(`${plain(said.join('\n'))}\n`);
    if (said.length > 0 && outcome === null) return 0;
    const isTold = outcome?.status === 'queued' && outcome.text === held && !flags.json;
    if (isTold) io.err(`${goesOn(io, options, outcome.task)}\n`);
    return isTold ? exitCodeOf(outcome) : show(io, options, outcome, flags.json === true);
  } catch (error) {
    progress?.clear();
    const why: unknown = stop.signal.reason;
    if (!(why instanceof CliError) || task === null) throw error;
    throw new CliError(`${why.message} ${goesOn(io, options, task)}`);
  } finally {
    unlisten();
    done.abort();
  }
}

/** For a person who leaves before the end. */
export const goesOn = (io: Pick<Io, 'self'>, { again }: Options, task: string): string =>
  `Task ${task} goes on. Follow it with: ${io.self} log --task ${task}${again}`;

function show(io: Io, options: Options, outcome: TaskOutcome | null, json: boolean): ExitCode {
  if (json) io.out(`${JSON.stringify(outcome === null ? { task: null, status: 'done' } : report(outcome))}\n`);
  else if (outcome === null) io.out('Done.\n');
  else if (outcome.status === 'done') io.out(`${plain(outcome.text)}\n`);
  else if (outcome.waits.length > 0) io.out(`${outcome.waits.map(pendingTexts(io, options)).join('\n\n')}\n`);
  else io.err(`${asCalled(plain(outcome.text), io.self)}\n`);
  return outcome === null ? 0 : exitCodeOf(outcome);
}

const exitCodeOf = ({ status, waits }: TaskOutcome): ExitCode =>
  status === 'done' ? 0 : waits.length > 0 || status === 'waiting' || status === 'queued' ? 3 : 1;

function report(outcome: TaskOutcome): object {
  const { task, run, session, status, text, commit, waits } = outcome;
  const shown = waits.map(({ kind, id, tool, text: what, reason }) => ({ kind, id, tool, text: what, reason }));
  return { task, run, session, status, text, commit, ...(waits.length > 0 ? { waits: shown } : {}) };
}
