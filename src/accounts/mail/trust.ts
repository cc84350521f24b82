// Whom a mail pretends to come from, against the people the owner knows.
import { domainToUnicode } from 'node:url';
import type { Mail, MailAddress, MailMark } from '../../core/mail.ts';
import { organisation } from './auth.ts';

export interface Known {
  /** People whose mail is expected: the address book, and whom the owner has written to. */
  contacts: readonly { name: string; address: string }[];
  owners: readonly string[];
}

/** Where anybody can have an address: the domain says nothing about the person. */
const FREE = new Set(
  'gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com ymail.com icloud.com me.com mac.com aol.com gmx.de gmx.net gmx.at gmx.ch gmx.com web.de t-online.de freenet.de mail.de posteo.de mailbox.org proton.me protonmail.com orange.fr wanadoo.fr free.fr laposte.net sfr.fr hotmail.fr yahoo.fr outlook.fr hotmail.es yahoo.es outlook.es telefonica.net qq.com 163.com mail.ru yandex.ru'.split(
    ' ',
  ),
);

/** Characters that pass for another one. What falls apart into a letter and a mark is left to NFKD. */
const TWINS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    а: 'a',
    в: 'b',
    с: 'c',
    ԁ: 'd',
    е: 'e',
    ё: 'e',
    һ: 'h',
    н: 'h',
    і: 'i',
    ї: 'i',
    ј: 'j',
    к: 'k',
    ӏ: 'l',
    м: 'm',
    о: 'o',
    р: 'p',
    ԛ: 'q',
    г: 'r',
    ѕ: 's',
    т: 't',
    у: 'y',
    ѵ: 'v',
    ԝ: 'w',
    х: 'x',
    п: 'n',
    ь: 'b',
    з: '3',
    α: 'a',
    β: 'b',
    ε: 'e',
    η: 'n',
    ι: 'i',
    κ: 'k',
    ν: 'v',
    ο: 'o',
    ρ: 'p',
    τ: 't',
    υ: 'u',
    χ: 'x',
    ω: 'w',
    γ: 'y',
    օ: 'o',
    ո: 'n',
    ս: 'u',
    հ: 'h',
    ց: 'g',
    զ: 'q',
    ı: 'i',
    ł: 'l',
    ø: 'o',
    đ: 'd',
    ħ: 'h',
    ŧ: 't',
    æ: 'ae',
    œ: 'oe',
    ß: 'ss',
    ɑ: 'a',
    ɡ: 'g',
    ɩ: 'i',
    ʟ: 'l',
    ɴ: 'n',
    ʀ: 'r',
    ꜱ: 's',
    ᴠ: 'v',
    ᴡ: 'w',
    ᴢ: 'z',
    ǀ: 'l',
    '|': 'l',
    0: 'o',
    1: 'l',
    3: 'e',
    5: 's',
    8: 'b',
    '＠': '@',
  }),
);

/** A name as the eye takes it: equal skeletons look alike. */
export function skeleton(text: string): string {
  const plain = text.slice(0, 300).toLowerCase().normalize('NFKD').replace(/\p{M}/gu, '');
  const letters = Array.from(plain)
    .map((char) => TWINS.get(char) ?? char)
    .join('');
  return letters
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w')
    .replaceAll('cl', 'd')
    .replaceAll('i', 'l')
    .replace(/[\p{Cf}\p{Zs}]+/gu, ' ')
    .trim();
}

/** Changes between two texts (insert, delete, exchange, swap neighbours); `limit + 1` for more than `limit`. */
export function distance(one: string, other: string, limit: number): number {
  if (Math.abs(one.length - other.length) > limit) return limit + 1;
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1;
      let least = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same);
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      if (swapped) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      next.push(least);
    }
    if (Math.min(...next) > limit) return limit + 1;
    [before, row] = [row, next];
  }
  return row[other.length] ?? 0;
}

const parts = (address: string): { local: string; domain: string } => {
  const at = address.lastIndexOf('@');
  return { local: address.slice(0, Math.max(0, at)).toLowerCase(), domain: address.slice(at + 1).toLowerCase() };
};

/** One mailbox in one form: some providers pass over dots and what follows a plus. */
function mailbox(address: string): string {
  const { local, domain } = parts(address);
  const google = domain === 'gmail.com' || domain === 'googlemail.com';
  return google ? `${local.replace(/\+.*$/, '').replaceAll('.', '')}@gmail.com` : `${local}@${domain}`;
}

/** How a domain looks: it is worked out once, and compared with many. */
interface Look {
  domain: string;
  organisation: string;
  /** The word by which people know it: `acme` of `mail.acme.co.uk`. */
  word: string;
  skeleton: string;
}

function lookOf(domain: string): Look {
  const own = organisation(domain);
  const first = own.split('.')[0] ?? '';
  const word = domainToUnicode(first) || first;
  return { domain, organisation: own, word, skeleton: skeleton(word) };
}

/** Short words differ by a letter by chance. */
const tolerance = (length: number): number => (length < 5 ? 0 : length < 10 ? 1 : 2);

function near(one: string, other: string): boolean {
  const most = tolerance(Math.max(one.length, other.length));
  return distance(one, other, most) <= most;
}

