import { canonicalJson } from '../core/json.ts';
import type { RunLog } from './run-log.ts';
import type { ReadyCall } from './ready.ts';

/** The blob of `approval.asked`: the exact call a person answers for. */
export interface ShownCall {
  /** For people, with nothing in it that can hide. */
  text: string;
  /** What the approval binds: tool, arguments, and the files the call would see. */
  bound: string;
}

/**
 * Makes every character of a text visible: control, bidirectional, zero-width and tag characters become `\u{…}`, so
 * that an approver sees what will run and nothing else.
 */
export function visible(text: string): string {
  return text.replace(/[^\P{C}\n\t]|[\u2028\u2029\u3164\u115f\u1160\uffa0]/gu, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

/**
 * What an approval is bound to: tool, arguments and, for a command, the bytes of every file it could start. Nobody else
 * can change the run's view, so naming base and overlay binds them all; what is run is compared once more.
 */
export function boundCall(log: RunLog, { call, tool, input }: ReadyCall): string {
  const { base, changes } = log.state;
  const overlay = [...changes.values()].map(({ path, oid, mode }) => ({ path, oid, mode }));
  return canonicalJson({ tool: call.tool, input, view: tool.effect === 'exec' ? { base, overlay } : null });
}

export function showCall(log: RunLog, ready: ReadyCall): ShownCall {
  const lines = Object.entries(ready.input as Record<string, unknown>).map(
    ([name, value]) => `${name}: ${visible(typeof value === 'string' ? value : canonicalJson(value))}`,
  );
  return { text: [ready.call.tool, ...lines].join('\n'), bound: boundCall(log, ready) };
}
