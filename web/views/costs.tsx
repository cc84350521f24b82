import type { JSX } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { BudgetState, CostReport, CostRow, CostsBy } from '../../src/core/api/costs.ts';
import { count, money, plural } from '../lib/format.ts';
import { Await, Empty, Plain } from '../parts/small.tsx';
import { useApp } from '../stores/app.ts';
import { resource } from '../stores/resource.ts';

const BY: readonly CostsBy[] = ['agent', 'model', 'task', 'day', 'person', 'queue'];

/** What was spent this month and by whom, what it comes to, and what is left of each budget. */
export function CostsView(): JSX.Element {
  const { api, network } = useApp();
  const by = useSignal<CostsBy>('agent');
  const costs = useMemo(() => resource(() => api.costs(by.value)), []);
  useEffect(() => network.state.subscribe(costs.changed), []);
  useEffect(() => by.subscribe(() => void costs.refresh()), []);
  return (
    <div class="page">
      <h1>Costs</h1>
      <Await of={costs.state} what="the costs" retry={() => void costs.refresh()}>
        {(report) => (
          <>
            <p>
              <b>{money(report.month.usd) || '$0'}</b> so far this month
              {report.month.usd > 0 && `, ${money(report.month.projected)} projected`}.
            </p>
            <Days days={report.days} />
            <Budgets list={report.budgets} />
            <label class="quiet">
              This month by{' '}
              <select value={by.value} onChange={({ currentTarget }) => (by.value = currentTarget.value as CostsBy)}>
                {BY.map((each) => (
                  <option value={each}>{each}</option>
                ))}
              </select>
            </label>
            <Rows of={report} />
          </>
        )}
      </Await>
    </div>
  );
}

/** Height and width of the chart, in its own units; a bar is one day. */
const [HIGH, WIDE] = [60, 10];

function Days({ days }: { days: CostReport['days'] }): JSX.Element | null {
  const most = Math.max(...days.map(({ usd }) => usd));
  if (most <= 0) return null;
  const sum = days.reduce((total, { usd }) => total + usd, 0);
  return (
    <figure class="chart">
      <svg
        viewBox={`0 0 ${days.length * WIDE} ${HIGH}`}
        role="img"
        aria-label={`The last ${days.length} days: ${money(sum)} in all, ${money(most)} on the dearest day`}
      >
        {days.map(({ day, usd }, at) => {
          const height = Math.max(usd > 0 ? 1 : 0, (usd / most) * (HIGH - 2));
          return (
            <rect x={at * WIDE + 1} y={HIGH - height} width={WIDE - 2} height={height}>
              <title>{`${day}: ${money(usd)}`}</title>
            </rect>
          );
        })}
      </svg>
      <figcaption class="quiet">
        {days[0]?.day} to {days.at(-1)?.day}, at most {money(most)} a day
      </figcaption>
    </figure>
  );
}

const UNITS = { tokens: 'tokens', calls: 'calls', toolSeconds: 'seconds of tools', bytesOut: 'bytes out' } as const;

const amount = (meter: BudgetState['meter'], value: number): string =>
  meter === 'usd' ? money(value) || '$0' : `${count(Math.round(value))} ${UNITS[meter]}`;

function Budgets({ list }: { list: readonly BudgetState[] }): JSX.Element | null {
  if (list.length === 0) return null;
  return (
    <>
      <h2>Budgets</h2>
      <ul class="cards">
        {list.map(({ scope, meter, window, limit, spent }) => (
          <li class="card">
            <Plain text={`${scope.replace(':', ' ')}, ${window}`} />
            <p class={spent >= limit ? 'bad' : 'quiet'}>
              {amount(meter, spent)} of {amount(meter, limit)}, {amount(meter, Math.max(0, limit - spent))} left
            </p>
            <progress max={Math.max(limit, Number.MIN_VALUE)} value={Math.min(spent, limit)} aria-label="Spent" />
          </li>
        ))}
      </ul>
    </>
  );
}

function Rows({ of: { rows } }: { of: CostReport }): JSX.Element {
  if (rows.length === 0) return <Empty title="Nothing spent this month" />;
  return (
    <ul class="cards">
      {rows.map((row) => (
        <li key={row.name} class="card">
          <div class="card-head">
            <h3>
              <Plain text={row.name} />
            </h3>
            <b>{money(row.usd, row.unpriced > 0) || '$0'}</b>
          </div>
          <p class="quiet">{factsOf(row)}</p>
        </li>
      ))}
    </ul>
  );
}

function factsOf({ calls, input, cached, output }: CostRow): string {
  const share = input === 0 ? '' : `, ${Math.round((cached / input) * 100)} % cached`;
  return `${plural(calls, 'call')} · ${count(input)} tokens in${share} · ${count(output)} out`;
}
