import { z } from 'zod';
import { readHours } from '../core/time/hours.ts';
import { readDuration } from '../core/text/duration.ts';
import { timeNeeded } from './validate.ts';

const text = z.string().min(1).max(200);

const duration = (what: string): z.ZodString =>
  z
    .string({ error: timeNeeded })
    .refine((given) => (readDuration(given) ?? 0) > 0, { error: `must be ${what} such as 90s, 15m, 1h30m or 2d` });

/** A script in the workspace, and its arguments. */
const COMMAND = /^(?!-)(?!(?:\S*\/)?\.\.?(?:\/|\s|$))[\w.+-]+(?:\/(?!\.\.?(?:\/|\s|$))[\w.+-]+)*(?: [^\r\n\0]+)?$/;

/** What runs in place of a task, and wakes the agent. */
export const script = z
  .string()
  .max(2000)
  .regex(COMMAND, { error: 'must be a script of the workspace, with arguments if it takes any: scripts/disk.sh' })
  .describe('A script that runs without a model; the agent is woken only if its result has changed.');

const oneOf = (names: readonly string[], given: object): boolean => names.filter((name) => name in given).length === 1;

/** The name of a schedule, a trigger or a hook. */
export const smallName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, { error: 'must be a name of small letters, digits and "-", at most 63 long' });

/** Where the answer of a schedule or trigger is sent. */
export const recipient = z
  .string()
  .regex(/^(?:owner|[a-z][a-z0-9-]{0,62}:\S{1,200})$/, {
    error: 'must be owner, or CHANNEL:ADDRESS: the name of a channel and the id of a person or chat there',
  })
  .describe('Who gets the answer: owner, or CHANNEL:ADDRESS. Nobody unless given; it is on record either way.');

/** An entry of `schedules` in an AGENT.md. */
export const scheduleSchema = z
  .strictObject({
    name: smallName.describe('Unique in the agent; the record and the conversation use it.'),
    cron: text.describe('Minute, hour, day, month, weekday; with a sixth field in front, the second.').optional(),
    every: duration('a time').describe('A time that goes by between two firings: 15m, 1h30m.').optional(),
    at: text.describe('One moment: 2026-12-24T08:00, by the clock of the time zone.').optional(),
    timezone: text
      .describe('IANA name such as Europe/Paris; that of ruche.yaml, or of the machine, unless given.')
      .optional(),
    missed: z
      .enum(['skip', 'once', 'all'])
      .describe('What becomes of firings while nobody was there; once unless given.')
      .optional(),
    max: z.number().int().min(1).max(100).describe('With missed: all, the newest so many; 10 unless given.').optional(),
    overlap: z
      .enum(['skip', 'queue', 'cancel'])
      .describe('If the task of the last firing has not ended; skip unless given (queue with missed: all).')
      .optional(),
    jitter: duration('a time').describe('Puts each firing off by up to this, always by as much.').optional(),
    until: text.describe('The last day, or moment, it may fire at.').optional(),
    activeHours: z
      .string()
      .refine((given) => readHours(given) !== null, {
        error: 'must be hours such as 08:00-18:00, days such as Mon-Fri, or both: Mon-Fri 08:00-18:00',
      })
      .describe('Fires only within these hours and days: 08:00-18:00, Mon-Fri 08:00-18:00, Sat,Sun.')
      .optional(),
    task: z.string().min(1).max(20_000).describe('What the agent is told.').optional(),
    to: recipient.optional(),
    run: script.optional(),
  })
  .refine((given) => oneOf(['cron', 'every', 'at'], given), { error: 'must have exactly one of cron, every and at' })
  .refine((given) => oneOf(['task', 'run'], given), { error: 'must have exactly one of task and run' })
  .refine((given) => given.max === undefined || given.missed === 'all', {
    error: 'has a meaning only with missed: all',
    path: ['max'],
  })
  .refine((given) => given.missed !== 'all' || given.overlap === undefined || given.overlap === 'queue', {
    error: 'must be queue with missed: all, or only one of the missed firings would remain',
    path: ['overlap'],
  });

export type ScheduleSource = z.infer<typeof scheduleSchema>;
