import { createInterface } from 'node:readline';
import type { Pending, TaskOutcome } from '../core/api/runtime.ts';
import { isSafeName, addressee } from '../core/ids.ts';
import { unknownText } from '../core/text/unknown.ts';
import { agentNamed, agentNames } from './unknown.ts';
import { goesOn } from './ask.ts';
import { chatEditor, type ChatEditor, type Entry, plainEntries } from './chat-editor.ts';
import { asksFor, chatScreen, type ChatScreen } from './chat-screen.ts';
import { CliError, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { status } from './status.ts';
import { talk, type Accepted, type Talk } from './talk.ts';
import type { ApprovalVerdict } from '../core/agreed.ts';
import { verdictWords, watchSchedules } from './approvals.ts';

const HELP = `  /new      start a new conversation        /stop     stop the current run
  /status   show the state of the network   /quit     leave (runs go on)
  @name …   switch to that agent
  approve, deny (or y, n): answer the approval in the prompt; with an id, that one
  your next line answers a question; what you paste is one message and never a verdict`;

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
  /** What an approval needs besides "yes": a flag, or a person who saw it before the first key of the line. */
  verdicts: 'any' | 'seen' | 'named';
  /** The first of `waits` when the line was begun. */
  seen: string | null;
  last: TaskOutcome | null;
}

