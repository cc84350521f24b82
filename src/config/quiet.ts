import { z } from 'zod';
import type { Problem, QuietHours, QuietSettings } from '../core/agent.ts';
import { OWNER } from '../core/recipient.ts';
import { readHours } from '../core/time/hours.ts';
import { openWall } from '../core/time/wall.ts';
import { recipientProblem, type Recipients } from './recipients.ts';
import { recipient } from './schedule-schema.ts';
import { problem, type Path, type YamlSource } from './yaml-source.ts';

const hours = z
  .string()
  .refine((given) => readHours(given) !== null, {
    error: 'must be hours such as 22:00-07:00, days such as Sat,Sun, or both: Mon-Fri 22:00-07:00',
  })
  .describe('From when to when, such as 22:00-07:00.');
const timezone = z
  .string()
  .refine((given) => openWall(given) !== null, { error: 'must be a time zone such as Europe/Paris' })
  .describe('IANA name such as Europe/Paris; that of the network unless given.')
  .optional();

/** `quiet` in `ruche.yaml`. */
export const quietSchema = z
  .strictObject({
    hours: hours.optional(),
    timezone,
    people: z
      .record(recipient, z.union([z.literal(false), z.strictObject({ hours, timezone })]))
      .describe('Other hours for one person or chat, by owner or CHANNEL:ADDRESS; false: none.')
      .optional(),
  })
  .describe('When nobody is told anything that can wait: it arrives at the end of these hours.');

/** What it says, and what of it is wrong. */
export function quietOf(
  given: z.infer<typeof quietSchema>,
  recipients: Recipients,
  source: YamlSource,
  file: string,
): { quiet: QuietSettings; problems: Problem[] } {
  const problems: Problem[] = [];
  const add = (path: Path, said: string): void => {
    problems.push(problem(file, source.lineOf(path), path.join('.'), said));
  };
  const someHours = Object.values(given.people ?? {}).some((own) => own !== false && own.timezone === undefined);
  if (given.hours === undefined && !someHours && given.timezone !== undefined)
    add(['quiet', 'timezone'], 'has a meaning only with hours');
  const people: Record<string, QuietHours | null> = {};
  for (const [to, own] of Object.entries(given.people ?? {})) {
    const wrong = recipientProblem(to, recipients);
    // Somebody may be paired later.
    if (wrong !== null && to !== OWNER) add(['quiet', 'people', to], wrong);
    people[to] = own === false ? null : read(own.hours, own.timezone ?? given.timezone);
  }
  const everybody = given.hours === undefined ? null : read(given.hours, given.timezone);
  return { quiet: { everybody, people }, problems };
}

function read(given: string, zone: string | undefined): QuietHours | null {
  const found = readHours(given);
  return found === null ? null : { ...found, zone: zone ?? null };
}

/** What is wrong in `zones`. */
export function zoneProblems(
  zones: Readonly<Record<string, string>>,
  recipients: Recipients,
  source: YamlSource,
  file: string,
): Problem[] {
  return Object.keys(zones).flatMap((to) => {
    // Somebody may be paired later.
    const wrong = to === OWNER ? null : recipientProblem(to, recipients);
    return wrong === null ? [] : [problem(file, source.lineOf(['zones', to]), `zones.${to}`, wrong)];
  });
}
