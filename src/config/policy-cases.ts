import { z } from 'zod';
import type { Problem } from '../core/agent.ts';
import type { PolicyQuestion } from '../core/api/policy.ts';
import type { Verdict } from '../core/event.ts';
import type { Json } from '../core/text/json.ts';
import { validate } from './validate.ts';
import { decodeText, parseYaml, problem } from './yaml-source.ts';

/** What a rule of a network is meant to do with a call. */
export interface PolicyCase {
  /** Line at which it begins. */
  line: number | null;
  name: string;
  question: PolicyQuestion;
  expect: Verdict;
  /** Absent: whatever rule says so. */
  rule?: string;
}

const verdict = z.enum(['allow', 'ask', 'deny']);
const text = z.string().min(1).max(4_000);

const timeProblem = (given: string): boolean => !Number.isNaN(Date.parse(given));

export const casesSchema = z.strictObject({
  cases: z
    .array(
      z.strictObject({
        name: text.describe('What it is about, for the report.').optional(),
        agent: text.describe('Whose call it is.'),
        call: z
          .union([text, z.strictObject({ tool: text, input: z.record(z.string(), z.unknown()).optional() })])
          .describe('"shell: git push", or tool and input.'),
        labels: z
          .array(z.enum(['untrusted', 'private']))
          .describe('What the run has read.')
          .optional(),
        sender: text.describe('Who gave the work: owner, CHANNEL:ADDRESS, agent:NAME …').optional(),
        queue: text.optional(),
        at: text.refine(timeProblem, 'must be a date and time such as 2026-11-23T08:15').optional(),
        costUsd: z.number().min(0).describe('What the run has cost.').optional(),
        vouched: z.array(text).describe('Arguments whose values somebody has approved.').optional(),
        expect: verdict.describe('allow, ask or deny'),
        rule: text.describe('The rule that has to say so; any unless given.').optional(),
      }),
    )
    .min(1)
    .max(10_000),
});

/** Reads a file of cases. Null with problems, each with its line. */
export function parseCases(input: Uint8Array, file: string): { cases: PolicyCase[] | null; problems: Problem[] } {
  const decoded = decodeText(input, file);
  if (!decoded.ok) return { cases: null, problems: [decoded.problem] };
  const source = parseYaml(decoded.text, file);
  if (source.problems.length > 0) return { cases: null, problems: source.problems };
  if (source.value === null) return { cases: null, problems: [problem(file, null, 'cases', 'is missing')] };
  const { value, problems } = validate(casesSchema, source, file);
  if (value === null) return { cases: null, problems };
  const cases = value.cases.map(({ name, call, at, expect, rule, ...rest }, index) => ({
    line: source.lineOf(['cases', index]),
    name: name ?? (typeof call === 'string' ? call : call.tool),
    question: {
      ...rest,
      call: typeof call === 'string' ? call : { tool: call.tool, input: (call.input ?? {}) as Json },
      at: at === undefined ? undefined : Date.parse(at),
    },
    expect,
    ...(rule === undefined ? {} : { rule }),
  }));
  return { cases, problems: [] };
}
