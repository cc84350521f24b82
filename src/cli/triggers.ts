import { jsonDepth } from '../core/text/json.ts';
import type { RefusedHooks } from '../core/api/runtime.ts';
import type { TriggerFiring, TriggerState } from '../core/trigger.ts';
import { unknownText } from '../core/text/unknown.ts';
import { CliError, oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { refusedText } from './status.ts';
import { duration } from './time.ts';
import { talk, type Talk } from './talk.ts';
import { needAgentAndName, ofKind } from './unknown.ts';

export interface TriggersFlags {
  json?: boolean;
  event?: string;
}

/** `GET /api/triggers/:id`. */
interface Shown {
  trigger: TriggerState;
  firings: TriggerFiring[];
  refused?: RefusedHooks;
}

/** `ruche triggers [list|show|run|pause|resume] [AGENT/NAME]`: what happens because something else has. */
export async function triggers(
  io: Io,
  options: Options,
  action: string,
  id: string | undefined,
  flags: TriggersFlags,
): Promise<ExitCode> {
  const { call } = talk(io, options, new AbortController().signal);
  if (action === 'list') return list(io, call, flags);
  if (action !== 'show' && action !== 'run' && action !== 'pause' && action !== 'resume')
    throw new CliError(unknownText('action', action, { known: ['list', 'show', 'run', 'pause', 'resume'] }));
  if (id === undefined)
    throw new CliError(
      `Name a trigger: ${io.self} triggers ${action} AGENT/NAME. List them with: ${io.self} triggers.`,
    );
  needAgentAndName(io, 'trigger', id);
  const known = <T>(act: () => Promise<T>): Promise<T> => ofKind({ io, call }, 'trigger', id, act);
  const path = `/api/triggers/${id.split('/').map(encodeURIComponent).join('/')}`;
  if (action === 'show') {
    const found = await known(() => call<Shown>(path));
    const { trigger, firings, refused } = found;
    const now = io.clock.now();
    const lines = [
      stateText(trigger, now),
      ...(refused ? [`  ${refusedText(refused, now)}`] : []),
      ...firings.map((each) => `    ${firingText(each, now)}`),
    ];
    io.out(flags.json ? `${JSON.stringify(found)}\n` : `${lines.join('\n')}\n`);
    return 0;
  }
  if (action !== 'run' && flags.event !== undefined) throw new CliError('--event works only with run.');
  const body = action === 'run' ? { event: eventOf(flags) } : {};
  const told = await known(() => call<{ task?: string }>(`${path}/${action}`, body));
  if (flags.json) io.out(`${JSON.stringify({ ...told, id })}\n`);
  else if (action === 'run') io.out(`${plain(id)} fired: ${told.task ?? ''}\n`);
  else io.out(`${plain(id)} ${action === 'pause' ? 'is paused' : 'is resumed'}.\n`);
  return 0;
}

/** Nesting that the gateway takes. */
const MAX_DEPTH = 64;

function eventOf({ event }: TriggersFlags): unknown {
  if (event === undefined) return {};
  // The gateway would refuse it, too; but to write it out again would exhaust the stack here.
  if (jsonDepth(event, MAX_DEPTH) > MAX_DEPTH)
    throw new CliError(`Invalid --event. It is nested deeper than ${MAX_DEPTH} levels.`);
  try {
    return JSON.parse(event);
  } catch {
    throw new CliError(`Invalid --event. Give JSON: --event '{"path": "shared/a.md"}'.`);
  }
}

async function list(io: Io, call: Talk['call'], { json }: TriggersFlags): Promise<ExitCode> {
  const { triggers: all } = await call<{ triggers: TriggerState[] }>('/api/triggers');
  if (json) io.out(`${JSON.stringify({ triggers: all })}\n`);
  else if (all.length === 0) io.out('No triggers. Add one under `triggers` in an AGENT.md.\n');
  else io.out(`${all.map((each) => stateText(each, io.clock.now())).join('\n')}\n`);
  return 0;
}

function stateText(state: TriggerState, now: number): string {
  const { id, on, when, debounce, limit, does, note, paused, waiting, last } = state;
  const rules = [when && `when ${when}`, debounce && `debounce ${debounce}`, limit && `at most ${limit}`].filter(
    Boolean,
  );
  const rests = waiting && `${waiting.count} waiting, fires in ${duration(Math.max(0, waiting.due - now))}`;
  const before = `last ${last === null ? 'never' : firingText(last, now)}`;
  return plain(
    [
      `${id}  ${on}`,
      ...(rules.length === 0 ? [] : [`  ${oneLine(rules.join(', '), 120)}`]),
      `  ${oneLine(does, 100)}`,
      ...(note === undefined ? [] : [`  ${oneLine(note, 300)}`]),
      `  ${[paused && 'paused', rests, before].filter(Boolean).join(', ')}`,
    ].join('\n'),
  );
}

function firingText({ at, cause, what, count, task, status, by, why }: TriggerFiring, now: number): string {
  const of = by === null ? `${what} (${cause ?? ''})${count > 1 ? ` and ${count - 1} more` : ''}` : `by ${by}`;
  const reason = why === null ? '' : ` (${why.replace(/[.]$/, '')})`;
  const became = task === null ? `skipped: ${status}${reason}` : `${status} (${task})`;
  return oneLine(plain(`${duration(Math.abs(now - at))} ago, ${became}, because of: ${of}`), 400);
}
