const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `90s`, `15m`, `1h30m`, `2d`; null if it is nothing like that. */
export function readDuration(text: string): number | null {
  if (!/^(?:\d{1,9}[smhd])+$/.test(text)) return null;
  let ms = 0;
  for (const [, count, unit = ''] of text.matchAll(/(\d+)([smhd])/g)) ms += Number(count) * (UNITS[unit] ?? 0);
  return ms;
}

/** The same the other way round, in the largest units that fit: `1h30m`. */
export function durationText(ms: number): string {
  let left = Math.round(ms / 1000) * 1000;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = UNITS[unit] ?? 1;
    if (left >= size) text += `${Math.floor(left / size)}${unit}`;
    left %= size;
  }
  return text === '' ? '0s' : text;
}

/** As people say it: `12 s`, `5 min`, `3 h`. */
export function roughly(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** In whole words: `15 minutes`, `1 hour`, `3 days`. */
export function inWords(ms: number): string {
  const [, size, unit] = SIZES.find(([from]) => ms >= from) ?? [0, 1000, 'second'];
  const count = Math.max(0, Math.round(ms / size));
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

/** A larger unit from two of it on: 90 minutes are not 2 hours. */
const SIZES: readonly (readonly [from: number, size: number, unit: string])[] = [
  [172_800_000, 86_400_000, 'day'],
  [7_200_000, 3_600_000, 'hour'],
  [60_000, 60_000, 'minute'],
];

/** How a unit is said, and in which of the written ones it counts. */
const SAID: readonly [said: RegExp, unit: string, times: number][] = [
  [/^s(?:ec(?:ond)?s?)?$/, 's', 1],
  [/^m(?:in(?:ute)?s?)?$/, 'm', 1],
  [/^h(?:(?:ou)?rs?)?$/, 'h', 1],
  [/^d(?:ays?)?$/, 'd', 1],
  [/^w(?:eeks?)?$/, 'd', 7],
];

/** Milliseconds of a duration also as it is said: `in 2 hours`, `1 hour and 30 minutes`, `1h30m`; null if it is none. */
export function readSpan(text: string): number | null {
  const said = text
    .trim()
    .toLowerCase()
    .replace(/^in\s+/, '')
    .replace(/^an?\s+/, '1 ')
    .replaceAll(/,|\band\b/g, ' ');
  if (!/^(?:\s*\d{1,9}\s*[a-z]+)+\s*$/.test(said)) return null;
  let written = '';
  for (const [, count = '', word = ''] of said.matchAll(/(\d+)\s*([a-z]+)/g)) {
    const known = SAID.find(([name]) => name.test(word));
    if (known === undefined) return null;
    const [, unit, times] = known;
    written += `${Number(count) * times}${unit}`;
  }
  return readDuration(written);
}
