import { workspacePath } from '../core/text/paths.ts';
import type { Tool } from '../core/ports/tool.ts';
import { argsSchema, readArgs, type ArgsOf } from './args.ts';
import { refuseUnseen } from './seen.ts';
import { aboutLink, decode, failed, refusable, shownPath, shownSize, likeBefore } from './text.ts';

const ARGS = { path: 'text', content: 'text' } as const;
type WriteInput = ArgsOf<typeof ARGS>;

/** Creates a file, exactly as given, or replaces it as a whole: then it keeps its line endings and byte order mark. */
export const writeTool: Tool<WriteInput> = {
  name: 'write',
  usualFor: 'writing',
  description: 'Create or replace a file.',
  effect: 'write',
  // After a crash the overlay is what the receipts say, so a write without one simply happens again.
  idempotent: true,
  rehearses: true,
  schema: argsSchema(ARGS),
  parse: (args) => readArgs(ARGS, args),
  facts: ({ path }) => ({ paths: [path] }),
  run: ({ path: raw, content }, ctx) =>
    refusable(async () => {
      const { files } = ctx;
      const checked = workspacePath(raw);
      if (!checked.ok) return failed(`${shownPath(raw)}: ${checked.reason}.`);
      const { path: asked } = checked;
      if (asked === '' || raw.endsWith('/')) return failed(`${shownPath(raw)} names a folder; a file needs a name.`);
      const old = await files.stat(asked);
      const path = old?.path ?? asked;
      if (old?.mode === '120000') return failed(`${await aboutLink(files, path)} Nothing was written.`);
      const unseen = await refuseUnseen(ctx, path, old, 'write');
      if (unseen !== null) return unseen;
      const before = old === null ? null : await files.read(path);
      const text = before === null ? null : decode(before.bytes);
      const bytes = new TextEncoder().encode(text === null ? content : likeBefore(content, text, 'whole'));
      const change = await files.write(path, bytes);
      return {
        ok: true,
        text: `${old === null ? 'Created' : 'Replaced'} ${shownPath(path)} (${shownSize(bytes.length)}).`,
        labels: [],
        changes: [change],
        ...(change.oid === null ? {} : { seen: { [change.path]: change.oid } }),
      };
    }),
};
