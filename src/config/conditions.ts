import type { Environment } from '@marcbachmann/cel-js';
import type { Json } from '../core/text/json.ts';
import { unknownField } from '../core/trigger-text.ts';
import { celPackage } from './packages/late.ts';
import {
  COMMON_FIELDS,
  type Facts,
  type Held,
  type ReadCondition,
  TRIGGER_FIELDS,
  type TriggerOn,
} from '../core/trigger.ts';

/** Characters of a condition, and parts of its syntax. */
const MAX_TEXT = 1_000;
const LIMITS = { maxAstNodes: 150, maxDepth: 30, maxListElements: 50, maxMapEntries: 20, maxCallArguments: 5 };
/** What a condition sees of a cause: more text, and longer lists, are cut; more values altogether are refused. */
const MAX_STRING = 8_192;
const MAX_LIST = 500;
const MAX_VALUES = 20_000;

/** Functions whose work is in proportion to what they look at. `matches` is not among them: a pattern may never end. */
const FUNCTIONS = ['has', 'size', 'string', 'int', 'double', 'bool', 'type', 'dyn', 'timestamp', 'duration'];
const METHODS = ['size', 'contains', 'startsWith', 'endsWith', 'lowerAscii', 'upperAscii', 'trim'];
/** They look at each element; one within the other would be slow by the square. */
const MACROS = ['all', 'exists', 'exists_one'];

interface Node {
  op: string;
  args: unknown;
}

/** What of a condition is understood by CEL, and not by us; null if all is. */
function refusal(node: Node, on: TriggerOn, inside: boolean): string | null {
  const path = pathOf(node);
  if (path !== null && path.length > 1 && path[0] === 'event') return unknownField(path, on);
  let looping = inside;
  if (node.op === 'call' && !FUNCTIONS.includes(named(node)))
    return `uses ${named(node)}(), which is not among ${FUNCTIONS.join(', ')}`;
  // The library's pattern for it takes minutes for a long row of digits.
  if (node.op === 'call' && named(node) === 'duration' && childrenOf(node.args)[0]?.op !== 'value')
    return 'needs a text in quotes within duration()';
  if (node.op === 'rcall') {
    const name = named(node);
    if (MACROS.includes(name)) {
      if (inside) return `has ${name}() within another one: that is slow by the square`;
      looping = true;
    } else if (!METHODS.includes(name))
      return name === 'matches'
        ? 'uses matches(), and a regular expression may never end; use contains, startsWith or endsWith'
        : `uses ${name}(), which is not among ${[...METHODS, ...MACROS].join(', ')}`;
    // Of two texts from outside, one looked for in the other could be slow by the square.
    const [, , given] = node.args as [string, Node, Node[]];
    if (name === 'contains' && given[0]?.op !== 'value') return 'needs a text in quotes within contains()';
  }
  for (const each of childrenOf(node.args)) {
    const wrong = refusal(each, on, looping);
    if (wrong !== null) return wrong;
  }
  return null;
}

const named = (node: Node): string => String((node.args as unknown[])[0]);

const childrenOf = (args: unknown): Node[] => {
  if (Array.isArray(args)) return args.flatMap(childrenOf);
  return args !== null && typeof args === 'object' && 'op' in args ? [args as Node] : [];
};

/** `a.b.c` as its names; null for anything else. */
function pathOf(node: Node): string[] | null {
  if (node.op === 'id') return [String(node.args)];
  if (node.op !== '.') return null;
  const [inner, name] = node.args as [Node, string];
  const before = pathOf(inner);
  return before === null ? null : [...before, name];
}

/** Conditions of triggers, in CEL. */
export const readCondition: ReadCondition = (text, on) => {
  if (text.length > MAX_TEXT) return { ok: false, error: `has ${text.length} characters; ${MAX_TEXT} are allowed` };
  const { Environment: Made } = celPackage();
  const environment = new Made({ unlistedVariablesAreDyn: false, limits: LIMITS });
  for (const name of TRIGGER_FIELDS[on]) environment.registerVariable(name, 'dyn');
  environment.registerVariable('event', 'dyn');
  try {
    return compile(environment, text, on);
  } catch (error) {
    return { ok: false, error: `is not a valid condition: ${summary(error)}` };
  }
};

function compile(environment: Environment, text: string, on: TriggerOn): ReturnType<ReadCondition> {
  const parsed = environment.parse(text);
  const refused = refusal(parsed.ast, on, false);
  if (refused !== null) return { ok: false, error: refused };
  const checked = parsed.check();
  if (!checked.valid) return { ok: false, error: `is not a valid condition: ${summary(checked.error)}` };
  if (checked.type !== 'bool' && checked.type !== 'dyn')
    return { ok: false, error: `must be true or false, and is ${checked.type}` };
  return { ok: true, holds: (facts) => evaluate(parsed, facts) };
}

const summary = (error: unknown): string =>
  error instanceof Error ? (error.message.split('\n')[0] ?? '').slice(0, 300) : String(error);

function evaluate(parsed: (context: Record<string, unknown>) => unknown, facts: Facts): Held {
  const left = { values: MAX_VALUES };
  const seen = bounded(facts, left) as Facts;
  if (left.values < 0) return { ok: false, error: `there are more than ${MAX_VALUES} values to look at` };
  const event = seen;
  const { ...names } = seen;
  for (const name of COMMON_FIELDS) delete names[name];
  try {
    const value = parsed({ ...names, event });
    return typeof value === 'boolean'
      ? { ok: true, holds: value }
      : { ok: false, error: `it is neither true nor false, but ${typeof value}` };
  } catch (error) {
    return { ok: false, error: summary(error) };
  }
}

/** A copy in which nothing is too long. */
function bounded(value: Json, left: { values: number }): Json {
  left.values -= 1;
  if (left.values < 0) return null;
  if (typeof value === 'string') return value.slice(0, MAX_STRING);
  if (Array.isArray(value)) return value.slice(0, MAX_LIST).map((each) => bounded(each, left));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, bounded(each, left)]));
}
