import type { CommitDiff } from '../core/ports/workspace.ts';
import type { Git } from './git.ts';

const OPTIONS = ['-r', '--no-color', '--no-ext-diff', '--no-textconv', '--no-renames', '--root'];
/** Files of one commit that are named. */
const MAX_FILES = 1_000;
/** Bytes of their list. */
const MAX_LIST = 1_000_000;

type FileChange = Omit<CommitDiff['files'][number], 'binary' | 'patch'> & { sections: number };

/** What a commit changed against its first parent, or against nothing; null if there is no such commit. */
export async function commitDiff(git: Git, commit: string, limit: number): Promise<CommitDiff | null> {
  if (!/^[0-9a-f]{40,64}$/.test(commit)) return null;
  if ((await git.resolve(`${commit}^{commit}`)) === null) return null;
  const parent = await git.resolve(`${commit}^`);
  const between = parent === null ? [commit] : [parent, commit];
  const args = ['--end-of-options', ...between, '--'];
  const listed = await git.run(['diff-tree', ...OPTIONS, '--no-commit-id', '--name-status', '-z', ...args], {
    maxOutput: MAX_LIST,
    overflow: 'cut',
  });
  const changes = fileChanges(listed.stdout.toString('utf8'));
  const named = changes.slice(0, MAX_FILES);
  const { stdout } = await git.run(['diff-tree', ...OPTIONS, '--no-commit-id', '-p', ...args], {
    maxOutput: limit,
    overflow: 'cut',
  });
  const short = stdout.length >= limit;
  const sections = stdout
    .subarray(0, limit)
    .toString('utf8')
    .split(/^(?=diff --git )/m)
    .filter(Boolean);
  // The last one may have lost its end.
  if (short) sections.pop();
  const files = named.map(({ path, change, sections: count }) => {
    const patch = sections.splice(0, count).join('');
    return { path, change, binary: /^(?:Binary files |GIT binary patch)/m.test(header(patch)), patch };
  });
  return { files, cut: short || changes.length > named.length || listed.stdout.length >= MAX_LIST };
}

/** What stands before the first hunk: a line of a file can look like anything. */
const header = (patch: string): string => patch.split(/^@@ /m, 1)[0] ?? '';

function fileChanges(list: string): FileChange[] {
  const fields = list.split('\0');
  // What follows the last NUL is empty, or was cut off.
  fields.pop();
  const found: FileChange[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const status = fields[at] ?? '';
    const change = status === 'A' ? 'added' : status === 'D' ? 'removed' : 'changed';
    // A file that becomes a link is shown as one removed and one added.
    found.push({ path: fields[at + 1] ?? '', change, sections: status === 'T' ? 2 : 1 });
  }
  return found;
}
