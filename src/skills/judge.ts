import type { Problem } from '../core/agent.ts';
import { workspacePath } from '../core/text/paths.ts';
import type { SkillJudgement, SkillRules } from '../core/ports/skill-rules.ts';
import { isSkillName, type SkillFile } from '../core/skill.ts';
import { decodeText } from './front.ts';
import { flagsIn, mistakenFor } from './flags.ts';
import { parseSkill } from './parse.ts';

/** Bounds of one skill: what a person is asked to approve must be something a person can read. */
export const MAX_FILES = 200;
export const MAX_FILE = 1024 * 1024;
export const MAX_TOTAL = 4 * 1024 * 1024;
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
  if (files.length > MAX_FILES) problems.push(error(at, `has ${files.length} files; ${MAX_FILES} are allowed`));
  const total = files.reduce((sum, file) => sum + file.size, 0);
  if (total > MAX_TOTAL) problems.push(error(at, `has ${total} bytes; ${MAX_TOTAL} are allowed`));
  const folded = new Map<string, string>();
  for (const { path, mode, size, bytes } of files.slice(0, MAX_FILES)) {
    const file = `${at}/${path}`;
    const bad = badName(path);
    if (bad !== null) problems.push(error(at, `holds ${JSON.stringify(path)}: ${bad}; rename it`));
    if (mode === '120000')
      problems.push(
        error(file, `is a link to ${JSON.stringify(decodeShort(bytes))}; put the file itself in its place`),
      );
    if (size > MAX_FILE) problems.push(error(file, `has ${size} bytes; ${MAX_FILE} are allowed`));
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
