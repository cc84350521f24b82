// Small changes to a source file, each of which some test should notice. One change a mutant, found in the syntax tree.
import { parseSync } from 'rolldown/utils';

export interface Mutant {
  /** Where the change begins, as people count. */
  line: number;
  column: number;
  start: number;
  end: number;
  replacement: string;
  /** It changes a `?.`. */
  optional: boolean;
}

interface Node {
  type: string;
  start: number;
  end: number;
  [field: string]: unknown;
}

const PLANTED = "'mutant'";
const COMPARISONS: Readonly<Record<string, readonly string[]>> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '===': ['!=='],
  '!==': ['==='],
};
const ARITHMETIC: Readonly<Record<string, string>> = { '+': '-', '-': '+', '*': '/', '/': '*', '%': '*', '**': '*' };
const ASSIGNMENTS: Readonly<Record<string, string>> = {
  '+=': '-=',
  '-=': '+=',
  '*=': '/=',
  '/=': '*=',
  '??=': '&&=',
  '||=': '&&=',
  '&&=': '||=',
};
const LOGIC: Readonly<Record<string, string>> = { '&&': '||', '||': '&&', '??': '&&' };
const METHODS: Readonly<Record<string, string>> = {
  some: 'every',
  every: 'some',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  min: 'max',
  max: 'min',
  toLowerCase: 'toUpperCase',
  toUpperCase: 'toLowerCase',
};
/** Calls that can be left out: what they are called on has the same type. */
const DROPPED_METHODS = new Set(['trim', 'slice', 'sort', 'reverse', 'filter', 'toWellFormed', 'toSorted', 'replace']);
const WITH_EFFECT = new Set(['CallExpression', 'AwaitExpression', 'AssignmentExpression', 'UpdateExpression']);
/** Where types stand: they do not exist at run time. */
const TYPE_FIELDS = new Set(['typeAnnotation', 'typeParameters', 'typeArguments', 'returnType', 'implements']);
const TRANSPARENT = new Set(['TSAsExpression', 'TSNonNullExpression', 'TSSatisfiesExpression']);

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

/** Every mutant of the source that still parses, in the order of places. */
export function mutantsOf(code: string): Mutant[] {
  const found = new Map<string, { start: number; end: number; replacement: string }>();
  const add = (start: number, end: number, replacement: string): void => {
    if (code.slice(start, end) !== replacement)
      found.set(`${start}:${end}:${replacement}`, { start, end, replacement });
  };
  const { program, errors } = parseSync('source.ts', code);
  if (errors.length > 0) throw new Error(`it does not parse: ${errors[0]?.message}`);
  walk(program as unknown as Node, null, (node, parent) => mutate(node, parent, code, add));
  return [...found.values()]
    .filter(({ start, end, replacement }) => parses(code.slice(0, start) + replacement + code.slice(end)))
    .sort((a, b) => a.start - b.start || a.end - b.end || (a.replacement < b.replacement ? -1 : 1))
    .map((change) => {
      const before = code.slice(0, change.start).split('\n');
      const optional = code.startsWith('?.', change.start);
      return { line: before.length, column: (before.at(-1) as string).length + 1, ...change, optional };
    });
}

const parses = (code: string): boolean => parseSync('mutant.ts', code).errors.length === 0;

function walk(node: Node, parent: Node | null, visit: (node: Node, parent: Node | null) => void): void {
  if (node.type === 'ImportDeclaration' || (node.type.startsWith('TS') && !TRANSPARENT.has(node.type))) return;
  visit(node, parent);
  for (const [field, value] of Object.entries(node)) {
    if (TYPE_FIELDS.has(field)) continue;
    for (const below of Array.isArray(value) ? (value as unknown[]) : [value])
      if (isNode(below)) walk(below, node, visit);
  }
}

type Add = (start: number, end: number, replacement: string) => void;

