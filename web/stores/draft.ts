import type { Delta } from '../../src/core/api/runtime.ts';

export type DraftPart =
  /** `from`: units of the step's text before it that were missed. */
  | { kind: 'text'; step: number; from: number; text: string }
  | { kind: 'tool'; call: string; tool: string; args: string; output: string; ok: boolean | null };

/** An answer as it is written. */
export interface Draft {
  parts: readonly DraftPart[];
  thinking: string;
  /** What goes on meanwhile, such as a wait before the model is asked again. */
  notice: string;
}

export const EMPTY: Draft = { parts: [], thinking: '', notice: '' };

/** Characters of a command's output, and of reasoning, that are shown while it works. */
const TAIL = 4_000;
const tail = (text: string): string => (text.length > TAIL ? text.slice(-TAIL) : text);

/** True if a piece fits to the end of what is there. */
export function continues({ parts }: Draft, delta: Delta): boolean {
  const last = parts.at(-1);
  if (delta.kind !== 'text' || last?.kind !== 'text')
    return delta.kind === 'tool.output' || delta.kind === 'tool.returned';
  return last.step === delta.step && delta.offset >= last.from && delta.offset <= last.from + last.text.length;
}

/** What is shown after one more piece. */
export function fold(draft: Draft, delta: Delta): Draft {
  switch (delta.kind) {
    case 'text':
      return withText(draft, delta);
    case 'reasoning':
      return { ...draft, thinking: tail(draft.thinking + delta.text), notice: '' };
    case 'discard': {
      const last = draft.parts.at(-1);
      return { ...draft, parts: last?.kind === 'text' ? draft.parts.slice(0, -1) : draft.parts, thinking: '' };
    }
    case 'retrying':
      return { ...draft, notice: delta.text };
    case 'tool.started': {
      const known = draft.parts.some((part) => part.kind === 'tool' && part.call === delta.call);
      if (known) return draft;
      const { call, tool, args } = delta;
      const part: DraftPart = { kind: 'tool', call, tool, args, output: '', ok: null };
      return { ...draft, parts: [...draft.parts, part], thinking: '', notice: '' };
    }
    case 'tool.output':
      return withTool(draft, delta.call, (part) => ({ ...part, output: tail(part.output + delta.text) }));
    case 'tool.returned':
      return withTool(draft, delta.call, (part) => ({ ...part, output: tail(delta.text), ok: delta.ok }));
    case 'changed':
      return draft;
  }
}

function withText(draft: Draft, delta: Delta & { kind: 'text' }): Draft {
  const { step, offset, text } = delta;
  const last = draft.parts.at(-1);
  const open = last?.kind === 'text' && last.step === step ? last : null;
  const known = open ? offset - open.from : -1;
  const follows = open !== null && known >= 0 && known <= open.text.length;
  const part: DraftPart = follows
    ? { ...open, text: open.text.slice(0, known) + text }
    : { kind: 'text', step, from: offset, text };
  const before = open ? draft.parts.slice(0, -1) : draft.parts;
  return { parts: [...before, part], thinking: '', notice: '' };
}

const withTool = (draft: Draft, call: string, change: (part: DraftPart & { kind: 'tool' }) => DraftPart): Draft => ({
  ...draft,
  parts: draft.parts.map((part) => (part.kind === 'tool' && part.call === call ? change(part) : part)),
});
