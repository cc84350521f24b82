import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnyTool, ToolContext } from '../../src/core/ports/tool.ts';

export interface ToolCase {
  tool: AnyTool;
  /** Arguments that are fine. */
  good: Record<string, unknown>;
  /** Paths, command or URL that `good` is about to touch, as `facts` must give them. */
  facts: object;
  context(): Promise<ToolContext>;
}

/** What every tool owes the loop: short words, strict arguments, honest facts, and results that are plain data. */
export function toolContract({ tool, good, facts, context }: ToolCase): void {
  const { name } = tool;

  test(`${name}: says what it is in few words`, () => {
    assert.match(name, /^[a-z][a-z0-9_]{0,30}$/);
    assert.ok(tool.description.length >= 10 && tool.description.length <= 160, tool.description);
    // What is asked of the queue has more sides than any other tool.
    assert.ok(JSON.stringify(tool.schema).length < (name === 'task' ? 800 : 400));
    assert.equal((tool.schema as { type?: string }).type, 'object');
  });

  test(`${name}: takes its arguments and says what they touch`, () => {
    const parsed = tool.parse(good);
    assert.ok(parsed.ok, JSON.stringify(parsed));
    assert.deepEqual(tool.facts(parsed.value), facts);
  });

  test(`${name}: refuses what is no object`, () => {
    for (const args of [null, undefined, 1, 'text', [], [good]]) assert.equal(tool.parse(args).ok, false);
  });

  test(`${name}: refuses missing and mistyped arguments, and names them`, () => {
    const { required } = tool.schema as { required?: string[] };
    for (const key of required ?? []) {
      const missing = tool.parse({ ...good, [key]: undefined });
      assert.ok(!missing.ok && missing.error.includes(key), key);
      for (const value of [{}, [], true, 5]) {
        const wrong = tool.parse({ ...good, [key]: value });
        assert.ok(!wrong.ok && wrong.error.includes(key), `${key}: ${JSON.stringify(value)}`);
      }
    }
  });

  test(`A21 ${name}: approval fields are no arguments`, () => {
    for (const key of ['approved', 'approvalId', 'approval', '__proto__x', 'constructor', 'env', 'cwd'])
      assert.equal(tool.parse({ ...good, [key]: true }).ok, false, key);
  });

  test(`${name}: what it sends somewhere names its critical arguments, and they are arguments`, () => {
    const { properties = {} } = tool.schema as { properties?: object };
    for (const key of tool.critical ?? []) assert.ok(Object.hasOwn(properties, key), key);
    if (tool.effect === 'send') assert.ok((tool.critical ?? []).length > 0);
  });

  test(`${name}: its result, or what it asks of the engine, is plain data`, async () => {
    const parsed = tool.parse(good);
    assert.ok(parsed.ok);
    if (tool.kind === 'engine') {
      const asked = tool.asks(parsed.value, 'assistant');
      return assert.deepEqual(JSON.parse(JSON.stringify(asked)), asked);
    }
    const result = await tool.run(parsed.value, await context());
    assert.deepEqual(JSON.parse(JSON.stringify(result)), result);
    assert.equal(typeof result.text, 'string');
    for (const label of result.labels) assert.ok(label === 'untrusted' || label === 'private');
    assert.ok(tool.idempotent || tool.reconcile !== undefined, 'after a crash the loop must be able to go on');
  });
}
