import type { EngineTool, Parsed } from '../core/ports/tool.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';

const ARGS = { matter: 'text' } as const;
type EscalateInput = ArgsOf<typeof ARGS>;

function parse(args: unknown): Parsed<EscalateInput> {
  const parsed = readArgs(ARGS, args);
  return parsed.ok && parsed.value.matter.trim() === '' ? { ok: false, error: '"matter" is empty' } : parsed;
}

/** Asks the owner for a decision once the calls before it are done; the run waits for it. */
export const escalateTool: EngineTool<EscalateInput> = {
  kind: 'engine',
  name: 'escalate',
  description: 'Put a matter before the owner and wait for the decision.',
  effect: 'read',
  schema: argsSchema(ARGS),
  parse,
  facts: () => ({ question: true }),
  asks: ({ matter }, agent) => ({
    kind: 'question',
    text: matter,
    reason: `${agent} puts this before you.`,
    early: false,
  }),
};
