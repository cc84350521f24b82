import type { BudgetState, CostDesk, CostReport, CostRow, CostsBy, PriceCorrection } from '../core/api/costs.ts';
import { costBy, type Spender, spansAt } from '../core/budget.ts';
import { runOfStream } from '../core/ids.ts';
import type { Spend } from '../core/ports/spend.ts';
import { wallOf, windowAt } from '../core/time/wall.ts';
import { CALL_TYPES, callsOf, eventsSince, type PastCall } from './calls.ts';
import type { SpendDeps } from './spending.ts';

const DAY = 86_400_000;
/** Days of the chart. */
const DAYS = 30;
const TYPES = [...CALL_TYPES, 'run.finished'] as const;

type CostsDeps = Pick<SpendDeps, 'store' | 'clock' | 'governance' | 'zone'> & {
  spend: Pick<Spend, 'ofRun' | 'sums'>;
};

/** Calls since a moment but for those that may be under way, the oldest first. */
async function pastCalls(store: CostsDeps['store'], from: number): Promise<PastCall[]> {
  const events = await eventsSince(store, { types: TYPES, from });
  return callsOf(events).filter(({ open }) => !open);
}

const emptyRow = (name: string): CostRow => ({
  name,
  usd: 0,
  calls: 0,
  input: 0,
  cached: 0,
  output: 0,
  unpriced: 0,
});

function add(row: CostRow, { event, usd, unpriced }: PastCall): void {
  row.usd += usd;
  row.calls += 1;
  row.unpriced += unpriced ? 1 : 0;
  if (event.type !== 'model.answered') return;
  const { input, output, cacheRead } = event.data.usage;
  row.input += input;
  row.cached += Math.min(cacheRead, input);
  row.output += output;
}

const agentOf = ({ actor }: PastCall['event']): string => actor.replace(/^agent:/, '');

/** What the network costs and may cost, by the record. */
export function openCosts({ store, clock, governance, zone, spend }: CostsDeps): CostDesk {
  const wall = wallOf(zone);
  const dayOf = (at: number): string => spansAt(wall().at(at)).day.slice('day:'.length);
  const nameOf = async (by: CostsBy, each: PastCall): Promise<string> => {
    const { event } = each;
    if (by === 'model') return `${event.data.provider}/${event.data.model}`;
    if (by === 'day') return dayOf(event.at);
    if (by === 'agent' || by === 'queue') return agentOf(event);
    const run = runOfStream(event.stream);
    const spender = run === null ? null : await spend.ofRun(run);
    return by === 'task' ? (spender?.root ?? 'no task') : (spender?.person ?? 'no person');
  };
  return {
    async report({ by, since }): Promise<CostReport> {
      const now = clock.now();
      const month = windowAt('month', now, wall());
      const from = since ?? month.from;
      const all = await pastCalls(store, Math.min(from, month.from, now - DAYS * DAY));
      const rows = new Map<string, CostRow>();
      const total = emptyRow('all');
      const days = new Map(Array.from({ length: DAYS }, (_, back) => [dayOf(now - (DAYS - 1 - back) * DAY), 0]));
      let thisMonth = 0;
      for (const each of all) {
        const { at } = each.event;
        const day = dayOf(at);
        if (days.has(day)) days.set(day, (days.get(day) ?? 0) + each.usd);
        if (at >= month.from) thisMonth += each.usd;
        if (at < from) continue;
        const name = await nameOf(by, each);
        const row = rows.get(name) ?? emptyRow(name);
        rows.set(name, row);
        add(row, each);
        add(total, each);
      }
      const gone = Math.max(1, now - month.from);
      const sorted = [...rows.values()].sort((a, b) => (by === 'day' ? a.name.localeCompare(b.name) : b.usd - a.usd));
      return {
        by,
        since: from,
        sinceDay: dayOf(from),
        until: now,
        rows: sorted,
        total,
        month: { usd: thisMonth, projected: (thisMonth / gone) * (month.to - month.from) },
        days: [...days].map(([day, usd]) => ({ day, usd })),
        budgets: await budgetsOf(governance(), spend),
      };
    },
    async correct({ model, since, price }: PriceCorrection, by) {
      const concerned = (await pastCalls(store, since)).filter(
        ({ event }) => event.type === 'model.answered' && `${event.data.provider}/${event.data.model}` === model,
      );
      if (concerned.length === 0) return null;
      const before = concerned.reduce((sum, { usd }) => sum + usd, 0);
      const after = concerned.reduce(
        (sum, { event }) => sum + (event.type === 'model.answered' ? costBy(price, event.data.usage) : 0),
        0,
      );
      const event = { type: 'price.corrected' as const, data: { model, since, price } };
      const place = { stream: 'prices', actor: by, cause: null, labels: [] };
      await store.commit({ events: [{ ...event, ...place }], sync: true });
      return { answers: concerned.length, before, after };
    },
  };
}

/** Each limit that holds for agents, for the network and for people who are named. */
async function budgetsOf(
  { agents, settings }: ReturnType<CostsDeps['governance']>,
  spend: CostsDeps['spend'],
): Promise<BudgetState[]> {
  const nobody = { agent: '', task: null, root: null, conversation: null, person: null };
  const people = Object.keys(settings.budget?.people ?? {}).filter((name) => name !== 'others');
  const spenders: Spender[] = [
    nobody,
    ...[...agents.keys()].map((agent) => ({ ...nobody, agent })),
    ...people.map((person) => ({ ...nobody, person })),
  ];
  const sums = await spend.sums(spenders);
  return sums.map(({ account: { scope, meter, window, limit }, spent }) => ({
    scope,
    meter,
    window,
    limit,
    spent,
  }));
}
