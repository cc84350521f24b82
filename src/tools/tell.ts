import type { EngineTool, Parsed } from '../core/ports/tool.ts';
import { OWNER } from '../core/recipient.ts';
import { argsSchema, readArgs } from './args.ts';

const ARGS = { text: 'text', to: ['text?', 'owner (default) or CHANNEL:ADDRESS'] } as const;
/** Characters: what is longer belongs into a file. */
const MAX_TEXT = 20_000;

interface TellInput {
  to: string;
  text: string;
}

function parse(args: unknown): Parsed<TellInput> {
  const parsed = readArgs(ARGS, args);
  if (!parsed.ok) return parsed;
  const { text, to } = parsed.value;
  if (text.trim() === '') return { ok: false, error: '"text" is empty' };
  if (text.length > MAX_TEXT)
    return { ok: false, error: `"text" has ${text.length} characters, at most ${MAX_TEXT} can be told: write a file` };
  return { ok: true, value: { to: to?.trim() || OWNER, text } };
}

/** Words for a person who has not asked; nobody waits for an answer. */
export const tellTool: EngineTool<TellInput> = {
  kind: 'engine',
  name: 'tell',
  description: 'Send a person a message that needs no answer.',
  effect: 'send',
  critical: ['to'],
  texts: ['text'],
  schema: argsSchema(ARGS),
  parse,
  facts: ({ to }) => ({ to }),
  asks: ({ to, text }) => ({ kind: 'message', to, text }),
};
