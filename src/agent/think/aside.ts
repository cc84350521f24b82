import type { AgentTurn } from '../run/deps.ts';
import type { ModelChoice, ModelError, ModelRequest, Purpose } from '../../core/model.ts';
import { accountText } from '../../core/budget.ts';
import type { Reached } from '../../core/ports/spend.ts';
import { askModel, recordAnswer, recordFailure } from './ask.ts';
import { estimateTokens } from './model-call.ts';
import { affordable, payFor } from './money.ts';
import { type Routed, routeFor, routeUp } from './route.ts';

/** Something that a model is asked beside the agent's own thinking. */
export interface Aside {
  purpose: Exclude<Purpose, 'turn'>;
  /** What is asked, as far as this model can take it. */
  request(choice: ModelChoice): Omit<ModelRequest, 'model'>;
  /** What an answer does not fit; null if it does. */
  misfit?(text: string): string | null;
  /** True where this model would see too little of it. */
  tooSmall?(choice: ModelChoice): boolean;
}

/**
 * What a model says to it; null where it cannot be had. A moment's trouble is waited for, and where the light tier fails the
 * next one is asked once.
 */
export async function askAside(turn: AgentTurn, aside: Aside, signal: AbortSignal): Promise<string | null> {
  let route: Routed | null = routeFor(turn, aside.purpose);
  const [first] = route.choices;
  if (first !== undefined && aside.tooSmall?.(first) === true) {
    const larger = routeUp(turn, route, 'window');
    const [next] = larger?.choices ?? [];
    if (next !== undefined && next.window > first.window) route = larger;
  }
  while (route !== null) {
    const payable = await affordable(turn, route);
    const said: Said = 'code' in payable ? { failed: 'price' } : await askRoute(turn, aside, payable, signal);
    if ('text' in said) return said.text;
    route = routeUp(turn, route, `after:${said.failed}`);
  }
  return null;
}

type Said = { text: string } | { failed: string };

async function askRoute(turn: AgentTurn, aside: Aside, route: Routed, signal: AbortSignal): Promise<Said> {
  const { deps, log } = turn;
  const { choices } = route;
  for (let [index, tries] = [0, 1]; ; tries += 1) {
    const choice = choices[index];
    if (choice === undefined) return { failed: 'none' };
    const answer = await askOnce(turn, aside, route, choice, signal);
    if ('text' in answer) return answer;
    const { error } = answer;
    const next = deps.nextTry(error, tries, choices, index, deps.random);
    if (next === null) return { failed: error.kind };
    if (next.index !== index) tries = 0;
    index = next.index;
    await log.flush(false);
    await deps.clock.sleep(next.wait, signal);
  }
}

/** One call, on record with its end. */
async function askOnce(
  turn: AgentTurn,
  { purpose, request: requestFor, misfit }: Aside,
  route: Routed,
  choice: ModelChoice,
  signal: AbortSignal,
): Promise<{ text: string } | { error: ModelError }> {
  const { log } = turn;
  const request = requestFor(choice);
  const messages = request.messages.map((message) => log.put(message));
  const [system, tools] = [log.putCommon(request.system).hash, log.putCommon(request.tools).hash];
  const manifest = { system, tools, messages, turnFrom: messages.length };
  const prepared = { request, manifest, tokens: estimateTokens(request), labels: log.state.labels };
  const paid = await payFor(turn, choice, prepared, signal, null);
  if (paid !== null && 'account' in paid) return { error: spentError(paid) };
  const asked = await askModel(turn, { purpose, choice, route, prepared, paid }, signal);
  // What is being stopped has not failed.
  signal.throwIfAborted();
  const { error, message } = asked.outcome;
  const text = message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
  const wrong = error === null ? (misfit?.(text) ?? null) : null;
  const failed = wrong === null ? error : misfitError(choice, wrong);
  if (failed === null) {
    recordAnswer(log, asked, choice);
    return { text };
  }
  recordFailure(log, asked, failed);
  return { error: failed };
}

const spentError = ({ account }: Reached): ModelError => ({
  kind: 'unavailable',
  message: `The budget of ${accountText(account)} is used up.`,
  retryable: false,
  retryAfter: null,
});

const misfitError = ({ provider, model }: ModelChoice, wrong: string): ModelError => ({
  kind: 'invalid',
  message: `${provider}/${model} answered in another form than it was asked for: ${wrong}`,
  retryable: false,
  retryAfter: null,
});
