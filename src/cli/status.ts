import type { Problem } from '../core/agent.ts';
import type {
  AgentState,
  ChannelState,
  HeldMessages,
  RefusedHooks,
  Pending,
  RuntimeStatus,
  ServerOffer,
} from '../core/api/runtime.ts';
import { pendingTexts } from './approvals.ts';
import { connect } from './connect.ts';
import { asCalled } from './explain.ts';
import { oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';
import { clockTime, duration, farAway } from './time.ts';

/** `ruche status`: what runs, which model answers, what waits and what is wrong. */
export async function status(io: Io, options: Options, flags: { json?: boolean }): Promise<ExitCode> {
  const { url } = await connect(io, options);
  const gateway = talk(io, options, new AbortController().signal);
  const now = await gateway.call<RuntimeStatus>('/api/status');
  const { agents } = await gateway.call<{ agents: AgentState[] }>('/api/agents');
  const { pending } = await gateway.call<{ pending: Pending[] }>('/api/pending');
  if (flags.json) io.out(`${JSON.stringify({ url, ...now, agents, pending })}\n`);
  else {
    const text = statusText(url, now, agents, pending.map(pendingTexts(io, options)), io.clock.now());
    io.out(`${asCalled(text, io.self)}\n`);
  }
  return 0;
}

export function statusText(
  url: string,
  now: RuntimeStatus,
  agents: readonly AgentState[],
  pending: readonly string[],
  at: number,
): string {
  const { tasks, journal } = now;
  const behind = journal.head - journal.exported;
  const lines = [
    `ruche ${now.version} at ${url}, ${now.ready ? 'ready' : `not ready: ${now.notReady ?? 'starting'}`}, for ${duration(at - now.startedAt)}`,
    `  model      ${now.model}${now.demo ? '  (the built-in demo: it understands a dozen sentences)' : ''}`,
    ...(now.offer ? [`  found      ${offerText(now.offer)}`] : []),
    `  sandbox    ${now.sandbox}${now.sandbox === 'none' ? ': Ruche asks you before each shell command' : ''}`,
    ...now.channels.map((each, index) => `  ${index === 0 ? 'channels ' : '         '}  ${channelText(each, at)}`),
    ...(now.held ?? []).map(heldText),
    ...(now.gateway?.refused ?? []).map((each) => plain(`  webhooks   ${refusedText(each, at)}`)),
    `  workspace  ${now.workspace}`,
    `  home       ${now.home}`,
    `  tasks      ${tasks.running} running, ${tasks.queued} queued, ${tasks.waiting} waiting, ${tasks.done} done, ${tasks.failed + tasks.dead} failed`,
    `  journal    ${journal.head} events${behind > 0 ? `, journal.git ${behind} behind` : ''}`,
    '',
    'Agents',
    ...(agents.length === 0
      ? ['  No agents are running. Find out why with: ruche doctor.']
      : agents.map((agent) => agentLine(agent, at))),
  ];
  if (pending.length > 0) lines.push('', 'Waiting for you', pending.join('\n\n'));
  lines.push(...problemLines(now.problems));
  return lines.join('\n');
}

/** What answers on a port may be anybody's process, so the owner decides. */
export const offerText = ({ kind, title, baseUrl, model }: ServerOffer): string =>
  plain(
    `${title} with ${model} at ${baseUrl}. It is not used until you say so: on the page, or with: ruche models --use ${kind}`,
  );

/** `Telegram: works for 2 h, last in 3 min ago, nothing out`. */
export function channelText({ title, problem, since, lastIn, lastOut, lastError }: ChannelState, at: number): string {
  const ago = (what: string, when: number | null): string =>
    when === null ? `nothing ${what}` : `last ${what} ${farAway(when, at)}`;
  const time = since === undefined || since === null ? '' : ` for ${duration(at - since)}`;
  const doing = problem === null ? `works${time}` : `does not work${time}: ${problem}`;
  const error =
    lastError && lastError.text !== problem ? `; last error ${farAway(lastError.at, at)}: ${lastError.text}` : '';
  // A gateway of an older version does not tell.
  const moves = since === undefined ? '' : `, ${ago('in', lastIn ?? null)}, ${ago('out', lastOut ?? null)}`;
  return oneLine(`${title}: ${doing}${moves}${error}`, 300);
}

/** `3 refused at the hook h, the last 2 min ago: it came without X-Hub-Signature-256`. */
export function refusedText({ hook, count, at: last, why, accepted }: RefusedHooks, at: number): string {
  const where = hook === null ? '' : ` at the hook ${hook}`;
  const since = accepted === null ? '' : `; one was accepted ${farAway(accepted, at)}`;
  return oneLine(`${count} refused${where}, the last ${farAway(last, at)}: ${why}${since}`, 300);
}

const heldText = ({ to, count, until }: HeldMessages): string =>
  plain(`  held       ${count === 1 ? '1 message' : `${count} messages`} for ${to} until ${clockTime(until)}`);

const agentLine = (agent: AgentState, at: number): string => {
  const next = agent.nextFiring === null ? '' : `, fires in ${duration(agent.nextFiring - at)}`;
  return plain(
    `  ${agent.name.padEnd(14)} ${agent.models[0] ?? 'no model'}, ${agent.running} running, ${agent.queued} queued, ${agent.waiting} waiting${next}`,
  );
};

/** Those of changes that do not count first: what governs is not what the files say. */
export function problemLines(problems: readonly Problem[]): string[] {
  const [refused, others] = [problems.filter(isRefused), problems.filter((problem) => !isRefused(problem))];
  const under = (title: string, list: readonly Problem[]): string[] =>
    list.length === 0 ? [] : ['', title, ...list.map((problem) => `  ${problemText(problem)}`)];
  return [...under('Not applied; the last valid settings stay in force:', refused), ...under('Problems:', others)];
}

const isRefused = ({ applied }: Problem): boolean => applied === false;

/** `agents/x/AGENT.md:3 (model): …`. */
export function problemText(problem: Problem): string {
  const place = `${problem.file}${problem.line === null ? '' : `:${problem.line}`}`;
  const key = problem.key === '' ? '' : ` (${problem.key})`;
  return plain(`${problem.severity}: ${place}${key}: ${problem.message}`);
}
