import type { CriticalValue, KeptRecord } from '../core/policy.ts';
import type { AnyTool } from '../core/ports/tool.ts';
import { canonicalJson, isObject } from '../core/text/json.ts';

/** A critical value, and how it is compared. */
export interface Critical {
  name: string;
  value: string;
  kind: 'text' | 'link' | 'amount' | 'id';
}

/** Words that were written by somebody who may vouch, and where they are. */
export interface Words {
  text: string;
  by: string;
  /** True for what an owner said before this task: it names people, but no amount that is to be paid now. */
  earlier?: boolean;
}

/** What may vouch for a value. */
export interface Vouchers {
  /** Words that an owner typed for this work. */
  owner: readonly Words[];
  /** What a schedule, trigger or task says that a person wrote. */
  constants: readonly Words[];
  /** Addresses and URLs that the owner lists as approved. */
  contacts: readonly string[];
  /** What the run's tools have told of in fields. */
  records: readonly KeptRecord[];
  /** Critical values of calls of the same tool that this run has made: an amount is good for one payment. */
  made?: readonly (readonly Pick<CriticalValue, 'name' | 'value'>[])[];
  /** What a person has endorsed: its id. */
  endorsed(name: string, value: string): string | null;
}

type Declared = Pick<AnyTool, 'critical' | 'ids' | 'texts' | 'service' | 'destroys'>;

const LABEL = String.raw`[\p{L}\p{N}_-]{1,63}`;
const DOT = '[.\u3002\uff0e\uff61]';
const REST = '[^\\s<>"\'`]';
/**
 * What a reader's program makes a link of: anything with a scheme, a host with something behind it, and a host of three names or more,
 * the first of which may say anything.
 */
const LINK = new RegExp(
  [
    String.raw`\b(?:[a-z][a-z0-9+.-]{0,30}:[/\\]|(?:https?|mailto|sms|tel|tg|data):|www${DOT})${REST}+`,
    String.raw`(?<![\p{L}\p{N}_-])${LABEL}(?:${DOT}${LABEL}){1,9}(?::\d{1,5})?(?:[/\\]${REST}*|[?#]${REST}+)`,
    String.raw`(?<![\p{L}\p{N}_@-])(?<!@[\p{L}\p{N}_.-]{0,200})${LABEL}(?:${DOT}${LABEL}){1,9}${DOT}\p{L}{2,63}(?![\p{L}\p{N}_-])`,
  ].join('|'),
  'giu',
);
const LINK_END = /[.,;:!?)\]}*_]+$/;

const linksIn = (text: string): string[] => (text.match(LINK) ?? []).map((link) => link.replace(LINK_END, ''));

const listed = (value: unknown): unknown[] =>
  value === null || value === undefined ? [] : Array.isArray(value) ? value : [value];

const textOf = (value: unknown): string => (typeof value === 'string' ? value : canonicalJson(value));

/** The critical values of a call, from its arguments in the tool's own form. A list has one for each element. */
export function criticalValues({ critical = [], ids = [], texts = [] }: Declared, input: unknown): Critical[] {
  if (!isObject(input)) return [];
  const kindOf = (name: string, value: unknown): Critical['kind'] => {
    if (ids.includes(name)) return 'id';
    if (typeof value === 'number') return 'amount';
    return typeof value === 'string' && /^[a-z][a-z0-9+.-]*:\/\//i.test(value.trim()) ? 'link' : 'text';
  };
  const own = critical.flatMap((name) =>
    listed(input[name]).map((value) => ({ name, value: textOf(value), kind: kindOf(name, value) })),
  );
  const links = texts.flatMap((name) =>
    listed(input[name]).flatMap((text) =>
      linksIn(textOf(text)).map((value) => ({ name, value, kind: 'link' as const })),
    ),
  );
  return [...own, ...links];
}

const plain = (text: string): string => text.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();

