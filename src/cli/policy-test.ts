import { resolve } from 'node:path';
import type { PolicyOutcome, PolicyPort } from './app-port.ts';
import { CliError, oneLine, plain, type ExitCode, type Io } from './io.ts';
import { placeText } from './policy-text.ts';

/** `ruche policy test FILE`: exit 0 if every case comes out as the file says, 1 if one does not. */
export async function testCases(
  io: Io,
  port: PolicyPort,
  file: string | undefined,
  { json }: { json?: boolean },
): Promise<ExitCode> {
  if (file === undefined) throw new CliError(`Name a file of cases: ${io.self} policy test cases.yaml`);
  const outcomes = await port.test(resolve(io.cwd, file));
  const failed = outcomes.filter((each) => !holds(each));
  if (json) io.out(`${JSON.stringify({ cases: outcomes.map(told), failed: failed.length })}\n`);
  else {
    for (const each of failed) io.out(`${plain(differenceText(file, each))}\n`);
    io.out(`${outcomes.length - failed.length} of ${outcomes.length} cases hold.\n`);
  }
  return failed.length === 0 ? 0 : 1;
}

const holds = ({ expect, rule, answer }: PolicyOutcome): boolean =>
  answer.ok && answer.value.decision.verdict === expect && (rule === undefined || rule === answer.value.decision.rule);

const told = (each: PolicyOutcome) => {
  const { line, name, question, expect, rule, answer } = each;
  const { agent, call } = question;
  const found = answer.ok ? { decision: answer.value.decision } : { error: answer.why };
  return { line, name, agent, call, expect, ...(rule === undefined ? {} : { rule }), holds: holds(each), ...found };
};

function differenceText(file: string, { line, name, question, expect, rule, answer }: PolicyOutcome): string {
  const wanted = rule === undefined ? expect : `${expect} by ${rule}`;
  const head = `${file}${line === null ? '' : `:${line}`}: ${question.agent}: ${oneLine(name, 160)}`;
  if (!answer.ok) return `${head}\n    cannot be asked: ${oneLine(answer.why, 300)}`;
  const { verdict, rule: by, place, reason } = answer.value.decision;
  return `${head}\n    expected ${wanted}\n    but got  ${verdict} by ${by}${placeText(place)}: ${oneLine(reason, 200)}`;
}
