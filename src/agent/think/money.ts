import type { AgentTurn, Turn } from '../run/deps.ts';
import { accountId, accountIdText, accountText, amountText, type Cost } from '../../core/budget.ts';
import {
  type ModelChoice,
  type ModelErrorKind,
  type ModelMessage,
  type Tier,
  TIERS,
  type Usage,
} from '../../core/model.ts';
import { type Hold, isReached, type Reached } from '../../core/ports/spend.ts';
import { askedKey, LIMIT_CALL, LIMIT_REASON, unpricedModel } from '../../core/records/matter.ts';
import { isEnded } from '../../core/task.ts';
import { waitsFor } from '../run/log.ts';
import type { Failure, RunState } from '../run/state.ts';
import { type Routed, routeTo } from './route.ts';
import { pictureTokens, UNKNOWN_RULE } from '../../core/image.ts';
import { imagesIn, type Outcome, type Prepared } from './model-call.ts';

/** Tokens that an answer may have where a budget counts it: the most first, then what still fits in what is left. */
const OUTPUTS = [16_000, 8_000, 4_000, 2_000, 1_000];
/** Tokens that a provider may put around a message, and what else may have come to a prompt since the last request of its run. */
const AROUND = 16;
const SLACK = 1_000;
/** Tokens of a picture, where nobody knows how they are counted. */
const UNKNOWN_PICTURE = pictureTokens({}, UNKNOWN_RULE);

/**
 * Tokens of input that a request has at most: no token is shorter than a byte. What was in the last request the provider has
 * counted; since then it got no longer but by the answer and what follows it.
 */
export function mostInput(prepared: Prepared, choice: ModelChoice, state: RunState | null): number {
  const { system, tools, messages } = prepared.request;
  const { picture: rule, images } = choice;
  const seen = (of: readonly ModelMessage[]): number =>
    images ? imagesIn(of).reduce((sum, each) => sum + (rule ? pictureTokens(each, rule) : UNKNOWN_PICTURE), 0) : 0;
  const most = (parts: unknown, of: readonly ModelMessage[]): number =>
    Buffer.byteLength(JSON.stringify(parts)) + seen(of) + of.length * AROUND;
  const all = most([system, tools, messages], messages) + tools.length * AROUND;
  const counted = state?.model === `${choice.provider}/${choice.model}` ? state.lastInput : 0;
  const last = messages.findLastIndex(({ role }) => role === 'assistant');
  const since = messages.slice(Math.max(0, last));
  const known = counted > 0 && last >= 0 ? counted + most(since, since) + SLACK : Infinity;
  return Math.ceil(Math.min(all, known, choice.window));
}

/** The most a call can cost: all of it new, or put into the provider's cache, whichever is dearer. */
export function mostCost({ cost }: Pick<ModelChoice, 'cost'>, input: number, output: number): Cost {
  const usage = { input, output, cacheRead: 0, cacheWrite: 0 };
  return { usd: Math.max(cost(usage), cost({ ...usage, cacheWrite: input })), tokens: input + output };
}

export interface Paid {
  hold: Hold;
  /** Tokens that the answer may have. */
  output: number;
}

/** Sets aside what a call may cost. Null where nothing counts it. `state`: of the turn whose last request this one goes on from. */
export async function payFor(
  turn: Turn,
  choice: ModelChoice,
  prepared: Prepared,
  signal: AbortSignal,
  state: RunState | null = turn.log.state,
): Promise<Paid | Reached | null> {
  const { deps, log } = turn;
  if (choice.ours === true || !deps.spend.limited(log.state.agent)) return null;
  const by = await deps.spend.spender(log.claim.task);
  const input = mostInput(prepared, choice, state);
  const outputs = OUTPUTS.map((output) => Math.min(output, Math.floor(choice.window / 2)));
  const costs = outputs.map((output) => mostCost(choice, input, output));
  const hold = await deps.spend.reserve({ run: log.state.run, step: log.state.step + 1, by, costs }, signal);
  return isReached(hold) ? hold : { hold, output: outputs[hold.index] ?? 0 };
}

export const NO_COST: Cost = { usd: 0, tokens: 0 };

const costOf = (choice: Pick<ModelChoice, 'cost'>, usage: Usage): Cost => ({
  usd: choice.cost(usage),
  tokens: usage.input + usage.output,
});

/** An answer whose provider has not counted it is not free: it counts as it was set aside, with a token for each byte of it. */
export function counted(
  outcome: Outcome,
  choice: ModelChoice,
  prepared: Prepared,
  { paid, state }: { paid: Paid | null; state: RunState | null },
): Outcome {
  const { error, usage, message } = outcome;
  const told = usage.input > 0 && (usage.output > 0 || message.parts.length === 0);
  if (error !== null || told || choice.ours === true) return outcome;
  const bytes = Buffer.byteLength(JSON.stringify(message.parts));
  const output = usage.output > 0 ? usage.output : Math.min(bytes, paid?.output ?? bytes);
  const input = usage.input > 0 ? usage.input : mostInput(prepared, choice, state);
  return { ...outcome, usage: { ...usage, input, output }, estimated: true };
}

