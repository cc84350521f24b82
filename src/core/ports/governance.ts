import type { Governance, Problem, Settings } from '../agent.ts';
import type { Change } from '../files.ts';
import type { PinnedScripts, Skill } from '../skill.ts';

/** A change that a person has to approve. */
export interface Difference {
  /** What changes, for a person to read. */
  text: string;
  /** Why the text does not show all of it, so that nobody can approve it; null if it does. */
  hidden: string | null;
  /** Schedules in it whose only moment has passed: they would never fire. Absent for none. */
  over?: readonly string[];
}

/** Reads what governs the network (`ruche.yaml` and every AGENT.md) at a commit. */
export interface GovernanceReader {
  /** Never rejects for what stands in the files: broken agents are left out and named in `problems`. */
  load(commit: string): Promise<{ ok: true; governance: Governance } | { ok: false; problems: Problem[] }>;
  /** What going from one commit to another changes in what governs: settings, agents, skills and scripts; null if nothing. */
  protectedDiff(from: string, to: string): Promise<Difference | null>;
  /** The same for a run's changes over its base, and what programs outside the sandbox obey. */
  protectedChanges(base: string, changes: readonly Change[]): Promise<Difference | null>;
  /** What would be wrong if this file, as a person saved it (null: removed), governed beside the given settings. */
  check(path: string, bytes: Uint8Array | null, beside: Settings): Problem[];
  /**
   * What must lie over a run's base so that it sees each skill and script exactly as approved, whatever is on `main`, and
   * bundled skills at all.
   */
  pinned(base: string, skills: readonly Skill[], scripts: PinnedScripts): Promise<Change[]>;
  exists(commit: string): Promise<boolean>;
  /** Keeps the commit that governs from garbage collection, whatever becomes of `main`. */
  keep(commit: string): Promise<void>;
}

/** A file that governs, as a person saved it in the work tree. `bytes` null: removed. `clean`: as on `main`, and not read. */
export interface SavedFile {
  path: string;
  bytes: Uint8Array | null;
  clean: boolean;
}

/**
 * One step of `main`. `person`: committed here, by `git commit` or by the runtime for a person; `landing`: a run's changes,
 * which passed the gate; `foreign`: all else (pull, merge, reset …).
 */
export interface MainMove {
  from: string;
  to: string;
  by: 'person' | 'landing' | 'foreign';
}

/** Sees what people do to the workspace by other means than the runtime. */
export interface WorkspaceWatch {
  /** Tells what was saved while nobody watched; `run` does not tell it again. On another branch, and while Git is at work, nothing. */
  begin(saved: (files: SavedFile[]) => Promise<void>): Promise<void>;
  /** Calls one handler at a time and awaits it; a `saved` that rejects is told again later. Stops when the signal aborts. */
  run(on: { saved(files: SavedFile[]): Promise<void>; moved(): Promise<void> }, signal: AbortSignal): Promise<void>;
  /** How `main` came from a commit to where it is now, oldest step first. A way that cannot be told is one foreign step. */
  moves(since: string): Promise<MainMove[]>;
}

/** Sees what people put into the work tree without naming it to anybody. */
export interface DroppedFiles {
  /**
   * One look at what fits the globs: files that are not as on `main`, neither ignored nor staged, and have been the same at
   * three looks. Each is given once as it is, and again after a while if it is not on `main` by then.
   */
  look(globs: readonly string[]): Promise<string[]>;
  /** What fits and cannot be taken in, as the last look found it, and what to do. */
  stuck(): readonly { path: string; why: string }[];
}
