import type { EngineTool, Parsed } from '../core/ports/tool.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';

const ARGS = { question: 'text' } as const;
type AskInput = ArgsOf<typeof ARGS>;

function parse(args: unknown): Parsed<AskInput> {
  const parsed = readArgs(ARGS, args);
  return parsed.ok && parsed.value.question.trim() === '' ? { ok: false, error: '"question" is empty' } : parsed;
}

/** A question to the person; the run waits for the answer. */
export const askTool: EngineTool<AskInput> = {
  kind: 'engine',
  name: 'ask',
  description: 'Ask the person a question and wait for the answer.',
  effect: 'read',
  schema: argsSchema(ARGS),
  parse,
  facts: () => ({ question: true }),
  asks: ({ question }, agent) => ({ kind: 'question', text: question, reason: `${agent} asks.`, early: true }),
};
