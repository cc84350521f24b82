import type { Change, Files } from '../files.ts';

export interface Provenance {
  run: string;
  task: string;
  agent: string;
  /** `provider/model`. */
  model: string;
  costUsd: number;
  labels: readonly string[];
  /** People who have approved calls, or the change itself, on the way to it. */
  approvedBy?: readonly string[];
}

export interface LandingRequest {
  base: string;
  changes: readonly Change[];
  /** First line of the commit message. */
  subject: string;
  provenance: Provenance;
  /** Milliseconds since the epoch, for author and committer. */
  at: number;
  /** Told of files that are joined from the run's and `main`'s version, before `main` moves; perhaps more than once. */
  merged?(files: readonly MergedFile[]): void;
}

/** `theirs`: the blob that `main` had. */
export interface MergedFile {
  path: string;
  oid: string;
  theirs: string;
}

export type LandingResult =
  | { state: 'landed'; commit: string }
  /** The changes are on `main` already. */
  | { state: 'empty' }
  /**
   * `text` is for the model: each path with both sides. `onto` is the commit to go on from, `changes` the run's overlay
   * over it: what merged cleanly is merged, and the conflicting `paths` are left out, so that nothing of theirs is lost.
   */
  | { state: 'conflict'; onto: string; paths: string[]; changes: Change[]; text: string }
  /** `main` cannot move now (a person's merge is under way, an index lock is held): try again later. */
  | { state: 'blocked'; why: string }
  /** Never lands. `paths`: the files that are to blame (an ignored path …), without which the rest may. */
  | { state: 'refused'; why: string; paths?: { path: string; why: string }[] };

export interface PersonCommit {
  commit: string;
  author: string;
  paths: string[];
}

export interface CommitDiff {
  /** `patch` is a unified diff with its header; '' for bytes, and for what was left out. */
  files: { path: string; change: 'added' | 'changed' | 'removed'; binary: boolean; patch: string }[];
  /** True if something was left out because it is too long. */
  cut: boolean;
}

/** A commit on `main` that changed a path. */
export interface LastChange {
  commit: string;
  author: string;
  /** Milliseconds since the epoch. */
  at: number;
}

/** Something about the workspace that a person has to mend. */
export interface Trouble {
  /** What is wrong, and what to do. */
  what: string;
  /** `work`: no run can go on; `landings`: what runs have changed waits. */
  stops: 'work' | 'landings';
}

/** Rejects with this when disk or Git fail: nothing was done, and it may go well later. The message says what to do. */
export class WorkspaceUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'WorkspaceUnavailable';
  }
}

/** A file that is new or changed at a commit. */
export interface AddedFile {
  path: string;
  /** Where the very same content was before and is not any more: the file was moved. */
  from: string | null;
}

/** The Git repository people and agents share. */
export interface Workspace {
  /** What is wrong with it now, the worst first. */
  troubles(): Promise<Trouble[]>;
  /** The commit `main` points to. */
  head(): Promise<string>;
  /** What a run sees. */
  files(base: string, changes: readonly Change[]): Files;
  /**
   * Commits what a person has changed, under the person's name, before a run reads or lands on it: tracked paths of
   * `paths` (null: all tracked ones), and untracked ones that `paths` names. Null if there was nothing.
   */
  commitPerson(paths: readonly string[] | null): Promise<PersonCommit | null>;
  /** Those of the paths (null: any) in which a person has something that `commitPerson` could not commit, and why. */
  unseen(paths: readonly string[] | null): Promise<{ path: string; why: string }[]>;
  /** Whether going from one commit to a later one changes none of these paths. */
  untouched(from: string, to: string, paths: readonly string[]): Promise<boolean>;
  land(request: LandingRequest): Promise<LandingResult>;
  /** The commit on `main` whose trailer names this run, if it got there before a crash. */
  findLanding(run: string, base: string): Promise<string | null>;
  /**
   * Holds what a run has changed so far under `refs/ruche/runs/<run>`, in place of what it held before: no commit names it
   * yet, so `git gc` would remove it. Costs nothing where there are no changes.
   */
  hold(request: LandingRequest): Promise<void>;
  /** Paths of changes whose content the repository has lost while it still has their base. */
  lost(base: string, changes: readonly Change[]): Promise<readonly string[]>;
  /** The run has ended: nothing of it is held any more. */
  release(run: string): Promise<void>;
  /** Runs whose work is held. */
  held(): readonly string[];
  /** Keeps a failed run's work under `refs/ruche/unlanded/<run>`; resolves with the paths whose content is lost. */
  keepUnlanded(request: LandingRequest): Promise<readonly string[]>;
  /** Changes between the base and the overlay as a unified diff, at most `limit` bytes. */
  diff(base: string, changes: readonly Change[], limit: number): Promise<string>;
  /** Files new or changed at a commit, against an earlier one (null: its first parent); null if one is gone. */
  added(from: string | null, to: string): Promise<AddedFile[] | null>;
  /** What a commit changed against its first parent, patches of at most `limit` bytes in all; null if there is no such commit. */
  commitDiff(commit: string, limit: number): Promise<CommitDiff | null>;
  /** The last commit on `main` that changed a path; null if none did. */
  lastChange(path: string): Promise<LastChange | null>;
  close(): Promise<void>;
}

export interface Checkout {
  id: string;
  /** The plain directory with the files. */
  dir: string;
  /** A throwaway repository to be bound over `<dir>/.git` in the sandbox. */
  git: string;
  /** Git objects that the base reaches, and no others: read-only in the sandbox, whose alternates are made to name it. */
  objects: string;
}

export interface Collected {
  changes: Change[];
  /** Ignored files and nested repositories, which are dropped. */
  dropped: string[];
  /** Set if what is there cannot be taken (too big, a nested repository): no change is applied. */
  refused: string | null;
}

/** A pool of directories for shell commands. */
export interface Checkouts {
  /**
   * A directory that holds base + changes, without the `hidden` paths: where there are any, its throwaway repository is
   * empty, because Git objects cannot be hidden one by one. `key` finds it again after a crash.
   */
  take(base: string, changes: readonly Change[], key: string, hidden?: readonly string[]): Promise<Checkout>;
  /** The directory a call had before the crash, as the command left it; null if there is none. */
  adopt(key: string): Promise<Checkout | null>;
  /**
   * Looks after a command at work until `over`: the signal is aborted, with the reason in words, when what it leaves outgrows
   * its bounds, or the disk gets full.
   */
  watch(checkout: Checkout, over: AbortSignal): AbortSignal;
  /** What the command changed against what `take` put there. */
  collect(checkout: Checkout): Promise<Collected>;
  release(checkout: Checkout): Promise<void>;
  /** Keys whose directory has been taken and not released, also by an earlier process. */
  held(): Promise<string[]>;
}
