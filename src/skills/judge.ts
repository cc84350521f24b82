import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from '../core/agent.ts';
import { workspacePath } from '../core/text/paths.ts';
import type { SkillJudgement, SkillRules } from '../core/ports/skill-rules.ts';
import { isSkillName, SKILL_BYTES, SKILL_FILE_BYTES, SKILL_FILES, type SkillFile } from '../core/skill.ts';
import { decodeText } from './front.ts';
import { flagsIn, mistakenFor } from './flags.ts';
import { parseSkill } from './parse.ts';

/** What a person is asked to approve must be something a person can read. */
const MAX_MAIN = 256 * 1024;

const MAIN = ['SKILL.md', 'skill.md'] as const;

/** Starts of files that a machine runs and no person can read. */
const PROGRAMS = [
  '\u007fELF',
  'MZ',
  '\u00cf\u00fa\u00ed\u00fe',
  '\u00ce\u00fa\u00ed\u00fe',
  '\u00ca\u00fe\u00ba\u00be',
];

/** Names that a file system, or a person, could take for another one. */
function badName(path: string): string | null {
  const checked = workspacePath(path);
  if (!checked.ok) return checked.reason;
  if (checked.path !== path || path.includes('\\')) return 'the path is not written in its plain form';
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(path)) return 'the name holds a character that shows nothing';
  return Buffer.byteLength(path) > 1024 ? 'the path is longer than 1024 bytes' : null;
}

const error = (file: string, message: string, line: number | null = null, key = ''): Problem => ({
  file,
  line,
  key,
  message,
  severity: 'error',
});

/** What is wrong with the files of a skill, apart from what its SKILL.md says. */
function filesProblems(files: readonly SkillFile[], at: string): Problem[] {
  const problems: Problem[] = [];
  if (files.length > SKILL_FILES) problems.push(error(at, `has ${files.length} files; ${SKILL_FILES} are allowed`));
  const total = files.reduce((sum, file) => sum + file.size, 0);
  if (total > SKILL_BYTES) problems.push(error(at, `has ${total} bytes; ${SKILL_BYTES} are allowed`));
  const folded = new Map<string, string>();
  for (const { path, mode, size, bytes } of files.slice(0, SKILL_FILES)) {
    const file = `${at}/${path}`;
    const bad = badName(path);
    if (bad !== null) problems.push(error(at, `holds ${JSON.stringify(path)}: ${bad}; rename it`));
    if (mode === '120000')
      problems.push(
        error(file, `is a link to ${JSON.stringify(decodeShort(bytes))}; put the file itself in its place`),
      );
    if (size > SKILL_FILE_BYTES) problems.push(error(file, `has ${size} bytes; ${SKILL_FILE_BYTES} are allowed`));
    const fold = path.normalize('NFKC').toLowerCase();
    const twin = folded.get(fold);
    if (twin !== undefined && !(MAIN as readonly string[]).includes(path))
      problems.push(error(file, `differs from ${twin} only in case; rename one`));
    folded.set(fold, path);
  }
  return problems;
}

const decodeShort = (bytes: Uint8Array | null): string =>
  new TextDecoder().decode(bytes?.subarray(0, 200) ?? new Uint8Array());

/** Every file is looked at, not only those the text names. */
function flagsOf(files: readonly SkillFile[], at: string): Problem[] {
  return files.flatMap(({ path, bytes }): Problem[] => {
    const flag = (message: string, line: number | null = null): Problem => ({
      file: `${at}/${path}`,
      line,
      key: '',
      message,
      severity: 'warning',
    });
    if (bytes === null) return [flag('it is too large to be looked at')];
    const start = String.fromCharCode(...bytes.subarray(0, 4));
    if (PROGRAMS.some((magic) => start.startsWith(magic))) return [flag('a program, which nobody can read')];
    const decoded = decodeText(bytes);
    if (!decoded.ok)
      return /\.(?:png|jpe?g|gif|webp|ico|ttf|otf|woff2?|pdf)$/i.test(path)
        ? []
        : [flag('it is not text, so it was not looked at')];
    return flagsIn(decoded.text).map(({ line, message }) => flag(message, line));
  });
}

