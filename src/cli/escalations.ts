import type { EscalationState } from '../core/escalation.ts';
import { unknownText } from '../core/text/unknown.ts';
import { CliError, oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';
import { clockTime, farAway } from './time.ts';
import { ofKind } from './unknown.ts';

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
    throw new CliError(unknownText('action', action, { known: ['list', 'show', 'ack'] }));
  if (id === undefined)
    throw new CliError(
      `Name an escalation: ${io.self} escalations ${action} ID. List them with: ${io.self} escalations.`,
    );
  const gateway = talk(io, options, new AbortController().signal);
  const path = `/api/escalations/${encodeURIComponent(id)}`;
  const known = <T>(act: () => Promise<T>): Promise<T> => ofKind({ io, call: gateway.call }, 'escalation', id, act);
  if (action === 'show') {
    const state = await known(() => gateway.call<EscalationState>(path));
    io.out(flags.json ? `${JSON.stringify(state)}\n` : `${escalationText(state, io.clock.now(), true)}\n`);
    return 0;
  }
  const told = await known(() => gateway.call<{ acknowledged: boolean; ended: boolean }>(`${path}/ack`, {}));
  const said = told.acknowledged
    ? `${id} is acknowledged. Nobody else is notified; it still waits for an answer: see \`${io.self} approvals\`.`
    : told.ended
      ? `${id} is closed.`
      : `${id} was already acknowledged.`;
  io.out(flags.json ? `${JSON.stringify({ id, ...told })}\n` : `${plain(said)}\n`);
  return 0;
}

async function list(io: Io, options: Options, { all, json }: Flags): Promise<ExitCode> {
  const gateway = talk(io, options, new AbortController().signal);
  const { escalations: found } = await gateway.call<{ escalations: EscalationState[] }>(
    `/api/escalations${all ? '?all' : ''}`,
  );
  if (json) io.out(`${JSON.stringify({ escalations: found })}\n`);
  else if (found.length === 0) io.out('No open escalations.\n');
  else io.out(`${found.map((each) => escalationText(each, io.clock.now())).join('\n')}\n`);
  return 0;
}

const ENDS = { answered: 'answered', denied: 'denied because nobody answered', gone: 'closed: nothing waits any more' };

/** `whole`: with clock times, all that is asked, and what agents answered. */
function escalationText(state: EscalationState, now: number, whole = false): string {
  const { id, kind, agent, task, chain, levels, acknowledged, ended, from, text } = state;
  const when = (at: number): string => (whole ? `${clockTime(at)} (${farAway(at, now)})` : farAway(at, now));
  const indented = (given: string, by: string): string[] => given.split('\n').map((line) => `${by}${line}`);
  const lines = [
    `${id}  ${kind}${agent === null ? '' : ` of ${agent}`}${task === null ? '' : ` (${task})`}, chain ${chain}, ${when(from)}`,
    ...(text === '' ? [] : whole ? indented(text, '    ') : [`  ${oneLine(text, 100)}`]),
    ...levels.flatMap(({ to, due, reached }, index) => {
      const stopped = ended !== null ? 'not reached' : 'stopped';
      const open = acknowledged === null && ended === null;
      if (reached === null) return [`  ${index + 1}. ${to}: ${open ? when(due) : stopped}`];
      const became = reached.status === null ? '' : ` (${reached.task}, ${reached.status})`;
      const why = reached.why === null ? '' : `: ${reached.why}`;
      const answer = whole && reached.answer !== null ? indented(reached.answer, '     > ') : [];
      return [`  ${index + 1}. ${to}: ${OUTCOMES[reached.outcome]} ${when(reached.at)}${became}${why}`, ...answer];
    }),
    acknowledged === null
      ? null
      : `  acknowledged by ${acknowledged.by} ${when(acknowledged.at)}: nobody else is notified`,
    ended === null ? null : `  ${ENDS[ended.why]}${ended.by === null ? '' : ` by ${ended.by}`}, ${when(ended.at)}`,
  ];
  return plain(lines.filter((line) => line !== null).join('\n'));
}

const OUTCOMES = { told: 'told', unreachable: 'not reachable', denies: 'denied' };
