import { z } from 'zod';
import type { ChannelSettings, Problem } from '../core/agent.ts';
import { SECRET_REFERENCE } from '../core/ids.ts';
import { RESERVED_CHANNELS } from '../core/escalation.ts';
import type { Channel } from '../core/ports/channel.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Net } from '../core/ports/net.ts';
import { isObject } from '../core/text/json.ts';
import { didYouMean } from '../core/text/unknown.ts';
import { listed, validate, withoutNulls } from './validate.ts';
import { problem, type YamlSource } from './yaml-source.ts';

/** What a messenger may need of the machine. */
export interface ChannelParts {
  net: Net;
  clock: Clock;
  log: Log;
  /** In [0, 1). */
  random(): number;
}

/** A messenger as `app/` lists it: what is known of it before a channel of it is opened. */
export interface Messenger<Own extends z.ZodRawShape = z.ZodRawShape> {
  /** What `type` says in `ruche.yaml`. A channel of this name needs no type. */
  readonly type: string;
  /** Its name for people. */
  readonly title: string;
  /** The platform's immutable ids of people, which `owners` lists. `about`: what they are; `wrong`: what a text is not that is none. */
  readonly ids: { readonly pattern: RegExp; readonly about: string; readonly wrong: string; readonly example: string };
  /** The platform's ids of chats, those with a person among them; absent: any text may be one. `wrong`: what one must be. */
  readonly chats?: { readonly pattern: RegExp; readonly wrong: string };
  /** By the key in `ruche.yaml` that refers to it, the environment variable a secret is in unless given. */
  readonly secrets: Readonly<Record<string, string>>;
  /** What else can be set. */
  readonly settings: Own;
  open(
    channel: {
      name: string;
      /** Their values, by key. */
      secrets: Readonly<Record<string, string>>;
      settings: z.infer<z.ZodObject<Own>>;
    } & ChannelParts,
  ): Promise<Channel>;
}

export const channelName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, { error: 'a channel is named with small letters, digits and "-"' })
  .refine((name) => !RESERVED_CHANNELS.includes(name), { error: 'a channel cannot have this name' });

const secret = (key: string, variable: string) =>
  z
    .string()
    .regex(SECRET_REFERENCE, {
      error: `must name where the ${key} is, e.g. env:${variable} or secret:NAME; the ${key} itself never stands in a file`,
    })
    .describe(`A reference; env:${variable} unless given.`)
    .optional();

/** An entry of `channels` for this messenger. `name`: of the channel, for words that say how to mend something. */
export function channelSchema({ type, ids, secrets, settings }: Messenger, name = type) {
  // Unquoted, YAML reads an id of digits as a number.
  const id = z
    .union([z.string(), z.number().int().safe()])
    .transform(String)
    .refine((given) => ids.pattern.test(given), { error: `${ids.wrong}: \`ruche pair ${name}\` finds it out` });
  return z.strictObject({
    type: z.enum([type]).describe("The messenger; not needed where the channel's name says it.").optional(),
    ...Object.fromEntries(Object.entries(secrets).map(([key, variable]) => [key, secret(key, variable)])),
    owners: z.array(id).max(100).describe(`${ids.about} of those who may write; everybody else is ignored.`).optional(),
    agent: z.string().describe('Who answers; the first agent unless given.').optional(),
    ...settings,
  });
}

/** The channels of `ruche.yaml`, each as its messenger reads it. */
export function channelsOf(
  source: YamlSource,
  file: string,
  messengers: readonly Messenger[],
): { channels: ChannelSettings[]; problems: Problem[] } {
  const types = messengers.map(({ type }) => type);
  const problems: Problem[] = [];
  const { channels: given } = (withoutNulls(source.value) ?? {}) as { channels?: unknown };
  const channels = entries(given).flatMap(([name, entry]): ChannelSettings[] => {
    // What cannot be a channel is reported with the file's shape.
    if (!channelName.safeParse(name).success || !isObject(entry)) return [];
    const path = ['channels', name, ...('type' in entry ? ['type'] : [])];
    const messenger = messengers.find(({ type }) => type === (entry['type'] ?? name));
    if (messenger === undefined) {
      const said =
        'type' in entry
          ? `must be one of ${listed(types)}.${didYouMean(String(entry['type']), types)}`
          : `needs a type (${listed(types)}), because its name is none`;
      problems.push(problem(file, source.lineOf(path), path.join('.'), said));
      return [];
    }
    const read = validate(channelSchema(messenger, name), source, file, undefined, ['channels', name]);
    problems.push(...read.problems);
    return read.value === null ? [] : [toChannel(messenger, name, read.value)];
  });
  return { channels, problems };
}

/** A messenger's channel that no settings name, and nobody owns yet; null if it cannot do without settings. */
export function bareChannel(messenger: Messenger): ChannelSettings | null {
  const { success, data } = channelSchema(messenger).safeParse({});
  return success ? toChannel(messenger, messenger.type, data) : null;
}

function toChannel({ type, secrets, settings }: Messenger, name: string, value: object): ChannelSettings {
  const { owners = [], agent = null, ...own } = value as { owners?: string[]; agent?: string; [key: string]: unknown };
  const pick = (keys: string[]) => keys.flatMap((key) => (own[key] === undefined ? [] : [[key, own[key]] as const]));
  const usual = Object.entries(secrets).map(([key, variable]) => [key, `env:${variable}`]);
  return {
    name,
    type,
    secrets: Object.fromEntries([...usual, ...pick(Object.keys(secrets))]) as Record<string, string>,
    owners,
    agent,
    settings: Object.fromEntries(pick(Object.keys(settings))),
  };
}

const entries = (value: unknown): [string, unknown][] => (isObject(value) ? Object.entries(value) : []);
