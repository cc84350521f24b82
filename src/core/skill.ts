import type { FileMode } from './files.ts';

/** What a skill needs of the machine; a list that is empty asks for nothing. */
export interface SkillNeeds {
  /** Programs, all of them. */
  bins: readonly string[];
  /** Programs, one of them. */
  anyBins: readonly string[];
  /** Names of environment variables. */
  env: readonly string[];
  /** Dotted paths of settings. */
  config: readonly string[];
  /** As in `process.platform`. */
  os: readonly string[];
  /** Offered whatever is missing, on the right system. */
  always: boolean;
}

/** What a SKILL.md says of its skill; the prose below is read when it is used. */
export interface SkillText {
  /** Name of its folder. */
  name: string;
  /** One line. */
  description: string;
  needs: SkillNeeds;
  /** Tools of the runtime that come with it; only a bundled skill brings any. */
  tools?: readonly string[];
  /** How its makers would install what it needs, a line each. Shown, never run. */
  install: readonly string[];
  license: string | null;
  compatibility: string | null;
  /** Path of the text below the folder: `SKILL.md` or `skill.md`. */
  main: string;
}

/** A file of a skill before it is judged; `path` is below the skill's folder, `bytes` null where it was too large to read. */
export interface SkillFile {
  path: string;
  mode: FileMode;
  size: number;
  bytes: Uint8Array | null;
}

/** Where one file of an enabled skill stands: the path in the workspace, and the blob that was approved. */
export interface PinnedFile {
  path: string;
  mode: FileMode;
  oid: string;
}

/** The scripts that schedules and triggers run, with the programs beside them, as they were when that was approved. */
export interface PinnedScripts {
  /** Paths that are named, whether a file is there or not, and the folders they lie in. */
  files: readonly string[];
  folders: readonly string[];
  pinned: readonly PinnedFile[];
  /** Of all of it. */
  hash: string;
  /** What a tree must look like at these names to have just these files. */
  mark: string;
}

export const NO_SCRIPTS: PinnedScripts = { files: [], folders: [], pinned: [], hash: '', mark: '' };

/** A skill that an agent has enabled, as it was when that was approved. */
export interface Skill extends SkillText {
  source: 'workspace' | 'bundled';
  /** Of all its files: tree id, or an equal for bundled ones. */
  hash: string;
  files: readonly PinnedFile[];
}

/** The name a skill's folder must have. */
export const isSkillName = (name: string): boolean => /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/.test(name);

export const SKILLS = 'skills';

/** A skill as a prompt names it. */
export interface OfferedSkill {
  name: string;
  description: string;
  /** Workspace path of its text. */
  path: string;
}

/** Name of the skill a workspace path belongs to; null if to none. */
export const skillOf = (path: string): string | null => /^skills\/([^/]+)\/./.exec(path)?.[1] ?? null;

/** Bounds of one skill. Official ones come with fonts and hundreds of small files; what is larger is the wrong folder. */
export const SKILL_FILES = 500;
export const SKILL_FILE_BYTES = 4 * 1024 * 1024;
export const SKILL_BYTES = 16 * 1024 * 1024;
