import type { ScheduleState } from '../core/schedule.ts';
import type { Talk } from './talk.ts';
import { clockTime } from './time.ts';
import type { ApprovalVerdict } from '../core/event.ts';

/** What a verdict did by itself, whatever comes of the run. */
export function verdictWords(id: string, verdict: ApprovalVerdict, again: boolean): string {
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
