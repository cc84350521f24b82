import type { Provenance } from '../core/ports/workspace.ts';
import type { Git } from './git.ts';
import type { Objects, Stored } from './objects.ts';

export interface Signature {
  name: string;
  email: string;
}

export interface CommitParts {
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
  ];
  const lines = trailers.map(([name, value]) => `${name}: ${oneLine(value, 500) || 'none'}`);
  return `${oneLine(subject, 200) || `Work of ${from.agent}`}\n\n${lines.join('\n')}\n`;
}

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
