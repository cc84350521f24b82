import type { JSX } from 'preact';
import { useLayoutEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { allWork, type Route } from '../lib/route.ts';
import { useApp } from '../stores/app.ts';
import { Dialog } from './dialog.tsx';

const KEYS: readonly { key: string; does: string; to?: Route }[] = [
  { key: 'n', does: 'New chat', to: { name: 'home' } },
  { key: 'w', does: 'Work', to: allWork() },
  { key: 'b', does: 'Board', to: { name: 'board', agent: '' } },
  { key: 'a', does: 'Agents', to: { name: 'agents' } },
  { key: 'i', does: 'Inbox', to: { name: 'inbox' } },
  { key: 'm', does: 'Models and keys', to: { name: 'models' } },
  { key: 'c', does: 'Costs', to: { name: 'costs' } },
  { key: '/', does: 'Go to the message field or the search' },
  { key: '?', does: 'Show this list' },
  { key: 'Enter', does: 'Send the message; Shift+Enter starts a new line' },
  { key: 'Esc', does: 'Close a dialog, leave the message field' },
];

/** Keys of one letter disturb those who speak to their computer: they can be switched off. */
export function useShortcuts(): { open: () => void; dialog: JSX.Element | null } {
  const { settings, router } = useApp();
  const shown = useSignal(false);
  const on = useSignal(settings.read('shortcuts') !== 'off');
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') return escape();
      if (!on.value || event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
      if (event.key === '?') shown.value = true;
      else if (event.key === '/') document.querySelector<HTMLElement>('#composer, #search')?.focus();
      else {
        const to = KEYS.find((each) => each.key === event.key)?.to;
        if (!to || shown.value) return;
        router.go(to);
      }
      event.preventDefault();
    };
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, []);
  const close = (): void => {
    shown.value = false;
  };
  const toggle = (checked: boolean): void => {
    on.value = checked;
    settings.write('shortcuts', checked ? null : 'off');
  };
  return {
    open: () => (shown.value = true),
    dialog: shown.value ? <Help close={close} on={on.value} toggle={toggle} /> : null,
  };
}

function Help(props: { close: () => void; on: boolean; toggle: (on: boolean) => void }): JSX.Element {
  return (
    <Dialog title="Keyboard shortcuts" close={props.close}>
      <dl class="keys">
        {KEYS.map(({ key, does }) => (
          <div>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input type="checkbox" checked={props.on} onChange={(event) => props.toggle(event.currentTarget.checked)} />
        Use single-key shortcuts
      </label>
    </Dialog>
  );
}

/** Leaves a field, so that the keys of the page work again; a dialog closes by itself. */
function escape(): void {
  const { activeElement } = document;
  if (activeElement instanceof HTMLElement && isTyping(activeElement)) activeElement.blur();
}

const isTyping = (element: EventTarget | null): boolean =>
  element instanceof HTMLElement && element.matches('input:not([type=checkbox]):not([type=radio]), textarea, select');
