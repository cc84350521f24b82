import type { ScheduleState } from '../core/schedule.ts';
import { unknownText } from '../core/text/unknown.ts';
import { CliError, oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk } from './talk.ts';
import { clockTime, farAway } from './time.ts';
import { needAgentAndName, ofKind } from './unknown.ts';

/** `ruche schedules`: what happens by the clock, when it did last and when it will next. */
export async function schedules(io: Io, options: Options, flags: { json?: boolean }): Promise<ExitCode> {
  const gateway = talk(io, options, new AbortController().signal);
  const { schedules: list } = await gateway.call<{ schedules: ScheduleState[] }>('/api/schedules');
  if (flags.json) io.out(`${JSON.stringify({ schedules: list })}\n`);
  else if (list.length === 0) io.out('No schedules. Add one under `schedules` in an AGENT.md.\n');
  else
    io.out(
      `${list
        .toSorted(byNext)
        .map((each) => scheduleText(each, io.clock.now()))
        .join('\n')}\n`,
    );
  return 0;
}

/** What fires next comes first, what is paused or over last. */
const byNext = (a: ScheduleState, b: ScheduleState): number =>
  (a.next ?? Infinity) === (b.next ?? Infinity) ? 0 : (a.next ?? Infinity) - (b.next ?? Infinity);

/** `ruche schedules run|pause|resume AGENT/NAME`. */
export async function changeSchedule(
  io: Io,
  options: Options,
  verb: string,
  id: string | undefined,
  flags: { json?: boolean },
): Promise<ExitCode> {
  if (verb !== 'run' && verb !== 'pause' && verb !== 'resume')
    throw new CliError(unknownText('action', verb, { known: ['list', 'run', 'pause', 'resume'] }));
  if (id === undefined)
    throw new CliError(
      `Name a schedule: ${io.self} schedules ${verb} AGENT/NAME. List them with: ${io.self} schedules.`,
    );
  const gateway = talk(io, options, new AbortController().signal);
  const path = `/api/schedules/${encodeURIComponent(id)}/${verb}`;
  needAgentAndName(io, 'schedule', id);
  const told = await ofKind({ io, call: gateway.call }, 'schedule', id, () =>
    gateway.call<{ task: string | null }>(path, {}),
  );
  if (flags.json) io.out(`${JSON.stringify({ id, ...told })}\n`);
  else io.out(`${DONE[verb](plain(id), told.task)}\n`);
  return 0;
}

const DONE = {
  run: (id: string, task: string | null): string => `${id} fired: ${task ?? ''}`,
  pause: (id: string): string => `${id} is paused.`,
  resume: (id: string): string => `${id} is resumed.`,
};

function scheduleText(state: ScheduleState, now: number): string {
  const { id, when, zone, does, paused, next, last, silentUntil } = state;
  const silent = silentUntil === undefined ? '' : ', silent until then because the clock was ahead';
  const coming = next === null ? 'never again' : `${moment(next, zone, now)}${silent}`;
  const before =
    last === null
      ? 'never'
      : `${moment(last.at, zone, now)}, ${last.status}${last.task ? ` (${last.task})` : ''}${last.why ? `: ${oneLine(last.why, 200)}` : ''}`;
  return plain(
    [
      `${id}  ${when} (${zone})`,
      `  ${oneLine(does, 100)}`,
      `  next ${paused ? 'paused' : coming}, last ${before}`,
    ].join('\n'),
  );
}

/** By the clock of its zone, which it names, and how far away that is, which compares with others. */
const moment = (at: number, zone: string, now: number): string => `${clockTime(at, zone)} (${farAway(at, now)})`;
