import type { Parsed, Tool } from '../core/ports/tool.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';
import { failed } from './text.ts';

const ARGS = { question: 'text' } as const;
export type AskInput = ArgsOf<typeof ARGS>;

function parse(args: unknown): Parsed<AskInput> {
  const parsed = readArgs(ARGS, args);
  return parsed.ok && parsed.value.question.trim() === '' ? { ok: false, error: '"question" is empty' } : parsed;
}

/** A question to the person. The loop parks the run at it and gives the answer as its result, so it never runs. */
export const askTool: Tool<AskInput> = {
  name: 'ask',
  description: 'Ask the person a question and wait for the answer.',
  effect: 'read',
  idempotent: true,
  schema: argsSchema(ARGS),
  parse,
  facts: () => ({}),
  run: () => Promise.resolve(failed('The question was not put to anyone.')),
};
