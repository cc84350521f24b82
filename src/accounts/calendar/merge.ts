// Two edits of one calendar object, as a server's 412 shows them: joined field by field, or what collides is said.
import { makeLine, type Component, type Line } from './content.ts';

export type Merged = { ok: true; root: Component } | { ok: false; collisions: string[] };

/** Written anew by every program that saves. */
const STAMPS = new Set(['DTSTAMP', 'LAST-MODIFIED', 'SEQUENCE', 'CREATED']);
/** When something takes place is one field, however it is written. */
const TIME = new Set(['DTSTART', 'DTEND', 'DURATION', 'RRULE']);

const fieldOf = (name: string): string => (TIME.has(name) ? 'time' : name);

/** Names a component among its siblings. */
function keyOf(part: Component, at: number): string {
  const value = (name: string): string => part.lines.find((line) => line.name === name)?.value.trim() ?? '';
  if (part.name === 'VEVENT') return `VEVENT ${value('UID')} ${value('RECURRENCE-ID')}`.trim();
  if (part.name === 'VTIMEZONE') return `VTIMEZONE ${value('TZID')}`;
  return `${part.name} ${at}`;
}

const text = (lines: readonly Line[]): string =>
  lines
    .map(({ raw }) => raw)
    .toSorted()
    .join('\n');
const whole = (part: Component | undefined): string =>
  part === undefined
    ? ''
    : JSON.stringify([part.name, part.lines.map(({ raw }) => raw), part.parts.map((each) => whole(each))]);

/** The one that changed; undefined if both did, in different ways. */
function pick<T>(base: T, mine: T, theirs: T, same: (one: T, other: T) => boolean): { value: T } | undefined {
  if (same(mine, theirs) || same(base, mine)) return { value: theirs };
  return same(base, theirs) ? { value: mine } : undefined;
}

export function merge(base: Component, mine: Component, theirs: Component): Merged {
  const collisions: string[] = [];
  const root = mergePart(base, mine, theirs, '', collisions);
  return collisions.length > 0 ? { ok: false, collisions } : { ok: true, root };
}

function mergePart(
  base: Component,
  mine: Component,
  theirs: Component,
  where: string,
  collisions: string[],
): Component {
  const title = mine.lines.find(({ name }) => name === 'SUMMARY')?.value ?? '';
  const here = mine.name === 'VEVENT' ? `"${title.slice(0, 60)}": ` : where;
  const fields = (part: Component): Map<string, Line[]> => Map.groupBy(part.lines, ({ name }) => fieldOf(name));
  const [old, own, other] = [fields(base), fields(mine), fields(theirs)];
  const lines: Line[] = [];
  for (const field of new Set([...other.keys(), ...own.keys()])) {
    const given = [old, own, other].map((each) => each.get(field) ?? []);
    const [before = [], ours = [], others = []] = given;
    if (STAMPS.has(field)) lines.push(...newest(field, ours, others));
    else {
      const chosen = pick(before, ours, others, (one, two) => text(one) === text(two));
      if (chosen === undefined) collisions.push(`${here}${field === 'time' ? 'when it takes place' : field}`);
      else lines.push(...chosen.value);
    }
  }
  return { name: theirs.name, lines, parts: mergeParts(base, mine, theirs, here, collisions) };
}

function newest(field: string, ours: readonly Line[], others: readonly Line[]): Line[] {
  const [one, two] = [ours[0], others[0]];
  if (one === undefined || two === undefined) return [...ours, ...others];
  // Ours comes after theirs.
  if (field === 'SEQUENCE') return [makeLine(field, String(Math.max(Number(one.value) || 0, Number(two.value) || 0)))];
  return [one.value >= two.value ? one : two];
}

function mergeParts(
  base: Component,
  mine: Component,
  theirs: Component,
  where: string,
  collisions: string[],
): Component[] {
  const byKey = (part: Component) => new Map(part.parts.map((each, at) => [keyOf(each, at), each]));
  const [old, own, other] = [byKey(base), byKey(mine), byKey(theirs)];
  const out: Component[] = [];
  for (const key of new Set([...other.keys(), ...own.keys()])) {
    const [before, ours, others] = [old.get(key), own.get(key), other.get(key)];
    const chosen = pick(before, ours, others, (one, two) => whole(one) === whole(two));
    if (chosen !== undefined) out.push(...(chosen.value === undefined ? [] : [chosen.value]));
    else if (before !== undefined && ours !== undefined && others !== undefined)
      out.push(mergePart(before, ours, others, where, collisions));
    else collisions.push(`${where}${key}: one side ${before === undefined ? 'added it otherwise' : 'removed'} it`);
  }
  return out;
}
