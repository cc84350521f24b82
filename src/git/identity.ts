import type { Signature } from './commit.ts';
import type { Env } from './git.ts';
import { parseConfig } from './neutral.ts';
import { GitError, runProcess } from './process.ts';

/** What is read from the person's own Git configuration. Nothing of it is ever executed. */
export interface PersonConfig {
  author: Signature;
  excludesFile: string | null;
}

const OWNER: Signature = { name: 'owner', email: 'owner@ruche.invalid' };
/** Where Git looks for a person's configuration. */
const PLACES = ['PATH', 'HOME', 'XDG_CONFIG_HOME', 'GIT_CONFIG_GLOBAL', 'GIT_CONFIG_SYSTEM', 'GIT_CONFIG_NOSYSTEM'];

/** Reads the identity with which the person commits in this repository; `owner` if there is none. */
export async function personConfig(gitDir: string, env: Env): Promise<PersonConfig> {
  const passed: Record<string, string> = { LC_ALL: 'C', GIT_DIR: gitDir };
  for (const name of PLACES) if (env[name] !== undefined) passed[name] = env[name];
  const keys = '^(user\\.(name|email)|core\\.excludesfile)$';
  const argv = ['git', 'config', '-z', '--includes', '--get-regexp', keys];
  const output = await runProcess(argv, passed, {
    cwd: '/',
    accept: [0, 1],
    timeoutMs: 5000,
    maxOutput: 65_536,
  }).catch((error: unknown) => {
    // A configuration that Git cannot read must not stop the runtime: it only costs the person's name.
    if (error instanceof GitError) return null;
    throw error;
  });
  const config = parseConfig(output?.stdout.toString('utf8') ?? '');
  const name = config.get('user.name')?.trim();
  const email = config.get('user.email')?.trim();
  const home = env['HOME'];
  const own = env['XDG_CONFIG_HOME'] ?? (home === undefined ? null : `${home}/.config`);
  const excludes = config.get('core.excludesfile') ?? (own === null ? null : `${own}/git/ignore`);
  return {
    author: name && email ? { name, email } : OWNER,
    excludesFile: excludes?.replace(/^~(?=\/)/, home ?? '~') ?? null,
  };
}
