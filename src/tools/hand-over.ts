import type { EngineTool, Parsed } from '../core/ports/tool.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';

const ARGS = { agent: 'text', brief: ['text', 'What it should know'] } as const;
type HandOverInput = ArgsOf<typeof ARGS>;

function parse(args: unknown): Parsed<HandOverInput> {
  const parsed = readArgs(ARGS, args);
  return parsed.ok && parsed.value.brief.trim() === '' ? { ok: false, error: '"brief" is empty' } : parsed;
}

/** The conversation goes on with another agent. */
export const handOverTool: EngineTool<HandOverInput> = {
  kind: 'engine',
  name: 'hand_over',
  description: 'Hand this conversation over: the next message goes to that agent.',
  effect: 'write',
  critical: ['agent'],
  schema: argsSchema(ARGS),
  parse,
  facts: ({ agent }) => ({ paths: [`tasks/${agent}`] }),
  asks: ({ agent, brief }) => ({ kind: 'hand-over', to: agent, brief }),
};
