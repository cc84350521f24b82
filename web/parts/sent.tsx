import type { JSX } from 'preact';
import { useSignal } from '@preact/signals';
import type { NetEntry } from '../../src/core/api/views.ts';
import { messageOf } from '../lib/api.ts';
import { bytes } from '../lib/format.ts';
import { useApp } from '../stores/app.ts';
import { Ago, Plain } from './small.tsx';

/** Calls that are shown. */
const SHOWN = 20;

/** What left over the network for an agent. It is asked for when it is opened. */
export function SentOf({ agent }: { agent: string }): JSX.Element {
  const { api } = useApp();
  const sent = useSignal<readonly NetEntry[] | null>(null);
  const trouble = useSignal('');
  const load = async (): Promise<void> => {
    try {
      ({ sent: sent.value } = await api.net(agent, SHOWN));
      trouble.value = '';
    } catch (error) {
      trouble.value = messageOf(error);
    }
  };
  return (
    <details onToggle={(event) => void (event.currentTarget.open && load())}>
      <summary>Network</summary>
      {trouble.value !== '' && <p class="note trouble">The network log could not be loaded: {trouble.value}</p>}
      {sent.value?.length === 0 && <p class="quiet">Nothing was sent for {agent} yet.</p>}
      {sent.value !== null && sent.value.length > 0 && (
        <ul class="rules" aria-label={`Network log of ${agent}`}>
          {sent.value.map((each) => (
            <li key={each.id}>
              <SentLine of={each} />
            </li>
          ))}
        </ul>
      )}
    </details>
  );
}

function SentLine({ of }: { of: NetEntry }): JSX.Element {
  const { who, method, kind, host, port, bytesOut, bytesIn, outcome, calls = 1, at } = of;
  return (
    <>
      <p>
        <code>
          <Plain text={`${method ?? kind} ${host}:${port}`} />
        </code>
        {outcome !== 'ok' && <span class="trouble"> {OUTCOMES[outcome]}</span>}
      </p>
      <p class="quiet">
        <Plain text={who} />, {calls > 1 && `${calls} calls, `}
        {bytes(bytesOut)} sent, {bytes(bytesIn)} received, <Ago at={at} />
      </p>
    </>
  );
}

const OUTCOMES: Readonly<Record<NetEntry['outcome'], string>> = {
  ok: '',
  blocked: 'Refused',
  dns: 'Host not found',
  connect: 'Not reached',
  timeout: 'Timed out',
  'too-large': 'Too large',
  redirect: 'Redirect refused',
  protocol: 'Invalid answer',
  aborted: 'Stopped',
};
