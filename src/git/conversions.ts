import type { Git } from './git.ts';
import { GitError } from './process.ts';

/** What Git does to a file between the working tree and the repository: by itself (line endings, encodings), or by a program. */
export type Conversion = 'none' | 'built-in' | 'filter';

/** How the person's own Git converts files. The result holds every path. */
export async function conversionsOf(git: Git, paths: readonly string[]): Promise<Map<string, Conversion>> {
  const attributes = ['text', 'eol', 'crlf', 'ident', 'working-tree-encoding', 'filter'];
  const input = paths.map((path) => `${path}\0`).join('');
  const args = ['check-attr', '-z', '--stdin', ...attributes];
  const fields = (await git.run(args, { env: git.asPerson, input })).stdout.toString('utf8').split('\0');
  const { autocrlf, filters } = git.conversions;
  const usual = autocrlf === 'true' || autocrlf === 'input' ? 'built-in' : 'none';
  const found = new Map<string, Conversion>(paths.map((path) => [path, usual]));
  for (let at = 0; at + 2 < fields.length; at += 3) {
    const [path = '', name, value = ''] = fields.slice(at, at + 3);
    if (value === 'unspecified' || value === 'unset' || found.get(path) === 'filter') continue;
    if (name !== 'filter') found.set(path, 'built-in');
    else if (filters.includes(value.toLowerCase())) found.set(path, 'filter');
  }
  return found;
}

/** Stores a file as the person's Git would without filters, and gives its id; `refused`: it is not in the encoding it should have. */
export async function convert(git: Git, path: string, bytes: Uint8Array): Promise<string> {
  const args = ['hash-object', '-w', '--stdin', `--path=${path}`];
  return git.text(args, { env: git.asPerson, input: bytes }).catch((error: unknown) => {
    // Their own Git could not commit it, either.
    if (error instanceof GitError) return 'refused';
    throw error;
  });
}
