import type { JSX } from 'preact';
import type { Place } from '../../src/core/api/policy.ts';
import type { Verdict } from '../../src/core/event.ts';

const MARKS: Readonly<Record<Verdict, { words: string; state: string }>> = {
  allow: { words: 'Allowed', state: 'answered' },
  ask: { words: 'Asks', state: 'waiting' },
  deny: { words: 'Denied', state: 'failed' },
};

export const VerdictMark = ({ of }: { of: Verdict }): JSX.Element => (
  <span class={`state state-${MARKS[of].state}`}>
    <span class="dot" aria-hidden="true" />
    {MARKS[of].words}
  </span>
);

export const PlaceOf = ({ place }: { place: Place | null }): JSX.Element | null =>
  place === null ? null : (
    <>
      {' '}
      <code class="place">
        {place.file}
        {place.line !== null && `:${place.line}`}
      </code>
    </>
  );
