import type { Event, EventOf } from '../core/event.ts';
import type { Label } from '../core/labels.ts';
import { parseTarget } from '../core/net/host.ts';
import type { CriticalValue, PolicyCall } from '../core/policy.ts';
import {
  type CallKind,
  type EndorsedKind,
  type EndorsedValue,
  type FileVouch,
  type GrantTerms,
  type GrantValue,
  type NamedValue,
  WHOLE_CALL,
} from '../core/standing.ts';
import { MAX_PATTERN, pathMatch, usablePathPattern, wildcardMatch } from '../core/text/glob.ts';
import { workspacePath } from '../core/text/paths.ts';

// What people have agreed to beyond a single call, folded from the journal. A grant turns an ask into an allow, and nothing else;
// an endorsement vouches for one value.

interface Grant {
  data: EventOf<'grant.given'>['data'];
  at: number;
  by: string;
  /** Null: erased, so it covers nothing. */
  values: readonly GrantValue[] | null;
  /** Calls that have used it, as `<run>/<call>`, the newest of them. */
  users: Set<string>;
  /** Of a counted one, the numbers of its uses. */
  numbers: Set<number>;
  used: number;
  lastUsed: number | null;
  revoked: boolean;
}

interface Endorsement {
  id: string;
  kind: EndorsedKind;
  approval: string | null;
  seq: number;
  at: number;
  by: string;
  content: EndorsedValue | null;
  revoked: boolean;
}

export interface StandingBook {
  /** The oldest first. */
  grants: Map<string, Grant>;
  endorsements: Map<string, Endorsement>;
  /** Those in force, by agent and tool. */
  byCall: Map<string, Set<string>>;
  /** Those in force, by kind and value. */
  byValue: Map<string, Set<string>>;
}

export const emptyBook = (): StandingBook => ({
  grants: new Map(),
  endorsements: new Map(),
  byCall: new Map(),
  byValue: new Map(),
});

/** Users that are remembered of one grant: only calls that are under way are asked for again. */
const MAX_USERS = 1_000;

export const STANDING_TYPES = [
  'grant.given',
  'grant.used',
  'grant.revoked',
  'value.endorsed',
  'value.revoked',
] as const satisfies readonly Event['type'][];

export const userOf = ({ run, call }: { run: string; call: string }): string => `${run}/${call}`;

/** The book after one more event. `content`: what its blob holds, null if that has been erased. Changes `book` in place. */
export function evolveBook(book: StandingBook, event: Event, content: unknown): void {
  switch (event.type) {
    case 'grant.given': {
      const values = (content as GrantTerms | null)?.values ?? null;
      const { data, at, actor: by } = event;
      const unused = { users: new Set<string>(), numbers: new Set<number>(), used: 0, lastUsed: null, revoked: false };
      book.grants.set(data.grant, { data, at, by, values, ...unused });
      if (values !== null) add(book.byCall, callKey(event.data), event.data.grant);
      return;
    }
    case 'grant.used': {
      const grant = book.grants.get(event.data.grant);
      if (grant === undefined) return;
      Object.assign(grant, { used: grant.used + 1, lastUsed: event.at });
      grant.users.add(userOf(event.data));
      if (event.data.use !== null) grant.numbers.add(event.data.use);
      const [oldest] = grant.users;
      if (grant.users.size > MAX_USERS && oldest !== undefined) grant.users.delete(oldest);
      return;
    }
    case 'grant.revoked': {
      const grant = book.grants.get(event.data.grant);
      if (grant === undefined) return;
      grant.revoked = true;
      book.byCall.get(callKey(grant.data))?.delete(event.data.grant);
      return;
    }
    case 'value.endorsed':
      return endorse(book, event, content as EndorsedValue | null);
    case 'value.revoked': {
      const endorsement = book.endorsements.get(event.data.endorsement);
      if (endorsement === undefined) return;
      endorsement.revoked = true;
      for (const ids of book.byValue.values()) ids.delete(endorsement.id);
      return;
    }
    default:
  }
}

function endorse(book: StandingBook, event: EventOf<'value.endorsed'>, content: EndorsedValue | null): void {
  const { endorsement: id, kind, approval } = event.data;
  const { seq, at, actor: by } = event;
  book.endorsements.set(id, { id, kind, approval, seq, at, by, content, revoked: false });
  if (content !== null) add(book.byValue, valueKey(kind, content.value), id);
}

