import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { foldedPath } from '../../core/text/paths.ts';
import { MAIN } from '../../git/commit.ts';
import type { Git } from '../../git/git.ts';
import { ignoredBy } from '../../git/listing.ts';

// Files of the owner that Git does not know, and that must not get into it because an agent names them: what is ignored,
// what was ignored until an agent changed the rules, and what is a secret by custom.

/** Names of secrets, and of folders that hold them, in lower case. */
const SECRETS: readonly RegExp[] = [
  // The examples that are meant to be shared.
  /^\.env(?!.*\.(?:example|sample|template|dist)$)/,
  /\.env$/,
  /\.(?:pem|key|p12|pfx|p8|pk8|ppk|jks|keystore|kdbx?|agekey|ovpn|mobileprovision|tfstate|tfvars)$/,
  /\.tfstate\.backup$/,
  /^id_[a-z0-9_-]+$/,
  /^(?:\.|_)netrc$/,
  /^\.(?:npmrc|pypirc|pgpass|my\.cnf|mylogin\.cnf|htpasswd|git-credentials|dockercfg|dockerconfigjson|boto|s3cfg)$/,
  /^\.(?:vault-token|vault_pass|terraformrc|dev\.vars|authinfo|msmtprc|fetchmailrc|ruche-token)/,
  /^(?:.*\.)?kubeconfig(?:\.ya?ml)?$/,
  /^(?:client_secret|service[-_]account|application_default_credentials).*\.json$/,
  /^(?:credentials|secrets?)(?:\.(?:json|ya?ml|toml|ini|txt|env))?$/,
];
const FOLDERS = new Set(['.ssh', '.gnupg', '.aws', '.azure', '.kube', '.docker', '.gcloud']);

export function isSecretName(path: string): boolean {
  const parts = foldedPath(path).split('/');
  const name = parts.pop() ?? '';
  return parts.some((part) => FOLDERS.has(part)) || SECRETS.some((secret) => secret.test(name));
}

/** Commits of agents to the rules that are looked back at. */
const MAX_COMMITS = 50;

/** Those of the paths, which Git does not know, that stay out of it. */
export async function keptOut(git: Git, paths: readonly string[]): Promise<Set<string>> {
  const out = new Set([...paths.filter(isSecretName), ...(await ignoredBy(git, paths)).keys()]);
  const open = paths.filter((path) => !out.has(path));
  if (open.length === 0) return out;
  const files = ruleFiles(open);
  for (const commit of await agentsCommits(git, files)) {
    const left = open.filter((path) => !out.has(path));
    for (const path of await ignoredAt(git, `${commit}^`, files, left)) out.add(path);
  }
  return out;
}

/** The files whose rules hold for these paths. */
function ruleFiles(paths: readonly string[]): string[] {
  const files = new Set<string>();
  for (const path of paths) {
    const parts = path.split('/');
    for (let depth = 0; depth < parts.length; depth += 1) files.add([...parts.slice(0, depth), '.gitignore'].join('/'));
  }
  return [...files];
}

/** Landings of agents that changed the rules, the newest first. A person may have approved them, and not for this file. */
async function agentsCommits(git: Git, files: readonly string[]): Promise<string[]> {
  const flags = ['--format=%H', '--grep=^Ruche-Run: ', '--first-parent', `--max-count=${MAX_COMMITS}`];
  const found = await git.text(['log', ...flags, MAIN, '--', ...files]);
  return found.split('\n').filter(Boolean);
}

/** Paths that the rules of a commit ignore. Git reads rules from files only, so these are laid out for it. */
async function ignoredAt(
  git: Git,
  commit: string,
  files: readonly string[],
  paths: readonly string[],
): Promise<Iterable<string>> {
  if (paths.length === 0) return [];
  const dir = await mkdtemp(join(tmpdir(), 'ruche-rules-'));
  try {
    for (const file of files) {
      const rules = await git.object(`${commit}:${file}`);
      if (rules?.type !== 'blob') continue;
      await mkdir(dirname(join(dir, file)), { recursive: true });
      await writeFile(join(dir, file), rules.bytes);
    }
    return (await ignoredBy(git, paths, dir)).keys();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