function deceives(mine: Look, known: Look): boolean {
  if (mine.organisation === known.organisation) return false;
  if (mine.skeleton === known.skeleton || near(mine.word, known.word)) return mine.word.length >= 3;
  // acme-invoices.com, secure-acme.com, acme.com.evil.example
  if (known.word.length >= 4 && mine.skeleton.split(/[-_]/).includes(known.skeleton)) return true;
  return mine.domain.includes(`${known.organisation}.`);
}

/** Why an address could be taken for another one of a domain; null if it could not. */
function likeness(local: string, mine: Look, known: string, theirs: Look): string | null {
  const other = parts(known).local;
  if (mine.domain === theirs.domain) {
    const close = local.length >= 5 && local !== other && (skeleton(local) === skeleton(other) || near(local, other));
    return FREE.has(mine.organisation) && close ? 'the names before the @ are almost the same' : null;
  }
  // gmail.co deceives those who know a person at gmail.com, and nobody else.
  if (FREE.has(theirs.organisation) && local !== other) return null;
  return 'the domains look almost the same';
}

const ADDRESS = /[^\s<>()",;:@]{1,64}[@＠][\p{L}\p{N}.-]{1,253}\.\p{L}{2,24}/u;

const nameOf = (name: string): string =>
  skeleton(name)
    .split(/[\s,.]+/)
    .filter(Boolean)
    .sort()
    .join(' ');

/**
 * What the owner should know about who writes, added to the marks of the mail. Made once for an address book, which may
 * be long: a domain is compared once, however many people have it.
 */
export function trustMarks(known: Known): (mail: Pick<Mail, 'from'>) => MailMark[] {
  const people = [...known.contacts, ...known.owners.map((address) => ({ name: '', address }))];
  const mailboxes = new Set(people.map(({ address }) => mailbox(address)));
  const byDomain = [...Map.groupBy(people, ({ address }) => parts(address).domain)].map(
    ([domain, there]) => [lookOf(domain), there] as const,
  );
  const byName = new Map(people.map((person) => [nameOf(person.name), person]));

  const lookAlike = (from: MailAddress): MailMark | null => {
    const { local, domain } = parts(from.address);
    const mine = lookOf(domain);
    for (const [theirs, there] of byDomain) {
      const same = theirs.domain === domain;
      if (!same && (FREE.has(mine.organisation) || !deceives(mine, theirs))) continue;
      for (const { address } of there) {
        const why = likeness(local, mine, address, theirs);
        if (why !== null) return { mark: 'look-alike', detail: `${from.shown} is not ${address}: ${why}.` };
      }
    }
    const name = nameOf(from.name);
    const namesake = name.includes(' ') ? byName.get(name) : undefined;
    // A colleague's second address within the same house deceives nobody.
    if (namesake === undefined || organisation(parts(namesake.address).domain) === mine.organisation) return null;
    return { mark: 'look-alike', detail: `"${from.name}" is known as ${namesake.address}, not as ${from.shown}.` };
  };

  return ({ from }) =>
    from.slice(0, 5).flatMap((each): MailMark[] => {
      if (each.address === '' || mailboxes.has(mailbox(each.address))) return [];
      const like = lookAlike(each);
      return [
        ...(like === null ? [] : [like]),
        { mark: 'first-time-sender', detail: `${each.shown} has not been heard of before.` },
      ];
    });
}

/** What the mail's own fields give away about its sender. */
export function senderMarks(mail: Pick<Mail, 'from' | 'sender' | 'replyTo' | 'listId'>): MailMark[] {
  const marks: MailMark[] = [];
  const [from] = mail.from;
  if (mail.from.length > 1)
    marks.push({ mark: 'several-senders', detail: `The mail names ${mail.from.length} senders.` });
  if (from === undefined) return marks;
  const claimed = ADDRESS.exec(from.name.slice(0, 500))?.[0].replace('＠', '@').toLowerCase();
  if (claimed !== undefined && mailbox(claimed) !== mailbox(from.address))
    marks.push({
      mark: 'name-is-address',
      detail: `The sender's name says ${claimed}, but the address is ${from.shown}.`,
    });
  const elsewhere = mail.replyTo.find(
    ({ address }) => organisation(parts(address).domain) !== organisation(parts(from.address).domain),
  );
  // Lists answer to themselves.
  if (elsewhere !== undefined && mail.listId === null)
    marks.push({ mark: 'reply-elsewhere', detail: `An answer would go to ${elsewhere.shown}, not to ${from.shown}.` });
  return marks;
}

/**
 * Why a mail is no order of an owner's; null if it is one. `own` are addresses of the account: an owner's mail to somebody
 * else, sent on to us by a stranger, still bears a good signature.
 */
export function whyNoOrder(mail: Mail, owners: readonly string[], own: readonly string[] = []): string | null {
  const [from] = mail.from;
  if (from === undefined || mail.from.length !== 1) return 'The mail does not name exactly one sender.';
  const same = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();
  if (!owners.some((owner) => same(owner, from.address))) return `${from.shown} is not an owner.`;
  if (!mail.auth.aligned) return mail.auth.why;
  if (mail.automatic !== null || mail.report !== null) return 'No person wrote it: it was sent automatically.';
  if (mail.listId !== null) return 'It came through a mailing list.';
  const reached = [...mail.to, ...mail.cc].some(({ address }) => own.some((each) => same(each, address)));
  if (own.length > 0 && !reached) return 'It is not addressed to this account.';
  return null;
}

export const isOwnersOrder = (mail: Mail, owners: readonly string[], own: readonly string[] = []): boolean =>
  whyNoOrder(mail, owners, own) === null;
