import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { systemPrompt, toolSchemas } from '../../src/agent/think/context.ts';
import type { Agent } from '../../src/core/agent.ts';
import type { Checkouts } from '../../src/core/ports/workspace.ts';
import type { Sandbox } from '../../src/core/ports/sandbox.ts';
import type { ScheduleBook } from '../../src/core/schedule.ts';
import { TOOL_NAMES } from '../../src/core/ports/tool.ts';
import { builtinTools } from '../../src/tools/builtin.ts';
import { parseAgent } from '../../src/config/agent.ts';
import { SETTINGS } from '../fakes/loop.ts';

test('system prompt and schemas of all default tools stay under 1,200 tokens, the same for every turn', () => {
  const file = join(import.meta.dirname, '../../templates/solo/agents/assistant/AGENT.md');
  const { agent } = parseAgent(readFileSync(file), file, 'assistant');
  assert.ok(agent);
  const whole: Agent = { ...agent, tools: TOOL_NAMES };
  // Neither is used before a command runs.
  const tools = builtinTools(
    { sandbox: {} as Sandbox, checkouts: {} as Checkouts, book: {} as ScheduleBook },
    SETTINGS,
  );
  assert.deepEqual([...tools.keys()], [...TOOL_NAMES]);
  const schemas = toolSchemas(whole, tools);
  assert.equal(schemas.length, TOOL_NAMES.length);
  const noon = Date.UTC(2026, 10, 22, 12);
  const prompt = systemPrompt(whole, noon);
  const wire = schemas.map(({ name, description, input }) => ({
    type: 'function',
    function: { name, description, parameters: input },
  }));
  const tokens = encode(prompt).length + encode(JSON.stringify(wire)).length;
  assert.ok(tokens < 1_200, `${tokens} tokens`);
  assert.equal(systemPrompt(whole, noon + 3_600_000), prompt);
});