const add = (index: Map<string, Set<string>>, key: string, id: string): void =>
  void index.set(key, (index.get(key) ?? new Set<string>()).add(id));

const callKey = ({ agent, tool }: Pick<CallKind, 'agent' | 'tool'>): string => `${agent}\n${tool}`;

/** A value in the one form in which it is compared. */
function canonicalValue(kind: EndorsedKind, value: string): string {
  const text = value.trim().normalize('NFC');
  if (kind === 'address') return text.toLowerCase();
  return kind === 'url' ? canonicalUrl(text) : text;
}

/** The part behind `#` stays: what is fetched never has it, but a person who follows a link takes it along. */
function canonicalUrl(text: string, hash = URL.parse(text)?.hash ?? ''): string {
  const parsed = parseTarget(text);
  return parsed.ok ? parsed.target.url + hash : text;
}

const valueKey = (kind: EndorsedKind, value: string): string => `${kind}\n${canonicalValue(kind, value)}`;

const SPOKEN: readonly EndorsedKind[] = ['address', 'url', 'number', 'text'];

/** The endorsement that vouches for a critical argument; null if none does. A number vouches only for the argument it was endorsed as. */
export function vouchedBy(book: StandingBook, name: string, value: string): string | null {
  if (book.byValue.size === 0) return null;
  return endorsementOf(book, SPOKEN, value, name);
}

/** The same for a file with exactly this content. */
export function fileVouched(book: StandingBook, path: string, oid: string): FileVouch | null {
  const id = book.byValue.size === 0 ? null : endorsementOf(book, ['file'], `${path}@${oid}`, null);
  const endorsement = id === null ? undefined : book.endorsements.get(id);
  return endorsement === undefined
    ? null
    : { id: endorsement.id, by: endorsement.by, at: endorsement.at, note: endorsement.content?.note ?? '' };
}

function endorsementOf(
  book: StandingBook,
  kinds: readonly EndorsedKind[],
  value: string,
  name: string | null,
): string | null {
  for (const kind of kinds)
    for (const id of book.byValue.get(valueKey(kind, value)) ?? []) {
      const given = book.endorsements.get(id)?.content?.name ?? null;
      if (given === null ? kind !== 'number' : given === name) return id;
    }
  return null;
}

