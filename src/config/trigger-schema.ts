import { z } from 'zod';
import { readDuration } from '../core/text/duration.ts';
import { SECRET_REFERENCE } from '../core/ids.ts';
import { HOOK_KINDS, readLimit, TRIGGER_FIELDS, type TriggerOn } from '../core/trigger.ts';
import { recipient, script, smallName } from './schedule-schema.ts';
import { timeNeeded } from './validate.ts';

const name = z.string().min(1).max(128);
const glob = z.string().min(1).max(500);
const time = (what: string): z.ZodString =>
  z
    .string({ error: timeNeeded })
    .refine((given) => (readDuration(given) ?? 0) > 0, { error: `must be ${what} such as 30s, 5m or 1h` });

const reference = z.string().regex(SECRET_REFERENCE, {
  error: 'must name where the secret is, e.g. env:HOOK_SECRET or secret:hook; the secret itself never stands in a file',
});

/** An entry of `triggers` in an AGENT.md. Which keys go with which `on` is looked at where it is read. */
export const triggerSchema = z
  .strictObject({
    name: smallName.describe('Unique in the agent; the record uses it.'),
    on: z.enum(Object.keys(TRIGGER_FIELDS) as [TriggerOn, ...TriggerOn[]]).describe('What it listens to.'),
    path: z
      .union([glob, z.array(glob).min(1).max(50)])
      .describe('file.landed: files it is about, e.g. shared/deadlines/*.md.')
      .optional(),
    queue: name.describe('task.done, task.failed, task.dead: only tasks of this queue.').optional(),
    agent: name.describe('Only what concerns this agent.').optional(),
    channel: name.describe('message: only what came over this channel.').optional(),
    sender: name.describe('message: only what this sender wrote.').optional(),
    pattern: z
      .string()
      .min(1)
      .max(200)
      .describe('message: a text with * and ? that the message must fit, small or capital letters alike.')
      .optional(),
    account: smallName
      .describe('mail.received: only mail of this account; of all accounts of the agent unless given.')
      .optional(),
    folder: name.describe('mail.received: only mail in this folder.').optional(),
    from: glob.describe('mail.received: only mail from this address; * and ? may be used.').optional(),
    addressee: glob.describe('mail.received: only mail to or copied to this address; * and ? may be used.').optional(),
    subject: glob.describe('mail.received: only mail with this subject; * and ? may be used.').optional(),
    attachment: glob.describe('mail.received: only mail with a file of this name, such as *.pdf.').optional(),
    list: glob.describe('mail.received: only mail of this mailing list, by its List-Id.').optional(),
    tool: name.describe('approval.waiting: only calls of this tool.').optional(),
    hook: smallName.describe('webhook: its name, as in POST /hooks/<name>.').optional(),
    auth: z.enum(HOOK_KINDS).describe('webhook: how the sender proves who it is. There is none without.').optional(),
    secret: z
      .union([reference, z.array(reference).min(1).max(3)])
      .describe(
        'webhook: a reference such as env:HOOK_SECRET or secret:hook, never the secret itself; a list while one replaces another.',
      )
      .optional(),
    window: time('a time')
      .describe('webhook with auth: hmac or standard: how old a request may be; 5m unless given.')
      .optional(),
    when: z.string().min(1).max(1000).describe('A condition in CEL: body.action == "opened".').optional(),
    debounce: time('a time').describe('A burst fires once, after so long a quiet.').optional(),
    each: z
      .boolean()
      .describe('file.landed with task: a task for each file, not one for all that land at once.')
      .optional(),
    to: recipient.optional(),
    limit: z
      .string()
      .refine((given) => readLimit(given) !== null, { error: 'must be a number in a time such as 10/h or 3/10m' })
      .describe('Firings at most: 10/h, 3/10m.')
      .optional(),
    task: z
      .string()
      .min(1)
      .max(20_000)
      .describe('What the agent is told; {{path}} and the like are filled in.')
      .optional(),
    run: script.optional(),
  })
  .refine((given) => (given.task === undefined) !== (given.run === undefined), {
    error: 'must have exactly one of task and run',
  });

export type TriggerEntry = z.infer<typeof triggerSchema>;