/** `ruche chat [agent]`: a conversation in the terminal. Lines from a pipe are taken one after the other. */
export async function chat(
  io: Io,
  options: Options,
  agent: string | undefined,
  flags: { session?: string; verdicts?: boolean },
): Promise<ExitCode> {
  if (flags.session !== undefined && !isSafeName(flags.session))
    throw new CliError('Invalid --session. Use up to 128 letters, digits, "-" and "_".');
  const stop = new AbortController();
  const gateway = talk(io, options, stop.signal);
  const agents = await agentNames(gateway);
  const talking: { editor: ChatEditor | null } = { editor: null };
  const out = (text: string): void => (talking.editor ? talking.editor.out(text) : io.out(text));
  const state: Chat = {
    io: { ...io, out },
    options,
    gateway,
    stopped: stop.signal,
    screen: chatScreen({ ...io, out }, options),
    agents,
    // A wrong name is told before anything is typed.
    agent: agentNamed(agents, agent),
    session: flags.session ?? io.ids.next('ses'),
    busy: false,
    task: null,
    waits: [],
    verdicts: io.editor ? 'seen' : flags.verdicts ? 'any' : 'named',
    seen: null,
    last: null,
  };
  if (io.inIsTerminal) io.out(`Talking to ${state.agent}. /help lists the commands, /quit leaves.\n`);
  if (flags.session !== undefined) await takeUp(state);
  const left = new AbortController();
  const quit = (): void => {
    left.abort();
    // At a terminal what runs is left at once. From a pipe a line is being waited for.
    if (!io.inIsTerminal) stop.abort(new CliError('Interrupted. The run goes on.'));
  };
  const unlisten = io.onSignal(quit);
  try {
    if (io.inIsTerminal) await converse(state, left, (editor) => (talking.editor = editor));
    else await read(state, left.signal);
    if (state.busy && state.task !== null) io.out(`\n${goesOn(io, options, state.task)}\n`);
  } finally {
    unlisten();
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

/** From a pipe: each line waits for the end of the one before. */
async function read(state: Chat, left: AbortSignal): Promise<void> {
  const lines = createInterface({ input: state.io.stdin, terminal: false, signal: left });
  try {
    for await (const text of lines) if (await handle(state, { text, pasted: false })) return;
  } finally {
    lines.close();
  }
}

/** At a terminal: a line typed while a run works reaches that run. */
async function converse(state: Chat, left: AbortController, begin: (editor: ChatEditor | null) => void): Promise<void> {
  const { stdin, clock, editor: screen } = state.io;
  let failed: unknown = null;
  const onEntry = (entry: Entry): void => {
    handle(state, entry).then(
      (leave) => {
        if (leave) left.abort();
        else if (!state.busy) editor?.prompt(promptOf(state));
      },
      (error: unknown) => {
        failed ??= error;
        left.abort();
      },
    );
  };
  const onBegin = (): void => void (state.seen = state.waits[0]?.id ?? null);
  const events = { onEntry, onBegin, onInterrupt: () => left.abort() };
  const editor = screen ? chatEditor({ stdin, clock, editor: screen }, events) : null;
  begin(editor);
  editor?.prompt(promptOf(state));
  const gone = new Promise<void>((resolve) => {
    if (left.signal.aborted) resolve();
    left.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([gone, editor?.closed ?? plainEntries(state.io, onEntry)]);
  editor?.close();
  await editor?.closed;
  begin(null);
  if (failed !== null) throw failed as Error;
}

/** It says what a "yes" would be given to. */
const promptOf = ({ waits: [wait] }: Chat): string =>
  wait === undefined ? '› ' : wait.kind === 'question' ? 'your answer › ' : `${asksFor(wait)} yes or no › `;

/** One line of the person. True: leave. */
async function handle(state: Chat, { text: entered, pasted }: Entry): Promise<boolean> {
  const text = entered.trim();
  const { io } = state;
  if (text === '') return false;
  if (pasted && text.includes('\n')) {
    await say(state, text, pasted);
    return false;
  }
  if (text === '/quit' || text === '/exit') return true;
  if (text === '/help') io.out(`${HELP}\n`);
  else if (text === '/status') await status(io, state.options, {});
  else if (text === '/new') {
    Object.assign(state, { session: io.ids.next('ses'), waits: [], last: null });
    io.out('New conversation.\n');
  } else if (text === '/stop') await stopTask(state);
  else if (text.startsWith('/')) io.out(`${unknownText('command', text.split(' ')[0] ?? '', { list: '/help' })}\n`);
  else await say(state, text, pasted);
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

async function say(state: Chat, text: string, pasted: boolean): Promise<void> {
  const { io, agent, session } = state;
  const [wait] = state.waits;
  const named = addressee(text, (name) => state.agents.includes(name)) !== null;
  try {
    if (await judged(state, text, pasted)) return;
    if (!named && wait?.kind === 'question') await answer(state, wait, `/api/questions/${wait.id}`, { text });
    else await watch(state, '/api/messages', { agent, session, text, id: io.ids.next('msg') });
  } catch (error) {
    // What one line did wrong does not end the conversation; a gateway that is gone does.
    if (state.stopped.aborted || !(error instanceof CliError) || error.exitCode === 2) throw error;
    state.screen.note(error.message);
  }
}

/** Whether the line was a verdict, or would have been one and cannot count. */
async function judged(state: Chat, text: string, pasted: boolean): Promise<boolean> {
  const match = /^(?:(y|yes|approve)|n|no|deny)(?:\s+`?(apr_[\w-]+)`?)?$/i.exec(text);
  if (match === null) return false;
  const [, yes, id] = match;
  const wait = id === undefined ? state.waits[0] : state.waits.find((each) => each.id === id);
  if (wait?.kind !== 'approval') {
    if (id !== undefined) state.screen.note(`Nothing waits here as ${id}.`);
    return id !== undefined;
  }
  const why = whyNot(state, wait.id, pasted, id !== undefined);
  if (why === null) await decide(state, wait, yes === undefined ? 'deny' : 'approve');
  else state.screen.note(why);
  return true;
}

/** Why a line gives no verdict; null if it does. Nobody approves what they have not seen. */
function whyNot({ verdicts, seen }: Chat, id: string, pasted: boolean, named: boolean): string | null {
  if (pasted) return `Pasted text is never a verdict. Type yes or no to answer ${id}.`;
  if (named || verdicts === 'any' || (verdicts === 'seen' && seen === id)) return null;
  if (verdicts === 'seen') return `${id} came while you were typing. Read it, and then type yes or no.`;
  return `Not a verdict: it does not say what it approves. Write "approve ${id}" or "deny ${id}", or start with --verdicts.`;
}

/** A verdict, and what it did. */
async function decide(state: Chat, wait: Pending, verdict: ApprovalVerdict): Promise<void> {
  const { screen, gateway } = state;
  const { id } = wait;
  const since = await watchSchedules(gateway);
  await answer(state, wait, `/api/approvals/${id}`, { verdict }, (told) =>
    screen.note(verdictWords(id, verdict, told)),
  );
  for (const line of verdict === 'approve' ? await since(null) : []) screen.note(line);
}

async function answer(
  state: Chat,
  answered: Pending,
  path: string,
  body: object,
  onAccepted: (told: Accepted) => void = () => undefined,
): Promise<void> {
  const before = state.waits;
  const others = before.filter(({ id }) => id !== answered.id);
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
