import { visibleLine } from '../core/text/untrusted.ts';
import type { TaskOutcome } from '../core/api/runtime.ts';
import type { ChainView, RunSummary, RunView, ChainNode } from '../core/api/views.ts';
import { unknownText } from '../core/text/unknown.ts';
import { agentNamed, agentNames } from './unknown.ts';
import { asCalled } from './explain.ts';
import { CliError, dollars, oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { duration, clockTime, farAway } from './time.ts';
import { talk, type Talk } from './talk.ts';

const LINKS = {
  joined: 'joins',
  taken: 'joins the run of',
  repeats: 'retried as',
  moved: 'handed the conversation to',
} as const;

export interface TasksFlags {
  json?: boolean;
  agent?: string;
  status?: string;
  from?: string;
  all?: boolean;
  limit?: string;
}

/** `ruche tasks [list|show|cancel|retry] [id]`: what was given to whom, and what became of it. */
export async function tasks(
  io: Io,
  options: Options,
  action: string,
  id: string | undefined,
  flags: TasksFlags,
): Promise<ExitCode> {
  const gateway = talk(io, options, new AbortController().signal);
  const { call } = gateway;
  if (action === 'list') {
    if (flags.agent !== undefined) await known(gateway, flags.agent);
    return list(io, call, flags);
  }
  if (action !== 'show' && action !== 'cancel' && action !== 'retry')
    throw new CliError(unknownText('action', action, { known: ['list', 'show', 'cancel', 'retry'] }), 1);
  if (id === undefined)
    throw new CliError(`Name a task: ${io.self} tasks ${action} ID. List them with: ${io.self} tasks.`, 1);
  const path = `/api/tasks/${encodeURIComponent(id)}`;
  if (action === 'show') {
    const outcome = await call<TaskOutcome>(path);
    const chain = await call<ChainView>(`${path}/chain`);
    const view = await call<RunView>(`/api/runs/${encodeURIComponent(id)}`);
    const { request, standing, queuedAt, startedAt, endedAt } = view;
    const more = { request, standing, queuedAt, startedAt, endedAt, chain: chain.nodes };
    if (flags.json) io.out(`${JSON.stringify({ ...outcome, ...more })}\n`);
    else io.out(`${asCalled(taskText(outcome, view, io.clock.now()), io.self)}\n\n${chainText(chain)}\n`);
    return 0;
  }
  if (action === 'cancel') {
    const { cancelled } = await call<{ cancelled: boolean }>(`${path}/cancel`, {});
    io.out(cancelled ? `Cancelled ${id} and the tasks it started.\n` : `${id} had already ended.\n`);
    return cancelled ? 0 : 1;
  }
  const again = await call<{ task: string }>(`${path}/retry`, {});
  io.out(`Retrying ${id} as ${again.task}.\n`);
  return 0;
}

/** Nothing for an agent that is not there would look like an agent with nothing to do. One that is gone has its tasks. */
async function known(gateway: Talk, agent: string): Promise<void> {
  const { total } = await gateway.call<{ total: number }>(`/api/tasks?${new URLSearchParams({ agent }).toString()}`);
  if (total === 0) agentNamed(await agentNames(gateway), agent);
}

async function list(io: Io, call: Talk['call'], flags: TasksFlags): Promise<ExitCode> {
  const { agent, status, from, all = false, limit, json } = flags;
  const query = new URLSearchParams();
  const probes = all || json ? 'show' : 'hide';
  for (const [name, value] of Object.entries({ agent, status, from, probes, limit }))
    if (value !== undefined) query.set(name, value);
  const page = await call<{ tasks: RunSummary[]; total: number; probes?: number }>(`/api/tasks?${query.toString()}`);
  if (json) io.out(`${JSON.stringify(page.tasks)}\n`);
  else if (page.tasks.length === 0) io.out('No matching tasks.\n');
  else
    for (const task of page.tasks)
      io.out(
        `${task.task}  ${task.status.padEnd(9)}  ${duration(io.clock.now() - task.queuedAt).padEnd(11)}  ${task.agent}  from ${visibleLine(task.from)}  ${oneLine(task.title, 80)}\n`,
      );
  const { probes: left = 0 } = page;
  if (!json && left > 0)
    io.out(
      `${left} run${left === 1 ? '' : 's'} of scripts by the clock found nothing new: ${io.self} tasks --all lists them too.\n`,
    );
  return 0;
}

/** What was asked, when, why it stands as it does, and what came of it. */
export function taskText(outcome: TaskOutcome, view: RunView, now: number): string {
  const { task, agent, session, status, run, commit, text } = outcome;
  const { from, queuedAt, startedAt, endedAt, deadline, priority, standing, model, steps, request } = view;
  const lines = [
    `${task}  ${status}`,
    `  agent ${agent}, session ${visibleLine(session)}, from ${visibleLine(from)}`,
    `  asked ${moment(queuedAt, now)}`,
    startedAt === null ? null : `  started ${moment(startedAt, now)}`,
    endedAt === null ? null : `  ended ${moment(endedAt, now)}`,
    deadline === null ? null : `  due ${moment(deadline, now)}`,
    priority === 0 ? null : `  priority ${priority}`,
    endedAt === null || status === 'failed' || status === 'dead' ? `  ${standing.why}` : null,
    run === null
      ? null
      : `  run ${run}: ${steps} ${steps === 1 ? 'step' : 'steps'}${model === null ? '' : ` of ${model}`}, cost ${dollars(view.costUsd, view.unpriced)}`,
    commit === null ? null : `  commit ${commit}`,
    '',
    ...request.split('\n').map((line) => `  > ${line}`),
  ].filter((line) => line !== null);
  return plain(text === '' ? lines.join('\n') : `${lines.join('\n')}\n\n${text}`);
}

/** By the clock of this machine, and how far away that is. */
const moment = (at: number, now: number): string => `${clockTime(at)} (${farAway(at, now)})`;

/** What led to a task and what it has led to, as an indented tree; the task itself is marked. */
const chainText = ({ task, nodes }: ChainView): string =>
  nodes
    .map((node) => {
      const mark = node.kind === 'task' && node.task === task ? '>' : ' ';
      return `${mark} ${'  '.repeat(node.depth)}${nodeText(node, mark === '>')}`;
    })
    .join('\n');

/** The answer of the one that is asked about stands above. */
function nodeText(node: ChainNode, here: boolean): string {
  switch (node.kind) {
    case 'cause':
      return causeText(node);
    case 'task': {
      const { task, status, agent, title, commit, result } = node;
      const landed = commit === null ? '' : `  [${commit.slice(0, 10)}]`;
      const said = result === '' || here ? '' : `  = ${oneLine(result, 60)}`;
      return `${task}  ${status}  ${plain(agent)}: ${oneLine(title, 80)}${landed}${said}`;
    }
    case 'link':
      return linkText(node);
    case 'matter':
      return `question to the owner${node.settled ? ', closed' : ''}: ${oneLine(node.title, 100)}`;
    case 'more':
      return `and ${node.left} more`;
  }
}

const quoted = (title: string): string => (title === '' ? '' : `: ${oneLine(title, 80)}`);

function causeText({ of, by, from, title }: Extract<ChainNode, { kind: 'cause' }>): string {
  if (of === 'message') return `message from ${visibleLine(from)} via ${visibleLine(by)}${quoted(title)}`;
  return of === 'other' ? `from ${visibleLine(by)}` : `${of} ${visibleLine(by)}${quoted(title)}`;
}

function linkText({ of, task, agent, title }: Extract<ChainNode, { kind: 'link' }>): string {
  return `${LINKS[of]} ${plain(agent)}${task === null ? '' : ` ${task}`}${quoted(title)}`;
}
