import type { AgentDeps, AgentTurn, Turn } from '../run/deps.ts';
import { sentence } from '../../core/text/sentence.ts';
import type { ModelChoice, ModelError } from '../../core/model.ts';
import { prepare } from './model-call.ts';
import { compact, mustCompact, restChoice, leaveOut, mayBeHistory, withoutHistory } from './compact.ts';
import { type Conversation, note } from '../run/conversation.ts';
import type { Failure } from '../run/state.ts';
import type { RunLog } from '../run/log.ts';
import { type Asked, type Asking, askModel, recordAnswer, recordFailure } from './ask.ts';
import { affordable, atLimit, cheaper, payFor, takeRaise } from './money.ts';
import { isOwnFailing, type Routed, routeFor, routeUp } from './route.ts';
import { scriptChoice, scriptUnable } from './script.ts';

const CUT =
  'Your answer was cut at the output limit before its tool calls were complete, so none of them ran. Go on in smaller steps.';

const GO_ON =
  'Your answer was cut at the output limit here. Go on with it from exactly where it stopped: repeat nothing, and add no words about the cut. Finish it soon, because a second cut ends it.';

const WRITTEN =
  'Your tool call arrived as text, so nothing ran. If you meant to call the tool, call it as the interface for tools wants it; if not, answer without the call.';

/** Said to the model this often in a turn, in vain, it is the server that does not read its calls. */
const MAX_WRITTEN = 2;

const UNREAD = ({ provider, model }: ModelChoice): ModelError => ({
  kind: 'invalid',
  message: `${provider}/${model} writes its tool calls as text, and its server does not read them: start the server with the model's tool parser (vLLM: --enable-auto-tool-choice --tool-call-parser NAME; llama.cpp: --jinja), or name another model.`,
  retryable: false,
  retryAfter: null,
  asks: { most: 1, later: false },
});

/** How often a request is made shorter because the model says it is too long. */
const MAX_REFUSALS = 3;

/** One step of thought: asks the model until it answers, by way of retries and fallbacks. */
export async function think(turn: AgentTurn): Promise<Failure | 'park' | null> {
  const { deps, log, agent, stops } = turn;
  const signal = AbortSignal.any([stops.cancel, stops.shutdown]);
  const unable = await scriptUnable(turn);
  if (unable !== null) return unable;
  const script = (await scriptChoice(turn)) ?? (await restChoice(turn, signal));
  const refused = await takeRaise(turn);
  if (refused !== null) return refused;
  const wanted: Routed = script === null ? routeFor(turn, 'turn') : { to: agent.model, by: 'agent', choices: [script] };
  const payable = await affordable(turn, wanted);
  if ('code' in payable) return payable;
  let route = payable;
  const [first] = route.choices;
  if (!first)
    return {
      code: 'model.none',
      message: `No usable model for "${route.to}": see \`ruche doctor\`.`,
      retryable: false,
    };
  let conversation = await deps.conversations.load(deps.store, log.subject);
  let prepared = await prepare(turn, conversation, first.window);
  let [index, tries, compacted, refusals, again] = [0, 0, false, 0, false];
  let before: Conversation | null = null;
  for (;;) {
    const { choices } = route;
    const choice = choices[index] ?? first;
    if (!compacted && mustCompact(prepared.tokens, choice, log.state)) {
      compacted = true;
      ({ conversation, prepared } = await compact({ turn, choice, conversation, prepared, refused: false, signal }));
    }
    const paid = await payFor(turn, choice, prepared, signal);
    if (paid !== null && 'account' in paid) {
      const lower = await cheaper(turn, paid, route);
      if (lower === null) return atLimit(turn, paid);
      [route, index, tries] = [lower, 0, 0];
      continue;
    }
    const error = await callModel(turn, { choice, prepared, route, paid }, { signal, shutdown: stops.shutdown });
    signal.throwIfAborted();
    if (error === null) {
      if (before !== null) await leaveOut(turn, before, conversation);
      return null;
    }
    const up = routeUp(turn, route, `after:${error.kind}`);
    const better = up !== null && isOwnFailing(error, choice, up) ? up : null;
    if (error.kind === 'context' && refusals < MAX_REFUSALS && better === null) {
      [compacted, refusals] = [true, refusals + 1];
      const { tokens } = prepared;
      ({ conversation, prepared } = await compact({ turn, choice, conversation, prepared, refused: true, signal }));
      if (prepared.tokens < tokens) continue;
    }
    tries += 1;
    const next = better === null ? deps.nextTry(error, tries, choices, index, deps.random) : { wait: 0, index: 0 };
    if (next === null && mayBeHistory(error, conversation)) {
      // A refusal that passes by itself must not cost the conversation its past.
      if (again) {
        const whole: Conversation = before ?? conversation;
        conversation = await withoutHistory(turn, whole, before !== null);
        before = whole;
        prepared = await prepare(turn, conversation, first.window);
      }
      again = true;
      continue;
    }
    if (next === null) return failureOf(error, deps);
    if (better !== null || next.index !== index) tries = 0;
    route = better ?? route;
    index = next.index;
    await waitFor(turn, error, route.choices[index] ?? first, next.wait, signal);
  }
}