const BEFORE = /[\p{L}\p{N}_@.+/\\%=&#~-]$/u;
const AFTER = /^(?:[\p{L}\p{N}_@%/\\=&#~+-]|[.:][\p{L}\p{N}])/u;

/** Whether the value stands in the text whole: `anna@x.org` does not stand in `joanna@x.org`, nor in `anna@x.org.evil.com`. */
export function standsIn(value: string, text: string): boolean {
  const [needle, hay] = [plain(value), plain(text)];
  if (needle === '') return false;
  for (let at = hay.indexOf(needle); at >= 0; at = hay.indexOf(needle, at + 1))
    if (!BEFORE.test(hay.slice(0, at)) && !AFTER.test(hay.slice(at + needle.length))) return true;
  return false;
}

function canonicalLink(link: string): string | null {
  const whole = /^[a-z][a-z0-9+.-]*:[/\\]/i.test(link) ? link : `https://${link}`;
  return URL.canParse(whole) ? new URL(whole).href : null;
}

const linkStandsIn = (link: string, text: string): boolean => {
  const wanted = canonicalLink(link);
  const words = text.split(/[\s<>"'`()[\]{}]+/).map((word) => word.replace(LINK_END, ''));
  return wanted !== null && words.some((word) => word.includes('.') && canonicalLink(word) === wanted);
};

interface Typed {
  amount: number;
  /** It is written as one writes money: with cents or a currency. */
  money: boolean;
}

const CURRENCY = String.raw`[$€£¥]|\b(?:usd|eur|gbp|chf|euros?|dollars?|pounds?|francs?)\b`;
const NUMBER = new RegExp(
  String.raw`(${CURRENCY})?\s?(?<![\p{L}\p{N}_.,:/+-])(\d{1,3}(?:[,'’ ]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?![\p{L}\p{N}_%:/-]|[.,]\d|\s?%)(?:\s?(${CURRENCY}))?`,
  'giu',
);

/** Numbers in a text that are no part of a date, a time, a share or a name. */
function amountsIn(text: string): Typed[] {
  return [...text.normalize('NFKC').matchAll(NUMBER)].map(([, before, digits = '', after]) => ({
    amount: Number(digits.replace(/[,'’ ]/g, '')),
    money: before !== undefined || after !== undefined || /\.\d\d$|[,'’]/.test(digits),
  }));
}

/** "The bill of 2026" names no amount. */
const isYear = ({ amount, money }: Typed): boolean =>
  !money && Number.isInteger(amount) && amount >= 1900 && amount < 2100;

/** A word that tells one record from others. */
const MIN_WORD = 4;
/** What is shorter stands in any text. */
const MIN_TEXT = 3;
/** An id that is as long as this is nothing else by chance. */
const MIN_ID = 6;

const wordsOf = (name: string): string[] => plain(name).match(new RegExp(`\\p{L}{${MIN_WORD},}`, 'gu')) ?? [];

const same = (a: KeptRecord, b: KeptRecord): boolean => a.service === b.service && a.id === b.id;

/** What a record is called in these words: its name, or a word of it that no other one has. Null if nothing does, or if others are too. */
function calledBy(record: KeptRecord, { text }: Words, all: readonly KeptRecord[]): string | null {
  if (record.by === 'other') return null;
  const others = all.filter((each) => each.service === record.service && !same(each, record));
  const whole = record.names.find((name) => name.length >= MIN_WORD && standsIn(name, text));
  if (whole !== undefined)
    return others.some(({ names }) => names.some((name) => plain(name) === plain(whole))) ? null : whole;
  const word = record.names.flatMap(wordsOf).find((each) => standsIn(each, text));
  if (word === undefined) return null;
  return others.some(({ names }) => names.some((name) => wordsOf(name).includes(word))) ? null : word;
}

interface Chosen {
  record: KeptRecord;
  /** `name`: it is the only one of this name; `value`: an address of it stands in the words. */
  how: 'run' | 'name' | 'value';
}

/** The records that the owner's words speak of. */
function chosenRecords({ owner, constants, records }: Vouchers, service: string | undefined): Chosen[] {
  const words = [...owner, ...constants];
  return records
    .filter((record) => record.service === null || record.service === service)
    .flatMap((record): Chosen[] => {
      if (record.by === 'run') return [{ record, how: 'run' }];
      if (words.some((each) => calledBy(record, each, records) !== null)) return [{ record, how: 'name' }];
      const address = record.values.find(
        (value) => isAddress(value) && words.some(({ text }) => standsIn(value, text)),
      );
      return address === undefined ? [] : [{ record, how: 'value' }];
    });
}

/** Nobody can give himself somebody else's address or account, as he can a name. */
const isAddress = (value: string): boolean => value.length >= MIN_ID;

/** The amount that is named, or less than it: of money in the words, or of the record that they name. */
function amountBy(value: string, words: readonly Words[], chosen: readonly Chosen[]): 'words' | 'record' | null {
  const amount = Number(value);
  if (!(amount > 0)) return null;
  const typed = words.flatMap(({ text }) => amountsIn(text));
  if (typed.some((each) => (each.amount === amount && !isYear(each)) || (each.money && amount <= each.amount)))
    return 'words';
  const fits = ({ record, how }: Chosen): boolean =>
    (record.amounts ?? []).some((each) => each === amount || (how === 'name' && amount < each));
  return chosen.some(fits) ? 'record' : null;
}

function inRecord({ value, kind }: Critical, chosen: readonly Chosen[]): Chosen | undefined {
  if (kind === 'id') {
    const held = chosen.filter(({ record }) => record.id === value);
    // Of several that an address stands in, none is the one that is meant.
    return held.find(({ how }) => how !== 'value' || chosen.filter((each) => each.how === 'value').length === 1);
  }
  const named = chosen.filter(({ how }) => how === 'name');
  return kind === 'text'
    ? named.find(({ record }) => record.values.some((each) => plain(each) === plain(value)))
    : undefined;
}

function inWords({ value, kind }: Critical, words: readonly Words[]): Words | undefined {
  if (value.length < (kind === 'id' ? MIN_ID : MIN_TEXT)) return undefined;
  return words.find(({ text }) => (kind === 'link' ? linkStandsIn(value, text) : standsIn(value, text)));
}

/** A URL that ends with `*` stands for all that begin like it. */
function isContact({ value, kind }: Critical, contact: string): boolean {
  if (kind !== 'link') return plain(value) === plain(contact);
  const given = canonicalLink(value);
  if (!contact.endsWith('*')) return given !== null && given === canonicalLink(contact);
  const start = canonicalLink(contact.slice(0, -1));
  return given !== null && start !== null && given.startsWith(start);
}

/** Whether the run has made such a call before, whatever the amounts were. */
function isRepeated(values: readonly Critical[], made: Vouchers['made'] = []): boolean {
  const amounts = new Set(values.flatMap(({ name, kind }) => (kind === 'amount' ? [name] : [])));
  const keyOf = (all: readonly Pick<CriticalValue, 'name' | 'value'>[]): string =>
    canonicalJson(all.flatMap(({ name, value }) => (amounts.has(name) ? [] : [`${name} ${plain(value)}`])).sort());
  const key = keyOf(values);
  return made.some((earlier) => keyOf(earlier) === key);
}

type Vouched = Pick<CriticalValue, 'vouched' | 'by'> | null;

/** Who has vouched for an amount: what was said for this very task, once. */
function forAmount({ value }: Critical, from: Vouchers, { service, repeated }: Of): Vouched {
  if (repeated) return null;
  const owner = from.owner.filter(({ earlier }) => earlier !== true);
  const words = [...owner, ...from.constants];
  const by = amountBy(value, words, chosenRecords({ ...from, owner }, service));
  if (by === 'words') return { vouched: owner.length > 0 ? 'owner' : 'constant', by: words[0]?.by };
  return by === 'record' ? { vouched: 'record', by: service } : null;
}

function forValue(critical: Critical, from: Vouchers, { chosen }: Of): Vouched {
  const typed = inWords(critical, from.owner);
  if (typed !== undefined) return { vouched: 'owner', by: typed.by };
  const constant = inWords(critical, from.constants);
  if (constant !== undefined) return { vouched: 'constant', by: constant.by };
  const contact = from.contacts.find((each) => isContact(critical, each));
  if (contact !== undefined) return { vouched: 'contact', by: contact };
  const held = inRecord(critical, chosen);
  return held === undefined
    ? null
    : { vouched: 'record', by: `${held.record.service ?? 'contacts'}:${held.record.id}` };
}

interface Of {
  service: string | undefined;
  chosen: readonly Chosen[];
  repeated: boolean;
}

/** Says of each value who has vouched for it. */
export function vouch(
  values: readonly Critical[],
  from: Vouchers,
  { service, destroys }: Pick<Declared, 'service' | 'destroys'> = {},
): CriticalValue[] {
  const chosen = chosenRecords(from, service).filter(({ how }) => destroys !== true || how === 'run');
  const of = { service, chosen, repeated: isRepeated(values, from.made) };
  return values.map((critical): CriticalValue => {
    const { name, value, kind } = critical;
    const found = kind === 'amount' ? forAmount(critical, from, of) : forValue(critical, from, of);
    if (found !== null) return { name, value, ...found };
    const endorsed = from.endorsed(name, value);
    return endorsed === null ? { name, value, vouched: null } : { name, value, vouched: 'endorsed', by: endorsed };
  });
}