const UNKNOWN: readonly ModelErrorKind[] = ['network', 'timeout', 'aborted'];

/** What a call did cost. One that was refused cost nothing; one whose end nobody knows, all that it may have cost. */
export function settle(
  { deps }: Turn,
  paid: Paid | null,
  choice: Pick<ModelChoice, 'cost'>,
  { error, usage, message }: Pick<Outcome, 'error' | 'usage' | 'message'>,
): Cost {
  const told = costOf(choice, usage);
  if (paid === null) return told;
  const { hold } = paid;
  const begun = message.parts.length > 0 && told.tokens === 0;
  const unknown = error !== null && error.unsent !== true && (begun || UNKNOWN.includes(error.kind));
  const most = { usd: Math.max(told.usd, hold.cost.usd), tokens: Math.max(told.tokens, hold.cost.tokens) };
  const cost = unknown ? most : told;
  deps.spend.settle(hold, cost);
  return cost;
}

/** The models that may be asked: with a budget in USD, one without a price only where its tokens are limited, too. */
export async function affordable(turn: Turn, route: Routed): Promise<Routed | Failure> {
  const { deps, log } = turn;
  const { choices } = route;
  const [first] = choices;
  if (first === undefined || !choices.some(({ unpriced }) => unpriced) || !deps.spend.limited(log.state.agent))
    return route;
  const accounts = deps.spend.accounts(await deps.spend.spender(log.claim.task));
  const counted = accounts.find(({ meter }) => meter === 'usd');
  if (counted === undefined || accounts.some(({ meter }) => meter === 'tokens')) return route;
  const known = choices.filter(({ unpriced }) => unpriced !== true);
  if (known.length > 0) return { ...route, choices: known };
  const { provider, model } = first;
  const mend = `Set models.providers.${provider}.models.${model}.price in ruche.yaml, such as { input: 0.5, output: 1.5 } (USD per million tokens), or limit tokens as well: budget: { tokens: { day: 1000000 } }.`;
  const message = `The price of ${provider}/${model} is unknown, so the budget of ${accountText(counted)} cannot be kept. ${mend}`;
  await deps.spend.ask(unpricedModel(`${provider}/${model}`), message);
  return { code: 'budget.unpriced', message, retryable: false };
}

/** Takes what was said to the limit that the run came to. A failure if it stays. */
export async function takeRaise(turn: Turn): Promise<Failure | null> {
  const { deps, log } = turn;
  const { limit } = log.state;
  if (limit === null || limit.approval === null || limit.raised === null) return null;
  const { account, approval, by } = limit;
  // Where nobody need answer any more, the limit stays as the settings have it, and is looked at again.
  const raised = !limit.raised ? 0 : by === 'runtime' ? null : limit.more;
  log.emit({ type: 'budget.answered', data: { account, raised, approval, by } });
  // The others that wait for the same answer go on, too.
  for (const task of await deps.store.tasks({ statuses: ['waiting'] }))
    if ((await deps.store.awaited(task.id)).includes(log.state.task)) log.queue({ op: 'wake', task: task.id });
  await log.flush(true);
  deps.spend.answered(account, raised);
  return raised === 0 ? stopped(accountIdText(account), 'The owner did not raise it.') : null;
}

/** Before tools run: what they use is known only afterwards, so it must not have been reached. */
export async function overspent(turn: AgentTurn): Promise<Failure | 'park' | null> {
  const { deps, log } = turn;
  if (!deps.spend.limited(log.state.agent)) return null;
  const refused = await takeRaise(turn);
  if (refused !== null) return refused;
  const reached = await deps.spend.room(await deps.spend.spender(log.claim.task));
  return reached === null ? null : atLimit(turn, reached);
}

const stopped = (what: string, why: string): Failure => ({
  code: 'budget.spent',
  message: `The budget is used up (${what}). ${why}`,
  retryable: false,
});

const words = ({ account: of, limit, spent, needed }: Reached): string => {
  const account = { ...of, limit };
  const { meter } = account;
  const next =
    needed > 0 && meter !== 'calls' ? `, and the next call could cost up to ${amountText(meter, needed)}` : '';
  return `${accountText(account)}; ${amountText(meter, spent)} spent${next}`;
};

