import { address, find, INLINE, REFERENCE } from './links.ts';
import { decoded } from './characters.ts';
import { type Inline, OPEN, wordsOf } from './tree.ts';

/** `[label]: address` of the whole text, and how many characters of addresses references to it may still repeat. */
export interface Definitions {
  addresses: Map<string, string>;
  left: number;
}

interface Bracket {
  image: boolean;
  /** Its place in the text, and among the pieces. */
  at: number;
  piece: number;
  /** False before a link: a link holds no other one. */
  live: boolean;
}

interface Scan {
  text: string;
  definitions: Definitions;
  at: number;
  /** Where the plain text begins that is not among the pieces yet. */
  plain: number;
  pieces: (Inline | Mark)[];
  brackets: Bracket[];
  /** Where the runs of backticks begin, by their length, the next one last; null before the first is met. */
  ticks: Map<number, number[]> | null;
}

const TAG = /<\/?([a-z][a-z\d-]*)(?:\s+[a-z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|"[^"]*"|'[^']*'))?)*\s*\/?>/iy;

/** The elements of a paragraph. Takes time in proportion to its length, whatever it holds. */
export function inlines(text: string, definitions: Definitions): Inline[] {
  const scan: Scan = { text, definitions, at: 0, plain: 0, pieces: [], brackets: [], ticks: null };
  while (scan.at < text.length) step(scan, text[scan.at] ?? '');
  take(scan, 0);
  return emphasised(scan.pieces);
}

/** Puts what stands before `at` among the pieces as text, then what was made of the next characters. */
function take(scan: Scan, length: number, made?: Inline | Mark): void {
  const { text, plain, at, pieces } = scan;
  // Spaces at the end of a line mean nothing: every line of the source is one of the result.
  const before = text.slice(plain, at);
  if (before !== '') pieces.push({ kind: 'text', text: decoded(made?.kind === 'break' ? before.trimEnd() : before) });
  if (made) pieces.push(made);
  scan.plain = scan.at = at + length;
}

function step(scan: Scan, char: string): void {
  const { text, at } = scan;
  const next = text[at + 1];
  if (char === '\\' && next && /[!-/:-@[-`{-~\n]/.test(next))
    return take(scan, 2, next === '\n' ? { kind: 'break' } : { kind: 'text', text: next });
  if (char === '\n') return take(scan, 1, { kind: 'break' });
  if (char === '`') return codeSpan(scan);
  if (char === '*' || char === '_' || char === '~') return mark(scan, char);
  if (char === '[') return open(scan, char);
  if (char === '!' && next === '[') return open(scan, '![');
  if (char === ']') return close(scan);
  const found = /[<a-z\d]/i.test(char) ? address(text, at) : null;
  if (found) return take(scan, found.length, found.link);
  TAG.lastIndex = at;
  const [tag, name = ''] = (char === '<' && TAG.exec(text)) || [];
  if (!tag) scan.at += 1;
  else take(scan, tag.length, /^br$/i.test(name) ? { kind: 'break' } : { kind: 'text', text: tag });
}

/** The character at a place with all that follow and are the same. */
function runAt(text: string, at: number): string {
  let end = at;
  while (text[end] === text[at]) end += 1;
  return text.slice(at, end);
}

/** The places are looked up, not searched for: a thousand runs that find no partner would each walk the whole text. */
function ticksByLength(text: string): Map<number, number[]> {
  const places = new Map<number, number[]>();
  for (const { 0: run, index } of [...text.matchAll(/`+/g)].reverse()) {
    const same = places.get(run.length);
    if (same) same.push(index);
    else places.set(run.length, [index]);
  }
  return places;
}

function codeSpan(scan: Scan): void {
  const { text, at } = scan;
  const { length } = runAt(text, at);
  const begin = at + length;
  scan.ticks ??= ticksByLength(text);
  const places = scan.ticks.get(length) ?? [];
  while ((places.at(-1) ?? begin) < begin) places.pop();
  const end = places.at(-1);
  if (end === undefined) {
    scan.at = begin;
    return;
  }
  const inside = text.slice(begin, end).replaceAll('\n', ' ');
  const padded = inside[0] === ' ' && inside.endsWith(' ') && inside.trim() !== '';
  take(scan, end + length - at, { kind: 'code', text: padded ? inside.slice(1, -1) : inside });
}

/** Scripts that put no space between words, with their punctuation and their full-width forms; the rarer characters, too. */
const UNSPACED =
  /[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\u{16fe0}-\u{1b16f}\u{20000}-\u{3ffff}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}]/u;

/**
 * CommonMark's rules of which run may open and which may close: `snake_case` and `2 * 3` are no emphasis. Beside Chinese,
 * Japanese, Korean, Thai and others that have no spaces between words, punctuation within the stars changes nothing.
 */
function mark(scan: Scan, char: string): void {
  const { text, at } = scan;
  const { length } = runAt(text, at);
  // One tilde means "about". A long run is a line, and would wrap its words as often as it is long.
  if (char === '~' ? length !== 2 : length > 9) {
    scan.at += length;
    return;
  }
  const [left, right] = [text[at - 1] ?? ' ', text[at + length] ?? ' '];
  const sign = (each: string): boolean => /[\p{P}\p{S}]/u.test(each);
  // Two units of the text make one of the rarer characters.
  const unspaced =
    UNSPACED.test(text.slice(Math.max(at - 2, 0), at).slice(/[\udc00-\udfff]/.test(left) ? -2 : -1)) ||
    UNSPACED.test(String.fromCodePoint(text.codePointAt(at + length) ?? 0));
  const touches = (near: string, far: string): boolean =>
    /\S/.test(near) && (!sign(near) || /\s/.test(far) || sign(far) || unspaced);
  const [begins, ends] = [touches(right, left), touches(left, right)];
  take(scan, length, {
    kind: 'mark',
    char,
    length,
    left: length,
    opens: begins && (char !== '_' || !ends || sign(left)),
    closes: ends && (char !== '_' || !begins || sign(right)),
  });
}

function open(scan: Scan, sign: '[' | '!['): void {
  take(scan, sign.length, { kind: 'text', text: sign });
  const bracket = { image: sign === '![', at: scan.at - 1, piece: scan.pieces.length - 1, live: true };
  scan.brackets = [...scan.brackets, bracket].slice(-OPEN);
}

/** `](address)`, `][label]` or `]` alone make a link of what stands since its bracket. */
function close(scan: Scan): void {
  const { at } = scan;
  const bracket = scan.brackets.pop();
  const to = bracket?.live ? targetOf(scan, bracket) : null;
  if (!bracket || !to) {
    scan.at += 1;
    return;
  }
  take(scan, 0);
  const of = emphasised(scan.pieces.splice(bracket.piece).slice(1));
  const { href } = to;
  const text = wordsOf(of);
  take(
    scan,
    to.end - at,
    bracket.image ? { kind: 'image', href, text } : { kind: 'link', href, text, of: unlinked(of) },
  );
  for (const each of scan.brackets) each.live = each.live && (each.image || bracket.image);
}

function targetOf({ text, at, definitions }: Scan, bracket: Bracket): { href: string; end: number } | null {
  const inline = find(INLINE, text, at + 1);
  if (inline || definitions.addresses.size === 0) return inline;
  const second = find(REFERENCE, text, at + 1);
  const own = find(REFERENCE, text, bracket.at);
  const label = second?.label || (own?.end === at + 1 ? own.label : '');
  const href = definitions.addresses.get(label);
  if (href === undefined || href.length > definitions.left) return null;
  definitions.left -= href.length;
  return { href, end: second?.end ?? at + 1 };
}

/** Addresses within the words of a link are words. */
const unlinked = (list: readonly Inline[]): Inline[] =>
  list.flatMap((each) =>
    each.kind === 'link' ? each.of : 'of' in each ? [{ ...each, of: unlinked(each.of) }] : [each],
  );

/** A run of `*`, `_` or `~` that may begin or end an emphasis. */
interface Mark {
  kind: 'mark';
  char: string;
  /** As written, and what no emphasis has taken yet. */
  length: number;
  left: number;
  opens: boolean;
  closes: boolean;
}

/** Pairs the marks: CommonMark's way with a stack, the closest opener first. What finds no other is text. */
function emphasised(pieces: readonly (Inline | Mark)[]): Inline[] {
  const out: (Inline | Mark)[] = [];
  let openers: { mark: Mark; at: number }[] = [];
  for (const piece of pieces) {
    const mark = piece.kind === 'mark' ? piece : null;
    while (mark?.closes && mark.left > 0) {
      const place = openers.findLastIndex((opener) => fits(opener.mark, mark));
      const opener = openers[place];
      if (!opener) break;
      const used = opener.mark.left > 1 && mark.left > 1 ? 2 : 1;
      const of = joined(out.splice(opener.at + 1));
      openers.length = place + 1;
      mark.left -= used;
      opener.mark.left -= used;
      if (opener.mark.left === 0) {
        openers.pop();
        out.pop();
      }
      out.push({ kind: mark.char === '~' ? 'del' : used > 1 ? 'strong' : 'em', of });
    }
    if (mark?.left === 0) continue;
    out.push(piece);
    if (mark?.opens) openers = [...openers, { mark, at: out.length - 1 }].slice(-OPEN);
  }
  return joined(out);
}

const fits = (open: Mark, { char, length, opens }: Mark): boolean =>
  // The rule of three: `*a**b*` is one emphasis around two stars.
  open.char === char && !((open.closes || opens) && (open.length + length) % 3 === 0 && open.length % 3 !== 0);

/** Neighbouring texts as one. */
function joined(pieces: readonly (Inline | Mark)[]): Inline[] {
  const list: Inline[] = [];
  for (const piece of pieces) {
    const each: Inline = piece.kind === 'mark' ? { kind: 'text', text: piece.char.repeat(piece.left) } : piece;
    const last = list.at(-1);
    if (each.kind === 'text' && last?.kind === 'text')
      list.splice(-1, 1, { kind: 'text', text: last.text + each.text });
    else list.push(each);
  }
  return list;
}
