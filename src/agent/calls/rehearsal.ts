import type { AgentTurn } from '../run/deps.ts';
import { toolContext } from './effect.ts';
import { blobsOf, callFacts, freshBase, isForEngine, type ReadyCall, viewOf } from './ready.ts';
import type { Change, Files } from '../../core/files.ts';
import type { Label } from '../../core/labels.ts';
import { lineDiff, WHOLE } from '../../core/text/line-diff.ts';
import { visible, visibleLine } from '../../core/text/untrusted.ts';

/** Characters of a difference that a person is asked to read. */
const MAX_TEXT = 256 * 1024;

/** What a call would change, for the person who is asked for it. */
export type Rehearsal =
  /** `was`: the files as the difference takes them, by path. */
  | { difference: string; was: Record<string, string | null> }
  /** There is no use in asking for it: the model is told instead. */
  | { failed: string; labels: Label[] };

/** Runs a call over a copy of the run's files, and says what that changes; null for a call that does more than change files. */
export async function rehearse(turn: AgentTurn, ready: ReadyCall): Promise<Rehearsal | null> {
  if (isForEngine(ready) || ready.tool.rehearses !== true) return null;
  const { tool, input } = ready;
  await freshBase(turn, [ready]);
  const files = await viewOf(turn);
  const context = toolContext(turn, ready, { files, facts: await callFacts(turn, ready) });
  const { ok, text, labels, changes } = await tool.run(input, context);
  if (!ok) return { failed: text, labels };
  const before = await viewOf(turn);
  const parts: string[] = [];
  for (const change of changes) {
    const part = await differenceOf(change, before, files);
    if (part === null) return hidden(`${visibleLine(change.path)} is not text`);
    parts.push(part);
  }
  const difference = parts.join('\n\n');
  if (difference.length > MAX_TEXT)
    return hidden(`the difference has ${difference.length} characters; ${MAX_TEXT} can be shown`);
  return { difference, was: await blobsOf(before, ready) };
}

const hidden = (why: string): Rehearsal => ({
  failed: `A person has to approve this change, and cannot be shown it whole: ${why}. Nothing was changed. Make it in smaller steps, or leave it out.`,
  labels: [],
});

async function differenceOf({ path }: Change, before: Files, after: Files): Promise<string | null> {
  const [old, now] = [await before.read(path), await after.read(path)].map((side) => side && textOf(side.bytes));
  const name = visibleLine(path);
  if (old === undefined || now === undefined) return null;
  if (old === null) return `${name} is a new file.`;
  const lines = visible(lineDiff(old, now ?? '', WHOLE));
  return lines === '' ? `${name} stays as it is.` : `What changes in ${name}:\n${lines}`;
}

/** Undefined: not a text. */
function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
