import { z } from 'zod';
import { readDuration } from '../core/text/duration.ts';
import { SECRET_REFERENCE } from '../core/ids.ts';
import { timeNeeded } from './validate.ts';

export const CHAIN_NAME = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, { error: 'a chain is named with small letters, digits and "-"' });

/** A chain of escalation in `ruche.yaml`. */
export const chainSchema = z
  .array(
    z.strictObject({
      after: z
        .string({ error: timeNeeded })
        .refine((given) => readDuration(given) !== null, { error: 'must be a time such as 0m, 30m, 1h30m or 2d' })
        .describe('Time since it was asked; 0m is at once.'),
      to: z
        .string()
        .min(1)
        .max(2048)
        .describe('CHANNEL:ADDRESS, agent:NAME, webhook:URL, or deny as the last level: what an approval ends with.'),
      secret: z
        .string()
        .regex(SECRET_REFERENCE, {
          error:
            'must name where the secret is, e.g. env:HOOK_TOKEN or secret:hook; the secret itself never stands in a file',
        })
        .describe('Of a webhook: a reference whose value is sent as a bearer token.')
        .optional(),
    }),
  )
  .min(1)
  .max(20);

export type ChainSource = z.infer<typeof chainSchema>;
