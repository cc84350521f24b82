import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILTIN, openTools } from '../../src/app/builtin.ts';
import type { AnyTool, ToolParts } from '../../src/core/ports/tool.ts';
import { isObject } from '../../src/core/text/json.ts';
import { stampTool } from '../app/toy-tool.ts';

/** A send that says nothing of where it goes gives the rule of two nothing to look at; a name that is no argument neither. */
function wrongIn({ name, effect, critical = [], ids = [], texts = [], schema }: AnyTool): string[] {
  const properties = isObject(schema) && isObject(schema.properties) ? Object.keys(schema.properties) : [];
  const odd = [...critical, ...texts].filter((each) => !properties.includes(each));
  const loose = ids.filter((each) => !critical.includes(each));
  return [
    ...(effect === 'send' && critical.length === 0 ? [`${name} names no critical argument`] : []),
    ...[...odd, ...loose].map((each) => `${name} has no argument ${each}`),
  ];
}

test('each tool that sends names its critical arguments, and they are arguments of it', () => {
  const tools = [...openTools(BUILTIN, { limits: {} } as ToolParts).values(), stampTool];
  assert.ok(tools.filter(({ effect }) => effect === 'send').length >= 2);
  assert.deepEqual(tools.flatMap(wrongIn), []);
  assert.deepEqual(wrongIn({ ...stampTool, critical: [] }), ['stamp names no critical argument']);
  assert.deepEqual(wrongIn({ ...stampTool, critical: ['to'], ids: ['id'] }), [
    'stamp has no argument to',
    'stamp has no argument id',
  ]);
});
