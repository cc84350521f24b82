import { createInterface } from 'node:readline';
import type { Pending, TaskOutcome } from '../core/api/runtime.ts';
import { isSafeName, addressee } from '../core/ids.ts';
import { unknownText } from '../core/text/unknown.ts';
import { agentNamed, agentNames } from './unknown.ts';
import { goesOn } from './ask.ts';
import { chatScreen, type ChatScreen } from './chat-screen.ts';
import { CliError, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { status } from './status.ts';
import { talk, type Accepted, type Talk } from './talk.ts';
import type { ApprovalVerdict } from '../core/event.ts';
import { verdictWords, watchSchedules } from './approvals.ts';

const HELP = `  /new      start a new conversation        /stop     stop the current run
  /status   show the state of the network   /quit     leave (runs go on)
  @name …   switch to that agent
  approve, deny (or y, n): answer an approval; your next line answers a question`;

interface Chat {
  io: Io;
  options: Options;
  gateway: Talk;
  /** Aborted when the conversation is left. */
  stopped: AbortSignal;
  screen: ChatScreen;
  agents: readonly string[];
  agent: string;
  session: string;
  /** Whether a task is being watched, and which one as far as it is known. */
  busy: boolean;
  task: string | null;
  waits: Pending[];
  last: TaskOutcome | null;
}

/** `ruche chat [agent]`: a conversation in the terminal. Lines from a pipe are taken one after the other. */
export async function chat(
  io: Io,
  options: Options,
  agent: string | undefined,
  flags: { session?: string },
): Promise<ExitCode> {
  if (flags.session !== undefined && !isSafeName(flags.session))
    throw new CliError('Invalid --session. Use up to 128 letters, digits, "-" and "_".');
  const stop = new AbortController();
  const gateway = talk(io, options, stop.signal);
  const agents = await agentNames(gateway);
  const state: Chat = {
    io,
    options,
    gateway,
    stopped: stop.signal,
    screen: chatScreen(io, options),
    agents,
    // A wrong name is told before anything is typed.
    agent: agentNamed(agents, agent),
    session: flags.session ?? io.ids.next('ses'),
    busy: false,
    task: null,
    waits: [],
    last: null,
  };
  if (io.inIsTerminal) io.out(`Talking to ${state.agent}. /help lists the commands, /quit leaves.\n`);
  if (flags.session !== undefined) await takeUp(state);
  const lines = createInterface({
    input: io.stdin,
    output: io.editor ?? undefined,
    terminal: io.editor !== null,
    prompt: '› ',
  });
  const quit = (): void => {
    lines.close();
    // At a terminal what runs is left at once. From a pipe a line is being waited for.
    if (!io.inIsTerminal) stop.abort(new CliError('Interrupted. The run goes on.'));
  };
  const unlisten = io.onSignal(quit);
  lines.on('SIGINT', quit);
  try {
    await (io.inIsTerminal ? converse(state, lines) : read(state, lines));
    if (state.busy && state.task !== null) io.out(`\n${goesOn(io, options, state.task)}\n`);
  } finally {
    unlisten();
    lines.close();
    stop.abort();
  }
  if (state.waits.length > 0) return 3;
  return state.last === null || state.last.status === 'done' ? 0 : 1;
}

/** What an earlier conversation of this name has left open is answered here. */
async function takeUp(state: Chat): Promise<void> {
  const { pending } = await state.gateway.call<{ pending: Pending[] }>('/api/pending');
  state.waits = pending.filter((wait) => wait.agent === state.agent && wait.session === state.session);
  state.screen.waits(state.waits);
}

type Lines = ReturnType<typeof createInterface>;

/** From a pipe: each line waits for the end of the one before. */
async function read(state: Chat, lines: Lines): Promise<void> {
  for await (const line of lines) if (await handle(state, line)) return;
}

/** At a terminal: a line typed while a run works reaches that run. */
async function converse(state: Chat, lines: Lines): Promise<void> {
  let failed: unknown = null;
  lines.prompt();
  const closed = new Promise<void>((resolve) => lines.once('close', resolve));
  lines.on('line', (line) => {
    handle(state, line).then(
      (leave) => {
        if (leave) lines.close();
        else if (!state.busy) lines.prompt();
      },
      (error: unknown) => {
        failed ??= error;
        lines.close();
      },
    );
  });
  await closed;
  if (failed !== null) throw failed as Error;
}

/** One line of the person. True: leave. */
async function handle(state: Chat, line: string): Promise<boolean> {
  const text = line.trim();
  const { io } = state;
  if (text === '') return false;
  if (text === '/quit' || text === '/exit') return true;
  if (text === '/help') io.out(`${HELP}\n`);
  else if (text === '/status') await status(io, state.options, {});
  else if (text === '/new') {
    Object.assign(state, { session: io.ids.next('ses'), waits: [], last: null });
    io.out('New conversation.\n');
  } else if (text === '/stop') await stopTask(state);
  else if (text.startsWith('/')) io.out(`${unknownText('command', text.split(' ')[0] ?? '', { list: '/help' })}\n`);
  else await say(state, text);
  return false;
}

async function stopTask(state: Chat): Promise<void> {
  const task = state.task ?? state.waits[0]?.task ?? null;
  if (task === null) {
    state.io.out('Nothing is running in this conversation.\n');
    return;
  }
  const { cancelled } = await state.gateway.call<{ cancelled: boolean }>(`/api/tasks/${task}/cancel`, {});
  state.waits = [];
  state.io.out(cancelled ? 'Stopped.\n' : 'It had already ended.\n');
}

async function say(state: Chat, text: string): Promise<void> {
  const { io, agent, session } = state;
  const [wait] = state.waits;
  const verdict = verdictOf(text);
  const named = addressee(text, (name) => state.agents.includes(name)) !== null;
  try {
    if (named) await watch(state, '/api/messages', { agent, session, text, id: io.ids.next('msg') });
    else if (wait?.kind === 'approval' && verdict) await decide(state, wait.id, verdict);
    else if (wait?.kind === 'question') await answer(state, `/api/questions/${wait.id}`, { text });
    else await watch(state, '/api/messages', { agent, session, text, id: io.ids.next('msg') });
  } catch (error) {
    // What one line did wrong does not end the conversation; a gateway that is gone does.
    if (state.stopped.aborted || !(error instanceof CliError) || error.exitCode === 2) throw error;
    state.screen.note(error.message);
  }
}

const verdictOf = (text: string): ApprovalVerdict | null => {
  if (/^(y|yes|approve)( apr_\S+)?$/i.test(text)) return 'approve';
  return /^(n|no|deny)( apr_\S+)?$/i.test(text) ? 'deny' : null;
};

/** A verdict, and what it did. */
async function decide(state: Chat, id: string, verdict: ApprovalVerdict): Promise<void> {
  const { screen, gateway } = state;
  const since = await watchSchedules(gateway);
  await answer(state, `/api/approvals/${id}`, { verdict }, ({ again = false }) =>
    screen.note(verdictWords(id, verdict, again)),
  );
  for (const line of verdict === 'approve' ? await since(null) : []) screen.note(line);
}

async function answer(
  state: Chat,
  path: string,
  body: object,
  onAccepted: (told: Accepted) => void = () => undefined,
): Promise<void> {
  const before = state.waits;
  const others = before.slice(1);
  state.waits = others;
  try {
    // The run goes on only when all it asked is answered.
    if (others.length === 0) await watch(state, path, body, onAccepted);
    else onAccepted(await state.gateway.call<Accepted>(path, body));
  } catch (error) {
    state.waits = before;
    throw error;
  }
  if (others.length > 0) state.screen.waits(others);
}

/** `@name` turns to that agent, for what is written from then on too. */
function turnTo(state: Chat, { agent = state.agent, note }: Accepted): void {
  if (agent !== state.agent) state.screen.note(`Talking to ${agent}.`);
  state.agent = agent;
  if (note !== undefined) state.screen.note(plain(note));
}

/** Shows a task until it ends or waits. A message that a running run took in ends with that run, which shows its answer. */
async function watch(
  state: Chat,
  path: string,
  body: object,
  onAccepted: (told: Accepted) => void = (told) => turnTo(state, told),
): Promise<void> {
  const { screen } = state;
  const leading = !state.busy;
  if (leading) state.busy = true;
  try {
    const outcome = await state.gateway.follow(path, body, {
      onAccepted,
      onTask: (task) => leading && (state.task = task),
      onDelta: leading ? (delta) => screen.delta(delta) : undefined,
      onAway: leading ? (said) => screen.note(said) : undefined,
    });
    if (outcome === null) return path === '/api/messages' ? await takeUp(state) : screen.note('Done.');
    const { last } = state;
    const shown = !leading && outcome.run !== null && outcome.run === last?.run && outcome.status === last.status;
    if (!shown) screen.end(outcome);
    state.last = outcome;
    state.waits = outcome.waits;
  } finally {
    if (leading) Object.assign(state, { busy: false, task: null });
  }
}
