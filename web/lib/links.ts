const ALLOWED = new Set(['http:', 'https:', 'mailto:']);

/** Where a link of a text leads, and what must be shown of that; null if nobody should be led there. */
export function target(href: string, text: string): { href: string; shown: string } | null {
  // No base: a relative link would lead into this page.
  const url = URL.canParse(href) ? new URL(href) : null;
  if (!url || !ALLOWED.has(url.protocol)) return null;
  // Whole: more recipients can stand behind a question mark, and a part of a name is a name of somebody else.
  const mail = url.protocol === 'mailto:' && url.pathname + url.search;
  if (mail !== false) return { href: url.href, shown: text === mail ? '' : mail || url.href };
  // The host is shown unless the text is the address itself, and names nobody before an @.
  const same = url.username === '' && bare(text) === bare(url.href);
  return { href: url.href, shown: same ? '' : url.host };
}

const bare = (address: string): string => address.replace(/^https?:\/\//i, '').replace(/\/$/, '');
