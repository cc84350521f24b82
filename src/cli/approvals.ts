import type { Pending } from '../core/api/runtime.ts';
import { OFFERED_AFTER } from '../core/standing.ts';
import { askedLines, votesText } from '../core/records/asked.ts';
import { plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { talk, type Accepted, type Talk } from './talk.ts';
import type { ScheduleState } from '../core/schedule.ts';
import { clockTime, farAway } from './time.ts';
import type { ApprovalVerdict } from '../core/agreed.ts';

/** `ruche approvals`: what waits for a person, and how to answer it. */
export async function approvals(io: Io, options: Options, flags: { json?: boolean }): Promise<ExitCode> {
  const { pending } = await talk(io, options, new AbortController().signal).call<{ pending: Pending[] }>(
    '/api/pending',
  );
  if (flags.json) io.out(`${JSON.stringify(pending)}\n`);
  else
    io.out(
      pending.length === 0 ? 'Nothing waits for you.\n' : `${pending.map(pendingTexts(io, options)).join('\n\n')}\n`,
    );
  return 0;
}

/** Shows one thing that waits, over several lines, with the commands that answer it from here. */
export const pendingTexts =
  (io: Pick<Io, 'self' | 'clock'>, { again }: Pick<Options, 'again'>) =>
  (wait: Pending): string =>
    pendingText(wait, io.clock.now(), (words) => `${io.self} ${words}${again}`);

/** A landing, or a change from outside, waits because it changes protected files; a call waits for its tool. */
export const asked = ({ tool, changes }: Pending): string => {
  if (changes === 'settings') return 'a change of the settings';
  return tool === 'landing' || !tool ? 'a change of protected files' : tool;
};

function pendingText(wait: Pending, now: number, command: (words: string) => string): string {
  const who = wait.agent === null ? '' : ` · ${wait.agent} · session ${wait.session}`;
  const what = wait.kind === 'question' ? 'question' : `approval of ${asked(wait)}`;
  const how =
    wait.kind === 'question'
      ? command(`answer ${wait.id} "TEXT"`)
      : `${command(`approve ${wait.id}`)}\n  ${command(`deny ${wait.id}`)}`;
  const body = plain(wait.text)
    .split('\n')
    .map((line) => `    ${line}`);
  return [
    `${wait.id}  ${what}${who}`,
    ...body,
    ...(wait.reason === '' ? [] : [`  why: ${plain(wait.reason)}`]),
    ...(wait.about === undefined ? [] : askedLines(wait.about).map((line) => `  ${plain(line)}`)),
    ...[votesText(wait.approvers)].filter((line) => line !== null).map((line) => `  ${plain(line)}`),
    ...(wait.expires === undefined ? [] : [`  denied ${farAway(wait.expires, now)} if nobody answers`]),
    `  ${how}`,
    ...(wait.approved === undefined || wait.approved < OFFERED_AFTER
      ? []
      : [
          `  You have approved the same ${wait.approved} times. To be asked no more for 30 days: ${command(`approve ${wait.id} --standing`)}`,
        ]),
  ].join('\n');
}

/** What a verdict did by itself, whatever comes of the run. */
export function verdictWords(
  id: string,
  verdict: ApprovalVerdict,
  { again = false, more, grant }: Pick<Accepted, 'again' | 'more' | 'grant'>,
): string {
  if (more !== undefined) return `Approved by you: ${more.have} of ${more.needed}. It waits for another person.`;
  if (grant !== undefined) return `Approved. The grant ${grant} lets calls of this kind through: see \`ruche grants\`.`;
  const word = verdict === 'approve' ? 'pproved' : 'enied';
  if (again) return `${id} was already ${verdict === 'approve' ? 'a' : 'd'}${word}.`;
  return `${verdict === 'approve' ? 'A' : 'D'}${word}.`;
}

/** Looks at the schedules now; what it gives says later how they have changed since. */
export async function watchSchedules({
  call,
}: Pick<Talk, 'call'>): Promise<(commit: string | null) => Promise<string[]>> {
  const list = async (): Promise<ScheduleState[]> =>
    (await call<{ schedules: ScheduleState[] }>('/api/schedules')).schedules;
  const before = new Map((await list()).map((each) => [each.id, each]));
  return async (commit) => {
    const after = await list();
    const by = commit === null ? '' : ` (commit ${commit.slice(0, 10)})`;
    const there = new Set(after.map(({ id }) => id));
    const gone = [...before.keys()].filter((id) => !there.has(id)).map((id) => `schedule ${id} is removed${by}`);
    const made = after.filter((each) => !before.has(each.id) || before.get(each.id)?.when !== each.when);
    return [...made.map((each) => `schedule ${each.id} applies from now, ${nextWords(each)}${by}`), ...gone];
  };
}

const nextWords = ({ next, zone }: ScheduleState): string =>
  next === null ? 'and does not fire' : `next ${clockTime(next, zone)}`;
