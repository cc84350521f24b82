/** The guard's own business, or a way to make two servers disagree about where a request ends. */
export const REFUSED_HEADERS =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|keep-alive|expect|http2-settings|proxy-.*)$/;

/** Whether a header (lower case) goes on to the other side: it is neither of one connection nor of the framing. */
export const isOutgoingHeader = (name: string): boolean => !REFUSED_HEADERS.test(name);

/** What says how a message is to be read, and what clients settle among themselves. */
const ABOUT_MESSAGE = /^(?:accept(?:-.*)?|content-.*|range|if-.*|set-cookie2?|user-agent|referer|origin|sec-.*)$/;

/** Whether a header (lower case) may carry a credential of a binding. */
export const carriesCredential = (name: string): boolean => isOutgoingHeader(name) && !ABOUT_MESSAGE.test(name);

/** The one spelling of headers that servers take for the same: CGI and what is built on it tell no `_` from `-`. */
export const sameHeader = (name: string): string => name.toLowerCase().replaceAll('_', '-');

/** Charsets in which ASCII is ASCII, so that a value is found in the bytes. */
const PLAIN_CHARSET =
  /^(?:utf-?8|us-ascii|ascii|iso-?8859-?\d+|latin-?1|windows-125\d|koi8-[ru]|gb2312|gbk|gb18030|big5|shift[_-]jis|euc-(?:jp|kr))$/;

/** Why an answer cannot be looked through for a value; null if it can. */
export function unreadable({ status, coding, type }: { status: number; coding: string; type: string }): string | null {
  // Nobody asked for a part, and a value that comes in parts is found in none of them.
  if (status === 206 || status === 226 || /^\s*multipart\/byteranges/i.test(type))
    return 'the answer is a part, though that was not asked for, and cannot be looked through';
  if (/[^\s,]/.test(coding.replace(/chunked/i, '')))
    return 'the answer has a transfer encoding other than chunked, and cannot be looked through';
  for (const [, charset = ''] of type.matchAll(/charset\s*=\s*["']?([^\s"';,]*)/gi))
    if (!PLAIN_CHARSET.test(charset.toLowerCase()))
      return 'the answer is in a charset in which nothing can be looked for: ask for UTF-8';
  return null;
}
