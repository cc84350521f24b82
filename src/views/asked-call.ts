import type { Answer } from '../core/api/policy.ts';
import type { AnyTool } from '../core/ports/tool.ts';
import type { Json } from '../core/text/json.ts';
import { unknownText } from '../core/text/unknown.ts';

type Schema = { properties?: Record<string, { type?: string }>; required?: string[] };

/** A call as people write it: `shell: git push`, `tell: telegram:123 Good morning`, `read: {"path": "a.md"}`. */
export function readAskedCall(
  text: string,
  tools: ReadonlyMap<string, AnyTool>,
): Answer<{ tool: AnyTool; input: Json }> {
  const [, name = '', rest = ''] = /^\s*([A-Za-z0-9_-]+)\s*(?::\s*([^]*))?$/.exec(text) ?? [];
  const wrong = (why: string): Answer<never> => ({ ok: false, field: 'call', why });
  if (name === '')
    return wrong(
      `Give the call as TOOL: TEXT, such as "shell: git push". Known tools: ${[...tools.keys()].join(', ')}.`,
    );
  const tool = tools.get(name);
  if (tool === undefined) return wrong(unknownText('tool', name, { known: tools.keys() }));
  const words = rest.trim();
  if (words === '' && misses(tool))
    return wrong(
      `Say what ${name} is called with, such as "${name}: …": the command, the URL, the path, or who is told what.`,
    );
  if (!words.startsWith('{')) return { ok: true, value: { tool, input: fill(tool, words) } };
  try {
    return { ok: true, value: { tool, input: JSON.parse(words) as Json } };
  } catch (error) {
    return wrong(`The arguments of ${name} are not valid JSON (${(error as Error).message}).`);
  }
}

/** Whether a call without a text would say nothing of what it does: which URL, which command. */
const misses = ({ schema, critical = [] }: AnyTool): boolean => {
  const { properties = {}, required = [] } = schema as Schema;
  return critical.some((name) => required.includes(name) && properties[name]?.type === 'string');
};

/** What stands for a required argument that was not given: the policy rarely looks at it. */
const EMPTY: Readonly<Record<string, Json>> = {
  string: '…',
  integer: 1,
  number: 1,
  boolean: false,
  array: [],
  object: {},
};

/**
 * Each word is the next text that is needed: where the call goes, then what is required; the last one takes the rest. Without
 * any, the first optional one takes all.
 */
function fill({ schema, critical = [] }: AnyTool, text: string): Json {
  const { properties = {}, required = [] } = schema as Schema;
  const texts = (names: readonly string[]): string[] => names.filter((name) => properties[name]?.type === 'string');
  const needed = texts([...new Set([...critical, ...required])]);
  const places = needed.length > 0 ? needed : texts(Object.keys(properties)).slice(0, 1);
  const given: { [name: string]: Json } = {};
  for (const name of required) given[name] = EMPTY[properties[name]?.type ?? 'string'] ?? null;
  let left = text;
  for (const [at, name] of places.entries()) {
    const last = at === places.length - 1;
    const [word = '', rest = ''] = last ? [left] : (/^(\S*)\s*([^]*)$/.exec(left)?.slice(1) ?? []);
    if (word !== '') given[name] = word;
    left = rest;
  }
  return given;
}
