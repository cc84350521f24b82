import { createHash } from 'node:crypto';
import type { EventRow } from '../core/event-hash.ts';
import { blobRefs, type BlobRef } from '../core/blob.ts';
import type { Event } from '../core/event.ts';
import { eventId, runOfStream } from '../core/ids.ts';
import type { JournalLine } from '../core/ports/journal.ts';
import type { Store } from '../core/ports/store.ts';
import { visible } from '../core/text/untrusted.ts';
import { upcast } from './upcast.ts';
import { describe, isWeighty, type Contents } from './words.ts';

type Blobs = Pick<Store, 'getBlob'>;

/** Characters of one content that a line holds. */
const MAX_INLINE = 4000;
/** What stands in other lines already, so that the journal does not grow with the square of a conversation. */
const REPEATED: Record<string, readonly string[]> = {
  'model.called': ['request'],
  'turn.ended': ['messages', 'seen'],
  'task.finished': ['result'],
  'landing.started': ['message'],
};

/** An event as stored, before any upcast: what the hash covers and the readable journal keeps. */
export const storedEvent = (row: EventRow): Event =>
  ({
    ...row,
    id: eventId(row.seq),
    labels: JSON.parse(row.labels) as unknown,
    data: JSON.parse(row.data) as unknown,
  }) as Event;

async function contentsOf(refs: readonly BlobRef[], blobs: Blobs): Promise<Contents> {
  const contents = new Map<string, Uint8Array | null>();
  for (const ref of refs) if (!contents.has(ref.hash)) contents.set(ref.hash, await blobs.getBlob(ref));
  return contents;
}

/** Private and untrusted content stays out of the repository, which is pushed and cloned: only its hash is written. */
const isWithheld = (event: Event): boolean => {
  const labels = [...event.labels, ...(event.type === 'tool.returned' ? event.data.labels : [])];
  return labels.includes('private') || labels.includes('untrusted');
};

/** Blobs whose content the event's line holds. */
function inlined(event: Event): BlobRef[] {
  if (isWithheld(event)) return [];
  const repeated = REPEATED[event.type] ?? [];
  return Object.entries(event.data).flatMap(([name, value]) => (repeated.includes(name) ? [] : blobRefs(value)));
}

function contentFields(bytes: Uint8Array | null): object {
  if (bytes === null) return { erased: true };
  const text = new TextDecoder().decode(bytes);
  if (text.length > MAX_INLINE) {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { text: text.slice(0, MAX_INLINE).toWellFormed(), left: text.length - MAX_INLINE, sha256 };
  }
  try {
    return { content: JSON.parse(text) as unknown };
  } catch {
    return { text: text.toWellFormed() };
  }
}

/** The data with each blob's content beside its hash. */
function withContents(value: unknown, contents: Contents): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((inner) => withContents(inner, contents));
  const inner = value as Record<string, unknown>;
  const [ref] = typeof inner.hash === 'string' ? blobRefs(inner) : [];
  // Something with a hash of its own may only hold one.
  if (ref && ref === value)
    return contents.has(ref.hash) ? { ...inner, ...contentFields(contents.get(ref.hash) ?? null) } : inner;
  return Object.fromEntries(Object.entries(inner).map(([name, below]) => [name, withContents(below, contents)]));
}

/** The event as one line of JSON: its columns, the time in words, and content where it may stand. */
export async function eventJson(event: Event, blobs: Blobs): Promise<string> {
  return lineOf(event, await contentsOf(inlined(event), blobs));
}

function lineOf(event: Event, contents: Contents): string {
  const { seq, id, at, type, stream, version, actor, cause, labels, key, schema, hash } = event;
  const time = new Date(at).toISOString();
  const data = contents.size === 0 ? event.data : withContents(event.data, contents);
  return JSON.stringify({ seq, id, time, at, type, actor, stream, version, cause, labels, key, schema, data, hash });
}

/** What an event's line is filed under: its run, else its stream, in a form that fits a file name. */
export function groupOf(event: Event): { group: string; run: boolean } {
  const { run: named } = event.data as { run?: unknown };
  const run = runOfStream(event.stream) ?? named;
  return typeof run === 'string' && run !== ''
    ? { group: safe(run), run: true }
    : { group: safe(event.stream), run: false };
}

function safe(name: string): string {
  if (/^[A-Za-z0-9_-]{1,100}$/.test(name)) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return `${name.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, 60)}-${digest}`;
}

const SUBJECT = 100;

const NOTHING: Contents = new Map();

/** An event for the journal repository. */
export async function journalLine(row: EventRow, blobs: Blobs): Promise<JournalLine> {
  const stored = storedEvent(row);
  const event = upcast(stored);
  const contents = await contentsOf(inlined(stored), blobs);
  const weighty = isWeighty(event);
  // A light event's subject is seldom seen, and words cost more than the line.
  const words = describe(event, weighty ? contents : NOTHING);
  return {
    seq: row.seq,
    at: row.at,
    actor: row.actor,
    ...groupOf(stored),
    weighty,
    subject: clip(`${nameOf(event)}: ${words}`, SUBJECT),
    json: lineOf(stored, contents),
  };
}

const clip = (text: string, limit: number): string => {
  const line = visible(text.replace(/\s+/g, ' ').trim());
  return line.length <= limit ? line : `${line.slice(0, limit - 1).toWellFormed()}…`;
};

/** Where it happened, as a person would name it: the run, the task or the session. */
const placeOf = ({ stream }: Event): string =>
  stream.slice(stream.startsWith('conv:') ? stream.indexOf('/') + 1 : stream.indexOf(':') + 1);

/** Whose doing it was, short: the agent, the person, or ruche. */
function nameOf(event: Event): string {
  if (event.actor === 'runtime') return 'ruche';
  return event.actor.slice(event.actor.indexOf(':') + 1);
}

export interface LogLineOptions {
  /** IANA name; UTC unless given. */
  timeZone?: string;
  /** Characters after which a line is cut; 200 unless given. */
  width?: number;
}

/** An event as one line of text for a person's terminal: when, whose run, who, and what in plain words. */
export async function logLine(event: Event, blobs: Blobs, options: LogLineOptions = {}): Promise<string> {
  const contents = await contentsOf(blobRefs(event.data), blobs);
  const zone = options.timeZone ?? 'UTC';
  const time = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: zone });
  const what = clip(describe(event, contents), options.width ?? 200);
  return `${time.format(event.at)}  ${event.id.padEnd(9)} ${clip(placeOf(event), 20).padEnd(20)}  ${clip(nameOf(event), 40)}: ${what}`;
}
