import type { JSX } from 'preact';
import { useSignal } from '@preact/signals';
import { messageOf } from '../lib/api.ts';
import { useApp } from '../stores/app.ts';
import { Plain } from './small.tsx';

/** Does something with the gateway; says what went wrong beside the button, and brings the inbox up to date. */
export function useAct(): {
  /** True if it was done. */
  act: (what: () => Promise<unknown>, said: string) => Promise<boolean>;
  trouble: JSX.Element | null;
} {
  const { inbox, spoken } = useApp();
  const trouble = useSignal('');
  return {
    async act(what, said) {
      let why = '';
      try {
        await what();
        spoken.value = said;
      } catch (error) {
        why = messageOf(error);
      }
      trouble.value = why;
      await inbox.refresh();
      return why === '';
    },
    trouble:
      trouble.value === '' ? null : (
        <p class="bad" role="alert">
          <Plain text={trouble.value} />
        </p>
      ),
  };
}
