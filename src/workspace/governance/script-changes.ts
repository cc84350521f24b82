import { createHash } from 'node:crypto';
import type { Agent, Problem } from '../../core/agent.ts';
import type { Change } from '../../core/files.ts';
import type { Difference } from '../../core/ports/governance.ts';
import type { PinnedFile, PinnedScripts } from '../../core/skill.ts';
import { visible } from '../../core/text/untrusted.ts';
import type { Git } from '../../git/git.ts';
import { Lru, type Trees } from '../../git/trees.ts';
import { isLegible, mayBeProtected } from './protected.ts';
import {
  counter,
  extentOf,
  filesIn,
  markOf,
  workIn,
  workOf,
  type Extent,
  type Look,
  type Work,
} from './script-files.ts';
import { agentFiles, overlaid, type RawChange, type SkillChangeParts, type SkillViews } from './skill-changes.ts';
import { shellWord } from '../../core/text/paths.ts';
import { problem } from '../../config/yaml-source.ts';

// Scripts that schedules and triggers run are protected as enabled skills are: a change is shown to a person, and every
// view has them as they were approved. Otherwise an agent without a shell would have one, as another agent.

const AGENTS = 'agents';
const NOTHING: Work = { runs: [], tasks: [] };

/** Knows the scripts of trees. */
export class Scripts {
  readonly #git: Git;
  readonly #trees: Trees;
  /** By the id of the folder of agents. */
  readonly #work = new Lru<Promise<Work>>(50);
  #last: { mark: string; scripts: PinnedScripts } | null = null;

  constructor(git: Git, trees: Trees) {
    this.#git = git;
    this.#trees = trees;
  }

