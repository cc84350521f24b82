import type { JSX } from 'preact';
import { useApp } from '../stores/app.ts';
import type { Notices } from '../stores/notices.ts';
import { useAct } from './act.tsx';
import { Dialog } from './dialog.tsx';
import { Button } from './small.tsx';

const NOTICES: Readonly<Record<Notices['state']['value'], string>> = {
  none: 'This browser shows notifications only for pages of this machine or over HTTPS.',
  refused: 'Notifications are blocked in the settings of this browser.',
  off: 'Be notified of approvals and questions while no tab of Ruche is in view.',
  on: 'You are notified of approvals and questions while no tab of Ruche is in view.',
};

/** What concerns this browser alone: its notifications, and its login. */
export function Account({ close }: { close: () => void }): JSX.Element {
  const { api, session, notices } = useApp();
  const { act, trouble } = useAct();
  const state = notices.state.value;
  const logout = (): Promise<unknown> =>
    act(async () => {
      await api.logout();
      session.value = 'out';
    }, 'Logged out');
  return (
    <Dialog title="This browser" close={close}>
      <h3 class="section-title">Notifications</h3>
      <p>{NOTICES[state]}</p>
      {state === 'off' && <Button onClick={notices.turnOn}>Turn on notifications</Button>}
      {state === 'on' && <Button onClick={notices.turnOff}>Turn off notifications</Button>}
      <h3 class="section-title">Login</h3>
      <p>
        This browser is logged in for 30 days. To come back after logging out you need a new link:{' '}
        <code>ruche login</code>.
      </p>
      {trouble}
      <p>
        <Button onClick={logout}>Log out of this browser</Button>
      </p>
    </Dialog>
  );
}
