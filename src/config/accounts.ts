import { z } from 'zod';
import type { AccountSettings, Problem } from '../core/agent.ts';
import { SECRET_REFERENCE } from '../core/ids.ts';
import type { Account } from '../core/ports/account.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Net } from '../core/ports/net.ts';
import { isObject } from '../core/text/json.ts';
import { didYouMean } from '../core/text/unknown.ts';
import { listed, validate, withoutNulls } from './validate.ts';
import { problem, type YamlSource } from './yaml-source.ts';

/** What an account may need of the machine. */
export interface AccountParts {
  net: Net;
  clock: Clock;
  log: Log;
  /** In [0, 1). */
  random(): number;
}

/** A kind of account as `app/` lists it: what is known of it before one is opened. */
export interface AccountType<Own extends z.ZodRawShape = z.ZodRawShape> {
  /** What `type` says in `ruche.yaml`. */
  readonly type: string;
  /** Its name for people. */
  readonly title: string;
  /** By the key in `ruche.yaml` that refers to it, what a secret is called for people. Unless given it is `secret:` and the account's name. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly settings: Own;
  /** What `ruche accounts add` fills in from an address; the person says the rest. */
  guess?(address: string): Partial<z.input<z.ZodObject<Own>>>;
  /** Connects nothing. */
  open(
    account: {
      name: string;
      /** Its value, looked up anew each time; nobody keeps it. */
      secret(key: string): Promise<string>;
      settings: z.infer<z.ZodObject<Own>>;
    } & AccountParts,
  ): Promise<Account>;
}

export const accountName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, {
  error: 'an account is named with small letters, digits and "-", beginning with a letter, at most 32 long',
});

const secret = (what: string) =>
  z
    .string()
    .regex(SECRET_REFERENCE, {
      error: `must name where the ${what} is, e.g. secret:office; the ${what} itself never stands in a file`,
    })
    .describe('A reference; secret: and the name of the account unless given.')
    .optional();

/** An entry of `accounts` of this type. */
export const accountSchema = ({ type, secrets, settings }: AccountType) =>
  z.strictObject({
    type: z.enum([type]).describe('What kind of account it is.'),
    ...Object.fromEntries(Object.entries(secrets).map(([key, what]) => [key, secret(what)])),
    ...settings,
  });

/** The accounts of `ruche.yaml`, each as its type reads it. */
export function accountsOf(
  source: YamlSource,
  file: string,
  types: readonly AccountType[],
): { accounts: AccountSettings[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const { accounts: given } = (withoutNulls(source.value) ?? {}) as { accounts?: unknown };
  const accounts = Object.entries(isObject(given) ? given : {}).flatMap(([name, entry]): AccountSettings[] => {
    // What cannot be an account is reported with the file's shape.
    if (!accountName.safeParse(name).success || !isObject(entry)) return [];
    const type = types.find((each) => each.type === entry['type']);
    if (type === undefined) {
      const path = ['accounts', name, ...('type' in entry ? ['type'] : [])];
      const known = listed(types.map((each) => each.type));
      const said =
        'type' in entry
          ? `must be one of ${known}.${didYouMean(
              String(entry['type']),
              types.map((each) => each.type),
            )}`
          : `needs a type: ${known}`;
      problems.push(problem(file, source.lineOf(path), path.join('.'), said));
      return [];
    }
    const read = validate(accountSchema(type), source, file, undefined, ['accounts', name]);
    problems.push(...read.problems);
    return read.value === null ? [] : [toAccount(type, name, read.value)];
  });
  return { accounts, problems };
}

function toAccount({ type, secrets, settings }: AccountType, name: string, value: object): AccountSettings {
  const own = value as Record<string, unknown>;
  const pick = (keys: string[]) => keys.flatMap((key) => (own[key] === undefined ? [] : [[key, own[key]] as const]));
  const usual = Object.keys(secrets).map((key) => [key, `secret:${name}`]);
  return {
    name,
    type,
    secrets: Object.fromEntries([...usual, ...pick(Object.keys(secrets))]) as Record<string, string>,
    settings: Object.fromEntries(pick(Object.keys(settings))),
  };
}
