import type { JSX } from 'preact';
import { useSignal } from '@preact/signals';
import { messageOf } from '../lib/api.ts';
import { useApp } from '../stores/app.ts';
import { Plain } from './small.tsx';

/** Does something with the gateway; says what went wrong beside the button, and brings the inbox up to date. */
export function useAct(): {
  act: (what: () => Promise<unknown>, said: string) => Promise<void>;
  trouble: JSX.Element | null;
} {
  const { inbox, spoken } = useApp();
  const trouble = useSignal('');
  return {
    async act(what, said) {
      try {
        await what();
        trouble.value = '';
        spoken.value = said;
      } catch (error) {
        trouble.value = messageOf(error);
      }
      await inbox.refresh();
    },
    trouble:
      trouble.value === '' ? null : (
        <p class="bad" role="alert">
          <Plain text={trouble.value} />
        </p>
      ),
  };
}
