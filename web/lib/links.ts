const ALLOWED = new Set(['http:', 'https:', 'mailto:']);

/** Where a link of a text leads, and what must be shown of that; null if nobody should be led there. */
export function target(href: string, text: string): { href: string; shown: string } | null {
  let url: URL;
  try {
    url = new URL(href); // no base: a relative link would lead into this page
  } catch {
    return null;
  }
  if (!ALLOWED.has(url.protocol)) return null;
  if (url.protocol === 'mailto:') return { href: url.href, shown: text.includes(url.pathname) ? '' : url.pathname };
  // The host is shown unless the text is the address itself, and names nobody before an @.
  const same = url.username === '' && bare(text) === bare(url.href);
  return { href: url.href, shown: same ? '' : url.host };
}

const bare = (address: string): string => address.replace(/\/$/, '');

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

/** Entities of Markdown's text, as characters. */
export const unescaped = (text: string): string =>
  text.replace(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,6}));/gi,
    (whole, decimal?: string, hex?: string, name = '') => {
      if (name !== '') return ENTITIES[String(name).toLowerCase()] ?? whole;
      const code = decimal === undefined ? parseInt(hex ?? '', 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : whole;
    },
  );
