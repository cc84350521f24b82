import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MINUTE, whenYaml } from './calendar.ts';
import { TRIGGERS, triggerYaml } from './causes.ts';
import { OWNER } from './platform.ts';
import { AGENTS, type AgentName, lineFile, linesOf, SHARED, tagOf } from './orders.ts';
import type { Plan, PlannedSchedule } from './plan.ts';

/** After which the first level of the chain is told. */
export const FIRST = 5 * MINUTE;

const SETTINGS = `models:
  providers:
    one: { type: openai-compatible, baseUrl: https://one.simulated.invalid/v1 }
    two: { type: openai-compatible, baseUrl: https://two.simulated.invalid/v1 }
  standard: [one/model, two/model]
bindings:
  - { agent: system }
concurrency: 12
escalation:
  owner: [{ after: ${FIRST / MINUTE}m, to: 'chat:${OWNER}' }, { after: 20m, to: agent:system }]
policy:
  rules:
    - { id: contracts, ask: { effect: write, path: 'contracts/**' }, reason: Contracts need a person. }
`;

const scheduleYaml = ({ name, when, jitter, missed, order }: PlannedSchedule): string => {
  const put = jitter > 0 ? `, jitter: ${jitter / 1_000}s` : '';
  return `  - { name: ${name}, ${whenYaml(when)}${put}, missed: ${missed}, overlap: queue, task: 'It is time. ${tagOf(order)}' }`;
};

/** The AGENT.md of an agent with these of its schedules, and its triggers. */
export function agentFile(agent: AgentName, schedules: readonly PlannedSchedule[]): string {
  const own = schedules.filter((schedule) => schedule.agent === agent).map(scheduleYaml);
  const triggers = TRIGGERS.filter((trigger) => trigger.agent === agent).map(triggerYaml);
  return `---
description: The ${agent} of a company that is played.
model: standard
tools: [read, write, edit, list, ask, task, hand_over, escalate]
${own.length === 0 ? '' : `schedules:\n${own.join('\n')}\n`}${triggers.length === 0 ? '' : `triggers:\n${triggers.join('\n')}\n`}---
You do what the order says.
`;
}

/** The workspace a play begins with, as a template. */
export function writeTemplate(dir: string, plan: Plan): void {
  const files: Record<string, string> = {
    'ruche.yaml': SETTINGS,
    gitignore: '/tasks/\n',
    [SHARED]: lineFile('Notes'),
  };
  for (const agent of AGENTS) {
    files[`agents/${agent}/AGENT.md`] = agentFile(agent, plan.schedules);
    files[linesOf(agent)] = lineFile(agent);
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
}
