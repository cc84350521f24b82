import { canonicalJson } from '../../core/text/json.ts';
import { visible } from '../../core/text/visible.ts';
import type { RunLog } from '../run/log.ts';
import type { ReadyCall } from './ready.ts';
import type { ShownCall } from '../run/state.ts';

/**
 * What an approval is bound to: tool, arguments and, for a command, the bytes of every file it could start, those of
 * skills (`pinnedSkills`) among them. Nobody else
 * can change the run's view, so naming base and overlay binds them all; what is run is compared once more.
 */
export function boundCall(log: RunLog, { call, tool, input }: ReadyCall, skills: readonly string[]): string {
  const { base, changes } = log.state;
  const overlay = [...changes.values()].map(({ path, oid, mode }) => ({ path, oid, mode }));
  // Nothing more is said where there are none: what was asked before there were skills stays valid.
  const pinned = skills.length > 0 ? { skills } : {};
  return canonicalJson({ tool: call.tool, input, view: tool.effect === 'exec' ? { base, overlay, ...pinned } : null });
}

export function showCall(log: RunLog, ready: ReadyCall, skills: readonly string[]): ShownCall {
  // Null stands for an argument that was not given.
  const given = Object.entries(ready.input as Record<string, unknown>).filter(([, value]) => value !== null);
  const lines = given.map(
    ([name, value]) => `${name}: ${visible(typeof value === 'string' ? value : canonicalJson(value))}`,
  );
  return { text: [ready.call.tool, ...lines].join('\n'), bound: boundCall(log, ready, skills) };
}
