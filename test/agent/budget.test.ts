import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseReach, reaches, type ReachSource } from '../../src/core/net/reach.ts';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { othersOf, systemPrompt, toolSchemas } from '../../src/agent/think/model-call.ts';
import type { Agent } from '../../src/core/agent.ts';
import type { Checkouts } from '../../src/core/ports/workspace.ts';
import type { Sandbox } from '../../src/core/ports/sandbox.ts';
import type { ScheduleBook } from '../../src/core/schedule.ts';
import { BUILTIN, openTools } from '../../src/app/builtin.ts';
import { parseAgent } from '../../src/config/agent.ts';
import type { AnyTool } from '../../src/core/ports/tool.ts';
import type { MailAccess, ToolParts } from '../../src/core/ports/tool.ts';
import { taskTool } from '../../src/tools/task.ts';
import { anAgent, SETTINGS } from '../fakes/governance.ts';
import { noEgress } from '../fakes/no-egress.ts';
import { KNOWN } from '../fakes/known.ts';

test('system prompt and schemas of all default tools stay under 1,200 tokens, the same for every turn', () => {
  const file = join(import.meta.dirname, '../../templates/solo/agents/assistant/AGENT.md');
  const { agent } = parseAgent(readFileSync(file), file, 'assistant', KNOWN);
  assert.ok(agent);
  // Neither is used before a command runs.
  const tools = openTools(BUILTIN, {
    sandbox: {} as Sandbox,
    checkouts: {} as Checkouts,
    egress: noEgress,
    book: {} as ScheduleBook,
    accounts: {} as MailAccess,
    limits: SETTINGS.limits,
  });
  // What an agent has to name costs nothing where it is not named.
  const byDefault = [...tools.values()].filter(({ onDemand }) => onDemand !== true).map(({ name }) => name);
  const whole: Agent = { ...agent, tools: byDefault };
  const schemas = toolSchemas(whole, tools);
  assert.deepEqual(
    BUILTIN.tools.map(({ name }) => name).filter((name) => !byDefault.includes(name)),
    ['extract', 'mail', 'mail_do'],
  );
  const prompt = systemPrompt(whole);
  const wire = schemas.map(({ name, description, input }) => ({
    type: 'function',
    function: { name, description, parameters: input },
  }));
  const tokens = encode(prompt).length + encode(JSON.stringify(wire)).length;
  assert.ok(tokens < 1_200, `${tokens} tokens`);
  // Nothing in it hangs on the time, so that providers can cache it for good.
  assert.doesNotMatch(prompt, /20\d\d-\d\d-\d\d|today/i);
});

test('the prompt says what commands and fetch reach, as it is for this agent', () => {
  const reaching = (...sources: (string | ReachSource)[]): Agent =>
    anAgent({ name: 'a', network: sources.flatMap((source) => parseReach(source) ?? []) });
  const bare = systemPrompt(anAgent({ name: 'a' }));
  assert.match(bare, /sandboxed and without network\. Text between/);
  assert.equal(
    systemPrompt(anAgent({ name: 'a' }), [], [], [], reaches('x.org')),
    bare,
    'ruche.yaml alone gives no leave',
  );
  const own = systemPrompt(reaching('x.org', { host: '*.y.org', methods: ['GET'] }, { host: 'z.org', ask: true }));
  assert.match(
    own,
    /sandboxed; commands and fetch reach x\.org, \*\.y\.org \(GET\)\. With approval, fetch reaches z\.org/,
  );
  assert.match(own, /All other hosts are refused\. Text between/);
  assert.match(systemPrompt(reaching()), /sandboxed and without network\. All other hosts are refused/);
  const narrowed = systemPrompt(reaching('x.org', 'y.org'), [], [], [], reaches('x.org'));
  assert.match(narrowed, /fetch reach x\.org\. All/);
  const many = systemPrompt(reaching(...Array.from({ length: 50 }, (_, n) => `h${n}.org`)));
  assert.match(many, /h19\.org, and 30 more\./);
});

test('the prompt names the other agents and what they are for, to those who can give work away, and never too many', () => {
  const desk = anAgent({ name: 'desk', tools: ['task'] });
  const tools = new Map<string, AnyTool>([[taskTool.name, taskTool]]);
  const promptOf = (agent: Agent, ...others: Agent[]): string => {
    const network = new Map([agent, ...others].map((each) => [each.name, each]));
    return systemPrompt(agent, [], othersOf(agent, network, tools));
  };
  const email = anAgent({ name: 'email', description: 'Reads mail,\n and sorts it.' });
  const prompt = promptOf(desk, email, anAgent({ name: 'bare' }));
  assert.match(prompt, /\n\nThe other agents:\n- email: Reads mail, and sorts it\.\n- bare$/);
  assert.doesNotMatch(prompt, /- desk/);
  assert.doesNotMatch(promptOf({ ...desk, tools: ['read'] }, email), /The other agents:/);
  assert.equal(promptOf(desk), systemPrompt(desk));
  const many = Array.from({ length: 200 }, (_, n) => anAgent({ name: `a${n}`, description: 'x'.repeat(2_000) }));
  const long = promptOf(desk, ...many);
  assert.match(long, /- and 170 more, in agents\/$/);
  assert.ok(long.length - systemPrompt(desk).length < 4_000);
});

test('a tool that a skill brings costs its agent at most 120 tokens', () => {
  const tools = openTools(BUILTIN, { limits: SETTINGS.limits } as ToolParts);
  for (const name of ['mail', 'mail_do']) {
    const { description, schema } = tools.get(name) ?? assert.fail(name);
    const wire = { type: 'function', function: { name, description, parameters: schema } };
    const tokens = encode(JSON.stringify(wire)).length;
    assert.ok(tokens <= 120, `${name}: ${tokens} tokens`);
  }
});
