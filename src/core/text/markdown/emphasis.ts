import { DEPTH, type Inline } from './tree.ts';

/** A run of `*`, `_` or `~` that may begin or end an emphasis. */
export interface Mark {
  kind: 'mark';
  char: string;
  /** As written, and what no emphasis has taken yet. */
  length: number;
  left: number;
  opens: boolean;
  closes: boolean;
}

export interface Piece {
  of: Inline | Mark;
  /** How many elements stand within each other in it. */
  depth: number;
}

interface Opener {
  mark: Mark;
  /** Its place among the pieces that are out. */
  at: number;
  /** The depth of what stands behind it. */
  depth: number;
}

interface Pairing {
  out: Piece[];
  openers: Opener[];
  /** For each kind of closing run how many openers, from the first, are known not to fit it: nobody looks at one twice. */
  useless: Map<string, number>;
}

/** Pairs the marks: CommonMark's way with a stack, the closest opener first. */
export function emphasised(pieces: readonly Piece[]): { of: Inline[]; depth: number } {
  const pairing: Pairing = { out: [], openers: [], useless: new Map() };
  for (const piece of pieces) {
    if (piece.of.kind !== 'mark') {
      push(pairing, piece);
      continue;
    }
    const mark = piece.of;
    while (mark.closes && mark.left > 0 && pair(pairing, mark));
    if (mark.left === 0) continue;
    pairing.out.push(piece);
    if (mark.opens) pairing.openers.push({ mark, at: pairing.out.length - 1, depth: 0 });
  }
  const { out } = pairing;
  return { of: joined(out), depth: out.reduce((most, { depth }) => Math.max(most, depth), 0) };
}

function push({ out, openers }: Pairing, piece: Piece): void {
  out.push(piece);
  const last = openers.at(-1);
  if (last) last.depth = Math.max(last.depth, piece.depth);
}

/** Takes marks from this run and from the closest that opens with the same; false if there is none. */
function pair(pairing: Pairing, mark: Mark): boolean {
  const { out, openers, useless } = pairing;
  const kind = `${mark.char}${mark.opens ? 'o' : ''}${mark.length % 3}`;
  let place = openers.length - 1;
  while (place >= (useless.get(kind) ?? 0) && !fits(openers[place]?.mark, mark)) place -= 1;
  const opener = openers[place];
  if (!opener || !fits(opener.mark, mark)) {
    useless.set(kind, openers.length);
    return false;
  }
  const depth = 1 + openers.splice(place + 1).reduce((most, each) => Math.max(most, each.depth), opener.depth);
  opener.depth = depth;
  const deep = depth > DEPTH;
  const used = opener.mark.left >= 2 && mark.left >= 2 ? 2 : 1;
  if (!deep) {
    const of = joined(out.splice(opener.at + 1));
    opener.mark.left -= used;
    mark.left -= used;
    if (opener.mark.left === 0) out.pop();
    out.push({ of: { kind: mark.char === '~' ? 'del' : used === 2 ? 'strong' : 'em', of }, depth });
  }
  if (deep || opener.mark.left === 0) {
    openers.pop();
    const outer = openers.at(-1);
    if (outer) outer.depth = Math.max(outer.depth, deep ? depth - 1 : depth);
  }
  for (const [each, count] of useless) if (count > openers.length) useless.set(each, openers.length);
  return !deep;
}

function fits(open: Mark | undefined, { char, length, opens }: Mark): boolean {
  if (open?.char !== char) return false;
  // The rule of three: `*a**b*` is one emphasis around two stars.
  return !((open.closes || opens) && (open.length + length) % 3 === 0 && open.length % 3 !== 0);
}

/** Neighbouring texts as one; a mark that found no other is text. */
function joined(pieces: readonly Piece[]): Inline[] {
  const list: Inline[] = [];
  for (const { of } of pieces) {
    const each: Inline = of.kind === 'mark' ? { kind: 'text', text: of.char.repeat(of.left) } : of;
    const last = list.at(-1);
    if (each.kind === 'text' && last?.kind === 'text')
      list[list.length - 1] = { kind: 'text', text: last.text + each.text };
    else list.push(each);
  }
  return list;
}
