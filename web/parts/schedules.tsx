import type { JSX } from 'preact';
import type { ScheduleState } from '../../src/core/schedule.ts';
import { plural } from '../lib/format.ts';
import { href } from '../lib/route.ts';
import { useApp } from '../stores/app.ts';
import { useAct } from './act.tsx';
import { Ago, Away, Button, Plain } from './small.tsx';

interface SchedulesProps {
  list: readonly ScheduleState[];
  changed: () => void;
}

/** What an agent does by the clock. */
export const Schedules = ({ list, changed }: SchedulesProps): JSX.Element => (
  <section aria-label="Schedules">
    <h3 class="section-title">{plural(list.length, 'schedule')}</h3>
    <ul class="schedules">
      {list.map((each) => (
        <li key={each.id}>
          <Schedule of={each} changed={changed} />
        </li>
      ))}
    </ul>
  </section>
);

function Schedule({ of, changed }: { of: ScheduleState; changed: () => void }): JSX.Element {
  const { api } = useApp();
  const { act, trouble } = useAct();
  const { id, name, when, zone, does, paused, next, last } = of;
  const change = async (verb: 'run' | 'pause' | 'resume', said: string): Promise<void> => {
    await act(() => api.changeSchedule(id, verb), said);
    changed();
  };
  return (
    <>
      <p>
        <b>{name}</b> <code title={zone}>{when}</code>
      </p>
      <p class="quiet">
        <Plain text={does} />
      </p>
      <p class="quiet">
        {paused ? 'Paused' : next === null ? 'Fires no more' : 'Next '}
        {!paused && next !== null && <Away at={next} />}
        {last !== null && (
          <>
            {', last '}
            {last.task === null ? (
              <Ago at={last.at} />
            ) : (
              <a href={href({ name: 'item', task: last.task })}>
                <Ago at={last.at} />
              </a>
            )}
            {` (${last.status})`}
          </>
        )}
      </p>
      {trouble}
      <div class="row">
        <Button label={`Run ${name} now`} onClick={() => change('run', `${name} has fired`)}>
          Run now
        </Button>
        {paused ? (
          <Button label={`Resume ${name}`} onClick={() => change('resume', `${name} goes on`)}>
            Resume
          </Button>
        ) : (
          <Button label={`Pause ${name}`} onClick={() => change('pause', `${name} is paused`)}>
            Pause
          </Button>
        )}
      </div>
    </>
  );
}