/** Judges the files of one skill as a commit, a folder or the package holds them. Never throws for what they say. */
export function judge(
  name: string,
  files: readonly SkillFile[],
  at: string,
  known: Iterable<string> = [],
): SkillJudgement {
  const problems = filesProblems(files, at);
  if (!isSkillName(name))
    problems.push(error(at, `"${name}" cannot be the name of a skill: use small letters, digits and "-", at most 64`));
  const main = MAIN.map((path) => files.find((file) => file.path === path)).find((file) => file !== undefined);
  const flags = flagsOf(files, at);
  const other = mistakenFor(name, known);
  if (other !== null)
    flags.push({
      file: at,
      line: null,
      key: '',
      message: `its name is easily mistaken for "${other}"`,
      severity: 'warning',
    });
  if (main === undefined || main.mode === '120000') {
    problems.push(error(at, 'has no SKILL.md; every skill needs one, with name and description'));
    return { text: null, problems, flags };
  }
  const file = `${at}/${main.path}`;
  if (main.bytes === null || main.size > MAX_MAIN) {
    problems.push(error(file, `has ${main.size} bytes; ${MAX_MAIN} are allowed: move parts to files of their own`));
    return { text: null, problems, flags };
  }
  const parsed = parseSkill(main.bytes, name);
  problems.push(...parsed.errors.map(({ line, key, message }) => error(file, message, line, key)));
  const warnings = parsed.warnings.map((said): Problem => ({ ...said, file, severity: 'warning' }));
  const refused = parsed.text === null || problems.length > 0;
  return {
    text: refused || parsed.text === null ? null : { ...parsed.text, main: main.path },
    problems: [...problems, ...warnings],
    flags,
  };
}

/** The rules with the names of the bundled skills, which no other may resemble. */
export const skillRules = (bundled: SkillRules['bundled']): SkillRules => ({
  bundled,
  judge: (name, files, at) => judge(name, files, at, bundled.keys()),
});

/** What a copy leaves behind: it belongs to the folder's own tools. */
const LEFT = new Set(['.git', '.DS_Store', 'Thumbs.db', 'node_modules', '__pycache__']);
/** Entries that are looked at before it is given up: the wrong folder may have been named. */
const MAX_ENTRIES = SKILL_FILES * 10;

/** All files of a folder as a skill, sorted by path. Links are not followed. Rejects if there is no such folder. */
export async function readSkillFolder(dir: string): Promise<SkillFile[]> {
  const files: SkillFile[] = [];
  let seen = 0;
  const walk = async (below: string): Promise<void> => {
    const entries = await readdir(join(dir, below), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      seen += 1;
      if (seen > MAX_ENTRIES)
        throw new Error(`${dir} holds more than ${MAX_ENTRIES} entries: it is not a skill's folder`);
      if (LEFT.has(entry.name)) continue;
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile() || entry.isSymbolicLink()) files.push(await readOne(dir, path));
    }
  };
  await walk('');
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function readOne(dir: string, path: string): Promise<SkillFile> {
  const full = join(dir, path);
  const info = await lstat(full);
  if (info.isSymbolicLink()) {
    const target = Buffer.from(await readlink(full));
    return { path, mode: '120000', size: target.length, bytes: target };
  }
  const mode = (info.mode & 0o111) === 0 ? '100644' : '100755';
  return { path, mode, size: info.size, bytes: info.size > SKILL_FILE_BYTES ? null : await readFile(full) };
}

/** The skills that come with the package: every folder of `skills/`. */
export async function readBundled(dir: string): Promise<Map<string, readonly SkillFile[]>> {
  const skills = new Map<string, readonly SkillFile[]>();
  const entries = await readdir(dir, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1)))
    if (entry.isDirectory()) skills.set(entry.name, await readSkillFolder(join(dir, entry.name)));
  return skills;
}
