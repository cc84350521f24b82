// Who really sent a mail, as far as the owner's own server found out (RFC 8601). Nobody else's word counts.
import type { AuthVerdict, MailAuth } from '../../core/mail.ts';
import { plainValue, structured, type Field } from './header.ts';

/** Second levels under which countries give out names: `example.co.uk` is one organisation, `co.uk` is none. */
const SECOND = new Set(
  'ac co com edu gen gob gouv gov govt go id info kr lg ltd me mil ne net nhs nom or org plc police sch school web'.split(
    ' ',
  ),
);

/** True for a name under which strangers register theirs. A small rule: it errs towards `true`. */
function isSuffix(domain: string): boolean {
  const labels = domain.split('.');
  if (labels.length < 2) return true;
  const [second = '', top = ''] = labels;
  return labels.length === 2 && top.length === 2 && (SECOND.has(second) || second.length <= 2);
}

/** The part of a domain that one organisation owns. */
export function organisation(domain: string): string {
  const labels = domain.split('.');
  const two = labels.slice(-2).join('.');
  return labels.length <= 2 || !isSuffix(two) ? two : labels.slice(-3).join('.');
}

/**
 * True if a voucher for one domain may speak for the other: they are equal, or one lies within the other. Sisters
 * (`a.example.com` and `b.example.com`) are left to DMARC, whose server knows the whole list of public suffixes.
 */
function speaksFor(one: string, other: string): boolean {
  if (one === '' || other === '') return false;
  if (one === other) return true;
  const [outer, inner] = one.length < other.length ? [one, other] : [other, one];
  return inner.endsWith(`.${outer}`) && !isSuffix(outer);
}

const VERDICTS: ReadonlySet<string> = new Set([
  'pass',
  'fail',
  'softfail',
  'neutral',
  'none',
  'policy',
  'temperror',
  'permerror',
]);
const isVerdict = (text: string): text is AuthVerdict => VERDICTS.has(text);

interface Finding {
  method: string;
  result: AuthVerdict;
  properties: ReadonlyMap<string, string>;
}

/** A value without its comments, which may be nested; quoted strings stay. */
function withoutComments(text: string): string {
  let out = '';
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? '';
    if (char === '\\') {
      if (depth === 0) out += char + (text[at + 1] ?? '');
      at++;
    } else if (char === '"' && depth === 0) {
      quoted = !quoted;
      out += char;
    } else if (char === '(' && !quoted) depth++;
    else if (char === ')' && !quoted && depth > 0) depth--;
    else if (depth === 0) out += char;
    if (char === ')' && depth === 0 && !quoted) out += ' ';
  }
  return out;
}

/** Splits at semicolons that stand outside quotes. */
const clauses = (text: string): string[] => text.match(/(?:"(?:[^"\\]|\\.)*"|[^";]|")+/g) ?? [];

const PROPERTY = /([a-z0-9_-]{1,40}(?:\.[a-z0-9_-]{1,40})?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/gi;

/** One `Authentication-Results` field: whose it is and what it found; null if it is not in that form. */
export function authResults(raw: string): { server: string; findings: Finding[] } | null {
  const [first = '', ...rest] = clauses(withoutComments(plainValue(raw)));
  const server = /^\s*"?([^\s"]{1,255})"?(?:\s+\d{1,4})?\s*$/.exec(first)?.[1]?.toLowerCase();
  if (server === undefined || server.includes('=')) return null;
  const findings = rest.slice(0, 100).flatMap((clause): Finding[] => {
    const [, method = '', verdict = ''] =
      /^\s*([a-z0-9-]{1,40})(?:\s*\/\s*\d{1,4})?\s*=\s*([a-z]{1,20})\b/i.exec(clause) ?? [];
    const result = verdict.toLowerCase() === 'hardfail' ? 'fail' : verdict.toLowerCase();
    if (!isVerdict(result)) return [];
    const properties = new Map<string, string>();
    for (const [, name = '', quoted, plain] of clause.slice(clause.indexOf('=') + 1).matchAll(PROPERTY))
      if (!properties.has(name.toLowerCase()))
        properties.set(name.toLowerCase(), (quoted ?? plain ?? '').toLowerCase());
    return [{ method: method.toLowerCase(), result, properties }];
  });
  return { server, findings };
}

const domainOf = (value: string | undefined): string => (value ?? '').replace(/^.*@/, '').replace(/\.$/, '');

const NONE: Omit<MailAuth, 'why'> = { server: null, spf: null, dkim: [], dmarc: null, aligned: false };

/** Some signatures cover only the beginning of a body: anyone may add to it. */
function signsWhole(fields: readonly Field[], domain: string): boolean {
  const own = fields
    .filter((field) => field.name === 'dkim-signature')
    .map((field) => structured(`x;${field.raw}`).parameters);
  return own.every((tags) => !tags.has('l') || !speaksFor(domainOf(tags.get('d')?.toLowerCase()), domain));
}

/**
 * What the owner's server says of the sender: the topmost field alone, and only if it bears the server's authserv-id.
 * Further down stands what others wrote, perhaps in our server's name.
 */
export function authenticate(fields: readonly Field[], from: readonly string[], authserv: readonly string[]): MailAuth {
  const top = fields.find((field) => field.name === 'authentication-results');
  if (authserv.length === 0)
    return { ...NONE, why: 'The account does not say what its server calls itself in Authentication-Results.' };
  const results = top === undefined ? null : authResults(top.raw);
  if (results === null) return { ...NONE, why: "The mail bears no result of the owner's server." };
  if (!authserv.some((own) => own.toLowerCase() === results.server))
    return { ...NONE, why: `The topmost result is of ${results.server}, which is not the owner's server.` };
  const domains = new Set(from.map((address) => domainOf(address)));
  const [domain = ''] = domains;
  const of = (method: string): Finding[] => results.findings.filter((finding) => finding.method === method);
  const spf = of('spf').map((each) => ({
    result: each.result,
    domain: domainOf(
      each.properties.get('smtp.mailfrom') ?? each.properties.get('smtp.mail') ?? each.properties.get('smtp.helo'),
    ),
  }));
  const dkim = of('dkim').map((each) => ({
    result: each.result,
    domain: domainOf(each.properties.get('header.d') ?? each.properties.get('header.i')),
  }));
  const dmarc = of('dmarc').map((each) => ({
    result: each.result,
    domain: domainOf(each.properties.get('header.from')),
  }));
  const found = { server: results.server, spf: spf[0] ?? null, dkim, dmarc: dmarc[0] ?? null };
  const verdict = (aligned: boolean, why: string): MailAuth => ({ ...found, aligned, why });
  if (from.length !== 1 || domain === '') return verdict(false, 'The mail does not name exactly one sender.');
  if (dmarc.some(({ result }) => result === 'fail')) return verdict(false, `DMARC failed for ${domain}.`);
  if (!signsWhole(fields, domain)) return verdict(false, `The signature of ${domain} covers only a part of the mail.`);
  if (dmarc.some((each) => each.result === 'pass' && each.domain === domain))
    return verdict(true, `DMARC passed for ${domain}.`);
  const signed = dkim.find((each) => each.result === 'pass' && speaksFor(each.domain, domain));
  if (signed !== undefined) return verdict(true, `Signed by ${signed.domain} (DKIM).`);
  const sent = spf.find((each) => each.result === 'pass' && speaksFor(each.domain, domain));
  if (sent !== undefined) return verdict(true, `Sent by a server of ${sent.domain} (SPF).`);
  return verdict(false, `Nothing shows that the mail comes from ${domain}.`);
}
