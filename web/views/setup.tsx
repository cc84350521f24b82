import type { ComponentChildren, JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { useSignal, type Signal } from '@preact/signals';
import type { ServerOffer } from '../../src/core/api/runtime.ts';
import type { SetupRequest, SetupResult } from '../../src/core/api/views.ts';
import { messageOf } from '../lib/api.ts';
import { providerOf, PROVIDERS, type KeyProvider } from '../lib/keys.ts';
import { Plain } from '../parts/small.tsx';
import { useApp } from '../stores/app.ts';
import { valueOf } from '../stores/resource.ts';

type Kind = 'key' | 'ollama' | 'url';
const KINDS: readonly { kind: Kind; label: string }[] = [
  { kind: 'key', label: 'With a key' },
  { kind: 'ollama', label: 'Ollama' },
  { kind: 'url', label: 'Another server' },
];
const OLLAMA = 'http://127.0.0.1:11434';

/** What is typed, whatever the kind. */
interface Fields {
  key: Signal<string>;
  baseUrl: Signal<string>;
  model: Signal<string>;
  provider: Signal<KeyProvider | ''>;
}

/** Gives the network a model: it is tried with one small call, and kept only if that works. */
export function Setup(): JSX.Element {
  const { api, network } = useApp();
  const kind = useSignal<Kind>('key');
  const fields: Fields = { key: useSignal(''), baseUrl: useSignal(''), model: useSignal(''), provider: useSignal('') };
  const state = useSignal<{ busy: boolean; result: SetupResult | null }>({ busy: false, result: null });
  const form = useRef<HTMLFormElement>(null);
  const offer = valueOf(network.state.value)?.status.offer ?? null;
  const submit = async (wanted = asked(kind.value, fields)): Promise<void> => {
    if (state.value.busy) return;
    state.value = { busy: true, result: null };
    const key = fields.key.value;
    const result = await tried(() => api.setup(wanted));
    state.value = { busy: false, result };
    if (result.ok) {
      // What was typed meanwhile is another key.
      if (fields.key.value === key) fields.key.value = '';
      void network.refresh();
    } else form.current?.querySelector<HTMLElement>(`[name=${result.field}]`)?.focus();
  };
  const { busy, result } = state.value;
  const wrong = (field: string): string | null =>
    result && !result.ok && result.field === field ? result.message : null;
  return (
    <section class="card setup" aria-labelledby="setup-title">
      <h2 id="setup-title">Connect a model</h2>
      {offer && <Found offer={offer} busy={busy} use={() => void submit(accepted(offer))} />}
      <form
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <Kinds kind={kind} busy={busy} changed={() => (state.value = { busy: false, result: null })} />
        {kind.value === 'key' && <KeyFields fields={fields} wrong={wrong} />}
        {kind.value === 'ollama' && (
          <>
            <Field name="baseUrl" label="Address of Ollama" of={fields.baseUrl} wrong={wrong} placeholder={OLLAMA} />
            <Field name="model" label="Model (optional: the first one by default)" of={fields.model} wrong={wrong} />
          </>
        )}
        {kind.value === 'url' && (
          <>
            <Field
              name="baseUrl"
              label="Address"
              of={fields.baseUrl}
              wrong={wrong}
              placeholder="https://models.example.org/v1"
            />
            <Field name="model" label="Model" of={fields.model} wrong={wrong} />
            <Field name="key" label="Key (optional)" of={fields.key} wrong={wrong} secret />
          </>
        )}
        <div class="row">
          <button type="submit" class="button primary" disabled={busy} aria-busy={busy}>
            {busy ? 'Testing it with one small call…' : 'Test and save'}
          </button>
        </div>
        <p role="status" aria-live="polite">
          {result?.ok && (
            <span class="good">
              It works: <b>{result.model}</b> said “<Plain text={result.said} />”
            </span>
          )}
        </p>
      </form>
      <p class="quiet">Ruche keeps the key encrypted in its home, never in the workspace, and never shows it again.</p>
    </section>
  );
}

/** Any program can listen on its port, so only the owner can say that it is theirs. */
const Found = (props: { offer: ServerOffer; busy: boolean; use: () => void }): JSX.Element => (
  <div class="row">
    <p>
      {props.offer.title} with <b>{props.offer.model}</b> answers at <code>{props.offer.baseUrl}</code>. Use it only if
      it is yours: it will read every conversation.
    </p>
    <button type="button" class="button" disabled={props.busy} onClick={props.use}>
      Use {props.offer.title}
    </button>
  </div>
);

/** Not changed while one is tried: its answer would be shown as that of another. */
const Kinds = (props: { kind: Signal<Kind>; busy: boolean; changed: () => void }): JSX.Element => (
  <fieldset class="kinds" disabled={props.busy}>
    <legend class="unseen">Kind of model</legend>
    {KINDS.map((each) => (
      <label>
        <input
          type="radio"
          name="kind"
          checked={props.kind.value === each.kind}
          onChange={() => {
            props.kind.value = each.kind;
            props.changed();
          }}
        />
        {each.label}
      </label>
    ))}
  </fieldset>
);

function KeyFields({ fields, wrong }: { fields: Fields; wrong: (field: string) => string | null }): JSX.Element {
  const found = providerOf(fields.key.value);
  return (
    <>
      <Field name="key" label="Key" of={fields.key} wrong={wrong} secret placeholder="sk-…">
        {fields.provider.value === '' && found !== null && <span class="quiet">Looks like {PROVIDERS[found]}’s.</span>}
      </Field>
      <label class="field">
        <span>Provider</span>
        <select
          name="provider"
          value={fields.provider.value}
          onChange={(event) => {
            fields.provider.value = event.currentTarget.value as KeyProvider | '';
          }}
        >
          <option value="">
            {found === null ? 'Detected from the key' : `Detected from the key: ${PROVIDERS[found]}`}
          </option>
          {Object.entries(PROVIDERS).map(([name, label]) => (
            <option value={name}>{label}</option>
          ))}
        </select>
      </label>
      <details class="more">
        <summary>Other model or address</summary>
        <Field name="model" label="Model" of={fields.model} wrong={wrong} />
        <Field name="baseUrl" label="Address" of={fields.baseUrl} wrong={wrong} placeholder="https://…" />
      </details>
    </>
  );
}

function Field(props: {
  name: string;
  label: string;
  of: Signal<string>;
  wrong: (field: string) => string | null;
  secret?: boolean;
  placeholder?: string;
  children?: ComponentChildren;
}): JSX.Element {
  const message = props.wrong(props.name);
  const id = `setup-${props.name}`;
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <input
        id={id}
        name={props.name}
        {...(props.secret ? { type: 'password' } : { type: 'text' })}
        value={props.of.value}
        placeholder={props.placeholder}
        autoComplete="off"
        autoCapitalize="off"
        spellcheck={false}
        aria-invalid={message !== null}
        aria-describedby={`${id}-about`}
        onInput={(event) => {
          props.of.value = event.currentTarget.value;
        }}
      />
      <span id={`${id}-about`} aria-live="polite">
        {props.children}
        {message !== null && (
          <span class="bad">
            <Plain text={message} />
          </span>
        )}
      </span>
    </div>
  );
}

/** What the owner says yes to. */
const accepted = ({ kind, baseUrl, model }: ServerOffer): SetupRequest => ({ kind, baseUrl, model });

function asked(kind: Kind, { key, baseUrl, model, provider }: Fields): SetupRequest {
  const [k, url, name] = [key, baseUrl, model].map((each) => each.value.trim()) as [string, string, string];
  const more = name === '' ? {} : { model: name };
  if (kind === 'ollama') return { kind, baseUrl: url === '' ? OLLAMA : url, ...more };
  if (kind === 'url') return { kind, baseUrl: url, model: name, ...(k === '' ? {} : { key: k }) };
  const whose = provider.value === '' ? (providerOf(k) ?? 'openai') : provider.value;
  return { kind, provider: whose, key: k, ...more, ...(url === '' ? {} : { baseUrl: url }) };
}

async function tried(ask: () => Promise<SetupResult>): Promise<SetupResult> {
  try {
    return await ask();
  } catch (error) {
    return { ok: false, field: 'key', message: messageOf(error) };
  }
}
