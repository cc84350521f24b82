import type { Explanation, PolicyQuestion } from '../core/api/policy.ts';
import type { Label } from '../core/labels.ts';
import { readMoment } from '../core/time/wall.ts';
import { unknownText } from '../core/text/unknown.ts';
import type { PolicyPort } from './app-port.ts';
import { CliError, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { explanationText, statsText } from './policy-text.ts';
import { talk } from './talk.ts';
import { sinceOf } from './time.ts';

export interface PolicyFlags {
  labels?: string;
  sender?: string;
  queue?: string;
  since?: string;
  /** A time, for `explain`; rules, for `rehearse`. */
  at?: string;
  cost?: string;
  vouched?: string;
  json?: boolean;
}

const ACTIONS = ['explain', 'test', 'rehearse', 'stats'] as const;

/** `ruche policy explain|test|rehearse|stats`: what the rules say, without anything happening. */
export async function policy(
  io: Io,
  options: Options,
  [action = '', ...words]: readonly string[],
  flags: PolicyFlags,
): Promise<ExitCode> {
  const known = ACTIONS.find((each) => each === action);
  switch (known) {
    case 'explain':
      return explainCall(io, options, words, flags);
    case 'test': {
      const { testCases } = await import('./policy-test.ts');
      return withFiles(io, options, (port) => testCases(io, port, words[0], flags));
    }
    case 'stats':
      return stats(io, options, flags);
    case 'rehearse': {
      const { rehearseDecisions } = await import('./policy-rehearse.ts');
      return withFiles(io, options, (port) => rehearseDecisions(io, port, flags));
    }
    case undefined:
      throw new CliError(unknownText('action', action, { known: ACTIONS }));
  }
}

/** With the files of the workspace, whether or not anything runs on it. */
async function withFiles<T>(io: Io, { home, workspace }: Options, job: (port: PolicyPort) => Promise<T>): Promise<T> {
  const port = await (await io.loadApp()).openPolicy({ home, workspace, env: io.env });
  try {
    return await job(port);
  } finally {
    await port.close();
  }
}

async function stats(io: Io, options: Options, { since = '30d', json }: PolicyFlags): Promise<ExitCode> {
  const found = await withFiles(io, options, (port) => port.stats(sinceOf(since, io.clock.now())));
  io.out(json ? `${JSON.stringify(found)}\n` : `${plain(statsText(found))}\n`);
  return 0;
}

async function explainCall(io: Io, options: Options, words: readonly string[], flags: PolicyFlags): Promise<ExitCode> {
  const [agent, ...call] = words;
  if (agent === undefined || call.length === 0)
    throw new CliError(`Name an agent and a call: ${io.self} policy explain AGENT "shell: git push"`);
  const found = await answerTo(io, options, { agent, call: call.join(' '), ...circumstances(flags) });
  io.out(flags.json ? `${JSON.stringify(found)}\n` : `${plain(explanationText(found))}\n`);
  return 0;
}

/** Asks the network that runs, for its rules govern; where none runs, the files are read. */
async function answerTo(io: Io, options: Options, question: PolicyQuestion): Promise<Explanation> {
  try {
    return await talk(io, options, new AbortController().signal).call<Explanation>('/api/policy/explain', question);
  } catch (error) {
    if (!(error instanceof CliError) || error.exitCode !== 2) throw error;
  }
  const answer = await withFiles(io, options, (port) => port.explain(question));
  if (!answer.ok) throw new CliError(answer.why);
  return answer.value;
}

const LABELS: readonly string[] = ['untrusted', 'private'] satisfies Label[];

function circumstances({
  labels,
  sender,
  queue,
  at,
  cost,
  vouched,
}: PolicyFlags): Omit<PolicyQuestion, 'agent' | 'call'> {
  const named = listOf(labels);
  const odd = named?.find((name) => !LABELS.includes(name));
  if (odd !== undefined) throw new CliError(unknownText('label', odd, { known: LABELS }));
  if (cost !== undefined && !/^\d+(?:\.\d+)?$/.test(cost))
    throw new CliError(`Invalid --cost "${cost}". Give USD, such as 0.50.`);
  return {
    labels: named as Label[] | undefined,
    sender,
    queue,
    at: at === undefined ? undefined : momentOf(at),
    costUsd: cost === undefined ? undefined : Number(cost),
    vouched: listOf(vouched),
  };
}

const listOf = (text: string | undefined): string[] | undefined =>
  text
    ?.split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');

function momentOf(text: string): number {
  const time = readMoment(text.slice(0, 10)) === null ? Number.NaN : Date.parse(text);
  if (Number.isNaN(time)) throw new CliError(`Invalid --at "${text}". Give a date and time such as 2026-11-23T08:15.`);
  return time;
}
