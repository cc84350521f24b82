import type { ComponentChildren, JSX } from 'preact';
import { useComputed } from '@preact/signals';
import { clockIn } from '../lib/format.ts';
import { href } from '../lib/route.ts';
import { useApp } from '../stores/app.ts';
import { useAct } from './act.tsx';
import { Ago, Away, Button, Plain } from './small.tsx';

/** What happens by itself: a schedule, or a trigger. */
export interface Rule {
  id: string;
  name: string;
  /** When it fires, in the words of its file, and what else there is to say of that. */
  when: string;
  hint: string;
  does: string;
  paused: boolean;
  /** Whose clock decides; undefined for what no clock does. */
  zone?: string;
  /** Null: never again; undefined: nobody can tell. */
  next?: number | null;
  last: { at: number; task: string | null; status: string } | null;
}

interface RulesProps {
  title: string;
  agent: string;
  list: readonly Rule[];
  change: (id: string, verb: 'run' | 'pause' | 'resume') => Promise<unknown>;
  changed: () => Promise<void>;
  /** False: it cannot be had to fire without being told of what. */
  runs: boolean;
}

export const Rules = ({ title, list, ...rest }: RulesProps): JSX.Element | null =>
  list.length === 0 ? null : (
    <section aria-label={`${title} of ${rest.agent}`}>
      <h3 class="section-title">
        {title} <span class="quiet">{list.length}</span>
      </h3>
      <List list={list.slice(0, SHOWN)} {...rest} />
      {list.length > SHOWN && (
        <details>
          <summary>{list.length - SHOWN} more</summary>
          <List list={list.slice(SHOWN)} {...rest} />
        </details>
      )}
    </section>
  );

/** What is not folded away. */
const SHOWN = 3;

const List = ({ list, ...rest }: Omit<RulesProps, 'title'>): JSX.Element => (
  <ul class="rules">
    {list.map((each) => (
      <li key={each.id}>
        <RuleLine of={each} {...rest} />
      </li>
    ))}
  </ul>
);

function RuleLine({ of, change, changed, runs }: Omit<RulesProps, 'title' | 'list'> & { of: Rule }): JSX.Element {
  const { act, trouble } = useAct();
  const { id, name, when, hint, does, paused } = of;
  const press = async (verb: 'run' | 'pause' | 'resume', said: string): Promise<void> => {
    await act(() => change(id, verb), said);
    await changed();
  };
  return (
    <>
      <p>
        <b>{name}</b>{' '}
        <code title={hint}>
          <Plain text={when} />
        </code>
      </p>
      <p class="quiet">
        <Plain text={does} />
      </p>
      <p class="quiet">
        <Next of={of} /> <Last of={of} />
      </p>
      {trouble}
      <div class="row">
        {runs && (
          <Button label={`Run now: ${name}`} onClick={() => press('run', `${name} fired`)}>
            Run now
          </Button>
        )}
        {paused ? (
          <Button label={`Resume ${name}`} onClick={() => press('resume', `${name} is resumed`)}>
            Resume
          </Button>
        ) : (
          <Button label={`Pause ${name}`} onClick={() => press('pause', `${name} is paused`)}>
            Pause
          </Button>
        )}
      </div>
    </>
  );
}

function Next({ of: { paused, next, zone } }: { of: Rule }): ComponentChildren {
  if (paused) return 'Paused.';
  if (next === undefined) return null;
  return next === null ? (
    'Never fires again.'
  ) : (
    <>
      Next <Away at={next} />
      {zone !== undefined && <Clock at={next} zone={zone} />}.
    </>
  );
}

/** `, tomorrow 08:15 Europe/Paris`. */
function Clock({ at, zone }: { at: number; zone: string }): JSX.Element {
  const { now } = useApp();
  const text = useComputed(() => clockIn(zone, at, now.value));
  return <>, {text}</>;
}

function Last({ of: { last } }: { of: Rule }): ComponentChildren {
  if (last === null) return 'It has not fired yet.';
  const at = <Ago at={last.at} />;
  const { task, status } = last;
  return (
    <>
      Last {task === null ? at : <a href={href({ name: 'item', task })}>{at}</a>} ({status}).
    </>
  );
}
