import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type EnvSecretsOptions, envSecrets } from './env.ts';
import { type OpenVault, openVault } from './vault.ts';
import { unread } from './key.ts';
import { openRedactor, type Redactor } from './redactor.ts';
import { isSecretName, secretIn } from '../core/ids.ts';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { KeptSecrets, PrivateFile } from '../core/ports/secrets.ts';
import { isObject, jsonIn } from '../core/text/json.ts';
import { errorText } from '../core/text/sentence.ts';
import { privateFile } from '../platform/replace.ts';

export interface SecretsOptions extends EnvSecretsOptions {
  home: string;
  clock: Pick<Clock, 'now'>;
  boundary?: Boundary;
  /** Asks a person for the passphrase of a key file; null where there is nobody. */
  askPassphrase?: (path: string, again: boolean) => Promise<string | null>;
  /** How files of home are read and written. */
  file?: (path: string) => PrivateFile;
}

/**
 * All secrets there are: `env:NAME` of the environment and `secret:NAME` of the vault. A vault that cannot be opened is told by
 * `vault.problem()` and by whatever needs it. Rejects if the file of keys of an older version cannot be used.
 */
export async function openSecrets(options: SecretsOptions): Promise<KeptSecrets> {
  const { home, env, clock, boundary = () => undefined, file = privateFile } = options;
  const redactor = openRedactor();
  const hide = redactor.add;
  const fromEnv = envSecrets(options, redactor);
  const older = await openOlderKeys(file(join(home, 'keys.json')), redactor);
  const passphrase = passphraseOf(options, file, hide);
  const vault = await openVault({ home, env, clock, boundary, file, passphrase, hide });
  const uses = new Set<(name: string, forWhom: string) => void>();
  const peek = async (ref: string, forWhom: string): Promise<string> => {
    const name = secretIn(ref);
    if (name === null) return fromEnv.resolve(ref, forWhom);
    const value = vault.value(name) ?? older.value(name);
    if (value === null) throw new Error(lacking(name, forWhom, vault));
    return value;
  };
  return {
    peek,
    async resolve(ref, forWhom) {
      const value = await peek(ref, forWhom);
      const name = secretIn(ref);
      if (name !== null) for (const tell of uses) tell(name, forWhom);
      return value;
    },
    redact: redactor.redact,
    redactPieces: redactor.redactPieces,
    hide,
    has(ref) {
      const name = secretIn(ref);
      return name === null ? fromEnv.has(ref) : vault.has(name) || older.value(name) !== null;
    },
    async keep(name, value) {
      await vault.set(name, value.trim());
      return `secret:${name}`;
    },
    vault,
    async settle() {
      await vault.settle();
      await older.move(vault, boundary);
    },
    onUse(listener) {
      uses.add(listener);
      return () => uses.delete(listener);
    },
  };
}

function lacking(name: string, forWhom: string, vault: OpenVault): string {
  const problem = vault.problem();
  if (problem !== null) return `The secret ${name}, which ${forWhom} needs, cannot be read. ${problem}`;
  return `There is no secret ${name}, and ${forWhom} needs it. Give it with: ruche secrets set ${name}`;
}

/** From the file that is named for it, else from a person. Hidden as soon as it is known. */
function passphraseOf(
  { env, askPassphrase }: SecretsOptions,
  file: (path: string) => PrivateFile,
  hide: (value: string) => void,
): (path: string, again: boolean) => Promise<string | null> {
  const named = env['RUCHE_SECRETS_PASSPHRASE_FILE'];
  return async (path, again) => {
    const given = named
      ? again
        ? null
        : ((await readPassphrase(file(named), isOfSystemd(named, env)))?.replace(/\r?\n$/, '') ?? null)
      : ((await askPassphrase?.(path, again)) ?? null);
    if (given !== null) hide(given);
    return given;
  };
}

/** Of a credential the rights say nothing: systemd lets a service's user in by a list that shows as rights of the group. */
const isOfSystemd = (path: string, { CREDENTIALS_DIRECTORY: folder }: SecretsOptions['env']): boolean =>
  Boolean(folder) && dirname(resolve(path)) === resolve(folder ?? '');

const readPassphrase = (file: PrivateFile, open: boolean): Promise<string | null> =>
  (open ? readFile(file.path, 'utf8') : file.read()).catch((error: unknown) => {
    throw unread(file.path, error, '');
  });

/** `keys.json`, where older versions kept what was pasted on the page: read until its keys are in the vault. */
interface OlderKeys {
  value(name: string): string | null;
  /** Rejects, with everything as it was, if they cannot be moved. */
  move(vault: OpenVault, boundary: Boundary): Promise<void>;
}

/** What stands there afterwards: an older version refuses the home, and does not start without its keys. */
const MOVED = `${JSON.stringify({ format: 2, keys: 'in secrets.age' })}\n`;

/** Reads the file and hides what it holds. Rejects if it cannot be used, saying what to do. */
async function openOlderKeys(file: PrivateFile, redactor: Redactor): Promise<OlderKeys> {
  const read = async (): Promise<Map<string, string>> => {
    const text = await file.read();
    const keys = text === null || text === MOVED ? new Map<string, string>() : parse(text, file.path);
    for (const key of keys.values()) redactor.add(key);
    return keys;
  };
  let keys = await read();
  return {
    value: (name) => keys.get(name) ?? null,
    async move(vault, boundary) {
      // Once more: it was read before this process was the only one.
      keys = await read();
      if (keys.size === 0) return;
      boundary('secrets.move.before');
      try {
        await vault.take(keys);
      } catch (error) {
        throw new Error(`The keys in ${file.path} stay there: ${errorText(error)}`, { cause: error });
      }
      await file.write(MOVED);
      boundary('secrets.move.after');
      keys = new Map();
    },
  };
}

function parse(text: string, path: string): Map<string, string> {
  const broken = (why: string): Error =>
    new Error(`${path} cannot be used (${why}): mend it, or delete it and give your keys again on the web page.`);
  const value = jsonIn(text);
  if (value === null) throw broken('it is no JSON');
  if (!isObject(value) || value.format !== 1 || !isObject(value.keys)) throw broken('it is not of format 1');
  const keys = new Map<string, string>();
  for (const [name, key] of Object.entries(value.keys)) {
    if (!isSecretName(name) || typeof key !== 'string' || key.trim() === '')
      throw broken('it holds something that is no key');
    keys.set(name, key.trim());
  }
  return keys;
}
