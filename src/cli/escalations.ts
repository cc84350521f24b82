import type { EscalationState } from '../core/escalation.ts';
import { CliError, oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { duration } from './status.ts';
import { talk } from './talk.ts';

interface Flags {
  all?: boolean;
  json?: boolean;
}

/** `ruche escalations`: what goes up a chain, who was told, and who is next. */
export async function escalations(
  io: Io,
  options: Options,
  action: string,
  id: string | undefined,
  flags: Flags,
): Promise<ExitCode> {
  if (action === 'list') return list(io, options, flags);
  if (action !== 'show' && action !== 'ack')
    throw new CliError(`There is no \`escalations ${action}\`: use list, show or ack.`);
  if (id === undefined)
    throw new CliError(
      `Which one? \`${io.self} escalations\` lists them; then \`${io.self} escalations ${action} ID\`.`,
    );
  const gateway = talk(io, options, new AbortController().signal);
  const path = `/api/escalations/${encodeURIComponent(id)}`;
  if (action === 'show') {
    const state = await gateway.call<EscalationState>(path);
    io.out(flags.json ? `${JSON.stringify(state)}\n` : `${escalationText(state, io.clock.now())}\n`);
    return 0;
  }
  const told = await gateway.call<{ acknowledged: boolean; ended: boolean }>(`${path}/ack`, {});
  const said = told.acknowledged
    ? `Nobody further is told of ${id}. It still waits for its answer: see \`${io.self} approvals\`.`
    : told.ended
      ? `${id} is over.`
      : `${id} was acknowledged before.`;
  io.out(flags.json ? `${JSON.stringify({ id, ...told })}\n` : `${plain(said)}\n`);
  return 0;
}

async function list(io: Io, options: Options, { all, json }: Flags): Promise<ExitCode> {
  const gateway = talk(io, options, new AbortController().signal);
  const { escalations: found } = await gateway.call<{ escalations: EscalationState[] }>(
    `/api/escalations${all ? '?all' : ''}`,
  );
  if (json) io.out(`${JSON.stringify({ escalations: found })}\n`);
  else if (found.length === 0) io.out('Nothing goes up a chain of escalation.\n');
  else io.out(`${found.map((each) => escalationText(each, io.clock.now())).join('\n')}\n`);
  return 0;
}

const ENDS = { answered: 'answered', denied: 'denied, since nobody answered', gone: 'gone: nothing waits any more' };

function escalationText(state: EscalationState, now: number): string {
  const { id, kind, agent, task, chain, levels, pending, acknowledged, ended, from } = state;
  const ago = (at: number): string => (at <= now ? `${duration(now - at)} ago` : `in ${duration(at - now)}`);
  const lines = [
    `${id}  ${kind}${agent === null ? '' : ` of ${agent}`}${task === null ? '' : ` (${task})`}, chain ${chain}, ${ago(from)}`,
    pending === null ? null : `  ${oneLine(pending.text, 100)}`,
    ...levels.map(({ to, due, reached }, index) => {
      const stopped = acknowledged !== null || ended !== null;
      if (reached === null) return `  ${index + 1}. ${to}: ${stopped ? 'not reached' : ago(due)}`;
      const became = reached.status === null ? '' : ` (${reached.task}, ${reached.status})`;
      const why = reached.why === null ? '' : `: ${reached.why}`;
      return `  ${index + 1}. ${to}: ${OUTCOMES[reached.outcome]} ${ago(reached.at)}${became}${why}`;
    }),
    acknowledged === null ? null : `  acknowledged by ${acknowledged.by} ${ago(acknowledged.at)}`,
    ended === null ? null : `  ${ENDS[ended.why]}, ${ago(ended.at)}`,
  ];
  return plain(lines.filter((line) => line !== null).join('\n'));
}

const OUTCOMES = { told: 'told', unreachable: 'not reachable', denies: 'denied' };