  /** What the agents of a commit run, as it stands there. */
  async pin(commit: string, agents: ReadonlyMap<string, Agent>): Promise<PinnedScripts> {
    const root = await this.#trees.of(commit);
    const look = this.#look(root);
    const extent = await extentOf(workOf(agents.values()), look);
    const mark = await markOf(root, extent, look);
    if (this.#last?.mark === mark) return this.#last.scripts;
    const files = await filesIn(this.#git, root, extent, look);
    const named = { files: [...extent.files], folders: [...extent.folders], pinned: files };
    const hash = createHash('sha256').update(JSON.stringify(named)).digest('hex');
    this.#last = { mark, scripts: { ...named, hash, mark } };
    return this.#last.scripts;
  }

  /** What must lie over a base so that it has the scripts as they were pinned, and no others beside them. */
  async over(base: string, scripts: PinnedScripts): Promise<Change[]> {
    if (scripts.files.length === 0) return [];
    const root = await this.#trees.of(base);
    const look = this.#look(root);
    const extent = { files: new Set(scripts.files), folders: new Set(scripts.folders) };
    if ((await markOf(root, extent, look)) === scripts.mark) return [];
    const before = new Map((await filesIn(this.#git, root, extent, look)).map((file) => [file.path, file]));
    const changes: Change[] = [];
    for (const { path, mode, oid } of scripts.pinned) {
      const was = before.get(path);
      before.delete(path);
      if (was?.oid !== oid || was.mode !== mode) changes.push({ path, mode, oid, was: was?.oid ?? null });
    }
    for (const { path, mode, oid } of before.values()) changes.push({ path, mode, oid: null, was: oid });
    return changes;
  }

  /** Tells which of the changes may concern scripts. */
  async counter(base: string, changes: readonly Change[]): Promise<ReturnType<typeof counter>> {
    // With an AGENT.md that changes, any file may become a script.
    if (changes.some(({ path }) => path.startsWith(`${AGENTS}/`) && path.endsWith('/AGENT.md'))) return () => true;
    return counter(await this.#extent(await this.#trees.of(base), []));
  }

  /** What the changes mean for scripts, for a person to read; null if nothing. */
  async describe(parts: Omit<SkillChangeParts, 'rules' | 'git'>, changes: readonly RawChange[], views: SkillViews) {
    const [from, to] = [await this.#trees.of(bare(views.before)), await this.#trees.of(bare(views.after))];
    const old = await this.#extent(from, []);
    const now = await this.#extent(to, views.overlay ? changes : []);
    const [had, has] = [counter(old), counter(now)];
    const modesOf = ({ was, now: next }: RawChange): string[] =>
      [was, next].flatMap((side) => (side ? [side.mode] : []));
    const touched = changes.filter((change) => {
      const modes = modesOf(change);
      return (had(change.path, modes) || has(change.path, modes)) && !mayBeProtected(change.path, modes);
    });
    const shown = new Map(touched.map((change) => [change.path, change]));
    for (const file of await this.#begun(to, had, now, touched, views)) shown.set(file.path, file);
    return describeAll(
      parts,
      [...shown.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
    );
  }

  /** Scripts that are run from now on, shown whole: who approves the schedule approves them. */
  async #begun(
    root: string,
    had: ReturnType<typeof counter>,
    extent: Extent,
    touched: readonly RawChange[],
    { overlay }: SkillViews,
  ): Promise<RawChange[]> {
    const look = this.#look(root);
    const files = new Map((await filesIn(this.#git, root, extent, look)).map((file) => [file.path, file]));
    if (overlay)
      for (const { path, now } of touched) {
        if (now) files.set(path, { path, ...now } as PinnedFile);
        else files.delete(path);
      }
    const fresh = [...files.values()].filter(({ path, mode }) => !had(path, [mode]));
    return fresh.map(({ path, mode, oid }) => ({ path, was: null, now: { mode, oid } }));
  }

  #look(root: string, changes: readonly RawChange[] = []): Look {
    const over = new Map(changes.map(({ path, now }) => [path, now]));
    return {
      at: async (path) => {
        const change = over.get(path);
        return change === undefined ? this.#trees.at(root, path) : change;
      },
      bytes: async (oid) => (await this.#git.object(oid))?.bytes ?? null,
    };
  }

  async #extent(root: string, changes: readonly RawChange[]): Promise<Extent> {
    const agents = await this.#trees.at(root, AGENTS);
    const edited = changes.some(({ path }) => path.startsWith(`${AGENTS}/`));
    const read = async (): Promise<Work> =>
      workIn(this.#git, overlaid(await agentFiles(this.#git, root), changes).values());
    if (edited) return extentOf(await read(), this.#look(root, changes));
    if (agents === null) return extentOf(NOTHING, this.#look(root));
    const known = this.#work.get(agents.oid) ?? read();
    this.#work.set(agents.oid, known);
    known.catch(() => this.#work.delete(agents.oid));
    return extentOf(await known, this.#look(root, changes));
  }
}

/** A tree's name without what tells Git that it is one. */
const bare = (tree: string): string => tree.replace(/\^\{tree\}$/, '');

const KINDS: Readonly<Record<string, string>> = { '120000': 'a symbolic link; ', '160000': 'a sub-module; ' };

async function describeAll(
  parts: Omit<SkillChangeParts, 'rules' | 'git'>,
  shown: readonly RawChange[],
): Promise<Difference | null> {
  const texts: string[] = [];
  const hidden: string[] = [];
  for (const { path, was, now } of shown) {
    const sides = [await parts.sideOf(was), await parts.sideOf(now)] as const;
    if (sides.some((side) => side !== null && !isLegible(side)))
      hidden.push(`${visible(path)} is not text, or is too large to be read`);
    const mode = was && now && was.mode !== now.mode ? [`mode ${was.mode} becomes ${now.mode}`] : [];
    const lines = was?.oid === now?.oid ? [] : [visible(await parts.lines(...sides))];
    const kind = KINDS[now?.mode ?? was?.mode ?? ''] ?? '';
    texts.push(
      [`${visible(path)} (${kind}a schedule or trigger runs it, or what it stands beside)`, ...mode, ...lines].join(
        '\n',
      ),
    );
  }
  return texts.length === 0 ? null : { text: texts.join('\n\n'), hidden: hidden[0] ?? null };
}

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
        ? `${path} is not executable on main, so this cannot run: chmod +x -- ${shellWord(path)}, and commit that`
        : `there is no script ${path} on main, so this cannot run: write it, chmod +x it, and commit that`;
    return [problem(file, null, key, said, 'warning')];
  });
}
