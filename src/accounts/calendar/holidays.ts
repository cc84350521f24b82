/**
 * Public holidays that hold in a whole country, as its laws have them in 2026; regions have more. A table of our own: the
 * package that knows the world (date-holidays) brings 43 MB. `12-25` is a date, `E+1` so many days from Easter Sunday,
 * `05:1:-1` the last Monday of May, `06-20>6` the first Saturday from 20 June on.
 */

const newYear = '01-01';
const christmas = '12-25';
const TABLE: Readonly<Record<string, readonly string[]>> = {
  AT: [
    newYear,
    '01-06',
    'E+1',
    '05-01',
    'E+39',
    'E+50',
    'E+60',
    '08-15',
    '10-26',
    '11-01',
    '12-08',
    christmas,
    '12-26',
  ],
  BE: [newYear, 'E+1', '05-01', 'E+39', 'E+50', '07-21', '08-15', '11-01', '11-11', christmas],
  DE: [newYear, 'E-2', 'E+1', '05-01', 'E+39', 'E+50', '10-03', christmas, '12-26'],
  DK: [newYear, 'E-3', 'E-2', 'E+1', 'E+39', 'E+50', christmas, '12-26'],
  ES: [newYear, '01-06', 'E-2', '05-01', '08-15', '10-12', '11-01', '12-06', '12-08', christmas],
  FI: [newYear, '01-06', 'E-2', 'E+1', '05-01', 'E+39', '06-20>6', '10-31>6', '12-06', christmas, '12-26'],
  FR: [newYear, 'E+1', '05-01', '05-08', 'E+39', 'E+50', '07-14', '08-15', '11-01', '11-11', christmas],
  IT: [newYear, '01-06', 'E+1', '04-25', '05-01', '06-02', '08-15', '10-04', '11-01', '12-08', christmas, '12-26'],
  LU: [newYear, 'E+1', '05-01', '05-09', 'E+39', 'E+50', '06-23', '08-15', '11-01', christmas, '12-26'],
  NL: [newYear, 'E+1', '04-27', 'E+39', 'E+50', christmas, '12-26'],
  NO: [newYear, 'E-3', 'E-2', 'E+1', '05-01', '05-17', 'E+39', 'E+50', christmas, '12-26'],
  PL: [newYear, '01-06', 'E+1', '05-01', '05-03', 'E+60', '08-15', '11-01', '11-11', '12-24', christmas, '12-26'],
  PT: [newYear, 'E-2', '04-25', '05-01', 'E+60', '06-10', '08-15', '10-05', '11-01', '12-01', '12-08', christmas],
  SE: [newYear, '01-06', 'E-2', 'E+1', '05-01', 'E+39', '06-06', '06-20>6', '10-31>6', christmas, '12-26'],
  US: [newYear, '01:1:3', '02:1:3', '05:1:-1', '06-19', '07-04', '09:1:1', '10:1:2', '11-11', '11:4:4', christmas],
};

const DAY = 86_400_000;
const weekday = (at: number): number => new Date(at).getUTCDay();

/** Easter Sunday (Gauss, as Lichtenberg mended it). */
function easter(year: number): number {
  const century = Math.floor(year / 100);
  const moon = 15 + Math.floor((3 * century + 3) / 4) - Math.floor((8 * century + 13) / 25);
  const sun = 2 - Math.floor((3 * century + 3) / 4);
  const golden = year % 19;
  const seed = (19 * golden + moon) % 30;
  const correction = Math.floor((seed + Math.floor(golden / 11)) / 29);
  const limit = 21 + seed - correction;
  const sunday = 7 - ((year + Math.floor(year / 4) + sun) % 7);
  return Date.UTC(year, 2, limit + 7 - ((((limit - sunday) % 7) + 7) % 7));
}

function dateOf(rule: string, year: number): number {
  const fromEaster = /^E([+-]\d+)$/.exec(rule)?.[1];
  if (fromEaster !== undefined) return easter(year) + Number(fromEaster) * DAY;
  const [month = 1, day = 1, nth = 1] = rule.split(/[-:>]/).map(Number);
  if (/^\d\d-\d\d$/.test(rule)) return Date.UTC(year, month - 1, day);
  if (rule.includes('>')) {
    const first = Date.UTC(year, month - 1, day);
    return first + ((nth - weekday(first) + 7) % 7) * DAY;
  }
  const [, , last] = rule.split(':');
  if (last === '-1') {
    const end = Date.UTC(year, month, 0);
    return end - ((weekday(end) - day + 7) % 7) * DAY;
  }
  const first = Date.UTC(year, month - 1, 1);
  return first + (((day - weekday(first) + 7) % 7) + (nth - 1) * 7) * DAY;
}

/** The days off of a country (`FR`), as `2026-12-25`; null if we do not know it. */
export function holidays(country: string, year: number): Set<string> | null {
  const rules = TABLE[country.toUpperCase()];
  return rules === undefined
    ? null
    : new Set(rules.map((rule) => new Date(dateOf(rule, year)).toISOString().slice(0, 10)).sort());
}
