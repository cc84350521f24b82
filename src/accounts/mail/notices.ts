// What a mail's fields say beyond the letter: lists, answering machines, and reports about other mails.
import type { Mail, MailReport, MailUnsubscribe } from '../../core/mail.ts';
import { fieldsOf, plainValue, shownValue, type Field } from './header.ts';
import { fieldOf } from './mime.ts';

const MAX_RECIPIENTS = 200;

export function idsOf(raw: string | null): string[] {
  return [...(raw ?? '').matchAll(/<[^<>\s]{1,900}>/g)].map(([id]) => id);
}

export const listOf = (fields: readonly Field[]): string | null => {
  const raw = fieldOf(fields, 'list-id');
  if (raw === null) return null;
  return /<([^<>\s]{1,255})>/.exec(raw)?.[1]?.toLowerCase() ?? (plainValue(raw).trim().slice(0, 255) || null);
};

export function unsubscribeOf(fields: readonly Field[]): MailUnsubscribe | null {
  const ways = [...(fieldOf(fields, 'list-unsubscribe') ?? '').matchAll(/<\s*([^<>\s]{1,2000})\s*>/g)].map(
    ([, way = '']) => way,
  );
  const mail = ways.find((way) => /^mailto:/i.test(way)) ?? null;
  const web = ways.find((way) => /^https?:\/\//i.test(way)) ?? null;
  if (mail === null && web === null) return null;
  const post = /one-click/i.test(fieldOf(fields, 'list-unsubscribe-post') ?? '');
  return { mail, web, oneClick: post && web?.toLowerCase().startsWith('https:') === true };
}

const AWAY =
  /^(?:automatic reply|auto(?:matic)?[- ]?(?:reply|response)|out of (?:the )?office|automatische antwort|abwesenheit(?:snotiz)?|abwesend|réponse automatique|absence du bureau|absent du bureau|respuesta automática|fuera de (?:la )?oficina|risposta automatica)\b/i;

export function automaticOf(fields: readonly Field[], subject: string): Mail['automatic'] {
  const submitted = (fieldOf(fields, 'auto-submitted') ?? 'no').toLowerCase();
  const precedence = (fieldOf(fields, 'precedence') ?? '').toLowerCase();
  const answers = ['x-autoreply', 'x-autorespond', 'x-autoresponder', 'x-auto-reply', 'x-mail-autoreply'];
  if (/^auto-(?:replied|notified)/.test(submitted) || precedence.startsWith('auto_reply')) return 'reply';
  if (answers.some((name) => !/^(?:no|false)?$/i.test(fieldOf(fields, name) ?? '')) || AWAY.test(subject))
    return 'reply';
  if (!submitted.startsWith('no')) return 'generated';
  if (/^(?:bulk|list|junk)/.test(precedence) || fieldOf(fields, 'list-id') !== null) return 'bulk';
  return fieldOf(fields, 'list-unsubscribe') === null ? null : 'bulk';
}

/** `rfc822; ann@example.com` → the address. */
const addressIn = (raw: string | null): string =>
  shownValue(raw ?? '')
    .replace(/^[\w-]{1,40}\s*;\s*/, '')
    .replace(/^<|>$/g, '')
    .slice(0, 320);

const KINDS: readonly [RegExp, MailReport['kind']][] = [
  [/^message\/(?:global-)?delivery-status$/, 'delivery'],
  [/^message\/(?:global-)?disposition-notification$/, 'read'],
  [/^message\/feedback-report$/, 'abuse'],
];

export const reportKind = (type: string): MailReport['kind'] | null =>
  KINDS.find(([form]) => form.test(type))?.[1] ?? null;

/** The machine's part of a report: groups of fields, one for the whole and one for each recipient. */
export function readReport(kind: MailReport['kind'], body: string): MailReport {
  const groups = body
    .slice(0, 500_000)
    .split(/\r?\n[ \t]*\r?\n/)
    .slice(0, 10 * MAX_RECIPIENTS)
    .map(fieldsOf);
  const whole = groups.flat();
  const recipients = groups
    .filter((fields) => fieldOf(fields, 'final-recipient') !== null || fieldOf(fields, 'original-recipient') !== null)
    .slice(0, MAX_RECIPIENTS)
    .map((fields) => ({
      address: addressIn(fieldOf(fields, 'final-recipient') ?? fieldOf(fields, 'original-recipient')),
      action: shownValue(fieldOf(fields, 'action') ?? fieldOf(fields, 'disposition') ?? '')
        .toLowerCase()
        .slice(0, 200),
      status: /\d\.\d{1,3}\.\d{1,3}/.exec(fieldOf(fields, 'status') ?? '')?.[0] ?? '',
      diagnostic: addressIn(fieldOf(fields, 'diagnostic-code')).slice(0, 1000),
    }));
  return { kind, recipients, about: idsOf(fieldOf(whole, 'original-message-id'))[0] ?? null };
}

/** Some systems only name in a field of their own whom they did not reach. */
export function failedRecipients(fields: readonly Field[]): MailReport | null {
  const raw = fieldOf(fields, 'x-failed-recipients');
  if (raw === null) return null;
  const addresses = raw
    .split(',')
    .map((each) => each.trim())
    .filter(Boolean)
    .slice(0, MAX_RECIPIENTS);
  return {
    kind: 'delivery',
    recipients: addresses.map((address) => ({ address, action: 'failed', status: '', diagnostic: '' })),
    about: idsOf(fieldOf(fields, 'in-reply-to'))[0] ?? null,
  };
}

const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
/** Minutes from UTC. Names that others use for several zones are left out. */
const ZONES: Readonly<Record<string, number>> = {
  ut: 0,
  utc: 0,
  gmt: 0,
  z: 0,
  wet: 0,
  west: 60,
  bst: 60,
  cet: 60,
  met: 60,
  mez: 60,
  cest: 120,
  mest: 120,
  mesz: 120,
  eet: 120,
  eest: 180,
  msk: 180,
  jst: 540,
  est: -300,
  edt: -240,
  cst: -360,
  cdt: -300,
  mst: -420,
  mdt: -360,
  pst: -480,
  pdt: -420,
};
const DATE =
  /(?:^|[\s,])(\d{1,2})[\s-]{1,4}([a-z]{3})[a-z]{0,6}\.?,?[\s-]{1,4}(\d{2,4})\s+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?:[.,]\d+)?\s*(?:([+-])(\d{2}):?(\d{2})|([a-z]{1,5})\b)?/i;

