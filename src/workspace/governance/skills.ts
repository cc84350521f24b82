import { createHash } from 'node:crypto';
import type { Agent, Problem } from '../../core/agent.ts';
import type { Change, FileMode } from '../../core/files.ts';
import {
  SKILL_FILE_BYTES,
  SKILL_FILES,
  SKILLS,
  type PinnedFile,
  type Skill,
  type SkillFile,
} from '../../core/skill.ts';
import type { Git } from '../../git/git.ts';
import type { Objects } from '../../git/objects.ts';
import type { Trees } from '../../git/trees.ts';
import type { ToolName } from '../../core/ports/tool.ts';
import type { SkillRules } from '../../core/ports/skill-rules.ts';
import { didYouMean } from '../../core/text/unknown.ts';
import { problem } from '../../config/yaml-source.ts';

// Skills are pinned by the commit that governs: what an agent sees of them lies over its base, whatever landed since.

export interface SkillSupport {
  rules: SkillRules;
  objects: Objects;
  trees: Trees;
}

/** Keeps the blobs of bundled skills from garbage collection: no commit holds them. */
const BUNDLED_REF = 'refs/ruche/skills';

export interface ListedFile {
  path: string;
  mode: string;
  oid: string;
}

/** Files below a tree, sub-modules among them. */
export async function filesBelow(git: Git, tree: string): Promise<ListedFile[]> {
  const { stdout } = await git.run(['ls-tree', '-r', '-z', '--full-tree', tree]);
  return stdout
    .toString('utf8')
    .split('\0')
    .flatMap((item) => {
      const match = /^(\d{6}) \w+ ([0-9a-f]+)\t([^]+)$/.exec(item);
      return match ? [{ mode: match[1] ?? '', oid: match[2] ?? '', path: match[3] ?? '' }] : [];
    });
}

/** The bytes of listed files, as the rules want to see them. Sub-modules count as links: what is in them is elsewhere. */
export async function skillFiles(git: Git, listed: readonly ListedFile[]): Promise<SkillFile[]> {
  return Promise.all(
    listed.map(async ({ path, mode, oid }, index): Promise<SkillFile> => {
      if (mode === '160000') return { path, mode: '120000', size: 0, bytes: Buffer.from('another repository') };
      const size = (await git.info(oid))?.size ?? 0;
      // What is beyond the bounds is refused by the rules anyway.
      const read = index < SKILL_FILES && size <= SKILL_FILE_BYTES;
      return { path, mode: modeOf(mode), size, bytes: read ? ((await git.object(oid))?.bytes ?? null) : null };
    }),
  );
}

const modeOf = (mode: string): FileMode => (mode === '120000' || mode === '100755' ? mode : '100644');

/** The skills that these agents have enabled, as a commit or the package has them. */
export async function readSkills(
  support: SkillSupport,
  git: Git,
  commit: string,
  agents: ReadonlyMap<string, Agent>,
): Promise<{ skills: Skill[]; problems: Problem[] }> {
  const users = new Map<string, string>();
  for (const agent of agents.values()) for (const name of agent.skills ?? []) users.set(name, agent.name);
  const skills: Skill[] = [];
  const problems: Problem[] = [];
  if (users.size === 0) return { skills, problems };
  const root = await support.trees.of(commit);
  for (const [name, user] of [...users].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const at = `${SKILLS}/${name}`;
    const folder = await support.trees.at(root, at);
    if (folder === null && !support.rules.bundled.has(name)) {
      const near = didYouMean(name, support.rules.bundled.keys());
      const said = `there is no skill "${name}" on main, and none is bundled: the agent goes without it.${near} Add one with: ruche skills add PATH`;
      problems.push(problem(`agents/${user}/AGENT.md`, null, 'skills', said, 'warning'));
      continue;
    }
    const found = folder === null ? await readBundled(support, name) : await readFolder(support, git, name, folder);
    problems.push(...found.problems);
    if (found.skill) skills.push(found.skill);
  }
  await keepBundled(support, git, skills);
  return { skills, problems };
}

