import { HAND_OVER } from '../core/task-call.ts';
import type { Parsed, Tool } from '../core/ports/tool.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';
import { failed } from './text.ts';

const ARGS = { agent: 'text', brief: ['text', 'What it should know'] } as const;
export type HandOverInput = ArgsOf<typeof ARGS>;

function parse(args: unknown): Parsed<HandOverInput> {
  const parsed = readArgs(ARGS, args);
  return parsed.ok && parsed.value.brief.trim() === '' ? { ok: false, error: '"brief" is empty' } : parsed;
}

/** The conversation goes on with another agent. The engine does it: conversations are no tool's business. */
export const handOverTool: Tool<HandOverInput> = {
  name: HAND_OVER,
  description: 'Hand this conversation over: the next message goes to that agent.',
  effect: 'write',
  idempotent: true,
  schema: argsSchema(ARGS),
  parse,
  facts: ({ agent }) => ({ paths: [`tasks/${agent}`] }),
  run: () => Promise.resolve(failed('The conversation was not handed over.')),
};
