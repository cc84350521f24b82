import type { JSX } from 'preact';
import type { EscalationState } from '../../src/core/escalation.ts';
import { useApp } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';
import { useAct } from './act.tsx';
import { Ago, Away, Button, Plain } from './small.tsx';

const BECAME = { told: 'notified', unreachable: 'not reachable', denies: 'denied' } as const;

/** Who hears about what waits, and who is next: nobody further once it is acknowledged. */
export function Climb({ about }: { about: string }): JSX.Element | null {
  const { api, inbox, names } = useApp();
  const { act, trouble } = useAct();
  const of = (valueOf(inbox.state.value)?.escalations ?? []).find((each) => each.about === about);
  if (of === undefined) return null;
  return (
    <div class="note climb" role="group" aria-label={`Escalation: ${of.chain}`}>
      {of.acknowledged === null && <p class="quiet">If nobody answers:</p>}
      <ol>
        {of.levels.map((level) => (
          <li>
            <Level of={level} on={of.acknowledged === null} />
          </li>
        ))}
      </ol>
      {trouble}
      {of.acknowledged === null ? (
        <Button
          onClick={() => act(() => api.acknowledge(of.id), 'Acknowledged')}
          title="Nobody else is notified; it still waits for an answer"
        >
          Acknowledge
        </Button>
      ) : (
        <p class="quiet">
          Acknowledged by {names.value.sender(of.acknowledged.by)} <Ago at={of.acknowledged.at} />. Nobody else is
          notified.
        </p>
      )}
    </div>
  );
}

function Level({ of: { to, due, reached }, on }: { of: EscalationState['levels'][number]; on: boolean }): JSX.Element {
  return (
    <>
      <b>
        <Plain text={to} />
      </b>{' '}
      {reached === null ? (
        on ? (
          <Away at={due} />
        ) : (
          'stopped'
        )
      ) : (
        <>
          {BECAME[reached.outcome]} <Ago at={reached.at} />
          {reached.why !== null && <Plain text={`: ${reached.why}`} />}
        </>
      )}
    </>
  );
}
