import { Document, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { ParsedNode, YAMLSeq } from 'yaml';
import { canonicalJson, type Json } from '../core/text/json.ts';
import type { Schedule } from '../core/schedule.ts';
import { splitFrontMatter } from './agent.ts';
import { scheduleSchema } from './schedule-schema.ts';
import { readSchedules } from './schedules.ts';
import { withoutNulls } from './validate.ts';
import { parseYaml } from './yaml-source.ts';

// An agent's own change of its AGENT.md must leave alone what people have written there: comments, quotes, order. So a
// line is put in or taken out, and the library's way of writing YAML is used only where that gives something else.

/** What is to be done, in this order; null for nothing. */
export interface ScheduleChange {
  remove: string | null;
  create: { [key: string]: Json } | null;
}

export type Edited = { ok: true; text: string } | { ok: false; error: string };

/** The text of an AGENT.md with another list of schedules. Whether it is a good one is for its reader to say. */
export function editSchedules(given: string, { remove, create }: ScheduleChange): Edited {
  const mark = given.startsWith('\uFEFF') ? '\uFEFF' : '';
  const eol = given.includes('\r\n') ? '\r\n' : '\n';
  const text = given.slice(mark.length).replaceAll('\r\n', '\n');
  const split = splitFrontMatter(text);
  if (!split.ok) return { ok: false, error: split.message };
  let front = `${split.front}\n`;
  const entries = entriesOf(front);
  if (entries === null) return { ok: false, error: 'the front matter of the file cannot be read' };
  if (remove !== null) {
    const index = entries.findIndex((entry) => nameOf(entry) === remove);
    if (index < 0) return { ok: false, error: `there is no schedule "${remove}"; ${named(entries)}` };
    entries.splice(index, 1);
    front = checked(without(front, index), front, entries, (seq) => void seq.items.splice(index, 1));
  }
  if (create !== null) {
    if (entries.some((entry) => nameOf(entry) !== '' && nameOf(entry) === nameOf(create)))
      return {
        ok: false,
        error: `there is a schedule "${nameOf(create)}" already: take another name, or remove it`,
      };
    entries.push(create);
    front = checked(
      withEntry(front, create),
      front,
      entries,
      (seq) => void seq.items.push(entryDocument(create).contents),
    );
  }
  const [fence = '---'] = text.split('\n');
  const rest = text.slice(fence.length + 1 + split.front.length + (split.front === '' ? 0 : 1));
  const whole = `${fence}\n${front}${rest.replace(/^\n/, '')}`;
  return { ok: true, text: mark + whole.replaceAll('\n', eol) };
}

/** The schedules of an AGENT.md, whatever else stands there; none where they are not in order. */
export function readFrom(text: string): Schedule[] {
  const split = splitFrontMatter(text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n'));
  if (!split.ok) return [];
  const given = scheduleSchema.array().safeParse(withoutNulls(entriesOf(split.front) ?? []));
  return given.success ? readSchedules(given.data, parseYaml(split.front, ''), '').schedules : [];
}

/** One entry as it means; null if it is not in order. */
export function readSchedule(entry: Json): Schedule | null {
  const given = scheduleSchema.safeParse(withoutNulls(entry));
  if (!given.success) return null;
  const { schedules, problems } = readSchedules([given.data], parseYaml('', ''), '');
  return problems.length > 0 ? null : (schedules[0] ?? null);
}

/** The schedules as they are written; null if that cannot be told. */
function entriesOf(front: string): Json[] | null {
  const doc = parseDocument(front, { prettyErrors: false, version: '1.2' });
  if (doc.errors.length > 0) return null;
  const value = doc.toJS({ maxAliasCount: 0 }) as { schedules?: Json } | null;
  if (value !== null && (typeof value !== 'object' || Array.isArray(value))) return null;
  const { schedules = null } = value ?? {};
  return schedules === null ? [] : Array.isArray(schedules) ? schedules : null;
}

/** '' for what has none, which its reader refuses. */
function nameOf(entry: Json): string {
  if (entry === null || typeof entry !== 'object' || Array.isArray(entry)) return '';
  const { name } = entry;
  return typeof name === 'string' ? name : '';
}

const named = (entries: readonly Json[]): string =>
  entries.length === 0 ? 'there are none' : `there are: ${entries.map((entry) => nameOf(entry)).join(', ')}`;

/** The text with a line more or less if it says what it should; else the same by the library, which may write some of it anew. */
function checked(
  edited: string | null,
  front: string,
  entries: readonly Json[],
  change: (seq: YAMLSeq) => void,
): string {
  const wanted = canonicalJson([...entries]);
  if (edited !== null) {
    const found = entriesOf(edited);
    if (found !== null && canonicalJson(found) === wanted) return edited;
  }
  const doc = parseDocument(front, { version: '1.2' });
  if (!isSeq(doc.get('schedules'))) doc.set('schedules', doc.createNode([]));
  change(doc.get('schedules') as YAMLSeq);
  return doc.toString({ lineWidth: 0 });
}

/** One line, as people write them. */
function entryDocument(entry: { [key: string]: Json }): Document {
  const doc = new Document(entry);
  if (isMap(doc.contents)) doc.contents.flow = true;
  return doc;
}

/** Where the pair `schedules` stands. */
function locate(front: string): { key: number; list: ParsedNode | null } | null {
  const { contents } = parseDocument(front, { version: '1.2' });
  if (!isMap(contents)) return null;
  const pair = contents.items.find(({ key }) => isScalar(key) && key.value === 'schedules');
  if (!pair) return null;
  return { key: pair.key.range[0], list: pair.value };
}

const startOfLine = (text: string, at: number): number => text.lastIndexOf('\n', at - 1) + 1;
/** Behind the end of the line in which something ends; what ends with its line ends there. */
const endOfLine = (text: string, at: number): number => (text[at - 1] === '\n' ? at : text.indexOf('\n', at) + 1);

function withEntry(front: string, entry: { [key: string]: Json }): string | null {
  const line = entryDocument(entry).toString({ lineWidth: 0 }).trim();
  const place = locate(front);
  if (place === null) return `${front === '\n' ? '' : front}schedules:\n  - ${line}\n`;
  const { key, list } = place;
  const put = (at: number, indent: string): string => `${front.slice(0, at)}${indent}- ${line}\n${front.slice(at)}`;
  if (isSeq(list) && list.flow !== true) {
    const end = list.items.at(-1)?.range[1] ?? list.range[1];
    const first = list.range[0];
    return put(endOfLine(front, end), ' '.repeat(first - startOfLine(front, first)));
  }
  if (isSeq(list) && list.items.length > 0) return null;
  // Nothing, or `[]`: the list begins in the next line.
  const bare = front.slice(0, key) + front.slice(key).replace(/^schedules:[ \t]*\[[ \t]*\]/, 'schedules:');
  const at = endOfLine(bare, key + 1);
  return `${bare.slice(0, at)}  - ${line}\n${bare.slice(at)}`;
}

function without(front: string, index: number): string | null {
  const place = locate(front);
  if (place === null || !isSeq(place.list) || place.list.flow === true) return null;
  const item = place.list.items[index];
  if (item === undefined) return null;
  const from = startOfLine(front, place.list.items.length === 1 ? place.key : item.range[0]);
  return front.slice(0, from) + front.slice(endOfLine(front, item.range[1]));
}
