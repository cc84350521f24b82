/** A calendar of events given as lines; parts of their own go before them. */
export const ics = (...events: readonly (readonly string[])[]): Buffer => withParts([], ...events);

export function withParts(parts: readonly string[], ...events: readonly (readonly string[])[]): Buffer {
  const bodies = events.flatMap((lines) => ['BEGIN:VEVENT', ...lines, 'END:VEVENT']);
  return Buffer.from(
    ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//test//EN', ...parts, ...bodies, 'END:VCALENDAR', ''].join('\r\n'),
  );
}
