import type { ChannelState } from '../../src/core/api/runtime.ts';
import type { Label } from '../../src/core/labels.ts';
import type { BoardColumn, RunSummary, Standing } from '../../src/core/api/views.ts';

/** How a piece of work stands, in words for people. */
const STATES: Readonly<Record<Standing['state'], string>> = {
  answered: 'Done',
  queued: 'Queued',
  working: 'Working',
  waiting: 'Waiting for you',
  retrying: 'Retrying',
  failed: 'Failed',
  cancelled: 'Stopped',
};

/** The same, where it waits for nobody but other tasks. */
export const stateWords = ({ state, can }: Pick<Standing, 'state' | 'can'>): string =>
  state === 'waiting' && !can.includes('approve') && !can.includes('answer') ? 'Waiting for tasks' : STATES[state];

interface Filter {
  state: string;
  label: string;
  status?: string;
  column?: BoardColumn;
}

/** What the list of work can be narrowed to, and the record's words for it. */
export const FILTERS: readonly Filter[] = [
  { state: '', label: 'All' },
  { state: 'working', label: 'In progress', status: 'queued,running' },
  { state: 'waiting', label: 'Waiting for you', column: 'person' },
  { state: 'done', label: 'Done', status: 'done' },
  { state: 'failed', label: 'Failed', status: 'failed,dead' },
  { state: 'stopped', label: 'Stopped', status: 'cancelled' },
];

/** The columns of the board, each with the filter that gives all of it. */
export const COLUMNS: readonly (Filter & { column: BoardColumn })[] = [
  { column: 'queued', state: 'queued', label: 'Queued' },
  { column: 'working', state: 'now', label: 'Working' },
  { column: 'person', state: 'waiting', label: 'Waiting for you' },
  { column: 'tasks', state: 'tasks', label: 'Waiting for tasks' },
  { column: 'today', state: 'today', label: 'Done today' },
  { column: 'failed', state: 'open', label: 'Failed' },
];

export const filterOf = (state: string): Filter | undefined =>
  [...FILTERS, ...COLUMNS].find((each) => each.state === state);

export const LABELS: Readonly<Record<Label, string>> = {
  untrusted: 'from outside: anyone may have written it',
  private: 'private: mail, calendar, memory or a path marked private',
};

/** How people, agents and the ways a message came by are named on the page. */
export interface Names {
  channel(name: string): string;
  sender(from: string): string;
}

const CHANNELS = { http: 'this page or a program', schedule: 'a schedule', trigger: 'a trigger' };

export function namesFor(channels: readonly Pick<ChannelState, 'name' | 'title'>[]): Names {
  const titles = new Map([...Object.entries(CHANNELS), ...channels.map(({ name, title }) => [name, title] as const)]);
  const channel = (name: string): string => titles.get(name) ?? name;
  const sender = (from: string): string => {
    const [kind = '', name = ''] = from.split(/:(.*)/s, 2);
    if (from === 'owner' || from === 'person:owner') return 'you';
    if (kind === 'person') return sender(name);
    if (kind === 'agent') return `agent ${name}`;
    if (kind === 'schedule' || kind === 'trigger' || kind === 'file') return `${kind} ${name}`;
    if (kind === 'escalation') return 'an escalation';
    return titles.has(kind) && name !== '' ? `${channel(kind)} ${name}` : from;
  };
  return { channel, sender };
}

/** A rule that an owner wrote has a name; those that are built in explain themselves. */
export const ruleName = (rule: string): string => (rule.startsWith('builtin:') ? 'a built-in rule' : `rule “${rule}”`);

/** A reason as it is recorded begins with the name of its rule. */
export function reasonWords(reason: string): string {
  const [, rule, why] = /^(builtin:[\w-]+|[\w-]+): (.*)$/s.exec(reason) ?? [];
  return rule === undefined || why === undefined ? reason : `${why} (${ruleName(rule)})`;
}

/** Milliseconds it took, or has taken so far; null if it has not begun. */
export const took = (run: Pick<RunSummary, 'startedAt' | 'endedAt'>, now: number): number | null =>
  run.startedAt === null ? null : Math.max(0, (run.endedAt ?? now) - run.startedAt);
