import type { JSX } from 'preact';

const PATHS = {
  plus: 'M8 3v10M3 8h10',
  send: 'M8 13V3M3.5 7.5 8 3l4.5 4.5',
  stop: 'M4.5 4.5h7v7h-7z',
  clip: 'M12.5 7 7.6 11.9a2.6 2.6 0 0 1-3.7-3.7l5.3-5.3a1.8 1.8 0 0 1 2.5 2.5L6.4 10.7a.9.9 0 0 1-1.2-1.3L9.6 5',
  copy: 'M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z',
  check: 'm3 8.5 3.2 3L13 4.5',
  close: 'm4 4 8 8M12 4l-8 8',
  back: 'M10 3 5 8l5 5',
  out: 'M6 2.5H3v11h3M6.5 8H14M11 5l3 3-3 3',
  right: 'm6 3 5 5-5 5',
  down: 'M8 3v10M3.5 8.5 8 13l4.5-4.5',
  sun: 'M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.1 1.1M11.9 11.9 13 13M13 3l-1.1 1.1M4.1 11.9 3 13',
  moon: 'M13.4 9.6A5.8 5.8 0 0 1 6.4 2.6a5.8 5.8 0 1 0 7 7z',
  half: 'M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12',
  retry: 'M13 8a5 5 0 1 1-1.6-3.7M13 2v3.2H9.8',
  chat: 'M2.5 3h11v8H8l-3 2.5V11H2.5z',
  list: 'M2.5 4h11M2.5 8h11M2.5 12h7',
  board: 'M2.5 3h3v10h-3zM6.5 3h3v7h-3zM10.5 3h3v5h-3z',
  agents: 'M8 2.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5M3 13.5c0-2.8 2.2-4.5 5-4.5s5 1.7 5 4.5',
  inbox: 'M2.5 9 4.4 3h7.2l1.9 6v4h-11zM2.5 9h3l1 1.8h3l1-1.8h3',
} as const;

/** Always beside a name that screen readers read. */
export const Icon = ({ of }: { of: keyof typeof PATHS }): JSX.Element => (
  <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
    <path d={PATHS[of]} />
  </svg>
);

export const Mark = (): JSX.Element => (
  <svg class="mark" viewBox="0 0 32 32" width="22" height="22" aria-hidden="true" focusable="false">
    <path class="mark-cell" d="M16 2.5 28 9.3v13.4L16 29.5 4 22.7V9.3z" />
    <path class="mark-hole" d="m16 9.5 6 3.4v6.4l-6 3.4-6-3.4v-6.4z" />
  </svg>
);
