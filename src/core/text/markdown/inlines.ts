import { after, before, decoded, isCjk, isPunctuation, isSpace } from './characters.ts';
import { emphasised, type Mark, type Piece } from './emphasis.ts';
import {
  type Address,
  addressInAngles,
  inBrackets,
  label,
  LABEL_LENGTH,
  labelOf,
  mailAddress,
  webAddress,
} from './links.ts';
import { DEPTH, type Inline, wordsOf } from './tree.ts';

/** `[label]: address` of the whole text, and how many characters of addresses references to it may still repeat. */
export interface Definitions {
  addresses: Map<string, string>;
  left: number;
}

interface Bracket {
  image: boolean;
  /** Its place among the pieces, and where the words behind it begin. */
  piece: number;
  from: number;
  /** True if another one has been opened since, so that what stands between can be no label. */
  followed: boolean;
}

interface Scan {
  text: string;
  definitions: Definitions;
  at: number;
  /** Where the plain text begins that is not among the pieces yet. */
  plain: number;
  pieces: Piece[];
  brackets: Bracket[];
  /** So many of the brackets stand before a link: a link holds no other one. */
  spent: number;
  /** Where runs of backticks stand, by their length, from the last one to the first. */
  ticks: Map<number, number[]> | null;
  /** No mail address begins before this. */
  noMail: number;
}

