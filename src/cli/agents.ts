import type { AgentState } from '../core/api/runtime.ts';
import { unknownText } from '../core/text/unknown.ts';
import { agentNamed, agentNames } from './agent-named.ts';
import { CliError, oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { duration } from './status.ts';
import { talk } from './talk.ts';

export interface AgentsFlags {
  json?: boolean;
  reason?: string;
}

const ACTIONS = ['list', 'pause', 'resume'] as const;

/** `ruche agents`: who there is and what each does; `pause NAME` takes one off work, `resume NAME` puts it back. */
export async function agents(
  io: Io,
  options: Options,
  { action = 'list', name }: { action?: string | undefined; name?: string | undefined },
  flags: AgentsFlags,
): Promise<ExitCode> {
  const known = ACTIONS.find((each) => each === action);
  if (known === undefined) throw new CliError(unknownText('action', action, { known: ACTIONS }));
  const gateway = talk(io, options, new AbortController().signal);
  if (known === 'list') {
    const { agents: states } = await gateway.call<{ agents: AgentState[] }>('/api/agents');
    if (flags.json) io.out(`${JSON.stringify(states)}\n`);
    else
      io.out(
        `${states.map((state) => agentText(state, io.clock.now())).join('\n') || 'No agents are running. Find out why with: ruche doctor.'}\n`,
      );
    return 0;
  }
  if (name === undefined) throw new CliError(`Name an agent: ${io.self} agents ${known} NAME`);
  agentNamed(await agentNames(gateway), name);
  const body = known === 'pause' && flags.reason ? { reason: flags.reason } : {};
  const path = `/api/agents/${encodeURIComponent(name)}/${known}`;
  const { changed } = await gateway.call<{ changed: boolean }>(path, body);
  if (flags.json) io.out(`${JSON.stringify({ agent: name, changed })}\n`);
  else if (!changed) io.out(`${plain(name)} ${known === 'pause' ? 'is already paused' : 'was not paused'}.\n`);
  else if (known === 'resume') io.out(`${plain(name)} is resumed.\n`);
  else io.out(`${plain(name)} is paused. Its run stops at the next step, and queued tasks wait.\n`);
  return 0;
}

export function agentText(state: AgentState, now: number): string {
  const {
    name,
    description,
    models,
    queued,
    running,
    waiting,
    later = 0,
    nextFiring,
    paused,
    lastRun,
    costTodayUsd = 0,
  } = state;
  const at = paused
    ? `paused for ${duration(now - paused.at)} by ${paused.by}${paused.reason === '' ? '' : `: ${oneLine(paused.reason, 120)}`}`
    : running > 0
      ? 'working'
      : 'idle';
  const next = nextFiring === null ? '' : `next firing in ${duration(Math.max(0, nextFiring - now))}; `;
  const last = lastRun ? `last run ${duration(now - lastRun.at)} ago (${lastRun.status})` : 'no run yet';
  return plain(
    [
      `${name.padEnd(14)} ${at}`,
      `    ${running} running, ${queued} queued${later > 0 ? ` (${later} for later)` : ''}, ${waiting} waiting; ${last}; ${next}today ${costTodayUsd.toFixed(4)} USD; ${models[0] ?? 'no model'}`,
      `    ${oneLine(description, 120)}`,
    ].join('\n'),
  );
}
