import type { Difference } from '../../core/ports/governance.ts';
import type { SkillRules } from '../../core/ports/skill-rules.ts';
import { isSkillName, SKILLS, skillOf } from '../../core/skill.ts';
import { visible } from '../../core/text/untrusted.ts';
import { frontMatter } from '../../config/agent.ts';
import type { Git } from '../../git/git.ts';
import { isLegible, type LineDiff, type Side } from './protected.ts';
import { filesBelow, skillFiles } from './skills.ts';
import type { ListedFile } from './skills.ts';
import { MAX_FILE } from '../../config/yaml-source.ts';

// A skill that an agent has enabled is protected like an AGENT.md, whole: enabling it shows every file, and from then on
// each change of a file is shown.

export interface RawChange {
  path: string;
  was: { mode: string; oid: string } | null;
  now: { mode: string; oid: string } | null;
}

/** Trees on both sides of a change. `overlay`: the changes lie over `before`, there is no tree of what comes after. */
export interface SkillViews {
  before: string;
  after: string;
  overlay: boolean;
}

export interface SkillChangeParts {
  git: Git;
  rules: SkillRules;
  lines: LineDiff;
  sideOf(side: RawChange['was']): Promise<Side | null>;
}

const AGENT_FILE = /^agents\/[^/]+\/AGENT\.md$/;
const MAX_FLAGS = 30;

export const mayConcernSkills = (path: string): boolean => AGENT_FILE.test(path) || path.startsWith(`${SKILLS}/`);

/** What the changes mean for skills that agents use, for a person to read; null if nothing. */
export async function describeSkills(
  parts: SkillChangeParts,
  changes: readonly RawChange[],
  views: SkillViews,
): Promise<Difference | null> {
  const concerned = changes.filter(({ path }) => mayConcernSkills(path));
  if (concerned.length === 0) return null;
  const { git } = parts;
  const before = await agentFiles(git, views.before);
  const after = views.overlay ? overlaid(before, concerned) : await agentFiles(git, views.after);
  const [old, now] = [await enabledIn(git, before), await enabledIn(git, after)];
  const found: Difference[] = [];
  for (const name of [...now].sort()) {
    const touched = concerned.filter((change) => skillOf(change.path) === name);
    if (old.has(name) && touched.length === 0) continue;
    const files = await filesAfter(git, name, touched, views);
    // A bundled one: the key of the AGENT.md says all there is to say.
    if (!old.has(name) && files.length === 0) continue;
    const shown = old.has(name) ? touched : files.map((file): RawChange => ({ path: file.path, was: null, now: file }));
    found.push(await describeSkill(parts, name, shown, files, old.has(name)));
  }
  const text = found.map((each) => each.text).join('\n\n');
  return found.length === 0 ? null : { text, hidden: found.find(({ hidden }) => hidden !== null)?.hidden ?? null };
}

type AgentFiles = ReadonlyMap<string, string>;

/** Every AGENT.md of a tree: path → blob. */
export async function agentFiles(git: Git, tree: string): Promise<AgentFiles> {
  const folder = await git.resolve(`${tree.replace(/\^\{tree\}$/, '')}:agents`);
  if (folder === null || (await git.info(folder))?.type !== 'tree') return new Map();
  const files = (await filesBelow(git, folder)).map(({ path, oid }) => [`agents/${path}`, oid] as const);
  return new Map(files.filter(([path]) => AGENT_FILE.test(path)));
}

export function overlaid(before: AgentFiles, changes: readonly RawChange[]): AgentFiles {
  const after = new Map(before);
  for (const { path, now } of changes) {
    if (!AGENT_FILE.test(path)) continue;
    if (now) after.set(path, now.oid);
    else after.delete(path);
  }
  return after;
}

/** Skills that any AGENT.md names, whether the rest of it is in order or not. */
async function enabledIn(git: Git, files: AgentFiles): Promise<Set<string>> {
  const names = new Set<string>();
  for (const oid of files.values()) {
    if (((await git.info(oid))?.size ?? MAX_FILE + 1) > MAX_FILE) continue;
    const list = frontMatter((await git.object(oid))?.bytes ?? '')?.['skills'];
    for (const name of Array.isArray(list) ? list : [])
      if (typeof name === 'string' && isSkillName(name)) names.add(name);
  }
  return names;
}

/** Files of a skill after the changes, with whole paths. */
async function filesAfter(
  git: Git,
  name: string,
  touched: readonly RawChange[],
  { after, overlay }: SkillViews,
): Promise<ListedFile[]> {
  const folder = await git.resolve(`${after.replace(/\^\{tree\}$/, '')}:${SKILLS}/${name}`);
  const isTree = folder !== null && (await git.info(folder))?.type === 'tree';
  const listed = isTree ? await filesBelow(git, folder) : [];
  const files = new Map(listed.map((file) => [`${SKILLS}/${name}/${file.path}`, file]));
  if (overlay)
    for (const { path, now } of touched) {
      if (now) files.set(path, { path, ...now });
      else files.delete(path);
    }
  return [...files].map(([path, file]) => ({ ...file, path })).sort((a, b) => (a.path < b.path ? -1 : 1));
}

const KINDS: Readonly<Record<string, string>> = {
  '120000': ' (a symbolic link)',
  '160000': ' (a sub-module)',
  '100755': ' (a program)',
};

async function describeSkill(
  parts: SkillChangeParts,
  name: string,
  shown: readonly RawChange[],
  files: readonly ListedFile[],
  enabled: boolean,
): Promise<Difference> {
  const at = `${SKILLS}/${name}`;
  const below = files.map((file) => ({ ...file, path: file.path.slice(at.length + 1) }));
  const flags = parts.rules.judge(name, await skillFiles(parts.git, below), at).flags;
  const head = enabled
    ? `${at} (an enabled skill changes)`
    : `${at} (the skill is enabled: ${files.length} ${files.length === 1 ? 'file' : 'files'}, all shown)`;
  const warnings = flags
    .slice(0, MAX_FLAGS)
    .map(
      (flag) =>
        `! look closely: ${visible(flag.file)}${flag.line === null ? '' : `:${flag.line}`}: ${visible(flag.message)}`,
    );
  if (flags.length > MAX_FLAGS) warnings.push(`! and ${flags.length - MAX_FLAGS} more`);
  const bodies = await Promise.all(shown.map((change) => describeFile(parts, change)));
  const text = [head, ...warnings, ...bodies.map((body) => body.text)].join('\n');
  return { text, hidden: bodies.find(({ hidden }) => hidden !== null)?.hidden ?? null };
}

async function describeFile(parts: SkillChangeParts, { path, was, now }: RawChange): Promise<Difference> {
  const head = `${visible(path)}${KINDS[now?.mode ?? was?.mode ?? ''] ?? ''}`;
  if (was !== null && was.oid === now?.oid)
    return { text: `${head}\nmode ${was.mode} becomes ${now.mode}`, hidden: null };
  const sides = [await parts.sideOf(was), await parts.sideOf(now)] as const;
  const unlike = sides.find((side) => side !== null && !isLegible(side));
  if (!unlike) return { text: `${head}\n${visible(await parts.lines(...sides))}`, hidden: null };
  // A picture or font is named by its bytes; a program that nobody can read is none that anybody can approve.
  const text = `${head}\n${now === null ? 'is removed' : `is not text: ${sides[1]?.bytes.length ?? 0} bytes, object ${now.oid}`}`;
  const runs = now?.mode === '100755' || unlike.unread === true;
  return { text, hidden: runs && now !== null ? `${visible(path)} is not text, or is too large to be read` : null };
}
