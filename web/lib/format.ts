const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const near = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const year = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const whole = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'long' });

export const timeOfDay = (at: number): string => clock.format(at);
export const exactTime = (at: number): string => whole.format(at);

/** How long ago, as short as it can be without misleading. */
export function timeAgo(at: number, now: number): string {
  const past = now - at;
  if (past < 45_000) return 'just now';
  if (past < HOUR) return near.format(-Math.max(1, Math.round(past / MINUTE)), 'minute');
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (at >= midnight) return clock.format(at);
  if (at >= midnight - DAY) return `yesterday ${clock.format(at)}`;
  return past < 300 * DAY ? day.format(at) : year.format(at);
}

/** How far away, forwards or back. */
export function away(at: number, now: number): string {
  const ms = at - now;
  const [size, unit] =
    Math.abs(ms) < HOUR - MINUTE / 2
      ? ([MINUTE, 'minute'] as const)
      : Math.abs(ms) < 2 * DAY
        ? ([HOUR, 'hour'] as const)
        : ([DAY, 'day'] as const);
  return near.format(Math.round(ms / size), unit);
}

/** `tomorrow 08:15 Europe/Paris`: by the clock of a zone, which it names. */
export function clockIn(timeZone: string, at: number, now: number): string {
  const dayOf = (time: number): string =>
    new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeZone }).format(time);
  const days = Math.round((Date.parse(dayOf(at)) - Date.parse(dayOf(now))) / DAY);
  const time = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone }).format(at);
  const date = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', timeZone });
  const which = days === 0 ? 'today' : days === 1 ? 'tomorrow' : date.format(at).replace(',', '');
  return `${which} ${time} ${timeZone}`;
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.round(ms / 1_000)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ${Math.round((ms % MINUTE) / 1_000)} s`;
  return `${Math.floor(ms / HOUR)} h ${Math.round((ms % HOUR) / MINUTE)} min`;
}

/** '' for nothing: a demo and a model of one's own cost nothing worth a line. `unpriced`: part of it has no known price. */
export function money(usd: number, unpriced = false): string {
  if (unpriced) return usd <= 0 ? 'cost unknown' : `at least ${money(usd)}`;
  if (usd <= 0) return '';
  if (usd < 0.0001) return 'under $0.0001';
  return `$${usd.toFixed(usd < 0.01 ? 4 : 2)}`;
}

export function count(value: number): string {
  if (value < 1_000) return String(value);
  if (value < 10_000) return `${(value / 1_000).toFixed(1)} k`;
  return value < 1_000_000 ? `${Math.round(value / 1_000)} k` : `${(value / 1_000_000).toFixed(1)} M`;
}

export const bytes = (value: number): string =>
  value < 1_000
    ? `${value} B`
    : value < 1_000_000
      ? `${Math.round(value / 1_000)} kB`
      : `${(value / 1e6).toFixed(1)} MB`;

export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${value.toLocaleString('en')} ${value === 1 ? one : many}`;

/** The first line, no longer than it takes to know what it is about. */
export function brief(text: string, most = 120): string {
  const line = text.trim().split('\n', 1)[0] ?? '';
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
