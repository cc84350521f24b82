import { type EndorsementView, type GrantValue, type GrantView, WHOLE_CALL } from '../core/standing.ts';
import { readDuration } from '../core/text/duration.ts';
import { unknownText } from '../core/text/unknown.ts';
import { visibleLine } from '../core/text/untrusted.ts';
import { CliError, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';
import { farAway } from './time.ts';
import { ofKind } from './unknown.ts';

export interface ApproveFlags {
  note?: string;
  forTask?: boolean;
  standing?: boolean;
  expires?: string;
  count?: string;
  match?: string[];
  vouch?: string[];
}

export interface EndorseFlags {
  kind?: string;
  name?: string;
  note?: string;
  json?: boolean;
}

/** What `ruche approve` says beside yes, as HTTP takes it. */
export function answeringOf(io: Pick<Io, 'clock'>, flags: ApproveFlags): object {
  const { forTask = false, standing: lasting = false, expires, count, match = [], vouch = [] } = flags;
  if (forTask && lasting) throw new CliError('Give either --for-task or --standing.');
  if (!lasting && (expires !== undefined || count !== undefined || match.length > 0))
    throw new CliError('--expires, --count and --match belong to --standing.');
  const ms = expires === undefined ? undefined : readDuration(expires);
  if (ms === null) throw new CliError(`Invalid --expires "${expires}". Give a time such as 12h or 7d.`);
  if (count !== undefined && !/^\d{1,6}$/.test(count)) throw new CliError(`Invalid --count "${count}". Give a number.`);
  const globs = match.map((each): [string, string] => {
    const [, name, glob] = /^([^=]+)=(.+)$/.exec(each) ?? [];
    if (name === undefined || glob === undefined)
      throw new CliError(`Invalid --match "${each}". Give NAME=PATTERN, such as "to=*@example.org".`);
    return [name, glob];
  });
  return {
    ...(forTask ? { scope: 'task' } : lasting ? { scope: 'standing' } : {}),
    ...(ms === undefined ? {} : { until: io.clock.now() + ms }),
    ...(count === undefined ? {} : { count: Number(count) }),
    ...(globs.length === 0 ? {} : { globs: Object.fromEntries(globs) }),
    ...(vouch.length === 0 ? {} : { vouch }),
  };
}

/** `ruche grants|endorsements [list|revoke] [ID]`. */
export async function standing(
  io: Io,
  options: Options,
  kind: 'grant' | 'endorsement',
  { action, id }: { action: string; id: string | undefined },
  { all, json }: { all?: boolean; json?: boolean },
): Promise<ExitCode> {
  const { call } = talk(io, options, new AbortController().signal);
  if (action === 'list') {
    const told = await call<{ grants?: GrantView[]; endorsements?: EndorsementView[] }>(
      `/api/${kind}s${all ? '?all' : ''}`,
    );
    const now = io.clock.now();
    const lines = [
      ...(told.grants ?? []).map((each) => grantText(each, now)),
      ...(told.endorsements ?? []).map((each) => endorsementText(each, now)),
    ];
    if (json) io.out(`${JSON.stringify(told)}\n`);
    else io.out(lines.length === 0 ? `No ${kind}s.\n` : `${plain(lines.join('\n'))}\n`);
    return 0;
  }
  if (action !== 'revoke') throw new CliError(unknownText('action', action, { known: ['list', 'revoke'] }));
  if (id === undefined)
    throw new CliError(`Name one: ${io.self} ${kind}s revoke ID. List them with: ${io.self} ${kind}s.`);
  const told = await ofKind({ io, call }, kind, id, () =>
    call<{ revoked: boolean }>(`/api/${kind}s/${encodeURIComponent(id)}/revoke`, {}),
  );
  if (json) io.out(`${JSON.stringify({ id, ...told })}\n`);
  else io.out(told.revoked ? `Revoked ${id}.\n` : `${id} was already revoked.\n`);
  return 0;
}

const valueText = (each: GrantValue): string => {
  if (each.name === WHOLE_CALL) return 'the same in every argument';
  return 'glob' in each ? `${each.name} like ${visibleLine(each.glob)}` : `${each.name} ${visibleLine(each.value)}`;
};

const usedText = (used: number): string =>
  used === 0 ? 'not used yet' : used === 1 ? 'used once' : `used ${used} times`;

function grantText(grant: GrantView, now: number): string {
  const { id, agent, tool, values, labels, task, until, count, used, lastUsed, at, by, state } = grant;
  const what = values === null ? 'erased, so it covers nothing' : values.map(valueText).join(', ');
  const used1 = count === null ? usedText(used) : `used ${used} of ${count} times`;
  const facts = [
    task === null ? null : `in ${task}`,
    until === null || state === 'revoked' ? null : `${until > now ? 'ends' : 'ended'} ${farAway(until, now)}`,
    `${used1}${lastUsed === null ? '' : `, last ${farAway(lastUsed, now)}`}`,
    labels.length === 0
      ? 'only while nothing from outside was read'
      : `also when the run has seen ${labels.join(', ')}`,
    `by ${visibleLine(by)} ${farAway(at, now)}`,
  ];
  const head = `${id}  ${agent} may use ${tool}: ${what}${state === 'active' ? '' : ` (${state})`}`;
  return `${head}\n    ${facts.filter((fact) => fact !== null).join('; ')}`;
}

function endorsementText(endorsement: EndorsementView, now: number): string {
  const { id, kind, value, name, note, sources, at, by, revoked, used } = endorsement;
  const facts = [
    name === null ? null : `as ${name}`,
    sources.length === 0 ? null : `from ${sources.map(({ what }) => visibleLine(what)).join(', ')}`,
    note === '' ? null : `"${visibleLine(note)}"`,
    usedText(used),
    `by ${visibleLine(by)} ${farAway(at, now)}`,
  ];
  const head = `${id}  ${kind} ${value === null ? '(erased)' : visibleLine(value)}${revoked ? ' (revoked)' : ''}`;
  return `${head}\n    ${facts.filter((fact) => fact !== null).join('; ')}`;
}

/** `ruche endorse VALUE`: a person vouches for it. */
export async function endorse(io: Io, options: Options, value: string, flags: EndorseFlags): Promise<ExitCode> {
  const { kind, name, note, json } = flags;
  const body = { value, ...(kind && { kind }), ...(name && { name }), ...(note && { note }) };
  const { call } = talk(io, options, new AbortController().signal);
  const told = await call<{ id: string; kind: string; value: string; again: boolean }>('/api/endorsements', body);
  if (json) io.out(`${JSON.stringify(told)}\n`);
  else
    io.out(
      plain(
        `You ${told.again ? 'already' : 'now'} vouch for the ${told.kind} ${visibleLine(told.value)} (${told.id}).\n`,
      ),
    );
  return 0;
}
