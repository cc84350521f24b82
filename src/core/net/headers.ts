/** The guard's own business, or a way to make two servers disagree about where a request ends. */
export const REFUSED_HEADERS =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|keep-alive|expect|http2-settings|proxy-.*)$/;

/** Whether a header (lower case) goes on to the other side: it is neither of one connection nor of the framing. */
export const isOutgoingHeader = (name: string): boolean => !REFUSED_HEADERS.test(name);

/** What says how a message is to be read, and what clients settle among themselves. */
const ABOUT_MESSAGE = /^(?:accept(?:-.*)?|content-.*|range|if-.*|set-cookie2?|user-agent|referer|origin|sec-.*)$/;

/** Whether a header (lower case) may carry a credential of a binding. */
export const carriesCredential = (name: string): boolean => isOutgoingHeader(name) && !ABOUT_MESSAGE.test(name);
