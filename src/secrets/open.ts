import type { KeptSecrets, PrivateFile, Secrets } from '../core/ports/secrets.ts';
import { openRedactor, type Redactor } from './redactor.ts';
import { isObject } from '../core/text/json.ts';
import { idIn } from '../core/ids.ts';
import { Mutex } from '../core/time/mutex.ts';

interface SecretsOptions extends EnvSecretsOptions {
  /** `keys.json` of home. */
  keys: PrivateFile;
}

/** All secrets there are: `env:NAME` of the environment and `home:NAME` of home. Rejects if the file of keys cannot be used. */
export async function openSecrets(options: SecretsOptions): Promise<KeptSecrets> {
  const redactor = openRedactor();
  const env = envSecrets(options, redactor);
  const home = await openHomeKeys(options.keys, redactor);
  return {
    resolve(ref, forWhom) {
      const name = idIn('home', ref);
      return name === null ? env.resolve(ref, forWhom) : home.resolve(name, forWhom);
    },
    redact: redactor.redact,
    redactPieces: redactor.redactPieces,
    hide: redactor.add,
    has(ref) {
      const name = idIn('home', ref);
      return name === null ? env.has(ref) : home.has(name);
    },
    keep: home.keep,
  };
}

interface EnvSecretsOptions {
  env: Readonly<Record<string, string | undefined>>;
  /** Secrets that are not in the environment, such as the gateway's token. */
  values?: readonly string[];
}

const SECRET_NAME =
  /(?:^|_)(?:\w*KEYS?|\w*TOKENS?|\w*SECRETS?|\w*PASSWORDS?|PASSWD|\w*PASS|PASSPHRASE|CREDENTIALS?|PAT)$|_(?:KEY|TOKEN|SECRET|PASSWORD)_|SECRET|PASSWORD/i;
/** Names that end like a key but say where one is, or what kind. */
const NOT_SECRET = /(?:_FILE|_PATH|_DIR|_URL|_NAME|_TYPE|_SOCK)$|ASKPASS$|^(?:HOT|MONKEY|TURKEY)/i;

/** The secret parts of a value: itself, the password of a URL, and each line of a key in PEM form. */
function partsOf(name: string, value: string): string[] {
  const parts: string[] = [];
  if (SECRET_NAME.test(name) && !NOT_SECRET.test(name)) parts.push(value);
  const url = value.includes('@') ? URL.parse(value) : null;
  if (url && url.password !== '') parts.push(url.password, decodeURIComponentSafely(url.password));
  return parts;
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

/** Secrets of the process's environment, handed in as a map: `env:NAME`. */
export function envSecrets(
  options: EnvSecretsOptions,
  redactor: Redactor = openRedactor(),
): Secrets & Pick<KeptSecrets, 'has'> {
  const { env } = options;
  const { add, redact, redactPieces } = redactor;
  for (const [name, value] of Object.entries(env)) if (value) for (const part of partsOf(name, value)) add(part);
  for (const value of options.values ?? []) add(value);

  return {
    async resolve(ref, forWhom) {
      const name = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(ref)?.[1];
      if (name === undefined) {
        // What is no reference may be the key itself: it must not be repeated here or anywhere else.
        add(ref);
        throw new Error(
          `The secret of ${forWhom} is not a reference: write env:NAME, and set the environment variable NAME to the value.`,
        );
      }
      // A line end that was pasted along would break an HTTP header.
      const value = env[name]?.trim();
      if (!value)
        throw new Error(
          `The environment variable ${name} is not set, and ${forWhom} needs it: set it where ruche is started.`,
        );
      add(value);
      return value;
    },
    has: (ref) => Boolean(env[idIn('env', ref) ?? '']?.trim()),
    redact,
    redactPieces,
  };
}

/** Keys that people gave while it ran, kept in a file of home: `home:NAME`. */
interface HomeKeys {
  /** Rejects with what is missing and how to give it, never with a value. */
  resolve(name: string, forWhom: string): Promise<string>;
  has(name: string): boolean;
  /** On disk when it resolves; hidden everywhere from the call on. Gives the reference. */
  keep(name: string, value: string): Promise<string>;
}

/** What a name may look like, after `home:`. */
const HOME_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

function parse(text: string, path: string): Map<string, string> {
  const broken = (why: string): Error =>
    new Error(`${path} cannot be used (${why}): mend it, or delete it and give your keys again on the web page.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The parser's own message would repeat what stands there.
    if (error instanceof SyntaxError) throw broken('it is no JSON');
    throw error;
  }
  if (!isObject(value) || value.format !== 1 || !isObject(value.keys)) throw broken('it is not of format 1');
  const keys = new Map<string, string>();
  for (const [name, key] of Object.entries(value.keys)) {
    if (!HOME_NAME.test(name) || typeof key !== 'string' || key.trim() === '')
      throw broken('it holds something that is no key');
    keys.set(name, key);
  }
  return keys;
}

/** Reads the file and hides what it holds. Rejects if it cannot be used, saying what to do. */
async function openHomeKeys(file: PrivateFile, redactor: Redactor): Promise<HomeKeys> {
  const text = await file.read();
  let keys = text === null ? new Map<string, string>() : parse(text, file.path);
  for (const key of keys.values()) redactor.add(key);
  const writing = new Mutex();
  const write = async (name: string, value: string): Promise<void> => {
    const next = new Map(keys).set(name, value);
    await file.write(`${JSON.stringify({ format: 1, keys: Object.fromEntries(next) }, null, 2)}\n`);
    keys = next;
  };
  return {
    async resolve(name, forWhom) {
      const key = keys.get(name)?.trim();
      if (key) return key;
      throw new Error(`There is no key "${name}" in ${file.path}, and ${forWhom} needs it: give it on the web page.`);
    },
    has: (name) => keys.has(name),
    async keep(name, value) {
      if (!HOME_NAME.test(name)) throw new RangeError('a key is kept under a name of letters, digits, "-" and "_"');
      redactor.add(value);
      // One after the other: each write holds what the ones before have kept.
      await writing.run(() => write(name, value.trim()));
      return `home:${name}`;
    },
  };
}
