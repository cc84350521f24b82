import type { JSX } from 'preact';
import { Mark } from '../parts/icons.tsx';
import { Code } from '../parts/markdown.tsx';

export const LoggedOut = (): JSX.Element => (
  <main class="page narrow logged-out" id="main">
    <Mark />
    <h1>You are not logged in</h1>
    <p>
      Open the link that <code>ruche up</code> (or <code>npm start</code>) printed when it started. It works once,
      within ten minutes, and keeps this browser logged in.
    </p>
    <p>Already used or expired? Print a new one on the machine where Ruche runs:</p>
    <Code text="npx ruche login" />
  </main>
);