/** What kind of value a text is, for a person who does not say. */
export function kindOfValue(value: string): EndorsedKind {
  const text = value.trim();
  if (/^https?:\/\//i.test(text)) return 'url';
  if (/^[^\s@]\S*@[0-9a-f]{40,64}$/.test(text)) return 'file';
  if (/^[-+]?\d[\d.,' ]*$/.test(text)) return 'number';
  return /^\S+@\S+$|^[a-z][a-z0-9-]*:\S+$/.test(text) ? 'address' : 'text';
}

/**
 * What makes a call what it is: its critical arguments and where it goes. A call that has neither is of a kind with those alone
 * that say the same in every argument.
 */
export function kindValues(
  call: PolicyCall,
  critical: readonly Pick<CriticalValue, 'name' | 'value'>[],
  whole: () => string,
): NamedValue[] {
  const places: NamedValue[] = [
    ...(call.paths ?? []).map((value) => ({ name: 'path', value })),
    ...(call.command === undefined ? [] : [{ name: 'command', value: call.command }]),
    ...(call.url === undefined ? [] : [{ name: 'url', value: call.url }]),
    ...(call.method === undefined ? [] : [{ name: 'method', value: call.method.toUpperCase() }]),
    ...(call.to === undefined ? [] : [{ name: 'to', value: call.to }]),
  ];
  const named = critical.map(({ name, value }) => ({ name, value }));
  const values = [...named, ...places.filter(({ value }) => !named.some((each) => each.value === value))];
  return (values.length > 0 ? values : [{ name: WHOLE_CALL, value: whole() }]).map(canonical);
}

/** Paths and URLs are written in several ways. */
function canonical({ name, value }: NamedValue): NamedValue {
  if (name === 'path') {
    const path = workspacePath(value);
    return { name, value: path.ok ? path.path : value };
  }
  if (!/^https?:/i.test(value)) return { name, value };
  return { name, value: canonicalUrl(value, name === 'url' ? '' : undefined) };
}

/** Names whose values a pattern cannot stand for: what follows in a command, or in all arguments, can be anything. */
const EXACT_ONLY: readonly string[] = ['command', 'method', WHOLE_CALL];

/** Why a pattern cannot be granted in the place of this value; null if it can. */
export function globProblem({ name, value }: NamedValue, glob: string): string | null {
  if (EXACT_ONLY.includes(name)) return `a pattern for ${name === WHOLE_CALL ? 'all arguments' : name} is not possible`;
  if (glob.length > MAX_PATTERN) return `the pattern is longer than ${MAX_PATTERN} characters`;
  if (!/[^*?/.\s]/.test(glob)) return 'the pattern fits everything';
  if (/^https?:/i.test(value) && !/^https?:\/\/[^/*?@\s]+\//i.test(glob))
    return 'a pattern for a URL has to name its host whole, as in https://example.org/path/*';
  if (name === 'path' && !usablePathPattern(glob)) return 'the pattern may not contain ..';
  return globFits({ name, glob }, { name, value }) ? null : `the pattern does not fit ${value}`;
}

/** A pattern stands for one address or name, not for a list of them. */
function globFits({ name, glob }: { name: string; glob: string }, { value }: NamedValue): boolean {
  if (EXACT_ONLY.includes(name)) return false;
  if (name === 'path') return pathMatch(glob, value);
  return !/[\s,;<>"\p{C}]/u.test(value) && wildcardMatch(glob, value);
}

const fits = (given: GrantValue, value: NamedValue): boolean =>
  given.name === value.name && ('glob' in given ? globFits(given, value) : given.value === value.value);

/** A call that asks, and the run it is of. */
export interface AskingCall extends CallKind {
  run: string;
  call: string;
  task: string;
  labels: readonly Label[];
  at: number;
}

/** Every value of the call is covered by one of the grant's of that name, and none of those is without its value. */
const covers = (given: readonly GrantValue[], values: readonly NamedValue[]): boolean =>
  values.every((value) => given.some((each) => fits(each, value))) &&
  given.every((each) => values.some((value) => fits(each, value)));

export type GrantState = 'active' | 'expired' | 'spent' | 'revoked';

/** `held`: uses that are under way and not on record yet. */
export function stateOfGrant({ data, used, revoked }: Grant, at: number, held = 0): GrantState {
  if (revoked) return 'revoked';
  if (data.until !== null && data.until <= at) return 'expired';
  return data.count !== null && used + held >= data.count ? 'spent' : 'active';
}

/** By grant, the users whose uses are not on record yet, and the numbers of those. */
export type HeldUses = ReadonlyMap<string, ReadonlyMap<string, number | null>>;

export interface GrantUse {
  grant: string;
  /** Of a counted grant, the number of this use. */
  use: number | null;
  /** The call has used it before. */
  recorded: boolean;
}

/**
 * The grant that lets the call through; null if none does. A call that has used one may still make use of it, as long as it is in
 * force.
 */
export function grantFor(book: StandingBook, call: AskingCall, held: HeldUses): GrantUse | null {
  for (const id of book.byCall.get(callKey(call)) ?? []) {
    const grant = book.grants.get(id);
    if (grant === undefined || grant.values === null) continue;
    const { task, over } = grant.data;
    if ((task !== null && task !== call.task) || !call.labels.every((label) => over.includes(label))) continue;
    const waiting = held.get(id) ?? new Map<string, number | null>();
    const user = userOf(call);
    const recorded = grant.users.has(user);
    const again = recorded || waiting.has(user);
    const state = stateOfGrant(grant, call.at, waiting.size);
    if (!(state === 'active' || (again && state === 'spent')) || !covers(grant.values, call.values)) continue;
    return { grant: id, use: again ? (waiting.get(user) ?? null) : nextUse(grant, waiting), recorded };
  }
  return null;
}

/** The smallest number that no use has. */
function nextUse({ data, numbers }: Grant, waiting: ReadonlyMap<string, number | null>): number | null {
  if (data.count === null) return null;
  const taken = new Set([...numbers, ...waiting.values()]);
  for (let use = 1; ; use += 1) if (!taken.has(use)) return use;
}
