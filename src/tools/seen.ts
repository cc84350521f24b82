import type { FileEntry } from '../core/files.ts';
import type { ToolContext, ToolResult } from '../core/ports/tool.ts';
import { lineDiff } from '../core/text/line-diff.ts';
import { wrapUntrusted } from '../core/text/untrusted.ts';
import { decode, failed, shownPath } from './text.ts';

/** What the call would do, and how its refusal ends. */
const ENDS = {
  write: { verb: 'write', undone: 'Nothing was written.' },
  edit: { verb: 'edit', undone: 'Nothing was changed.' },
} as const;

/**
 * Refuses what would cover something the conversation has not looked at: a file it never read, or one that is not as it was.
 * Null if it has seen the path as it is now. `entry`: what stands there.
 */
export async function refuseUnseen(
  ctx: ToolContext,
  path: string,
  entry: FileEntry | null,
  tool: keyof typeof ENDS,
): Promise<ToolResult | null> {
  const { verb, undone } = ENDS[tool];
  const name = shownPath(path);
  const seen = await ctx.seen(path);
  if (seen === null) {
    if (entry === null) return null;
    return failed(`You have not read ${name}, which is there already: read it first, then ${verb}. ${undone}`);
  }
  if (seen.oid === (entry?.oid ?? null)) {
    // An edit names what it replaces; what a whole file is replaced by must have been thought of with the old one in view.
    if (seen.known || tool === 'edit') return null;
    return failed(`You read ${name} in this very answer, without its result: look at it, then ${verb}. ${undone}`);
  }
  if (entry === null)
    return failed(
      `${name} has been removed since you read it: read it once more, then ${verb} if it is to be. ${undone}`,
    );
  if (seen.oid === null)
    return failed(`${name} has been created since you looked: read it first, then ${verb}. ${undone}`);
  const said = `${name} has changed since you read it: read it again, then ${verb}. ${undone}`;
  const labels = ctx.labelsOf(entry);
  const difference = ctx.mayRead(path) ? await differenceSince(ctx, seen.oid, path) : '';
  if (difference === '') return failed(said);
  const shown = labels.includes('untrusted') ? wrapUntrusted(difference, path, ctx.mark) : difference;
  return { ...failed(`${said}\nWhat has changed (- as you read it, + as it is now):\n${shown}`), labels };
}

/** Empty where one of the two is not text, or is gone. */
async function differenceSince({ files }: ToolContext, oid: string, path: string): Promise<string> {
  const [before, now] = [await files.earlier(oid), await files.read(path)];
  const [old, text] = [before && decode(before), now && decode(now.bytes)];
  return old === null || text === null ? '' : lineDiff(old, text);
}
