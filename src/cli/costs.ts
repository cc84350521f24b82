import { type BudgetState, type CostReport, type CostRow, COSTS_BY } from '../core/api/costs.ts';
import { amountText, scopeText } from '../core/budget.ts';
import { unknownText } from '../core/text/unknown.ts';
import { CliError, dollars, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { table } from './table.ts';
import { talk, type Talk } from './talk.ts';
import { sinceOf } from './time.ts';

export interface CostsFlags {
  by?: string;
  since?: string;
  model?: string;
  input?: string;
  output?: string;
  cached?: string;
  json?: boolean;
}

/** `ruche costs [correct]`: what was spent, what it comes to, and what is left of the budgets. */
export async function costs(
  io: Io,
  options: Options,
  action: string | undefined,
  flags: CostsFlags,
): Promise<ExitCode> {
  const { call } = talk(io, options, new AbortController().signal);
  if (action === 'correct') return correct(io, call, flags);
  if (action !== undefined) throw new CliError(unknownText('action', action, { known: ['correct'] }));
  const { by = 'agent', since } = flags;
  if (!(COSTS_BY as readonly string[]).includes(by)) throw new CliError(unknownText('--by', by, { known: COSTS_BY }));
  const asked = new URLSearchParams({ by });
  if (since !== undefined) asked.set('since', String(sinceOf(since, io.clock.now())));
  const report = await call<CostReport>(`/api/costs?${asked.toString()}`);
  io.out(flags.json ? `${JSON.stringify(report)}\n` : `${plain(reportText(report))}\n`);
  return 0;
}

function reportText({ by, sinceDay: from, rows, total, month, budgets }: CostReport): string {
  const head = [by, 'cost', 'calls', 'tokens in', 'cached', 'tokens out'];
  const lines = indented([head, ...rows.map(cells), ...(rows.length > 1 ? [cells(total)] : [])]);
  const spent = rows.length === 0 ? [`Nothing spent since ${from}.`] : [`Since ${from}:`, ...lines];
  const monthly = `This month: ${dollars(month.usd)} so far, ${dollars(month.projected)} projected.`;
  const held = budgets.length === 0 ? [] : ['Budgets:', ...indented(budgets.map(budgetCells))];
  return [...spent, monthly, ...held].join('\n');
}

function cells({ name, usd, calls, input, cached, output, unpriced }: CostRow): string[] {
  const share = input === 0 ? '-' : `${Math.round((cached / input) * 100)} %`;
  return [name, dollars(usd, unpriced > 0), String(calls), String(input), share, String(output)];
}

function budgetCells({ scope, meter, window, limit, spent }: BudgetState): string[] {
  const left = amountText(meter, Math.max(0, limit - spent));
  const share = limit === 0 ? '' : ` (${Math.round((spent / limit) * 100)} %)`;
  return [
    scopeText(scope),
    window,
    `${amountText(meter, spent)} of ${amountText(meter, limit)}${share}`,
    `${left} left`,
  ];
}

const indented = (rows: readonly string[][]): string[] => table(rows).map((line) => `  ${line}`);

const NEEDED = 'Give --model PROVIDER/MODEL, --since TIME, and --input and --output in dollars for a million tokens.';

/** A wrong price of the past, put right by a correction on record: the answers stay as they were recorded. */
async function correct(io: Io, call: Talk['call'], flags: CostsFlags): Promise<ExitCode> {
  const { model, since } = flags;
  if (model === undefined || since === undefined || flags.input === undefined || flags.output === undefined)
    throw new CliError(NEEDED);
  const cached = flags.cached === undefined ? {} : { cached: priceOf('cached', flags.cached) };
  const price = { input: priceOf('input', flags.input), output: priceOf('output', flags.output), ...cached };
  const asked = { model, since: sinceOf(since, io.clock.now()), ...price };
  const done = await call<{ answers: number; before: number; after: number }>('/api/costs/correct', asked);
  if (flags.json) {
    io.out(`${JSON.stringify({ ...done, model })}\n`);
    return 0;
  }
  const answers = `${done.answers} ${done.answers === 1 ? 'answer' : 'answers'}`;
  io.out(
    `Corrected ${answers} of ${plain(model)}: ${dollars(done.before)} became ${dollars(done.after)}.\nFor future answers, set models.providers.${plain(model.replace('/', '.models.'))}.price in ruche.yaml.\n`,
  );
  return 0;
}

function priceOf(name: string, text: string): number {
  const price = Number(text);
  if (text.trim() !== '' && price >= 0 && price <= 10_000) return price;
  throw new CliError(`Invalid --${name} "${text}". Give dollars for a million tokens, such as 2.5.`);
}
