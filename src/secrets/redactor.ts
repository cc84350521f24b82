import type { PieceRedactor } from '../core/ports/redactor.ts';
import { formsOf, MIN_LENGTH } from './forms.ts';

/** What hides secrets, whoever keeps them. */
export interface Redactor {
  /** From now on this value is hidden, in every spelling. */
  add(value: string): void;
  redact(text: string): string;
  /** The same for one text that comes in pieces. */
  redactPieces(): PieceRedactor;
}

const MARK = '[redacted]';

const linesOf = (value: string): string[] =>
  value.includes('\n')
    ? value.split(/\r?\n/).filter((line) => line.trim().length >= 16 && !line.startsWith('-----'))
    : [];

export function openRedactor(): Redactor {
  const values = new Set<string>();
  let forms: string[] = [];
  return {
    add(value) {
      const trimmed = value.trim();
      if (trimmed.length < MIN_LENGTH || values.has(trimmed)) return;
      for (const each of [trimmed, ...linesOf(trimmed)]) {
        values.add(each);
        forms.push(...formsOf(each));
      }
      forms = [...new Set(forms)];
    },
    redact: (text) => redact(text, forms),
    redactPieces: () => pieceRedactor(() => forms),
  };
}

interface Place {
  from: number;
  to: number;
}

function placesOf(text: string, forms: readonly string[]): Place[] {
  const found: Place[] = [];
  for (const form of forms)
    for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1))
      found.push({ from: at, to: at + form.length });
  return found;
}

function pieceRedactor(forms: () => readonly string[]): PieceRedactor {
  let held = '';
  return {
    push(piece) {
      const text = held + piece;
      let cut = startOfSecret(text, forms());
      // A secret that another one may begin in waits with it: cut in two, it would not be found.
      const places = placesOf(text, forms()).sort((a, b) => b.from - a.from);
      for (const { from, to } of places) if (to > cut) cut = Math.min(cut, from);
      held = text.slice(cut);
      return redact(text.slice(0, cut), forms());
    },
    end() {
      const rest = held;
      held = '';
      return redact(rest, forms());
    },
  };
}

/** Where the end of a text begins that may go on to be a secret; its length if nothing of it may. */
function startOfSecret(text: string, forms: readonly string[]): number {
  const longest = forms.reduce((most, form) => Math.max(most, form.length), 1);
  for (let at = Math.max(0, text.length - longest + 1); at < text.length; at += 1) {
    const end = text.slice(at);
    if (forms.some((form) => form.length > end.length && form.startsWith(end))) return at;
  }
  return text.length;
}

/** All places are found before any is replaced, so that overlapping secrets leave no end behind. */
function redact(text: string, forms: readonly string[]): string {
  const found = placesOf(text, forms);
  if (found.length === 0) return text;
  found.sort((a, b) => a.from - b.from || b.to - a.to);
  const pieces: string[] = [];
  let done = 0;
  for (const { from, to } of found) {
    if (to <= done) continue;
    // What overlaps the last place belongs to it.
    if (from >= done) pieces.push(text.slice(done, from), MARK);
    done = to;
  }
  pieces.push(text.slice(done));
  return pieces.join('');
}
