import type { TaskOutcome } from '../core/runtime.ts';
import type { ChainView, RunSummary } from '../core/views.ts';
import { agentNamed, agentNames } from './agent-named.ts';
import { chainText } from './chain.ts';
import { asCalled } from './explain.ts';
import { CliError, oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk, type Talk } from './talk.ts';

export interface TasksFlags {
  json?: boolean;
  agent?: string;
  status?: string;
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
    throw new CliError(`there is no "tasks ${action}"; there are list, show, cancel and retry`, 1);
  if (id === undefined) throw new CliError(`which task? Try: ${io.self} tasks ${action} tsk_…`, 1);
  const path = `/api/tasks/${encodeURIComponent(id)}`;
  if (action === 'show') {
    const outcome = await call<TaskOutcome>(path);
    const chain = await call<ChainView>(`${path}/chain`);
    if (flags.json) io.out(`${JSON.stringify({ ...outcome, chain: chain.nodes })}\n`);
    else io.out(`${asCalled(shown(outcome), io.self)}\n\n${chainText(chain)}\n`);
    return 0;
  }
  if (action === 'cancel') {
    const { cancelled } = await call<{ cancelled: boolean }>(`${path}/cancel`, {});
    io.out(cancelled ? `${id} is cancelled, with all it has led to.\n` : `${id} had ended already.\n`);
    return cancelled ? 0 : 1;
  }
  const again = await call<{ task: string }>(`${path}/retry`, {});
  io.out(`${id} is done once more as ${again.task}.\n`);
  return 0;
}

/** Nothing for an agent that is not there would look like an agent with nothing to do. One that is gone has its tasks. */
async function known(gateway: Talk, agent: string): Promise<void> {
  const { total } = await gateway.call<{ total: number }>(`/api/tasks?${new URLSearchParams({ agent }).toString()}`);
  if (total === 0) agentNamed(await agentNames(gateway), agent);
}

async function list(io: Io, call: Talk['call'], { agent, status, limit, json }: TasksFlags): Promise<ExitCode> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ agent, status, limit })) if (value !== undefined) query.set(name, value);
  const page = await call<{ tasks: RunSummary[]; total: number }>(`/api/tasks?${query.toString()}`);
  if (json) io.out(`${JSON.stringify(page.tasks)}\n`);
  else if (page.tasks.length === 0) io.out('There are no such tasks.\n');
  else
    for (const task of page.tasks)
      io.out(
        `${task.task}  ${task.status.padEnd(9)}  ${task.agent}  from ${plain(task.from)}  ${oneLine(task.title, 80)}\n`,
      );
  return 0;
}

function shown({ task, agent, session, status, run, commit, text }: TaskOutcome): string {
  const lines = [`${task}  ${status}`, `  agent ${agent}, session ${session}`];
  if (run !== null) lines.push(`  run ${run}`);
  if (commit !== null) lines.push(`  commit ${commit}`);
  return text === '' ? lines.join('\n') : `${lines.join('\n')}\n\n${plain(text)}`;
}
