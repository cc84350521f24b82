import type { Tier, Usage } from './model.ts';

/** What is counted. `toolSeconds` and `bytesOut` are known only when they have been used. */
export const METERS = ['usd', 'tokens', 'calls', 'toolSeconds', 'bytesOut'] as const;
export type Meter = (typeof METERS)[number];

/** For how long; hours, days and months by the clock of the network. */
export const WINDOWS = ['task', 'hour', 'day', 'month'] as const;
export type BudgetWindow = (typeof WINDOWS)[number];

export type Limits = Partial<Record<Meter, Partial<Record<BudgetWindow, number>>>>;

/**
 * What happens at the limit: `ask` parks and asks the owner, `wait` goes on in the next window, `stop` ends the run,
 * `tier-down` takes the next cheaper tier that still fits, a tier that one.
 */
export const ON_EXCEED = ['ask', 'wait', 'stop', 'tier-down', 'light', 'standard'] as const;
export type OnExceed = Extract<Tier, 'light' | 'standard'> | 'ask' | 'wait' | 'stop' | 'tier-down';

export interface Budget {
  limits: Limits;
  onExceed: OnExceed;
}

/** The budgets of `ruche.yaml` beside those of queues. */
export interface NetworkBudget extends Budget {
  /** Of each conversation. */
  conversation?: Budget;
  /** By `owner` (the page and commands) or `CHANNEL:ADDRESS`; `others` is each person who is not named. */
  people?: Readonly<Record<string, Budget>>;
}

export type Amounts = Record<Meter, number>;
export const NOTHING: Amounts = { usd: 0, tokens: 0, calls: 0, toolSeconds: 0, bytesOut: 0 };

export const addAmounts = (a: Amounts, b: Partial<Amounts>): Amounts => ({
  usd: a.usd + (b.usd ?? 0),
  tokens: a.tokens + (b.tokens ?? 0),
  calls: a.calls + (b.calls ?? 0),
  toolSeconds: a.toolSeconds + (b.toolSeconds ?? 0),
  bytesOut: a.bytesOut + (b.bytesOut ?? 0),
});

/** The most a model call can cost, or what it did cost. */
export interface Cost {
  usd: number;
  tokens: number;
}

/** USD for a million tokens. `cached`: input that the provider had cached; the price of input unless given. */
export interface ModelPrice {
  input: number;
  output: number;
  cached?: number;
}

/** For whom something is spent. `root`: the task that all of it began with. `person`: who wrote that one's message. */
export interface Spender {
  agent: string;
  task: string | null;
  root: string | null;
  conversation: string | null;
  person: string | null;
}

/** One limit of one budget in one window. */
export interface Account {
  /** `network`, `agent:<name>`, `queue:<name>`, `conversation:<agent>/<session>`, `person:<address>`. */
  scope: string;
  meter: Meter;
  window: BudgetWindow;
  /** The window itself: `day:2026-11-30`, `task:<id>`. */
  span: string;
  limit: number;
  onExceed: OnExceed;
}

/** A name for it that is unique over all windows. */
export const accountId = ({ scope, meter, span }: Pick<Account, 'scope' | 'meter' | 'span'>): string =>
  `${scope} ${meter} ${span}`;

/** Share of a limit at which the owner is told. */
export const NOTICE_AT = 0.8;

/** The spans that a moment on the wall lies in. */
export function spansAt(wall: number): Record<Exclude<BudgetWindow, 'task'>, string> {
  const iso = new Date(wall).toISOString();
  return { hour: `hour:${iso.slice(0, 13)}`, day: `day:${iso.slice(0, 10)}`, month: `month:${iso.slice(0, 7)}` };
}

const UNITS: Readonly<Record<Exclude<Meter, 'usd'>, string>> = {
  tokens: 'tokens',
  calls: 'model calls',
  toolSeconds: 'seconds of tools',
  bytesOut: 'bytes out',
};

/** `1.20 USD`, `30000 tokens`. */
export const amountText = (meter: Meter, amount: number): string =>
  meter === 'usd' ? `${amount.toFixed(amount < 0.1 ? 4 : 2)} USD` : counted(Math.round(amount), UNITS[meter]);

const counted = (amount: number, unit: string): string => `${amount} ${amount === 1 ? unit.replace(/s\b/, '') : unit}`;

const WINDOW_WORDS: Readonly<Record<BudgetWindow, string>> = {
  task: 'this task',
  hour: 'this hour',
  day: 'today',
  month: 'this month',
};

/** Whose budget, in words: `the agent email`, `the network`. */
export function scopeText(scope: string): string {
  const colon = scope.indexOf(':');
  return colon < 0 ? `the ${scope}` : `the ${scope.slice(0, colon)} ${scope.slice(colon + 1)}`;
}

/** `2.00 USD today for the agent email`. */
export const accountText = ({ scope, meter, window, limit }: Account): string =>
  `${amountText(meter, limit)} for ${WINDOW_WORDS[window]} for ${scopeText(scope)}`.replace('for today', 'today');

/** The same of an id alone: `USD today for the network`. */
export function accountIdText(id: string): string {
  const [, scope, meter, window] = /^(.*) (\S+) (task|hour|day|month):\S*$/.exec(id) ?? [];
  if (scope === undefined) return id;
  const what = meter === 'usd' ? 'USD' : UNITS[meter as keyof typeof UNITS];
  return `${what} for ${WINDOW_WORDS[window as BudgetWindow]} for ${scopeText(scope)}`.replace('for today', 'today');
}

/** What a usage costs by a price that somebody has told. */
export function costBy({ input, output, cached = input }: ModelPrice, usage: Usage): number {
  const read = Math.min(usage.cacheRead, usage.input);
  return ((usage.input - read) * input + read * cached + usage.output * output) / 1_000_000;
}
