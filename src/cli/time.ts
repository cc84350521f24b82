/** `2026-11-23 08:15 UTC`: by the clock of a zone, which it names. */
export const clockTime = (at: number, timeZone: string): string =>
  `${new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'short', timeZone }).format(at)} ${timeZone}`;
