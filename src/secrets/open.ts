import type { KeptSecrets, PrivateFile } from '../core/ports/secrets.ts';
import { envSecrets, type EnvSecretsOptions } from './env.ts';
import { openHomeKeys } from './home.ts';
import { openRedactor } from './redactor.ts';

export interface SecretsOptions extends EnvSecretsOptions {
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
      const name = /^home:(.*)$/s.exec(ref)?.[1];
      return name === undefined ? env.resolve(ref, forWhom) : home.resolve(name, forWhom);
    },
    redact: redactor.redact,
    redactPieces: redactor.redactPieces,
    hide: redactor.add,
    has: (ref) => (ref.startsWith('home:') ? home.has(ref.slice('home:'.length)) : env.has(ref)),
    keep: home.keep,
  };
}
