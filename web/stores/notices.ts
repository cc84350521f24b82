import { effect, signal, type ReadonlySignal } from '@preact/signals';
import type { Pending } from '../../src/core/api/runtime.ts';
import { brief } from '../lib/format.ts';
import { named } from '../lib/hidden.ts';
import type { Kept } from '../lib/stored.ts';

/** Notifications of the browser for what comes to wait while nobody looks at the page. Off until a person asks for them. */
export interface Notices {
  /** `none`: this browser has none here. */
  state: ReadonlySignal<'none' | 'off' | 'on' | 'refused'>;
  /** Asks the browser's permission: only ever after a click. */
  turnOn(): Promise<void>;
  turnOff(): void;
}

/** The lock that every tab shares while it is seen. */
const SEEN = 'ruche.seen';

export function createNotices(
  pending: ReadonlySignal<readonly Pending[] | null>,
  settings: Kept,
  open: () => void,
): Notices {
  const look = (): Notices['state']['value'] => {
    if (!('Notification' in globalThis) || !('locks' in navigator)) return 'none';
    if (Notification.permission === 'denied') return 'refused';
    return Notification.permission === 'granted' && settings.read('notices') === 'on' ? 'on' : 'off';
  };
  const state = signal(look());
  if (state.peek() !== 'none') holdWhileSeen();
  let known: ReadonlySet<string> | null = null;
  effect(() => {
    const list = pending.value;
    if (list === null) return;
    const before = known;
    known = new Set(list.map(({ id }) => id));
    // Another tab may have switched it since.
    if (before === null || look() !== 'on') return;
    for (const each of list) if (!before.has(each.id)) void tell(each, open);
  });
  return {
    state,
    async turnOn() {
      settings.write('notices', 'on');
      await Notification.requestPermission();
      state.value = look();
    },
    turnOff() {
      settings.write('notices', null);
      state.value = look();
    },
  };
}

/** Several hidden tabs tell the same thing under the same tag: the browser shows it once. */
async function tell({ id, kind, agent, text }: Pending, open: () => void): Promise<void> {
  const { held = [] } = await navigator.locks.query();
  if (held.some(({ name }) => name === SEEN)) return;
  const title = kind === 'approval' ? `${agent ?? 'Ruche'} asks for approval` : `${agent ?? 'Ruche'} waits for you`;
  const notice = shown(title, { body: named(brief(text)), tag: id });
  notice?.addEventListener('click', () => {
    window.focus();
    open();
    notice.close();
  });
}

/** Null where only a service worker may show one, as in Chrome on Android: the title of the page still counts what waits. */
function shown(title: string, options: NotificationOptions): Notification | null {
  try {
    return new Notification(title, options);
  } catch {
    return null;
  }
}

function holdWhileSeen(): void {
  let leave: (() => void) | null = null;
  const look = (): void => {
    if (document.visibilityState !== 'visible') {
      leave?.();
      leave = null;
    } else if (leave === null) {
      const { promise, resolve } = Promise.withResolvers<void>();
      leave = resolve;
      void navigator.locks.request(SEEN, { mode: 'shared' }, () => promise);
    }
  };
  document.addEventListener('visibilitychange', look);
  look();
}
