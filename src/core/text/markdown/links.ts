import { unescaped } from './characters.ts';
import type { Inline } from './tree.ts';

type Link = Extract<Inline, { kind: 'link' }>;

// Each pattern can go on in one way only at each character, and spaces that two of its parts could share are counted: so
// none of them looks at a character more than a few times, whatever the text.

const CHARACTER = String.raw`[^\s()\\]|\\\S|\\(?!\S)`;
const withBrackets = (inside: string): string => String.raw`${CHARACTER}|\((?:${inside})*\)`;
/** `<in angles>`, or up to the next space, with brackets that stand within each other three deep at most. */
const TARGET = String.raw`(?:<((?:[^<>\n\\]|\\.)*)>|(?!<)((?:${withBrackets(withBrackets(withBrackets(CHARACTER)))})*))`;
/** Not shown: a link says where it leads. */
const TITLE = String.raw`(?:\s{1,99}(?:"(?:[^"\\]|\\[^])*"|'(?:[^'\\]|\\[^])*'|\((?:[^()\\]|\\[^])*\)))?`;
const LABEL = String.raw`\[((?:[^[\]\\]|\\[^]){0,999})\]`;

/** What stands in brackets behind the words of a link: `(address "title")`. */
export const INLINE = new RegExp(String.raw`()\(\s{0,99}${TARGET}${TITLE}\s{0,99}\)`, 'y');
export const REFERENCE = new RegExp(LABEL, 'y');
/** `[label]: address`, alone on its line. A note at the foot of a text, `[^1]: word`, is none. */
export const DEFINITION = new RegExp(
  String.raw`(?!\[(?:\^|\s*\]))${LABEL}:\s{0,99}(?=\S)${TARGET}${TITLE}[ \t]*(?:\n|$)`,
  'y',
);
const ADDRESS =
  /<((?:https?:\/\/|mailto:)[^\s<>]+|[^\s<>@"'`(),:;\\]+@[a-z\d][a-z\d.-]*)>|(?<![a-z\d])(?:https?:\/\/|www\.)(?=[\p{L}\p{N}])[^\s<>"`[\]\u3000-\u303f\uff00-\uff0f\uff1a-\uff20]+|(?<![\w.+-])[\w.+-]+@(?:[a-z\d-]+\.)+[a-z\d-]*[a-z\d]/iuy;

/** What a pattern finds at a place, and nowhere after it. Labels are the same whatever their case and spaces. */
export function find(pattern: RegExp, text: string, at: number): { label: string; href: string; end: number } | null {
  pattern.lastIndex = at;
  const [all, label = '', angled, plain = ''] = pattern.exec(text) ?? [];
  if (all === undefined) return null;
  const known = label.trim().replace(/\s+/g, ' ').toLowerCase().toUpperCase();
  return { label: known, href: unescaped(angled ?? plain), end: at + all.length };
}

/** An address of the web or of mail that begins here, in angles or not. */
export function address(text: string, at: number): { link: Link; length: number } | null {
  ADDRESS.lastIndex = at;
  const [all, angled] = ADDRESS.exec(text) ?? [];
  if (all === undefined) return null;
  const shown = angled ?? trimmed(all);
  const scheme = /^(?:https?|mailto):/i.test(shown) ? '' : /^www\./i.test(shown) ? 'http://' : 'mailto:';
  const link: Link = { kind: 'link', href: scheme + shown, text: shown, of: [{ kind: 'text', text: shown }] };
  return { link, length: (angled ? all : shown).length };
}

/** What ends a sentence is no part of an address, nor a bracket that it does not open. */
function trimmed(address: string): string {
  let surplus = address.split(')').length - address.split('(').length;
  let end = address.length;
  while (/[.,;:!?'*_~]/.test(address[end - 1] ?? '') || (address[end - 1] === ')' && surplus-- > 0)) end -= 1;
  return address.slice(0, end);
}
