import type { JSX } from 'preact';
import { useSignal, type Signal } from '@preact/signals';
import type { Explanation, Spoken } from '../../src/core/api/policy.ts';
import type { Label } from '../../src/core/labels.ts';
import { messageOf } from '../lib/api.ts';
import { useApp } from '../stores/app.ts';
import { Plain } from './small.tsx';
import { PlaceOf, VerdictMark } from './verdict.tsx';

interface Fields {
  tool: Signal<string>;
  text: Signal<string>;
  sender: Signal<string>;
  labels: Signal<readonly Label[]>;
}

/** A form in the place of a call: nothing happens but that the rules are asked. */
export function Simulator({ agent, tools }: { agent: string; tools: readonly string[] }): JSX.Element {
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
