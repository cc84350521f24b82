import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { systemPrompt, toolSchemas } from '../../src/agent/think/model-call.ts';
import type { Agent } from '../../src/core/agent.ts';
import type { Checkouts } from '../../src/core/ports/workspace.ts';
import type { Sandbox } from '../../src/core/ports/sandbox.ts';
import type { ScheduleBook } from '../../src/core/schedule.ts';
import { BUILTIN, openTools } from '../../src/app/builtin.ts';
import { parseAgent } from '../../src/config/agent.ts';
import { SETTINGS } from '../fakes/governance.ts';
import { KNOWN } from '../fakes/known.ts';

test('system prompt and schemas of all default tools stay under 1,200 tokens, the same for every turn', () => {
  const file = join(import.meta.dirname, '../../templates/solo/agents/assistant/AGENT.md');
  const { agent } = parseAgent(readFileSync(file), file, 'assistant', KNOWN);
  assert.ok(agent);
  // Neither is used before a command runs.
  const tools = openTools(BUILTIN, {
    sandbox: {} as Sandbox,
    checkouts: {} as Checkouts,
    book: {} as ScheduleBook,
    limits: SETTINGS.limits,
  });
  const whole: Agent = { ...agent, tools: [...tools.keys()] };
  const schemas = toolSchemas(whole, tools);
  assert.equal(schemas.length, BUILTIN.tools.length);
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
