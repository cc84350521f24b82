import type { Tool } from '../../src/core/ports/tool.ts';

/** What was stamped, by all who have this file. */
export const stamped: string[] = [];

/** A tool in one file. */
export const stampTool: Tool<{ text: string }> = {
  name: 'stamp',
  description: 'Put a stamp on a text.',
  effect: 'send',
  critical: ['text'],
  idempotent: true,
  schema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
  parse: (args) => ({ ok: true, value: args as { text: string } }),
  facts: () => ({}),
  run: ({ text }) => {
    stamped.push(text);
    return Promise.resolve({ ok: true, text: `${text}, stamped`, labels: [], changes: [] });
  },
};
