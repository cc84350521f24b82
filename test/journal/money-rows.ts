import type { EventType } from '../../src/core/event.ts';
import type { Rows } from './standing-rows.ts';

const limit = { account: 'agent:b usd day:2026-11-23', limit: 2, spent: 1.9, more: 2, approval: null, task: null };
const met = { ...limit, action: 'tier-down' as const, to: 'p/m' };
const corrected = { model: 'p/m', since: 0, price: { input: 2, output: 8 } };

type Money = EventType & (`budget.${string}` | `price.${string}`);

export const MONEY_ROWS: Pick<Rows, Money> = {
  'budget.met': {
    weighty: true,
    rows: [['reached the budget (USD today for the agent b), 1.9 of 2 spent: tier-down to p/m', met]],
  },
  'budget.answered': {
    weighty: true,
    rows: [
      ['raised the budget (x) by 2', { account: 'x', raised: 2, approval: 'a', by: 'b' }],
      ['did not raise the budget (x)', { account: 'x', raised: 0, approval: 'a', by: 'b' }],
      ['went on at the budget (x) without a raise', { account: 'x', raised: null, approval: 'a', by: 'runtime' }],
    ],
  },
  'price.corrected': {
    weighty: true,
    rows: [['corrected the price of p/m since 1970-01-01T00:00:00Z: 2 in, 8 out', corrected]],
  },
};