/** Tells the person who is asked now, and waits as long as that takes. */
async function waitFor(
  { deps, log }: Turn,
  error: ModelError,
  { provider, model }: ModelChoice,
  wait: number,
  signal: AbortSignal,
): Promise<void> {
  const { task, run } = log.state;
  const when = wait > 0 ? `in ${Math.ceil(wait / 1000)} s` : 'now';
  const text = `${sentence(error.message)} Asking ${provider}/${model} ${when}.`;
  const until = wait > 0 ? { until: deps.clock.now() + wait } : {};
  deps.emit({ kind: 'retrying', task, run, text, ...until });
  if (wait <= 0) return;
  // What has happened is on record before the wait, which may be long.
  await log.flush(false);
  await deps.clock.sleep(wait, signal);
}

/** A wait that a provider asks for and that work is kept for, in milliseconds: between what a run sits out and a day. */
const LONG_WAIT = { from: 300_000, to: 86_400_000 };

function failureOf(
  { kind, message, retryable, retryAfter, asks }: ModelError,
  { clock, timeText }: Pick<AgentDeps, 'clock' | 'timeText'>,
): Failure {
  const spent = asks?.later === false ? { spent: true as const } : {};
  const failure = { code: `model.${kind}`, message, retryable, ...spent };
  if (!retryable || retryAfter === null || retryAfter <= LONG_WAIT.from) return failure;
  const asked = `${sentence(message)} It asks to be asked again no earlier than ${timeText(clock.now() + retryAfter)}.`;
  if (retryAfter > LONG_WAIT.to) return { ...failure, message: asked, retryable: false };
  return { ...failure, message: asked, after: retryAfter };
}

async function callModel(
  turn: Turn,
  asking: Omit<Asking, 'purpose' | 'onDelta'>,
  { signal, shutdown }: { signal: AbortSignal; shutdown: AbortSignal },
): Promise<ModelError | null> {
  const { deps, log } = turn;
  const { run, task, step } = log.state;
  // The second part of an answer is shown as one with the first.
  const { goesOn, begun } = log.state;
  const from = goesOn === null ? 0 : begun.length;
  let offset = from;
  const show = (kind: 'text' | 'reasoning', text: string): void => {
    if (text === '') return;
    if (kind === 'reasoning') return deps.emit({ kind, task, run, text });
    deps.emit({ kind, task, run, step: goesOn ?? step + 1, offset, text });
    offset += text.length;
  };
  const clean = { text: deps.redactPieces(), reasoning: deps.redactPieces() };
  const onDelta = (kind: 'text' | 'reasoning', delta: string): void => show(kind, clean[kind].push(delta));
  const asked = await askModel(turn, { ...asking, purpose: 'turn', onDelta }, signal);
  for (const kind of ['reasoning', 'text'] as const) show(kind, clean[kind].end());
  const { outcome } = asked;
  // What a process that goes down has cut off is no failure: the step is asked again after the start.
  if (outcome.error && shutdown.aborted) return outcome.error;
  const error = record(turn, asked, asking.choice);
  if (error !== null && offset > from) deps.emit({ kind: 'discard', task, run });
  return error;
}

function record({ deps, log }: Turn, asked: Asked, choice: ModelChoice): ModelError | null {
  const { outcome, call } = asked;
  const unread = outcome.written === true && timesSaid(log, WRITTEN) >= MAX_WRITTEN;
  const error = outcome.error ?? (unread ? UNREAD(choice) : null);
  if (error) {
    recordFailure(log, asked, error);
    return error;
  }
  // Once, and only where a step is left for it: else the first part is all there is.
  const mayGoOn = log.state.goesOn === null && call.step < deps.governance().settings.limits.steps;
  const goesOn = outcome.finish === 'length' && !outcome.dropped && mayGoOn;
  recordAnswer(log, asked, choice, goesOn);
  const told = outcome.dropped ? CUT : goesOn ? GO_ON : outcome.written === true ? WRITTEN : null;
  if (told !== null) log.emit({ type: 'note.added', data: { note: log.put(note(told)) } });
  return null;
}

/** How often the model was told this in its turn. */
function timesSaid(log: RunLog, said: string): number {
  const { hash } = log.put(note(said));
  return [...log.state.messages, ...log.state.arrived].filter((ref) => ref.hash === hash).length;
}