interface Found {
  skill: Skill | null;
  problems: readonly Problem[];
}

async function readFolder(
  { rules }: SkillSupport,
  git: Git,
  name: string,
  folder: { mode: string; oid: string },
): Promise<Found> {
  const at = `${SKILLS}/${name}`;
  if (folder.mode !== '40000')
    return { skill: null, problems: [problem(at, null, '', 'must be a folder, not a file, a link or a sub-module')] };
  const listed = await filesBelow(git, folder.oid);
  const { text, problems } = rules.judge(name, await skillFiles(git, listed), at);
  const files = listed.map(({ path, mode, oid }): PinnedFile => ({ path: `${at}/${path}`, mode: modeOf(mode), oid }));
  return { skill: text && { ...text, source: 'workspace', hash: folder.oid, files }, problems };
}

async function readBundled({ rules, objects }: SkillSupport, name: string): Promise<Found> {
  const files = rules.bundled.get(name) ?? [];
  const { text, problems } = rules.judge(name, files, `${SKILLS}/${name}`);
  const pinned: PinnedFile[] = [];
  for (const { path, mode, bytes } of files) {
    const { oid, stored } = objects.put('blob', bytes ?? new Uint8Array());
    await stored;
    pinned.push({ path: `${SKILLS}/${name}/${path}`, mode, oid });
  }
  const hash = createHash('sha256').update(JSON.stringify(pinned)).digest('hex');
  return { skill: text && { ...text, source: 'bundled', hash, files: pinned }, problems };
}

async function keepBundled({ trees }: SkillSupport, git: Git, skills: readonly Skill[]): Promise<void> {
  const files = skills.filter(({ source }) => source === 'bundled').flatMap((skill) => skill.files);
  if (files.length === 0) return;
  const edited = await trees.edit(null, new Map(files.map(({ path, mode, oid }) => [path, { mode, oid }])));
  if (!edited.ok) throw new Error(`bundled skills clash at ${edited.clash}`);
  await edited.stored;
  if ((await git.resolve(BUNDLED_REF)) !== edited.oid) await git.run(['update-ref', '--', BUNDLED_REF, edited.oid]);
}

/** See `GovernanceReader.pinned`. */
export async function pinnedOver(
  support: SkillSupport,
  git: Git,
  base: string,
  skills: readonly Skill[],
): Promise<Change[]> {
  if (skills.length === 0) return [];
  const root = await support.trees.of(base);
  const changes: Change[] = [];
  for (const { name, hash, files } of skills) {
    const at = `${SKILLS}/${name}`;
    const there = await support.trees.at(root, at);
    if (there?.oid === hash) continue;
    const listed = there?.mode === '40000' ? await filesBelow(git, there.oid) : [];
    const before = new Map(listed.map((file) => [`${at}/${file.path}`, file]));
    for (const { path, mode, oid } of files) {
      const was = before.get(path);
      before.delete(path);
      if (was?.oid !== oid || was.mode !== mode) changes.push({ path, mode, oid, was: was?.oid ?? null });
    }
    // A sub-module cannot be taken out of a view, and cannot be read either.
    for (const [path, { mode, oid }] of before)
      if (mode !== '160000') changes.push({ path, mode: modeOf(mode), oid: null, was: oid });
  }
  return changes;
}

/** The tools that a bundled skill brings are the agent's as if its file named them. */
export function withSkillTools(
  agents: Map<string, Agent>,
  skills: readonly Skill[],
  known: readonly ToolName[],
): Map<string, Agent> {
  const brought = new Map(
    skills.flatMap(({ name, source, tools }) => (source === 'bundled' && tools ? [[name, tools]] : [])),
  );
  if (brought.size === 0) return agents;
  const names = known.map(({ name }) => name);
  return new Map(
    [...agents].map(([name, agent]) => {
      const more = (agent.skills ?? [])
        .flatMap((skill) => brought.get(skill) ?? [])
        .filter((tool) => names.includes(tool));
      return [name, more.length === 0 ? agent : { ...agent, tools: [...new Set([...agent.tools, ...more])] }];
    }),
  );
}
