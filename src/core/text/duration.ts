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
