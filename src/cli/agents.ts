import type { AgentState } from '../core/api/runtime.ts';
import { unknownText } from '../core/text/unknown.ts';
import { CliError, dollars, oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import type { AgentsFlags } from './pause.ts';
import { duration } from './time.ts';
import { talk } from './talk.ts';

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
  if (known !== 'list') return (await import('./pause.ts')).changePauses(io, options, known, name, flags);
  const { agents: states } = await talk(io, options, new AbortController().signal).call<{ agents: AgentState[] }>(
    '/api/agents',
  );
  if (flags.json) io.out(`${JSON.stringify(states)}\n`);
  else
    io.out(
      `${states.map((state) => agentText(state, io.clock.now())).join('\n') || 'No agents are running. Find out why with: ruche doctor.'}\n`,
    );
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
    unpricedToday = false,
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
      `    ${running} running, ${queued} queued${later > 0 ? ` (${later} for later)` : ''}, ${waiting} waiting; ${last}; ${next}cost today ${dollars(costTodayUsd, unpricedToday)}; ${models[0] ?? 'no model'}`,
      `    ${oneLine(description, 120)}`,
    ].join('\n'),
  );
}
