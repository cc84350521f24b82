import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import type { EndorsementView, GrantValue, GrantView } from '../../src/core/standing.ts';
import { useApp } from '../stores/app.ts';
import { useAct } from './act.tsx';
import { Ago, Away, Button, Plain } from './small.tsx';

const valueText = (value: GrantValue): string => {
  if (value.name === '*') return 'the same in every argument';
  return 'glob' in value ? `${value.name} like ${value.glob}` : `${value.name} ${value.value}`;
};

const used = (times: number): string =>
  times === 0 ? 'Not used yet' : times === 1 ? 'Used once' : `Used ${times} times`;

/** What the person has agreed to beyond single calls, each to be taken back. Nothing where there is nothing. */
export function StandingList(): JSX.Element | null {
  const { api } = useApp();
  const grants = useSignal<readonly GrantView[]>([]);
  const endorsements = useSignal<readonly EndorsementView[]>([]);
  const load = async (): Promise<void> => {
    [grants.value, endorsements.value] = await Promise.all([api.grants(), api.endorsements()]);
  };
  const { act, trouble } = useAct();
  // The inbox says when the gateway cannot be reached.
  useEffect(() => void load().catch(() => undefined), []);
  const revoke = (what: 'grants' | 'endorsements', id: string): Promise<boolean> =>
    act(async () => {
      await api.revoke(what, id);
      await load();
    }, 'Revoked');
  if (grants.value.length + endorsements.value.length === 0) return null;
  return (
    <section class="group">
      <h2 class="section-title">Standing approvals</h2>
      {trouble}
      <ul class="cards">
        {grants.value.map((grant) => (
          <li key={grant.id} class="card">
            <p>
              <b>{grant.agent}</b> may use <b>{grant.tool}</b>:{' '}
              <Plain text={(grant.values ?? []).map(valueText).join(', ')} />
            </p>
            <p class="quiet">
              {grant.count === null ? used(grant.used) : `Used ${grant.used} of ${grant.count} times`}
              {grant.until !== null && (
                <>
                  , ends <Away at={grant.until} />
                </>
              )}
              {grant.task !== null && ', for one task'}. Given <Ago at={grant.at} />.
            </p>
            <Button onClick={() => revoke('grants', grant.id)}>Revoke</Button>
          </li>
        ))}
        {endorsements.value.map((each) => (
          <li key={each.id} class="card">
            <p>
              You vouch for the {each.kind}{' '}
              <code>
                <Plain text={each.value ?? '(erased)'} />
              </code>
              {each.name !== null && ` as ${each.name}`}
            </p>
            <p class="quiet">
              {used(each.used)}
              {each.sources.length > 0 && (
                <>
                  , from <Plain text={each.sources.map(({ what }) => what).join(', ')} />
                </>
              )}
              . Given <Ago at={each.at} />.
            </p>
            <Button onClick={() => revoke('endorsements', each.id)}>Revoke</Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
