import { mkdir, readdir, realpath, rm, writeFile, chmod } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { BUILTIN, knownOf } from './builtin.ts';
import type { Problem } from '../core/agent.ts';
import type { SkillJudgement } from '../core/ports/skill-rules.ts';
import { isSkillName, SKILLS, type SkillFile } from '../core/skill.ts';
import { ENVIRONMENT } from '../sandbox/system.ts';
import { readBundled, readSkillFolder, judge, skillRules } from '../skills/judge.ts';
import { type Gate, openGate } from '../skills/gate.ts';
import { systemClock as clock } from '../platform/system.ts';
import { openGovernance } from './governance.ts';
import { filesBelow, skillFiles } from '../workspace/governance/skills.ts';
import { openWorkspace, type OpenWorkspace } from '../workspace/workspace.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** A skill as `ruche skills` shows it. */
export interface SkillView {
  name: string;
  description: string;
  source: 'workspace' | 'bundled';
  /** Who has enabled it. */
  agents: string[];
  /** Why it is not offered here although somebody has enabled it, or would not be. */
  missing: string[];
  install: readonly string[];
  license: string | null;
  files: { path: string; size: number }[];
  problems: Problem[];
  flags: Problem[];
  /** Text of its SKILL.md; null if it cannot be read. */
  text: string | null;
}

export type AddedSkill =
  | { ok: true; name: string; commit: string | null; files: number; flags: Problem[]; problems: Problem[] }
  | { ok: false; why: string; problems: Problem[] };

/** Looks at skills, and copies one into the workspace as the person. Every rejection is a sentence for a person. */
export async function openSkills(options: { workspace: string; bundled: string; env: Env; platform: string }) {
  const { env } = options;
  const bundled = await readBundled(options.bundled);
  const hasVariable = (name: string): boolean => (env[name] ?? '') !== '';
  const gate = openGate({ platform: options.platform, path: ENVIRONMENT['PATH'] ?? '', hasVariable, clock });
  const parts: Parts = { ...options, bundled, gate };
  return {
    list: () => listSkills(parts),
    check: (path: string) => checkFolder(parts, path),
    add: (path: string, how: { replace: boolean }) => addSkill(parts, path, how),
  };
}

interface Parts {
  workspace: string;
  env: Env;
  bundled: ReadonlyMap<string, readonly SkillFile[]>;
  gate: Gate;
}

async function withWorkspace<T>(parts: Parts, job: (workspace: OpenWorkspace) => Promise<T>): Promise<T> {
  const { workspace: dir, env } = parts;
  const workspace = await openWorkspace({ dir, env, clock, boundary: () => undefined });
  try {
    return await job(workspace);
  } finally {
    await workspace.close();
  }
}

/** Bundled ones and those on `main`, by name; one of the workspace takes the place of a bundled one of its name. */
async function listSkills(parts: Parts): Promise<SkillView[]> {
  const found = new Map<string, { source: SkillView['source']; files: readonly SkillFile[] }>();
  for (const [name, files] of parts.bundled) found.set(name, { source: 'bundled', files });
  const users = new Map<string, string[]>();
  let settings: object = {};
  const made = (await readdir(parts.workspace).catch(() => [])).length > 0;
  if (made)
    await withWorkspace(parts, async (workspace) => {
      const { git, trees } = workspace;
      const head = await workspace.head();
      const folder = await trees.at(await trees.of(head), SKILLS);
      const all = folder?.mode === '40000' ? await filesBelow(git, folder.oid) : [];
      for (const name of new Set(
        all.filter(({ path }) => path.includes('/')).map(({ path }) => path.split('/')[0] ?? ''),
      )) {
        const mine = all.filter(({ path }) => path.startsWith(`${name}/`));
        const below = mine.map((file) => ({ ...file, path: file.path.slice(name.length + 1) }));
        found.set(name, { source: 'workspace', files: await skillFiles(git, below) });
      }
      // Only who uses which is asked: nothing of the bundled ones is put into the repository for that.
      const bundled = new Map();
      const loaded = await openGovernance(workspace, { known: knownOf(BUILTIN), bundled, clock }).load(head);
      if (!loaded.ok) return;
      ({ settings } = loaded.governance);
      for (const agent of loaded.governance.agents.values())
        for (const name of agent.skills ?? []) users.set(name, [...(users.get(name) ?? []), agent.name]);
    });
  const views: SkillView[] = [];
  for (const [name, { source, files }] of [...found].sort(([a], [b]) => (a < b ? -1 : 1)))
    views.push(await viewOf(parts, settings, { name, source, files, agents: users.get(name) ?? [] }));
  return views;
}

