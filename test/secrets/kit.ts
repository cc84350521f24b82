import { mkdtempSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { privateFile } from '../../src/platform/replace.ts';
import { openSecrets, type SecretsOptions } from '../../src/secrets/open.ts';

export const FOR = 'provider "x"';

/** A home of its own, and its secrets as often as they are opened. */
export function secretsHome() {
  const home = mkdtempSync(join(tmpdir(), 'ruche-secrets-'));
  let time = 1_000;
  const clock = { now: () => (time += 1) };
  return {
    home,
    at: (name: string): string => join(home, name),
    read: (name: string): Promise<string> => readFile(join(home, name), 'utf8'),
    open: (more: Partial<SecretsOptions> = {}) => openSecrets({ env: {}, home, clock, ...more }),
    close: () => rm(home, { recursive: true, force: true }),
  };
}

/** Files of a disk that can be made to refuse: every write, or those of one name. */
export function brokenDisk() {
  const broken = { code: null as string | null, name: '' };
  const file = (path: string) => {
    const real = privateFile(path);
    const write = (text: string): Promise<void> =>
      broken.code !== null && path.endsWith(broken.name)
        ? Promise.reject(Object.assign(new Error(broken.code), { code: broken.code }))
        : real.write(text);
    return { ...real, write };
  };
  return { broken, file };
}