function mutate(node: Node, parent: Node | null, code: string, add: Add): void {
  const text = (part: unknown): string => code.slice((part as Node).start, (part as Node).end);
  const whole = (replacement: string): void => add(node.start, node.end, replacement);
  const operator = (after: unknown, from: string, to: string): void => {
    const at = code.indexOf(from, (after as Node).end);
    add(at, at + from.length, to);
  };
  const { left, right, argument } = node;
  const sign = node.operator as string;
  switch (node.type) {
    case 'IfStatement':
    case 'ConditionalExpression':
      for (const value of ['true', 'false']) add((node.test as Node).start, (node.test as Node).end, value);
      break;
    case 'WhileStatement':
    case 'DoWhileStatement':
    case 'ForStatement':
      if (isNode(node.test) && text(node.test) !== 'true') add(node.test.start, node.test.end, 'false');
      break;
    case 'BinaryExpression':
      if (COMPARISONS[sign]) for (const value of ['true', 'false']) whole(value);
      for (const other of COMPARISONS[sign] ?? []) operator(left, sign, other);
      if (ARITHMETIC[sign]) operator(left, sign, ARITHMETIC[sign]);
      break;
    case 'LogicalExpression':
      if (sign !== '??') for (const value of ['true', 'false']) whole(value);
      whole(`((${text(left)}) ${LOGIC[sign]} (${text(right)}))`);
      break;
    case 'UnaryExpression':
      if (sign === '!') whole(text(argument));
      if (sign === '-') whole(`+${text(argument)}`);
      break;
    case 'UpdateExpression':
      whole(text(node).replace(sign, sign === '++' ? '--' : '++'));
      break;
    case 'AssignmentExpression':
      if (ASSIGNMENTS[sign]) operator(left, sign, ASSIGNMENTS[sign]);
      break;
    case 'Literal':
      literal(node, parent, whole);
      break;
    case 'TemplateLiteral':
      whole('``');
      break;
    case 'ArrayExpression':
      whole((node.elements as unknown[]).length > 0 ? '[]' : `[${PLANTED}]`);
      break;
    case 'ObjectExpression':
      whole('{}');
      break;
    case 'BlockStatement':
      if ((node.body as unknown[]).length > 0) whole('{}');
      break;
    case 'ExpressionStatement':
      // Alone in its block, it is that block's mutant.
      if (WITH_EFFECT.has((node.expression as Node).type) && !isOnlyOne(parent)) whole(';');
      break;
    case 'BreakStatement':
    case 'ContinueStatement':
      whole(';');
      break;
    case 'ArrowFunctionExpression':
      if ((node.body as Node).type !== 'BlockStatement' && text(node.body) !== 'undefined')
        add((node.body as Node).start, (node.body as Node).end, 'undefined');
      break;
    case 'MemberExpression':
      if (node.optional === true) operator(node.object, '?.', node.computed === true ? '' : '.');
      break;
    case 'CallExpression':
      call(node, text, operator, whole, add);
      break;
  }
}

const isOnlyOne = (parent: Node | null): boolean =>
  parent?.type === 'BlockStatement' && (parent.body as unknown[]).length === 1;

function literal(node: Node, parent: Node | null, whole: (replacement: string) => void): void {
  if (typeof node.value === 'boolean') whole(String(!node.value));
  else if (isRegex(node.regex)) for (const other of regexMutants(node.regex.pattern, node.regex.flags)) whole(other);
  else if (typeof node.value === 'string') {
    const isKey = parent?.key === node && parent.computed !== true;
    const isSource = parent?.source === node || parent?.directive !== undefined;
    if (!isKey && !isSource) whole(node.value === '' ? PLANTED : "''");
  }
}

function call(
  node: Node,
  text: (part: unknown) => string,
  operator: (after: unknown, from: string, to: string) => void,
  whole: (replacement: string) => void,
  add: Add,
): void {
  const callee = node.callee as Node;
  if (node.optional === true) operator(callee, '?.', '');
  if (callee.type !== 'MemberExpression' || callee.computed === true) return;
  const property = callee.property as Node;
  const other = METHODS[text(property)];
  if (other !== undefined) add(property.start, property.end, other);
  if (DROPPED_METHODS.has(text(property))) whole(text(callee.object));
}

const isRegex = (value: unknown): value is { pattern: string; flags: string } =>
  typeof value === 'object' && value !== null && 'pattern' in value;

/** Anchors and quantifiers dropped, classes and look-arounds turned round, flags dropped. */
function* regexMutants(pattern: string, flags: string): Generator<string> {
  for (const flag of flags) yield `/${pattern}/${flags.replace(flag, '')}`;
  const cut = (from: number, to: number, by: string): string =>
    `/${pattern.slice(0, from)}${by}${pattern.slice(to)}/${flags}`;
  let inClass = false;
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    const rest = pattern.slice(at);
    if (char === '\\') {
      const next = pattern[at + 1] as string;
      if ('dDwWsSbBpP'.includes(next))
        yield cut(at + 1, at + 2, next === next.toLowerCase() ? next.toUpperCase() : next.toLowerCase());
      // The braces of `\p{L}` name a class; they are no quantifier.
      at += (/^\\[pPu]\{[^}]*\}/.exec(rest)?.[0].length ?? 2) - 1;
    } else if (inClass) inClass = char !== ']';
    else if (char === '[') {
      inClass = true;
      yield rest.startsWith('[^') ? cut(at, at + 2, '[') : cut(at, at + 1, '[^');
    } else if (char === '^' || char === '$') yield cut(at, at + 1, '');
    else if (/^\(\?<?[=!]/.test(rest)) {
      const sign = rest.startsWith('(?<') ? at + 3 : at + 2;
      yield cut(sign, sign + 1, pattern[sign] === '=' ? '!' : '=');
    } else if ('*+?{'.includes(char) && pattern[at - 1] !== '(') {
      const [quantifier] = /^(?:[*+?]|\{[\d,]+\})\??/.exec(rest) as RegExpExecArray;
      yield cut(at, at + quantifier.length, '');
      at += quantifier.length - 1;
    }
  }
}
