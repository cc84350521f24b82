import { ESCALATE } from '../core/task-call.ts';
import type { Parsed, Tool } from '../core/ports/tool.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';
import { failed } from './text.ts';

const ARGS = { matter: 'text' } as const;
export type EscalateInput = ArgsOf<typeof ARGS>;

function parse(args: unknown): Parsed<EscalateInput> {
  const parsed = readArgs(ARGS, args);
  return parsed.ok && parsed.value.matter.trim() === '' ? { ok: false, error: '"matter" is empty' } : parsed;
}

/** Puts a matter before the owner and waits for what they say. The engine does it, so this never runs. */
export const escalateTool: Tool<EscalateInput> = {
  name: ESCALATE,
  description: 'Put a matter before the owner and wait for the decision.',
  effect: 'read',
  idempotent: true,
  schema: argsSchema(ARGS),
  parse,
  facts: () => ({}),
  run: () => Promise.resolve(failed('The matter was not put before anyone.')),
};