/** The cheaper tier that the budget wants tried; null if there is none. */
function lowerTier({ account: { onExceed, scope } }: Reached, { to, by }: Routed): Tier | null {
  const at = TIERS.indexOf(to as Tier);
  // A tier that was asked because the cheaper one had failed; a model with a reason, which only its agent's file moves.
  if (by.startsWith('after:') || (at < 0 && !scope.startsWith('agent:'))) return null;
  const now = at < 0 ? TIERS.length : at;
  const lower = onExceed === 'tier-down' ? now - 1 : TIERS.indexOf(onExceed as Tier);
  return lower >= 0 && lower < now ? (TIERS[lower] ?? null) : null;
}

/** Who does the step instead, where the budget wants a cheaper model and there is one; on record once for each limit. */
export async function cheaper(turn: AgentTurn, reached: Reached, route: Routed): Promise<Routed | null> {
  const tier = lowerTier(reached, route);
  const lower = tier === null ? null : await affordable(turn, routeTo(turn, tier, 'budget'));
  if (lower === null || 'code' in lower) return null;
  const [choice] = lower.choices;
  if (choice === undefined) return null;
  // Tiers that are not set lead to the same model, which fits no better.
  const [now] = route.choices;
  if (choice.provider === now?.provider && choice.model === now.model) return cheaper(turn, reached, lower);
  if (turn.log.state.limit?.account === accountId(reached.account)) return lower;
  const to = `${choice.provider}/${choice.model}`;
  met(turn, reached, { action: 'tier-down', to });
  await turn.deps.spend.tell(reached, `Work goes on with ${to}.`);
  return lower;
}

/** What becomes of a run whose next call does not fit, when no cheaper model is left to try. */
export async function atLimit(turn: AgentTurn, reached: Reached): Promise<Failure | 'park'> {
  const { account } = reached;
  const { deps } = turn;
  if (account.onExceed === 'ask') return ask(turn, reached);
  if (account.onExceed === 'wait') {
    const until = deps.spend.until(account);
    if (until !== null) {
      met(turn, reached, { action: 'wait' });
      await deps.spend.tell(reached, `Work waits until ${deps.timeText(until)}.`);
      const failure = stopped(words(reached), 'It waits for the next window.');
      return { ...failure, after: Math.max(1_000, until - deps.clock.now()) };
    }
  }
  met(turn, reached, { action: 'stop' });
  await deps.spend.tell(reached, 'Work that it counts stops here.');
  return stopped(words(reached), 'Raise it, or wait for the next window.');
}

/** What a raise adds: the limit once more, or what the next call needs, beside what is spent beyond the limit already. */
const moreOf = ({ account, limit, spent, needed }: Reached): number =>
  Math.max(account.limit, needed) + Math.max(0, spent - limit);

type Action = Partial<Pick<NonNullable<RunState['limit']>, 'to' | 'approval' | 'task'>>;

function met(
  { log }: Turn,
  { account, limit, spent, needed }: Reached,
  { action, to = null, approval = null, task = null }: Action & { action: 'tier-down' | 'ask' | 'wait' | 'stop' },
): void {
  const more = moreOf({ account, limit, spent, needed });
  const data = { account: accountId(account), limit, spent, more, action, to, approval, task };
  log.emit({ type: 'budget.met', data });
}

/** Parks the run: the first one asks the owner, all others wait for the end of that one, or for the answer. */
async function ask(turn: AgentTurn, reached: Reached): Promise<Failure | 'park'> {
  const { deps, log } = turn;
  const { account } = reached;
  if (deps.spend.refused(account)) {
    met(turn, reached, { action: 'stop' });
    return stopped(words(reached), 'The owner did not raise it.');
  }
  const own = log.state.task;
  const first = deps.spend.asking(account);
  if (first !== null && first.task !== own) {
    const other = await deps.store.task(first.task);
    const waits = other !== null && !isEnded(other.status) && !(await waitsFor(deps, [first.task], own));
    if (waits) {
      met(turn, reached, { action: 'ask', task: first.task });
      return 'park';
    }
  }
  const approval = deps.ids.next('apr');
  // Nothing is awaited in between: of many runs that come here at once, one asks.
  const taken = deps.spend.asking(account);
  if (taken !== null && taken !== first && taken.task !== own) {
    met(turn, reached, { action: 'ask', task: taken.task });
    return 'park';
  }
  deps.spend.asks(account, { task: own, approval });
  met(turn, reached, { action: 'ask', approval });
  const text = `Raise the budget: ${words(reached)}.\nApproved, ${amountText(account.meter, Math.max(account.limit, reached.needed))} more may be spent in this window, and the work goes on where it is.`;
  const shown = log.put({ text, bound: accountId(account), reason: LIMIT_REASON });
  const data = { approval, call: LIMIT_CALL, tool: 'budget', shown };
  log.emit({ type: 'approval.asked', data }, null, { key: askedKey(approval) });
  return 'park';
}
