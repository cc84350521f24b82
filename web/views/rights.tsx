import type { JSX } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { useSignal, type Signal } from '@preact/signals';
import type { Explanation, Place, Right, RightsKind, Spoken } from '../../src/core/api/policy.ts';
import type { Verdict } from '../../src/core/event.ts';
import type { Label } from '../../src/core/labels.ts';
import { messageOf } from '../lib/api.ts';
import { href } from '../lib/route.ts';
import { Await, Plain } from '../parts/small.tsx';
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
            <h2>What it may do</h2>
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

const MARKS: Readonly<Record<Verdict, { words: string; state: string }>> = {
  allow: { words: 'Allowed', state: 'answered' },
  ask: { words: 'Asks', state: 'waiting' },
  deny: { words: 'Denied', state: 'failed' },
};

const VerdictMark = ({ of }: { of: Verdict }): JSX.Element => (
  <span class={`state state-${MARKS[of].state}`}>
    <span class="dot" aria-hidden="true" />
    {MARKS[of].words}
  </span>
);

const PlaceOf = ({ place }: { place: Place | null }): JSX.Element | null =>
  place === null ? null : (
    <code class="place">
      {place.file}
      {place.line !== null && `:${place.line}`}
    </code>
  );

interface Fields {
  tool: Signal<string>;
  text: Signal<string>;
  sender: Signal<string>;
  labels: Signal<readonly Label[]>;
}

/** A form in the place of a call: nothing happens but that the rules are asked. */
function Simulator({ agent, tools }: { agent: string; tools: readonly string[] }): JSX.Element {
  const { api } = useApp();
  const fields: Fields = {
    tool: useSignal(tools[0] ?? ''),
    text: useSignal(''),
    sender: useSignal(''),
    labels: useSignal<readonly Label[]>([]),
  };
  const busy = useSignal(false);
  const told = useSignal<Explanation | string | null>(null);
  const ask = async (): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    const sender = fields.sender.value.trim();
    try {
      told.value = await api.explain({
        agent,
        call: `${fields.tool.value}: ${fields.text.value}`,
        labels: fields.labels.value,
        ...(sender === '' ? {} : { sender }),
      });
    } catch (error) {
      told.value = messageOf(error);
    }
    busy.value = false;
  };
  return (
    <section class="card setup" aria-labelledby="simulator-title">
      <h2 id="simulator-title">What if…</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <CallFields fields={fields} tools={tools} />
        <div class="row">
          <button type="submit" class="button primary" aria-busy={busy.value}>
            Ask the rules
          </button>
        </div>
      </form>
      <div role="status" aria-live="polite">
        {typeof told.value === 'string' ? (
          <p class="bad">
            <Plain text={told.value} />
          </p>
        ) : (
          told.value !== null && <Told of={told.value} />
        )}
      </div>
      <p class="quiet">Nothing happens and nothing is recorded.</p>
    </section>
  );
}

const LABELS: readonly { label: Label; words: string }[] = [
  { label: 'untrusted', words: 'It has read text from outside' },
  { label: 'private', words: 'It has read private data' },
];

const CallFields = ({ fields, tools }: { fields: Fields; tools: readonly string[] }): JSX.Element => (
  <>
    <p class="field">
      <label for="policy-tool">Tool</label>
      <select
        id="policy-tool"
        value={fields.tool}
        onChange={(event) => void (fields.tool.value = event.currentTarget.value)}
      >
        {tools.map((tool) => (
          <option value={tool}>{tool}</option>
        ))}
      </select>
    </p>
    <p class="field">
      <label for="policy-text">Command, URL, path, or who is told what; or JSON</label>
      <input
        id="policy-text"
        autocomplete="off"
        value={fields.text}
        onInput={(event) => void (fields.text.value = event.currentTarget.value)}
      />
    </p>
    <p class="field">
      <label for="policy-sender">Who gave the work (you, unless given)</label>
      <input
        id="policy-sender"
        autocomplete="off"
        placeholder="agent:NAME"
        value={fields.sender}
        onInput={(event) => void (fields.sender.value = event.currentTarget.value)}
      />
    </p>
    <fieldset class="kinds">
      <legend class="unseen">What the run has read</legend>
      {LABELS.map(({ label, words }) => (
        <label>
          <input
            type="checkbox"
            checked={fields.labels.value.includes(label)}
            onChange={({ currentTarget: { checked } }) => {
              const others = fields.labels.value.filter((each) => each !== label);
              fields.labels.value = checked ? [...others, label] : others;
            }}
          />
          {words}
        </label>
      ))}
    </fieldset>
  </>
);

function Told({ of: { decision, others, nearly, otherwise, landing } }: { of: Explanation }): JSX.Element {
  return (
    <>
      <p>
        <VerdictMark of={decision.verdict} /> <b>{decision.rule}</b>
        <PlaceOf place={decision.place} />
      </p>
      <p>
        <Plain text={decision.reason} />
      </p>
      <Voices title="Also spoke" list={others} />
      <Voices title="Nearly spoke" list={nearly.map((each) => ({ ...each, reason: each.because }))} />
      {otherwise.length > 0 && (
        <>
          <h3 class="section-title">It would be</h3>
          <ul class="rules">
            {otherwise.map(({ verdict, what, yaml }) => (
              <li>
                <VerdictMark of={verdict} /> <Plain text={what} />
                {yaml !== undefined && (
                  <pre class="yaml">
                    <Plain text={yaml} />
                  </pre>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
      {landing.map((line) => (
        <p class="note">
          <Plain text={line} />
        </p>
      ))}
    </>
  );
}

const Voices = ({ title, list }: { title: string; list: readonly Spoken[] }): JSX.Element | null =>
  list.length === 0 ? null : (
    <>
      <h3 class="section-title">{title}</h3>
      <ul class="rules">
        {list.map(({ verdict, rule, place, reason }) => (
          <li>
            <VerdictMark of={verdict} /> {rule}
            <PlaceOf place={place} />
            <p class="quiet">
              <Plain text={reason} />
            </p>
          </li>
        ))}
      </ul>
    </>
  );