/** A date as ISO 8601 in UTC; null if it says none. Without a zone it is taken for UTC, on every machine. */
export function dateOf(raw: string | null): string | null {
  const plain = (raw ?? '').slice(0, 300).replace(/\([^()]*\)/g, ' ');
  const found = DATE.exec(plain);
  if (found === null) {
    const iso = /\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?/.exec(plain)?.[0];
    return iso === undefined
      ? null
      : valid(Date.parse(/(?:Z|[+-]\d{2}:?\d{2})$/.test(iso) ? iso : `${iso.replace(' ', 'T')}Z`));
  }
  const [, day, name = '', given = '', hour, minute, second = '0', sign, hours, minutes, zone = ''] = found;
  const month = MONTHS.indexOf(name.toLowerCase());
  if (month === -1) return null;
  const short = Number(given) < 50 ? 2000 : 1900;
  const year = given.length === 4 ? Number(given) : Number(given) + short;
  const named = ZONES[zone.toLowerCase()] ?? 0;
  const offset = sign === undefined ? named : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  return valid(Date.UTC(year, month, Number(day), Number(hour), Number(minute), Number(second)) - offset * 60_000);
}

const valid = (at: number): string | null =>
  Number.isFinite(at) && Math.abs(at) < 8.64e15 ? new Date(at).toISOString() : null;

/** When the first server of ours took the mail in: the topmost `Received`. */
export const receivedOf = (fields: readonly Field[]): string | null => {
  const raw = fieldOf(fields, 'received');
  return raw === null ? null : dateOf(raw.slice(raw.lastIndexOf(';') + 1));
};
