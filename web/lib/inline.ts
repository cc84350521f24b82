import { unescaped } from './links.ts';

export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'break' }
  | { kind: 'strong' | 'em' | 'del'; of: Inline[] }
  /** `text`: what it reads. */
  | { kind: 'link' | 'image'; href: string; text: string; of: Inline[] };

/** A run of `*`, `_` or `~` that may begin or end an emphasis. */
interface Mark {
  kind: 'mark';
  char: string;
  length: number;
  opens: boolean;
  closes: boolean;
}

type Node = Inline | Mark | { kind: 'bracket'; image: boolean; active: boolean };

/** Emphases within each other, and marks in one paragraph, that are looked at; what is beyond stays as it is written. */
const DEPTH = 8;
const MARKS = 3_000;

/** An address in the middle of a text. */
const ADDRESS = /https?:\/\/[^\s<>"`[\]]+/y;

/** The elements of a line of Markdown. Takes time in proportion to its length, whatever it holds. */
export function inlines(text: string): Inline[] {
  return emphasised(scan(text));
}

export const wordsOf = (list: readonly Inline[]): string =>
  list.map((each) => ('text' in each ? each.text : each.kind === 'break' ? '\n' : wordsOf(each.of))).join('');

function scan(text: string): Node[] {
  const nodes: Node[] = [];
  const brackets: number[] = [];
  const ticks = backticks(text);
  let at = 0;
  let plain = 0;
  const flush = (): void => {
    if (at > plain) nodes.push({ kind: 'text', text: unescaped(text.slice(plain, at)) });
    plain = at;
  };
  const take = (length: number, ...made: Node[]): void => {
    flush();
    nodes.push(...made);
    at += length;
    plain = at;
  };
  while (at < text.length) {
    const char = text[at] ?? '';
    if (char === '\\' && /[!-/:-@[-`{-~\n]/.test(text[at + 1] ?? ''))
      take(2, text[at + 1] === '\n' ? { kind: 'break' } : { kind: 'text', text: text[at + 1] ?? '' });
    else if (char === '\n') take(1, { kind: 'break' });
    else if (char === '`') codeSpan(text, at, ticks, take);
    else if (char === '*' || char === '_' || char === '~') {
      const mark = markAt(text, at, char);
      take(mark.length, mark);
    } else if (char === 'h' && !/[\p{L}\p{N}]/u.test(text[at - 1] ?? ' ')) {
      ADDRESS.lastIndex = at;
      const address = trimmed(ADDRESS.exec(text)?.[0] ?? '');
      if (address === '') at += 1;
      else take(address.length, linkTo(address));
    } else if (char === '[' || (char === '!' && text[at + 1] === '[')) {
      take(char === '!' ? 2 : 1, { kind: 'bracket', image: char === '!', active: true });
      brackets.push(nodes.length - 1);
    } else if (char === ']') closeBracket(text, at, { nodes, brackets, flush, take });
    else if (char === '<') {
      const address = /^<((?:https?:\/\/|mailto:)[^\s<>]*)>/.exec(text.slice(at, at + 2_000))?.[1];
      if (address === undefined) at += 1;
      else take(address.length + 2, linkTo(address));
    } else at += 1;
  }
  flush();
  return nodes;
}

const linkTo = (address: string): Inline => ({
  kind: 'link',
  href: address,
  text: address,
  of: [{ kind: 'text', text: address }],
});

/** Where runs of backticks stand, by their length. */
function backticks(text: string): Map<number, number[]> {
  const runs = new Map<number, number[]>();
  for (const { 0: run, index } of text.matchAll(/`+/g)) {
    const known = runs.get(run.length);
    if (known) known.push(index);
    else runs.set(run.length, [index]);
  }
  return runs;
}

function codeSpan(
  text: string,
  at: number,
  ticks: Map<number, number[]>,
  take: (length: number, ...made: Node[]) => void,
): void {
  let length = 1;
  while (text[at + length] === '`') length += 1;
  const same = ticks.get(length) ?? [];
  while (same[0] !== undefined && same[0] < at + length) same.shift();
  const end = same[0];
  if (end === undefined) {
    take(length, { kind: 'text', text: text.slice(at, at + length) });
    return;
  }
  const inside = text.slice(at + length, end).replaceAll('\n', ' ');
  const padded = inside.startsWith(' ') && inside.endsWith(' ') && inside.trim() !== '';
  take(end + length - at, { kind: 'code', text: padded ? inside.slice(1, -1) : inside });
}

/** CommonMark's rules of which run may open and which may close: `snake_case` and `2 * 3` are no emphasis. */
function markAt(text: string, at: number, char: string): Mark {
  let end = at;
  while (text[end] === char) end += 1;
  const [before, after] = [text[at - 1] ?? ' ', text[end] ?? ' '];
  const left = !isSpace(after) && (!isPunctuation(after) || isSpace(before) || isPunctuation(before));
  const right = !isSpace(before) && (!isPunctuation(before) || isSpace(after) || isPunctuation(after));
  const opens = char === '_' ? left && (!right || isPunctuation(before)) : left;
  const closes = char === '_' ? right && (!left || isPunctuation(after)) : right;
  return { kind: 'mark', char, length: end - at, opens, closes };
}

const isSpace = (char: string): boolean => /\s/.test(char);
const isPunctuation = (char: string): boolean => /[\p{P}\p{S}]/u.test(char);

interface Scanner {
  nodes: Node[];
  brackets: number[];
  flush: () => void;
  take: (length: number, ...made: Node[]) => void;
}

/** `](address "title")` makes a link of what stands since its bracket. */
function closeBracket(text: string, at: number, { nodes, brackets, flush, take }: Scanner): void {
  const from = brackets.pop();
  const open = from === undefined ? undefined : nodes[from];
  const to =
    /^\]\(\s{0,9}(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))(?:\s{1,9}(?:"[^"]*"|'[^']*'))?\s{0,9}\)/.exec(
      text.slice(at, at + 4_000),
    );
  if (from === undefined || open?.kind !== 'bracket' || !open.active || !to) {
    take(1, { kind: 'text', text: ']' });
    return;
  }
  flush();
  const of = emphasised(nodes.splice(from + 1));
  nodes.pop();
  const href = unescaped((to[1] ?? to[2] ?? '').replace(/\\([!-/:-@[-`{-~])/g, '$1'));
  // A link holds no other link.
  if (!open.image) for (const index of brackets) deactivate(nodes[index]);
  const made: Node = {
    kind: open.image ? 'image' : 'link',
    href,
    text: wordsOf(of),
    of: open.image ? [] : unlinked(of),
  };
  take(to[0].length, made);
}

const unlinked = (list: readonly Inline[]): Inline[] =>
  list.flatMap((each) =>
    each.kind === 'link' ? each.of : 'of' in each ? [{ ...each, of: unlinked(each.of) }] : [each],
  );

const deactivate = (node: Node | undefined): void => {
  if (node?.kind === 'bracket' && !node.image) node.active = false;
};

/** Pairs the marks: CommonMark's way with a stack, the closest opener first. */
function emphasised(nodes: Node[]): Inline[] {
  const out: { node: Inline | Mark; depth: number }[] = [];
  const openers: number[] = [];
  let marks = 0;
  for (const node of nodes) {
    if (node.kind === 'bracket') {
      out.push({ node: { kind: 'text', text: node.image ? '![' : '[' }, depth: 0 });
      continue;
    }
    if (node.kind !== 'mark' || (marks += 1) > MARKS) {
      out.push({ node: node.kind === 'mark' ? literal(node) : node, depth: 0 });
      continue;
    }
    const mark = { ...node };
    while (mark.closes && mark.length > 0 && close(mark, out, openers));
    if (mark.length === 0) continue;
    if (mark.opens) openers.push(out.length);
    out.push({ node: mark, depth: 0 });
  }
  return joined(out.map(({ node }) => (node.kind === 'mark' ? literal(node) : node)));
}

const literal = ({ char, length }: Mark): Inline => ({ kind: 'text', text: char.repeat(length) });

/** Takes marks from this run and from the closest that opens with the same; false if there is none. */
function close(mark: Mark, out: { node: Inline | Mark; depth: number }[], openers: number[]): boolean {
  let place = openers.length - 1;
  const opener = (): Mark | null => {
    const node = out[openers[place] ?? -1]?.node;
    return node?.kind === 'mark' ? node : null;
  };
  // A few are looked at: those that fit no closer would otherwise be looked at by each.
  for (const least = Math.max(0, place - 16); place >= least; place -= 1) if (fits(opener(), mark)) break;
  const open = opener();
  const from = openers[place];
  if (!open || from === undefined || !fits(open, mark)) return false;
  const used = open.length >= 2 && mark.length >= 2 ? 2 : 1;
  const inside = out.slice(from + 1);
  const depth = 1 + Math.max(0, ...inside.slice(0, 1_000).map((each) => each.depth));
  if (depth > DEPTH) return false;
  const kind = mark.char === '~' ? 'del' : used === 2 ? 'strong' : 'em';
  const of = joined(inside.map(({ node }) => (node.kind === 'mark' ? literal(node) : node)));
  open.length -= used;
  mark.length -= used;
  out.length = open.length === 0 ? from : from + 1;
  openers.length = open.length === 0 ? place : place + 1;
  out.push({ node: { kind, of }, depth });
  return true;
}

function fits(open: Mark | null, { char, length, opens }: Mark): boolean {
  if (!open || open.char !== char) return false;
  if (char === '~') return open.length === 2 && length === 2;
  // The rule of three: `*a**b*` is one emphasis around two stars.
  return !((open.closes || opens) && (open.length + length) % 3 === 0 && open.length % 3 !== 0);
}

function joined(list: readonly Inline[]): Inline[] {
  const out: Inline[] = [];
  for (const each of list) {
    const last = out.at(-1);
    if (each.kind === 'text' && last?.kind === 'text')
      out[out.length - 1] = { kind: 'text', text: last.text + each.text };
    else out.push(each);
  }
  return out;
}

/** What ends a sentence is no part of an address, nor a bracket that it does not open. */
function trimmed(address: string): string {
  let end = address.length;
  while (/[.,;:!?'*_~]/.test(address[end - 1] ?? '')) end -= 1;
  const found = address.slice(0, end);
  return found.endsWith(')') && !found.includes('(') ? found.slice(0, -1) : found;
}
