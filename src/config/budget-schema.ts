import { z } from 'zod';
import { type Budget, type Limits, METERS, type NetworkBudget, ON_EXCEED } from '../core/budget.ts';

const amount = z.number().min(0).max(1e15);
const windows = (unit: string) =>
  z
    .strictObject({
      task: amount.describe('For one task.').optional(),
      hour: amount.optional(),
      day: amount.optional(),
      month: amount.optional(),
    })
    .describe(`${unit} for a task, an hour, a day or a month, by the clock of the network.`)
    .optional();

const meters = {
  usd: windows('US dollars'),
  tokens: windows('Tokens, in and out,'),
  calls: windows('Model calls'),
  toolSeconds: windows('Seconds of tools'),
  bytesOut: windows('Bytes that leave over the network'),
  onExceed: z
    .enum(ON_EXCEED)
    .describe(
      'At the limit: ask the owner (unless given), wait for the next window, stop, or take a cheaper tier (tier-down, or its name).',
    )
    .optional(),
};

export const budgetSchema = z.strictObject(meters).describe('What it may spend at most.');
type Given = z.infer<typeof budgetSchema>;

/** The budget of the network: everything together, with those of conversations and people. */
export const networkBudgetSchema = z
  .strictObject({
    ...meters,
    conversation: budgetSchema.describe('What each conversation may spend at most.').optional(),
    people: z
      .record(
        z.string().regex(/^(?:owner|others|[a-z][a-z0-9-]{0,62}:\S{1,200})$/, {
          error: 'must be owner, others or CHANNEL:ADDRESS',
        }),
        budgetSchema,
      )
      .describe('By person: owner (the page and commands), CHANNEL:ADDRESS, or others for all other people.')
      .optional(),
  })
  .describe('What the network may spend at most.');

/** `inherited`: what a budget without its own `onExceed` does. */
export function budgetOf(given: Given, inherited: Budget['onExceed'] = 'ask'): Budget {
  const limits: Limits = {};
  for (const meter of METERS) {
    const windows = given[meter];
    if (windows === undefined) continue;
    limits[meter] = Object.fromEntries(Object.entries(windows).filter(([, limit]) => limit !== undefined));
  }
  return { limits, onExceed: given.onExceed ?? inherited };
}

export function networkBudgetOf(given: z.infer<typeof networkBudgetSchema>): NetworkBudget {
  const own = budgetOf(given);
  const { conversation, people } = given;
  const named = Object.entries(people ?? {}).map(([who, each]) => [who, budgetOf(each, own.onExceed)] as const);
  return {
    ...own,
    ...(conversation === undefined ? {} : { conversation: budgetOf(conversation, own.onExceed) }),
    ...(people === undefined ? {} : { people: Object.fromEntries(named) }),
  };
}
