import { type Inline, OPEN } from './tree.ts';

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

/** Pairs the marks: CommonMark's way with a stack, the closest opener first. What finds no other is text. */
export function emphasised(pieces: readonly (Inline | Mark)[]): Inline[] {
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
