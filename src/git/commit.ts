import type { Provenance } from '../core/ports/workspace.ts';
import type { Git, Env } from './git.ts';
import type { Objects, Stored } from './objects.ts';
import { parseConfig, type Conversions } from './neutral.ts';
import { GitError, runProcess } from './process.ts';

export interface Signature {
  name: string;
  email: string;
}

interface CommitParts {
  tree: string;
  parents: readonly string[];
  author: Signature;
  /** Milliseconds since the epoch. */
  at: number;
  message: string;
}

export const MAIN = 'refs/heads/main';

/** Text that fits on one line of a commit: no control characters, no end of the trailer block smuggled in. */
const oneLine = (text: string, limit: number): string =>
  text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, limit);

const sign = (who: Signature, at: number): string => {
  const clean = (text: string): string => oneLine(text, 200).replace(/[<>]/g, '');
  return `${clean(who.name) || 'unknown'} <${clean(who.email)}> ${Math.floor(at / 1000)} +0000`;
};

/** Writes a commit object. */
export function putCommit(objects: Objects, parts: CommitParts): Stored {
  const who = sign(parts.author, parts.at);
  const lines = [
    `tree ${parts.tree}`,
    ...parts.parents.map((parent) => `parent ${parent}`),
    `author ${who}`,
    `committer ${who}`,
    '',
    parts.message.endsWith('\n') ? parts.message : `${parts.message}\n`,
  ];
  return objects.put('commit', Buffer.from(lines.join('\n'), 'utf8'));
}

export const agentSignature = (agent: string): Signature => ({ name: agent, email: `${agent}@ruche.invalid` });

/** The message of a landing: its subject and, as real Git trailers, where it came from. */
export function landingMessage(subject: string, from: Provenance): string {
  const trailers: [string, string][] = [
    ['Ruche-Run', from.run],
    ['Ruche-Task', from.task],
    ['Ruche-Agent', from.agent],
    ['Ruche-Model', from.model],
    ['Ruche-Cost-USD', from.costUsd.toFixed(6)],
    ['Ruche-Labels', from.labels.join(', ')],
    ...(from.approvedBy ?? []).map((by): [string, string] => ['Ruche-Approved-By', by]),
  ];
  const lines = trailers.map(([name, value]) => `${name}: ${oneLine(value, 500) || 'none'}`);
  return `${oneLine(subject, 200) || `Work of ${from.agent}`}\n\n${lines.join('\n')}\n`;
}

/** The commit main is at; null if there is no such branch. */
export const mainCommit = async (git: Git): Promise<string | null> =>
  (await git.resolve(MAIN)) ?? ((await git.mend()) ? git.resolve(MAIN) : null);

/** The newest commit of `base..main` whose own trailer names the run. */
export async function findRun(git: Git, run: string, base: string): Promise<string | null> {
  const format = '--format=%H%x00%(trailers:key=Ruche-Run,valueonly,separator=%x00)%x01';
  const log = await git.text(['log', format, '--end-of-options', `${base}..${MAIN}`, '--']);
  for (const entry of log.split('\x01')) {
    const [commit, ...runs] = entry.trim().split('\0');
    if (commit && runs.includes(run)) return commit;
  }
  return null;
}

/** What is read from the person's own Git configuration. Nothing of it is ever executed. */
interface PersonConfig {
  author: Signature;
  excludesFile: string | null;
  conversions: Conversions;
}

const OWNER: Signature = { name: 'owner', email: 'owner@ruche.invalid' };
/** Where Git looks for a person's configuration. */
const PLACES = ['PATH', 'HOME', 'XDG_CONFIG_HOME', 'GIT_CONFIG_GLOBAL', 'GIT_CONFIG_SYSTEM', 'GIT_CONFIG_NOSYSTEM'];

/** Reads the identity with which the person commits in this repository; `owner` if there is none. */
export async function personConfig(gitDir: string, env: Env): Promise<PersonConfig> {
  const passed: Record<string, string> = { LC_ALL: 'C', GIT_DIR: gitDir };
  for (const name of PLACES) if (env[name] !== undefined) passed[name] = env[name];
  const keys =
    '^(user\\.(name|email)|core\\.(excludesfile|attributesfile|autocrlf|eol)|filter\\..*\\.(clean|process))$';
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
  const file = (key: string, usual: string): string | null =>
    (config.get(key) ?? (own === null ? null : `${own}/git/${usual}`))?.replace(/^~(?=\/)/, home ?? '~') ?? null;
  const one = (key: string, of: readonly string[]): string | null => {
    const value =
      config
        .get(key)
        ?.toLowerCase()
        .replace(/^(yes|on|1)$/, 'true') ?? '';
    return of.includes(value) ? value : null;
  };
  return {
    author: name && email ? { name, email } : OWNER,
    excludesFile: file('core.excludesfile', 'ignore'),
    conversions: {
      autocrlf: one('core.autocrlf', ['true', 'false', 'input']),
      eol: one('core.eol', ['lf', 'crlf', 'native']),
      attributesFile: file('core.attributesfile', 'attributes'),
      filters: [...config.keys()].flatMap((key) => /^filter\.(.*)\.(?:clean|process)$/.exec(key)?.[1] ?? []),
    },
  };
}
