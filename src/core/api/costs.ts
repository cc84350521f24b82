import type { BudgetWindow, Meter, ModelPrice } from '../budget.ts';

export const COSTS_BY = ['agent', 'model', 'task', 'day', 'person', 'queue'] as const;
export type CostsBy = (typeof COSTS_BY)[number];

export interface CostRow {
  name: string;
  usd: number;
  calls: number;
  /** Tokens in, those that the provider had cached included. */
  input: number;
  cached: number;
  output: number;
  /** Calls whose price nobody knows: it cost `usd` at least. */
  unpriced: number;
}

/** One limit as it stands. */
export interface BudgetState {
  scope: string;
  meter: Meter;
  window: BudgetWindow;
  limit: number;
  spent: number;
}

export interface CostReport {
  by: CostsBy;
  /** Milliseconds since the epoch. */
  since: number;
  /** The day of it, by the clock of the network. */
  sinceDay: string;
  until: number;
  /** The dearest first; days in their order. */
  rows: CostRow[];
  total: CostRow;
  /** USD of this month so far, and what it comes to if it goes on so. */
  month: { usd: number; projected: number };
  /** The last 30 days, each with its USD. */
  days: { day: string; usd: number }[];
  budgets: BudgetState[];
}

export interface PriceCorrection {
  /** `provider/model`. */
  model: string;
  since: number;
  price: ModelPrice;
}

/** What the network costs, for `ruche costs` and the page. */
export interface CostDesk {
  /** `since`: the beginning of the month unless given. */
  report(query: { by: CostsBy; since?: number | undefined }): Promise<CostReport>;
  /** Puts a correction on record; the report tells how many answers it changes, and by how much. Null if there are none. */
  correct(correction: PriceCorrection, by: string): Promise<{ answers: number; before: number; after: number } | null>;
}
