import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { Mark } from '../parts/icons.tsx';
import { Code } from '../parts/markdown.tsx';
import { useApp } from '../stores/app.ts';

/** Goes away by itself once this browser is logged in by another tab. */
export function LoggedOut(): JSX.Element {
  const { enter, outgoing } = useApp();
  useEffect(() => {
    const look = (): void => {
      if (document.visibilityState === 'visible') void enter();
    };
    addEventListener('focus', look);
    document.addEventListener('visibilitychange', look);
    return () => {
      removeEventListener('focus', look);
      document.removeEventListener('visibilitychange', look);
    };
  }, []);
  const kept = outgoing.list.value.some(({ state }) => state === 'waiting');
  return (
    <main class="page narrow logged-out" id="main">
      <Mark />
      <h1>You are not logged in</h1>
      <p>
        Open the link that <code>ruche up</code> (or <code>npm start</code>) printed when it started. It works once,
        within ten minutes, and keeps this browser logged in.
      </p>
      {kept && <p>What you wrote is kept in this tab, and sent once you are logged in again.</p>}
      <p>Already used or expired? Print a new one on the machine where Ruche runs:</p>
      <Code text="npx ruche login" />
    </main>
  );
}
