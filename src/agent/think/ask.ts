import type { Turn } from '../run/deps.ts';
import type { Manifest } from '../run/blobs.ts';
import type { RunLog } from '../run/log.ts';
import type { Cost } from '../../core/budget.ts';
import { type ModelChoice, type ModelError, priced, type Purpose } from '../../core/model.ts';
import type { Route } from '../../core/routing.ts';
import { collectAnswer, fitted, type Outcome, type Prepared, withoutSecrets } from './model-call.ts';
import { counted, NO_COST, type Paid, settle } from './money.ts';
import { routeData } from './route.ts';

/** One call of one model. */
export interface Asking {
  purpose: Purpose;
  choice: ModelChoice;
  route: Route;
  prepared: Prepared;
  /** Null where nothing counts it. */
  paid: Paid | null;
  /** Takes what the model says as it comes. */
  onDelta?(kind: 'text' | 'reasoning', delta: string): void;
}

/** How it ended; only who has asked can say whether that is an answer. */
export interface Asked {
  call: { step: number; purpose: Purpose; provider: string; model: string };
  outcome: Outcome;
  ms: number;
  cost: Cost;
}

/** Asks once: the intent goes on record, and whatever the end is, what was set aside is settled. */
export async function askModel(turn: Turn, asking: Asking, signal: AbortSignal): Promise<Asked> {
  const { deps, log, worked } = turn;
  const { purpose, choice, route, prepared, paid, onDelta = () => undefined } = asking;
  const { provider, model } = choice;
  const call = { step: log.state.step + 1, purpose, provider, model };
  const manifest: Manifest = { ...prepared.manifest, model, tokens: prepared.tokens };
  const reserved = paid === null ? {} : { reserved: paid.hold.cost };
  const data = { ...call, request: log.put(manifest), ...reserved, ...routeData(route, purpose) };
  const most = paid === null ? {} : { maxOutputTokens: paid.output };
  const by = { agent: log.state.agent, run: log.state.run };
  let request: Prepared['request'];
  try {
    request = await fitted(deps, prepared.request, choice);
    log.emit({ type: 'model.called', data }, manifest, { labels: prepared.labels });
    await log.flush(false);
  } catch (error) {
    // It was not made.
    if (paid !== null) deps.spend.settle(paid.hold, NO_COST);
    throw error;
  }
  const before = worked();
  const said = await collectAnswer(choice, { ...request, model, by, ...most }, signal, onDelta);
  const ms = worked() - before;
  const clean = withoutSecrets(said, deps.redact);
  const outcome = counted(clean, choice, prepared, { paid, state: purpose === 'turn' ? log.state : null });
  return { call, outcome, ms, cost: settle(turn, paid, choice, outcome) };
}

/** Puts the answer on record. `goesOn`: it was cut, and its second part is asked for. */
export function recordAnswer(log: RunLog, { call, outcome, ms }: Asked, choice: ModelChoice, goesOn = false): void {
  const { message, finish, usage, estimated } = outcome;
  const cost = { usage, ...(estimated && { estimated }), ...priced(choice, usage) };
  const data = { ...call, answer: log.put(message), finish, ...cost, ms, ...(goesOn && { goesOn }) };
  log.emit({ type: 'model.answered', data }, message);
}

/** Puts on record that it was no answer, and why. */
export function recordFailure(log: RunLog, { call, outcome, ms, cost }: Asked, error: ModelError): void {
  const { message } = outcome;
  const partial = message.parts.length > 0 ? log.put(message) : null;
  const spent = cost.tokens === 0 ? {} : { cost };
  const data = { ...call, error: error.kind, detail: log.put(error), partial, ms, ...spent };
  log.emit({ type: 'model.failed', data });
}
