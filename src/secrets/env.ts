import type { KeptSecrets, Secrets } from '../core/ports/secrets.ts';
import { idIn } from '../core/ids.ts';
import { openRedactor, type Redactor } from './redactor.ts';

export interface EnvSecretsOptions {
  env: Readonly<Record<string, string | undefined>>;
  /** Secrets that are not in the environment, such as the gateway's token. */
  values?: readonly string[];
}

const SECRET_NAME =
  /(?:^|_)(?:\w*KEYS?|\w*TOKENS?|\w*SECRETS?|\w*PASSWORDS?|PASSWD|\w*PASS|PASSPHRASE|CREDENTIALS?|PAT)$|_(?:KEY|TOKEN|SECRET|PASSWORD)_|SECRET|PASSWORD/i;
/** Names that end like a key but say where one is, or what kind. */
const NOT_SECRET = /(?:_FILE|_PATH|_DIR|_URL|_NAME|_TYPE|_SOCK)$|ASKPASS$|^(?:HOT|MONKEY|TURKEY)/i;

/** Whether the name of a variable says that its value is a secret. */
export const isSecretVariable = (name: string): boolean => SECRET_NAME.test(name) && !NOT_SECRET.test(name);

/** The secret parts of a value: itself, and the password of a URL. */
function partsOf(name: string, value: string): string[] {
  const parts: string[] = [];
  if (isSecretVariable(name)) parts.push(value);
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
          `The secret of ${forWhom} is not a reference: write env:NAME, and set the environment variable NAME to the value; or secret:NAME, and run: ruche secrets set NAME`,
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
