import type { JSX } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import type { Right, RightsKind } from '../../src/core/api/policy.ts';
import { href } from '../lib/route.ts';
import { Simulator } from '../parts/simulator.tsx';
import { Await, Plain } from '../parts/small.tsx';
import { PlaceOf, VerdictMark } from '../parts/verdict.tsx';
import { useApp } from '../stores/app.ts';
import { resource } from '../stores/resource.ts';

/** What an agent may do, by which line of which file; and what would be decided about a call that nobody makes. */
export function RightsView({ agent }: { agent: string }): JSX.Element {
  const { api, network } = useApp();
  const rights = useMemo(
    () => resource(async () => ({ ...(await api.rights(agent)), ...(await api.policy()) })),
    [agent],
  );
  // Another rule may govern.
  useEffect(() => network.state.subscribe(rights.changed), [rights]);
  return (
    <div class="page wide-page">
      <p>
        <a href={href({ name: 'agents' })}>Agents</a>
      </p>
      <h1>Rights of {agent}</h1>
      <Await of={rights.state} what="the rights" retry={() => void rights.refresh()}>
        {(table) => (
          <>
            <Simulator agent={agent} tools={table.tools} />
            <h2 class="rights-title">What it may do</h2>
            <p class="quiet">
              Deny wins over ask, and ask over allow. Commands run{' '}
              {table.sandboxed ? 'in a sandbox' : 'without a sandbox'}. What the agent changes in protected files asks
              you when its run lands.
            </p>
            <Table list={table.rights} />
          </>
        )}
      </Await>
    </div>
  );
}

const KINDS: Readonly<Record<RightsKind, string>> = {
  tool: 'Tools',
  path: 'Paths',
  command: 'Commands',
  host: 'Hosts',
  to: 'People',
};
const ELSEWHERE: Readonly<Record<RightsKind, string>> = {
  tool: 'any other tool',
  path: 'any other path',
  command: 'any other command',
  host: 'any other host',
  to: 'anybody else',
};

/** A table wider than a phone moves within itself, with the keyboard too. */
const Table = ({ list }: { list: readonly Right[] }): JSX.Element => (
  <div class="table-frame" role="region" aria-label="Rights" tabIndex={0}>
    <table class="rights">
      <thead>
        <tr>
          <th scope="col">Verdict</th>
          <th scope="col">What</th>
          <th scope="col">By tool</th>
          <th scope="col">Rule</th>
          <th scope="col">Reason</th>
        </tr>
      </thead>
      {(Object.keys(KINDS) as RightsKind[]).map((kind) => {
        const rows = list.filter((each) => each.kind === kind);
        return (
          rows.length > 0 && (
            <tbody key={kind}>
              <tr>
                <th scope="rowgroup" colSpan={5}>
                  {KINDS[kind]}
                </th>
              </tr>
              {rows.map((each) => (
                <Row of={each} />
              ))}
            </tbody>
          )
        );
      })}
    </table>
  </div>
);

const Row = ({ of: { kind, what, tool, effect, when, verdict, rule, reason, place } }: { of: Right }): JSX.Element => (
  <tr>
    <td>
      <VerdictMark of={verdict} />
    </td>
    <td>
      {what === null ? (
        ELSEWHERE[kind]
      ) : (
        <code>
          <Plain text={what} />
        </code>
      )}
      {when !== '' && (
        <span class="quiet">
          {' '}
          if <Plain text={when} />
        </span>
      )}
    </td>
    <td>{tool ?? (effect === null ? 'any' : `any that may ${WORDS[effect]}`)}</td>
    <td>
      <Plain text={rule} />
      <PlaceOf place={place} />
    </td>
    <td>
      <Plain text={reason} />
    </td>
  </tr>
);

const WORDS = { read: 'read', write: 'write', send: 'send', exec: 'run commands' } as const;