const TAG =
  /<\/?([a-z][a-z\d-]*)(?:\s+[a-z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|"[^"]*"|'[^']*'))?)*\s*\/?>/iy;

/** The elements of a paragraph. Takes time in proportion to its length, whatever it holds. */
export function inlines(text: string, definitions: Definitions): Inline[] {
  const mail = text.includes('@');
  const scan: Scan = {
    text,
    definitions,
    at: 0,
    plain: 0,
    pieces: [],
    brackets: [],
    spent: 0,
    ticks: null,
    noMail: mail ? 0 : text.length,
  };
  while (scan.at < text.length) step(scan);
  take(scan, 0);
  return emphasised(scan.pieces).of;
}

/** Puts what stands before `at` among the pieces as text, then what was made of the next characters. */
function take(scan: Scan, length: number, made?: Inline | Mark, depth = 0): void {
  const { text, plain, at, pieces } = scan;
  if (at > plain) pieces.push({ of: { kind: 'text', text: decoded(text.slice(plain, at)) }, depth: 0 });
  if (made) pieces.push({ of: made, depth });
  scan.at = at + length;
  scan.plain = scan.at;
}

function step(scan: Scan): void {
  const { text, at } = scan;
  const char = text[at] ?? '';
  switch (char) {
    case '\\':
      return escape(scan, text[at + 1] ?? '');
    case '\n':
      return lineEnd(scan);
    case '`':
      return codeSpan(scan);
    case '*':
    case '_':
    case '~':
      return mark(scan, char);
    case '!':
      if (text[at + 1] === '[') return open(scan, '![');
      break;
    case '[':
      return open(scan, '[');
    case ']':
      return close(scan);
    case '<':
      return angle(scan);
    default:
      if (/[a-z\d]/i.test(char) && address(scan, char)) return;
  }
  scan.at += 1;
}

/** Spaces at the end of a line mean nothing: every line of the source is one of the result. */
function lineEnd(scan: Scan): void {
  const end = scan.at;
  while (scan.at > scan.plain && /[ \t]/.test(scan.text[scan.at - 1] ?? '')) scan.at -= 1;
  take(scan, end - scan.at + 1, { kind: 'break' });
}

function escape(scan: Scan, next: string): void {
  if (next === '\n') take(scan, 2, { kind: 'break' });
  else if (/[!-/:-@[-`{-~]/.test(next)) take(scan, 2, { kind: 'text', text: next });
  else scan.at += 1;
}

function codeSpan(scan: Scan): void {
  const { text, at } = scan;
  scan.ticks ??= backticks(text);
  let length = 1;
  while (text[at + length] === '`') length += 1;
  const same = scan.ticks.get(length) ?? [];
  while ((same.at(-1) ?? at + length) < at + length) same.pop();
  const end = same.at(-1);
  if (end === undefined) {
    scan.at += length;
    return;
  }
  const inside = text.slice(at + length, end).replaceAll('\n', ' ');
  const padded = inside.startsWith(' ') && inside.endsWith(' ') && inside.trim() !== '';
  take(scan, end + length - at, { kind: 'code', text: padded ? inside.slice(1, -1) : inside });
}

function backticks(text: string): Map<number, number[]> {
  const runs = new Map<number, number[]>();
  for (const { 0: run, index } of text.matchAll(/`+/g)) {
    const known = runs.get(run.length);
    if (known) known.push(index);
    else runs.set(run.length, [index]);
  }
  for (const places of runs.values()) places.reverse();
  return runs;
}

/**
 * CommonMark's rules of which run may open and which may close: `snake_case` and `2 * 3` are no emphasis. Beside Chinese,
 * Japanese and Korean, which have no spaces between words, punctuation within the stars changes nothing.
 */
function mark(scan: Scan, char: string): void {
  const { text, at } = scan;
  let length = 1;
  while (text[at + length] === char) length += 1;
  // One tilde means "about", three or more begin code.
  if (char === '~' && length !== 2) {
    scan.at += length;
    return;
  }
  const [left, right] = [before(text, at), after(text, at + length)];
  const ends = (each: string): boolean => isSpace(each) || isPunctuation(each);
  const inner = (each: string): boolean => isPunctuation(each) && !isCjk(each);
  const begins = !isSpace(right) && (!inner(right) || ends(left) || isCjk(left));
  const closes = !isSpace(left) && (!inner(left) || ends(right) || isCjk(right));
  take(scan, length, {
    kind: 'mark',
    char,
    length,
    left: length,
    opens: char === '_' ? begins && (!closes || isPunctuation(left)) : begins,
    closes: char === '_' ? closes && (!begins || isPunctuation(right)) : closes,
  });
}

function angle(scan: Scan): void {
  const { text, at } = scan;
  const address = addressInAngles(text, at);
  if (address) return link(scan, address);
  TAG.lastIndex = at;
  const [tag, name] = TAG.exec(text) ?? [];
  if (tag === undefined) scan.at += 1;
  else if (/^br$/i.test(name ?? '')) take(scan, tag.length, { kind: 'break' });
  else take(scan, tag.length, { kind: 'text', text: tag });
}

const link = (scan: Scan, { href, shown, length }: Address): void =>
  take(scan, length, { kind: 'link', href, text: shown, of: [{ kind: 'text', text: shown }] }, 1);

/** False if no address begins here. */
function address(scan: Scan, char: string): boolean {
  const { text, at } = scan;
  const previous = before(text, at);
  const web = /[hw]/i.test(char) ? webAddress(text, at, previous) : null;
  if (web) {
    link(scan, web);
    return true;
  }
  if (at < scan.noMail || /[a-z\d.+-]/i.test(previous)) return false;
  const mail = mailAddress(text, at);
  if (typeof mail === 'number') scan.noMail = mail;
  else link(scan, mail);
  return typeof mail !== 'number';
}

function open(scan: Scan, sign: '[' | '!['): void {
  take(scan, sign.length, { kind: 'text', text: sign });
  const last = scan.brackets.at(-1);
  if (last) last.followed = true;
  scan.brackets.push({ image: sign === '![', piece: scan.pieces.length - 1, from: scan.at, followed: false });
}

/** `](address)`, `][label]` or `]` alone make a link of what stands since its bracket. */
function close(scan: Scan): void {
  const bracket = scan.brackets.pop();
  const live = bracket && (bracket.image || scan.brackets.length >= scan.spent);
  scan.spent = Math.min(scan.spent, scan.brackets.length);
  const to = live ? targetOf(scan, bracket) : null;
  if (!bracket || !to) {
    scan.at += 1;
    return;
  }
  const { at } = scan;
  take(scan, 0);
  const inside = scan.pieces.splice(bracket.piece).slice(1);
  const { of, depth } = emphasised(inside);
  if (depth >= DEPTH) {
    // As it was written, but for the emphases.
    scan.pieces.push({ of: { kind: 'text', text: bracket.image ? '![' : '[' }, depth: 0 });
    for (const each of of) scan.pieces.push({ of: each, depth });
    scan.at += 1;
    return;
  }
  const { href } = to;
  const made: Inline = bracket.image
    ? { kind: 'image', href, text: wordsOf(of) }
    : { kind: 'link', href, text: wordsOf(of), of: unlinked(of) };
  take(scan, to.end - at, made, depth + 1);
  if (!bracket.image) scan.spent = scan.brackets.length;
}

function targetOf({ text, at, definitions }: Scan, bracket: Bracket): { href: string; end: number } | null {
  const inline = inBrackets(text, at + 1);
  if (inline || definitions.addresses.size === 0) return inline;
  const second = text[at + 1] === '[' ? label(text, at + 1) : null;
  const own = bracket.followed || at - bracket.from > LABEL_LENGTH ? null : text.slice(bracket.from, at);
  const name = second?.text ? second.text : own;
  const href = name === null ? undefined : definitions.addresses.get(labelOf(name));
  if (href === undefined || href.length > definitions.left) return null;
  definitions.left -= href.length;
  return { href, end: second?.end ?? at + 1 };
}

/** Addresses within the words of a link are words. */
const unlinked = (list: readonly Inline[]): Inline[] =>
  list.flatMap((each) =>
    each.kind === 'link' ? each.of : 'of' in each ? [{ ...each, of: unlinked(each.of) }] : [each],
  );
