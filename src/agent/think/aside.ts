import type { AgentTurn } from '../run/deps.ts';
import { type ModelChoice, type ModelError, type ModelRequest, priced, type Purpose } from '../../core/model.ts';
import { accountText } from '../../core/budget.ts';
import type { Reached } from '../../core/ports/spend.ts';
import type { Manifest } from '../run/blobs.ts';
import { collectAnswer, estimateTokens, fitted, withoutSecrets } from './model-call.ts';
import { affordable, begin, counted, payFor, settle } from './money.ts';
import { type Routed, routeData, routeFor, routeUp } from './route.ts';

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
    const said: Asked = 'code' in payable ? { failed: 'price' } : await askRoute(turn, aside, payable, signal);
    if ('text' in said) return said.text;
    route = routeUp(turn, route, `after:${said.failed}`);
  }
  return null;
}

type Asked = { text: string } | { failed: string };

async function askRoute(turn: AgentTurn, aside: Aside, route: Routed, signal: AbortSignal): Promise<Asked> {
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
  const { deps, log, worked } = turn;
  const { provider, model } = choice;
  const request = requestFor(choice);
  const messages = request.messages.map((message) => log.put(message));
  const [system, tools] = [log.putCommon(request.system).hash, log.putCommon(request.tools).hash];
  const manifest: Manifest = { model, system, tools, messages, turnFrom: messages.length };
  const common = { step: log.state.step + 1, purpose, provider, model };
  const tokens = estimateTokens(request);
  const prepared = { request, manifest, tokens, labels: log.state.labels };
  const paid = await payFor(turn, choice, prepared, signal, null);
  if (paid !== null && 'account' in paid) return { error: spentError(paid) };
  const reserved = paid === null ? {} : { reserved: paid.hold.cost };
  const called = { ...common, request: log.put(manifest), ...routeData(route, purpose), ...reserved };
  log.emit({ type: 'model.called', data: called });
  await begin(turn, paid);
  const before = worked();
  const by = { agent: log.state.agent, run: log.state.run };
  const most = paid === null ? {} : { maxOutputTokens: paid.output };
  const asked = { ...(await fitted(deps, request, choice)), model, by, ...most };
  const said = withoutSecrets(await collectAnswer(choice, asked, signal, () => {}), deps.redact);
  const outcome = counted(said, choice, prepared, { paid, state: null });
  const cost = settle(turn, paid, choice, outcome);
  // What is being stopped has not failed.
  signal.throwIfAborted();
  const ms = worked() - before;
  const { message, finish, usage } = outcome;
  const text = message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
  const wrong = outcome.error === null ? (misfit?.(text) ?? null) : null;
  const error = wrong === null ? outcome.error : misfitError(choice, wrong);
  if (error === null) {
    const answer = log.put(message);
    const estimated = outcome.estimated === true ? { estimated: true as const } : {};
    const data = { ...common, answer, finish, usage, ...estimated, ...priced(choice, usage), ms };
    log.emit({ type: 'model.answered', data });
    return { text };
  }
  const partial = wrong === null ? null : log.put(message);
  const spent = cost.tokens === 0 ? {} : { cost };
  log.emit({
    type: 'model.failed',
    data: { ...common, error: error.kind, detail: log.put(error), partial, ms, ...spent },
  });
  return { error };
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
