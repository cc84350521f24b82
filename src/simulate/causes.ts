import { HOUR, MINUTE } from './calendar.ts';
import type { AgentName } from './orders.ts';

/** A trigger of the play: the same in each, whatever the seed. */
export interface PlannedTrigger {
  agent: AgentName;
  name: string;
  /** `paths` have at most one star, for a name. */
  source: { on: 'file.landed'; paths: readonly string[] } | { on: 'task.dead' } | { on: 'webhook'; hook: string };
  debounceMs: number;
  limit: { count: number; perMs: number } | null;
  order: string;
  /** The placeholder that tells its firings apart. */
  mark: string;
}

/** What somebody else's server tells of. */
export interface PlannedHook {
  id: string;
  at: number;
  /** Only a booking makes work. */
  booking: boolean;
  /** Milliseconds after which it is sent once more, although it was taken. */
  again: number[];
}

export const HOOK = 'bookings';
export const DEADLINES = 'shared/deadlines';
export const REPORTS = 'shared/reports';
/** Hands are put to these all the time. */
const BUSY = ['shared/notes.md', 'shared/writing.md'];

const once = { debounceMs: 0, limit: null };

export const TRIGGERS: readonly PlannedTrigger[] = [
  // What the agents of a company owe each other: the deadline becomes a text, the report is mailed.
  {
    ...once,
    agent: 'writing',
    name: 'deadline',
    source: { on: 'file.landed', paths: [`${DEADLINES}/*.md`] },
    order: 'deadline-text',
    mark: 'commit',
  },
  {
    ...once,
    agent: 'email',
    name: 'report',
    source: { on: 'file.landed', paths: [`${REPORTS}/*.md`] },
    order: 'sent-report',
    mark: 'commit',
  },
  {
    ...once,
    agent: 'billing',
    name: 'changes',
    source: { on: 'file.landed', paths: BUSY },
    debounceMs: 2 * MINUTE,
    order: 'changes',
    mark: 'commit',
  },
  {
    ...once,
    agent: 'system',
    name: 'dead',
    source: { on: 'task.dead' },
    limit: { count: 2, perMs: HOUR },
    order: 'look-after',
    mark: 'task',
  },
  {
    ...once,
    agent: 'calendar',
    name: 'booking',
    source: { on: 'webhook', hook: HOOK },
    order: 'booking',
    mark: 'body.id',
  },
];

/** Whether a file is one that a glob with at most one star means. */
export function isOf(glob: string, path: string): boolean {
  const [before = '', after] = glob.split('*');
  if (after === undefined) return path === glob;
  const name = path.slice(before.length, path.length - after.length);
  return path.startsWith(before) && path.endsWith(after) && name !== '' && !name.includes('/');
}

/** The same as the file of an agent has it. */
export function triggerYaml({ name, source, debounceMs, limit, order, mark }: PlannedTrigger): string {
  const what =
    source.on === 'file.landed'
      ? `path: [${source.paths.map((path) => `'${path}'`).join(', ')}]`
      : source.on === 'webhook'
        ? `hook: ${source.hook}, auth: hmac, secret: 'env:${SECRET_NAME}', when: 'body.kind == "booking"'`
        : '';
  const more = [
    what,
    debounceMs > 0 ? `debounce: ${debounceMs / MINUTE}m` : '',
    limit === null ? '' : `limit: ${limit.count}/${limit.perMs / HOUR}h`,
  ].filter(Boolean);
  const said = source.on === 'file.landed' ? '{{path}} ' : '';
  const text = `It has happened: ${said}[order ${order}.{{${mark}}}]`;
  return `  - { name: ${name}, on: ${[source.on, ...more].join(', ')}, task: '${text}' }`;
}

/** Only the sender and the environment of the process know the value. */
export const SECRET_NAME = 'BOOKINGS_SECRET';
export const SECRET = 'simulated-secret-of-a-booking-office';
