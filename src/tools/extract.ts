import { type Field, readFields } from '../core/extract.ts';
import type { EngineTool, Parsed } from '../core/ports/tool.ts';
import { artefactOf } from '../core/task.ts';
import { argsSchema, readArgs } from './args.ts';

const ARGS = {
  path: 'text',
  fields: ['any?', 'name → "date", "number", "id", "boolean" or ["word", …]; "id[]" for several'],
} as const;

interface ExtractInput {
  path: string;
  fields: Field[];
}

function parse(args: unknown): Parsed<ExtractInput> {
  const parsed = readArgs(ARGS, args);
  if (!parsed.ok) return parsed;
  const read = readFields(parsed.value.fields);
  return read.ok ? { ok: true, value: { path: parsed.value.path, fields: read.fields } } : read;
}

/** Values out of a text from outside, without a word of it: the run that asks for them never sees the text. */
export const extractTool: EngineTool<ExtractInput> = {
  kind: 'engine',
  name: 'extract',
  onDemand: true,
  description: 'Get values from an untrusted file or output without reading it.',
  effect: 'read',
  schema: argsSchema(ARGS),
  parse,
  facts: ({ path }) => ({ paths: [artefactOf(path)?.path ?? path] }),
  asks: ({ path, fields }) => ({ kind: 'extract', path, fields }),
};