async function viewOf(
  { bundled, gate }: Parts,
  settings: object,
  about: { name: string; source: SkillView['source']; files: readonly SkillFile[]; agents: string[] },
): Promise<SkillView> {
  const { name, files } = about;
  const { text, problems, flags } = skillRules(bundled).judge(name, files, `${SKILLS}/${name}`);
  const main = files.find(({ path }) => path === (text?.main ?? 'SKILL.md'));
  return {
    ...about,
    description: text?.description ?? '',
    missing: text === null ? [] : await gate.missing(text.needs, settings),
    install: text?.install ?? [],
    license: text?.license ?? null,
    files: files.map(({ path, size }) => ({ path, size })),
    problems,
    flags,
    text: main?.bytes ? new TextDecoder().decode(main.bytes) : null,
  };
}

interface Checked extends SkillJudgement {
  name: string;
  files: SkillFile[];
}

/** The name a skill would have: what it calls itself if that can be a name, else its folder's. */
async function checkFolder({ bundled }: Parts, path: string): Promise<Checked> {
  const dir = await realpath(path).catch(() => {
    throw new Error(`There is no folder ${path}.`);
  });
  const files = await readSkillFolder(dir).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOTDIR' ? new Error(`${path} is not a folder; give the folder that holds SKILL.md.`) : error;
  });
  const folder = basename(dir);
  const own = ownName(files);
  const name = own !== null && isSkillName(own) ? own : folder;
  return { ...judge(name, files, path.replace(/\/+$/, ''), bundled.keys()), name, files };
}

function ownName(files: readonly SkillFile[]): string | null {
  const main = files.find(({ path }) => /^skill\.md$/i.test(path));
  const text = main?.bytes ? new TextDecoder().decode(main.bytes) : '';
  return /^name:[ \t]*["']?([^"'\r\n]+?)["']?[ \t]*$/m.exec(text)?.[1] ?? null;
}

async function addSkill(parts: Parts, path: string, { replace }: { replace: boolean }): Promise<AddedSkill> {
  const checked = await checkFolder(parts, path);
  const { name, files, text, problems, flags } = checked;
  if (text === null) return { ok: false, why: `${path} is not added: it is not in order.`, problems };
  return withWorkspace(parts, async (workspace) => {
    const target = join(workspace.git.workTree ?? parts.workspace, SKILLS, name);
    const own = (await realpath(target).catch(() => null)) === (await realpath(path));
    const standing = await readdir(target).catch(() => []);
    const before = standing.length > 0 ? await readSkillFolder(target) : [];
    const same = (file: SkillFile, other: SkillFile | undefined): boolean =>
      other !== undefined &&
      other.mode === file.mode &&
      Buffer.compare(file.bytes ?? Buffer.of(), other.bytes ?? Buffer.of()) === 0;
    const changed = files.filter(
      (file) =>
        !same(
          file,
          before.find((other) => other.path === file.path),
        ),
    );
    const gone = before.filter((file) => !files.some((other) => other.path === file.path));
    if (!own && before.length > 0 && changed.length + gone.length > 0 && !replace) {
      const names = [...changed, ...gone].map((file) => file.path).join(', ');
      const why = `There is a skill "${name}" already, and it differs (${names}). To put this one in its place: add --replace.`;
      return { ok: false, why, problems };
    }
    if (!own) {
      for (const file of changed) await put(target, file);
      for (const { path: old } of gone) await rm(join(target, old));
    }
    const paths = [...files, ...gone].map((file) => `${SKILLS}/${name}/${file.path}`);
    const committed = await workspace.commitPerson(paths);
    return { ok: true, name, commit: committed?.commit ?? null, files: files.length, flags, problems };
  });
}

/** The bytes that were checked, not what the folder holds by now. */
async function put(target: string, { path, mode, bytes }: SkillFile): Promise<void> {
  const full = resolve(target, path);
  await mkdir(dirname(full), { recursive: true });
  // A link that stands there must not lead the bytes elsewhere.
  await rm(full, { force: true });
  await writeFile(full, bytes ?? Buffer.of());
  await chmod(full, mode === '100755' ? 0o755 : 0o644);
}
