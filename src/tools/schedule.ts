import type { Json } from '../core/text/json.ts';
import type { ScheduleBook } from '../core/schedule.ts';
import type { Parsed, Tool, ToolDeclaration } from '../core/ports/tool.ts';
import { argsSchema, readArgs } from './args.ts';
import { failed, readText, refusable } from './text.ts';

const ARGS = {
  create: ['any?', '{name, task, cron | every | at | in: 30m, timezone…}'],
  remove: ['text?', 'Name'],
} as const;

const NAME = 'schedule';

interface ScheduleInput {
  create: { [key: string]: Json } | null;
  remove: string | null;
}

function parse(args: unknown): Parsed<ScheduleInput> {
  const parsed = readArgs(ARGS, args);
  if (!parsed.ok) return parsed;
  const { create, remove } = parsed.value;
  if (create === null || (typeof create === 'object' && !Array.isArray(create)))
    return { ok: true, value: { create, remove } };
  return { ok: false, error: '"create" must be an object such as {name, task, cron}' };
}

/**
 * An agent's own schedules. They stand in its AGENT.md, so a change of them is a change of that file, and lands when the
 * owner has approved it.
 */
export const scheduleTool = (book: ScheduleBook): Tool<ScheduleInput> => ({
  name: NAME,
  description: 'List, create or remove your schedules.',
  effect: 'write',
  critical: ['create'],
  idempotent: true,
  schema: argsSchema(ARGS),
  parse,
  // Which agent's file it is only the run knows; a rule of that very file is asked for below.
  facts: () => ({ paths: ['agents'] }),
  run: ({ create, remove }, { agent, files, mayWrite, chat, zone }) =>
    refusable(async () => {
      const path = `agents/${agent}/AGENT.md`;
      const file = await readText(files, path);
      if (!file.ok) return failed(file.why);
      if (create === null && remove === null)
        return { ok: true, text: book.list(agent, file.text), labels: [], changes: [] };
      if (!mayWrite(path)) return failed(`A rule keeps you from changing ${path}. Nothing was changed.`);
      // What is asked for in a chat answers there, unless it says who else is to hear of it, or `to: null` for nobody.
      const there = create !== null && create.to === undefined ? ((await chat?.()) ?? null) : null;
      const { to = there, ...rest } = create ?? {};
      const made = create === null ? null : to === null ? rest : { ...rest, to };
      const changed = book.change(agent, file.text, { create: made, remove, zone: await zone?.() });
      if (!changed.ok) return failed(`${changed.error} Nothing was changed.`);
      const change = await files.write(path, new TextEncoder().encode(changed.text), file.entry.mode);
      const seen = change.oid === null ? {} : { seen: { [path]: change.oid } };
      return { ok: true, text: changed.said, labels: [], changes: [change], ...seen };
    }),
});

export const schedule: ToolDeclaration = { name: NAME, open: ({ book }) => scheduleTool(book) };
