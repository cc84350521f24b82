import type { Agent, Problem } from '../../core/agent.ts';
import { quotedPath } from '../../git/fault.ts';
import type { Git } from '../../git/git.ts';
import { problem } from '../../config/yaml-source.ts';

interface Script {
  file: string;
  key: string;
  path: string;
}

const scriptsOf = ({ name, schedules, triggers = [] }: Agent): Script[] =>
  Object.entries({ schedules, triggers }).flatMap(([kind, list]) =>
    list.flatMap((each) => {
      if (each.work.kind !== 'run') return [];
      const [path = ''] = each.work.command.split(' ');
      return [{ file: `agents/${name}/AGENT.md`, key: `${kind}.${each.name}.run`, path }];
    }),
  );

/**
 * Schedules and triggers whose script is not there or may not be run. Looked at anew each time, and no part of what is
 * read once: a script lands whenever it likes.
 */
export async function hindrances(git: Git, commit: string, agents: ReadonlyMap<string, Agent>): Promise<Problem[]> {
  const scripts = [...agents.values()].flatMap(scriptsOf);
  const paths = [...new Set(scripts.map(({ path }) => path))];
  if (paths.length === 0) return [];
  const { stdout } = await git.run(['ls-tree', '-z', '--full-tree', commit, '--', ...paths]);
  const modes = new Map(
    stdout
      .toString('utf8')
      .split('\0')
      .map((item) => [item.slice(item.indexOf('\t') + 1), item.slice(0, 6)]),
  );
  return scripts.flatMap(({ file, key, path }) => {
    const mode = modes.get(path);
    // Where a link leads is seen when it runs.
    if (mode === '100755' || mode === '120000') return [];
    const said =
      mode === '100644'
        ? `${path} is not executable on main, so this cannot run: chmod +x -- ${quotedPath(path)}, and commit that`
        : `there is no script ${path} on main, so this cannot run: write it, chmod +x it, and commit that`;
    return [problem(file, null, key, said, 'warning')];
  });
}
