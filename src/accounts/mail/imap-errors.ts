import { AccountError } from '../../core/ports/account.ts';
import { NetError } from '../../core/ports/net.ts';
import { errorText } from '../../core/text/sentence.ts';
import { cleanedLine } from './shown.ts';

/** Codes of RFC 5530 by which a server turns away somebody who may come back later. */
const LATER = new Set(['UNAVAILABLE', 'LIMIT', 'INUSE', 'OVERQUOTA', 'SERVERBUG']);
/** The same in the words of servers without codes. */
const LATER_WORDS = /too many|throttl|rate.?limit|try again|temporar|unavailable|exceeded|slow down|system busy/i;

/** What the library adds to an error. */
interface Told {
  code?: unknown;
  authenticationFailed?: unknown;
  serverResponseCode?: unknown;
  responseText?: unknown;
  response?: unknown;
  reason?: unknown;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The server's own words, which anybody may have written. */
const words = ({ responseText, response, reason }: Told): string =>
  cleanedLine(text(responseText) || text(reason) || text(response)).slice(0, 300);

/** Any failure on the way to an IMAP server, and on it, as one that a person can act on. */
export function imapError(error: unknown, where: string): AccountError {
  if (error instanceof AccountError) return error;
  if (error instanceof NetError) return byNet(error);
  const told = (error ?? {}) as Told;
  const said = words(told);
  const quoted = said === '' ? '' : ` It says: ${JSON.stringify(said)}.`;
  const code = text(told.serverResponseCode);
  const throttled = told.code === 'ETHROTTLE' || LATER.has(code) || LATER_WORDS.test(said);
  if (throttled)
    return new AccountError(
      'throttled',
      `${where} wants to be left alone for a while.${quoted} It is tried again later.`,
    );
  if (told.authenticationFailed === true)
    return new AccountError(
      'login',
      `${where} does not accept the user name or the password.${quoted} Many providers want an app password in place of the usual one.`,
    );
  if (code === 'NOPERM' || code === 'ACL') return new AccountError('rights', `${where} does not allow this.${quoted}`);
  if (code !== '' || said !== '') return new AccountError('protocol', `${where} refuses this.${quoted}`);
  return new AccountError('network', `The connection to ${where} broke off (${text(told.code) || errorText(error)}).`);
}

function byNet(error: NetError): AccountError {
  const said = `${error.message[0]?.toUpperCase() ?? ''}${error.message.slice(1)}.`;
  if (error.code === 'dns') return new AccountError('dns', said);
  if (error.code === 'blocked') return new AccountError('blocked', said);
  // The guard has one code for what is not reached and what is not trusted.
  const tls = /encrypted connection was not made/.test(error.message);
  return new AccountError(tls ? 'tls' : 'network', said);
}
