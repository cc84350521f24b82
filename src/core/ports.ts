import type { Governance, Problem, Settings } from './agent.ts';
import type { EventRow } from './chain.ts';
import type { BlobRef } from './blob.ts';
import type { Event, NewEvent } from './event.ts';
import type { Change, Files } from './files.ts';
import type { Skill } from './skill.ts';
import type { PieceRedactor } from './redactor.ts';
import type { Claim, Lease, Task, TaskStatus } from './task.ts';

// ── store ────────────────────────────────────────────────────────────────────────────────────────────────────────

export type QueueOp =
  /** `causeOf`: index of the batch's event that becomes the task's cause. `after`: tasks that must have ended before it is claimed. */
  | { op: 'enqueue'; task: Task; causeOf?: number; after?: readonly string[] }
  /** A queued task of the same lane joins a running one: it stays `queued`, and ends with that one, with its status and result. */
  | { op: 'absorb'; task: string; into: string }
  /**
   * Running → waiting: the lease ends, the lane stays taken. `until`: tasks that are waited for; whatever ends the last of
   * them wakes this one in the same commit, and if all have ended already it is queued at once. A circle does not fit.
   */
  | { op: 'park'; task: string; until?: readonly string[] }
  /** Waiting → queued, at its old place in the lane. A task that is not waiting is left alone. */
  | { op: 'wake'; task: string }
  /** Running → queued again, with attempt + 1. */
  | { op: 'retry'; task: string; notBefore: number }
  /** Any status but an ended one → ended. */
  | {
      op: 'settle';
      task: string;
      status: Extract<TaskStatus, 'done' | 'failed' | 'dead' | 'cancelled'>;
      result: BlobRef | null;
    };

export interface Batch {
  events: readonly NewEvent[];
  queue?: readonly QueueOp[];
  /** Stream → version it must have before this batch (0: no event yet). */
  expect?: Readonly<Record<string, number>>;
  /** The batch is refused unless this lease is the task's current one. */
  fence?: Lease;
  /** True: on disk, safe from a power cut, before the promise resolves. False: safe from a kill only. */
  sync: boolean;
}

export type CommitResult =
  | { ok: true; events: Event[] }
  | { ok: false; why: 'conflict'; stream: string; version: number }
  /** An event key, or a task key, stands already; `existing` is the event that holds it. */
  | { ok: false; why: 'duplicate'; key: string; existing: Event | null }
  | { ok: false; why: 'lease-lost' }
  /** A queue operation did not fit the task's status. */
  | { ok: false; why: 'state'; task: string; status: TaskStatus | null };

export interface ReadFrom {
  /** Only events with a greater seq. */
  after?: number;
  /** Only events with a smaller seq. */
  before?: number;
  stream?: string;
  types?: readonly Event['type'][];
  limit?: number;
  /** Newest first. */
  reverse?: boolean;
}

/** Rejects with this when the disk is full, read-only or broken. Nothing of the batch has been written. */
export class StoreUnavailable extends Error {
  readonly code: 'full' | 'readonly' | 'io';
  constructor(code: 'full' | 'readonly' | 'io', message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreUnavailable';
    this.code = code;
  }
}

export interface ClaimOptions {
  worker: string;
  now: number;
  /** Milliseconds a lease lasts without renewal. */
  leaseMs: number;
  /** Queues that must not be claimed from now (paused, or at their concurrency). */
  except?: readonly string[];
  /** If given, only these queues are claimed from. */
  only?: readonly string[];
}

export interface TaskFilter {
  statuses?: readonly TaskStatus[];
  lane?: string;
  queue?: string;
  absorbedBy?: string;
  /** Tasks that this one's run has made. */
  parent?: string;
  /** Tasks that all began with this one, itself not counted. */
  root?: string;
  /** Tasks with a deadline that is no later. */
  deadlineBy?: number;
  limit?: number;
}

export interface BlobCheck {
  hash: string;
  erased: boolean;
  problem: string | null;
}

/** Events, queue and blobs, in one transaction. */
export interface Store {
  /**
   * All or none. Blobs put before are on disk no later than the batch. Checked in this order: fence, event and task keys,
   * versions, queue operations. Rejects with StoreUnavailable if the disk does not take it.
   */
  commit(batch: Batch): Promise<CommitResult>;
  read(from: ReadFrom): AsyncIterable<Event>;
  /** Every event after `after`, then each new one as it is committed, without a gap, until the signal aborts. */
  follow(after: number, signal: AbortSignal): AsyncIterable<Event>;
  event(id: string): Promise<Event | null>;
  /** The event that carries this unique key. */
  byKey(key: string): Promise<Event | null>;
  /** Seq of the last event, 0 if none. */
  head(): Promise<number>;
  version(stream: string): Promise<number>;

  /** The next task whose time has come and whose lane is free: by priority, then by age. Expired leases count as free. */
  claim(options: ClaimOptions): Promise<Claim | null>;
  /** False if the lease has been lost. */
  renew(lease: Lease, until: number): Promise<boolean>;
  /**
   * Ends every lease: running tasks are queued again at their old place, same attempt, and can be claimed at once. Gives
   * their number. Only for the sole owner of the home.
   */
  releaseAll(): Promise<number>;
  /** When, after `now`, the next queued task becomes due or a lease expires; null if nothing is coming. */
  nextDue(now: number): Promise<number | null>;
  task(id: string): Promise<Task | null>;
  /** Oldest first. */
  tasks(filter: TaskFilter): Promise<Task[]>;
  /** The tasks that must end before this one is woken or claimed. */
  awaited(task: string): Promise<string[]>;
  /** Count by status. */
  counts(): Promise<Record<TaskStatus, number>>;

  /**
   * Encrypts under the subject's key (made on first use). Equal bytes of one subject give an equal ref. At most 64 MB, else
   * a RangeError.
   */
  putBlob(bytes: Uint8Array, subject: string): BlobRef;
  /** Null if its key has been erased. Rejects if there is no such blob or its bytes do not fit the hash. */
  getBlob(ref: Pick<BlobRef, 'hash'>): Promise<Uint8Array | null>;
  /** Deletes the subject's key: its blobs can never be read again. The chain still verifies. */
  erase(subject: string): Promise<void>;

  /** Events exactly as stored, neither parsed nor upcast, in order: for verification. */
  rows(after?: number): AsyncIterable<EventRow>;
  /** Looks at every blob. `problem` says in plain words what does not fit; an erased blob is no problem. */
  checkBlobs(): AsyncIterable<BlobCheck>;
  close(): Promise<void>;
}

// ── workspace ────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Provenance {
  run: string;
  task: string;
  agent: string;
  /** `provider/model`. */
  model: string;
  costUsd: number;
  labels: readonly string[];
}

export interface LandingRequest {
  base: string;
  changes: readonly Change[];
  /** First line of the commit message. */
  subject: string;
  provenance: Provenance;
  /** Milliseconds since the epoch, for author and committer. */
  at: number;
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
  /** Never lands: an ignored path, a nested repository … */
  /** `path`: the one file that is to blame, if it is one. */
  | { state: 'refused'; why: string; path?: string };

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

/** The Git repository people and agents share. */
export interface Workspace {
  /** The commit `main` points to. */
  head(): Promise<string>;
  /** What a run sees. */
  files(base: string, changes: readonly Change[]): Files;
  /**
   * Commits what a person has changed, under the person's name, before a run reads or lands on it: tracked paths of
   * `paths` (null: all tracked ones), and untracked ones that `paths` names. Null if there was nothing.
   */
  commitPerson(paths: readonly string[] | null): Promise<PersonCommit | null>;
  /** Whether going from one commit to a later one changes none of these paths. */
  untouched(from: string, to: string, paths: readonly string[]): Promise<boolean>;
  land(request: LandingRequest): Promise<LandingResult>;
  /** The commit on `main` whose trailer names this run, if it got there before a crash. */
  findLanding(run: string, base: string): Promise<string | null>;
  /** Keeps a failed run's work under `refs/ruche/unlanded/<run>`. */
  keepUnlanded(request: LandingRequest): Promise<void>;
  /** Changes between the base and the overlay as a unified diff, at most `limit` bytes. */
  diff(base: string, changes: readonly Change[], limit: number): Promise<string>;
  /** What a commit changed against its first parent, patches of at most `limit` bytes in all; null if there is no such commit. */
  commitDiff(commit: string, limit: number): Promise<CommitDiff | null>;
  close(): Promise<void>;
}

export interface Checkout {
  id: string;
  /** The plain directory with the files. */
  dir: string;
  /** A throwaway repository to be bound over `<dir>/.git` in the sandbox. */
  git: string;
  /** The workspace's object directory: read-only in the sandbox, whose alternates are made to name it. */
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
  /** What the command changed against what `take` put there. */
  collect(checkout: Checkout): Promise<Collected>;
  release(checkout: Checkout): Promise<void>;
  /** Keys whose directory has been taken and not released, also by an earlier process. */
  held(): Promise<string[]>;
}

/** Reads what governs the network (`ruche.yaml` and every AGENT.md) at a commit. */
export interface GovernanceReader {
  /** Never rejects for what stands in the files: broken agents are left out and named in `problems`. */
  load(commit: string): Promise<{ ok: true; governance: Governance } | { ok: false; problems: Problem[] }>;
  /** What going from one commit to another changes in `ruche.yaml` or protected keys of an AGENT.md, for a person to read; null if nothing. */
  protectedDiff(from: string, to: string): Promise<string | null>;
  /** The same for a run's changes over its base. */
  protectedChanges(base: string, changes: readonly Change[]): Promise<string | null>;
  /** What would be wrong if this file, as a person saved it (null: removed), governed beside the given settings. */
  check(path: string, bytes: Uint8Array | null, beside: Settings): Problem[];
  /** What must lie over a run's base so that it sees each skill exactly as approved, whatever is on `main`, and bundled ones at all. */
  pinned(base: string, skills: readonly Skill[]): Promise<Change[]>;
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
  /** Calls one handler at a time and awaits it; a `saved` that rejects is told again later. Stops when the signal aborts. */
  run(on: { saved(files: SavedFile[]): Promise<void>; moved(): Promise<void> }, signal: AbortSignal): Promise<void>;
  /** How `main` came from a commit to where it is now, oldest step first. A way that cannot be told is one foreign step. */
  moves(since: string): Promise<MainMove[]>;
}

/** One event of the readable journal: a JSON line in a segment file, and a commit by its actor. */
export interface JournalLine {
  seq: number;
  /** Milliseconds since the epoch. */
  at: number;
  /** `agent:<name>`, `person:<id>`, `runtime`. */
  actor: string;
  /** Run the event belongs to, or its stream in a form that can be a folder name. */
  group: string;
  /** Deserves a commit; the others go with the next one that does. */
  weighty: boolean;
  /** One line a person can read. */
  subject: string;
  /** JSON without newline. */
  json: string;
}

/** `journal.git`. */
export interface JournalRepository {
  /** Seq of the last event in the tip, 0 for an empty repository. */
  tip(): Promise<number>;
  /**
   * Appends lines that follow the tip; those the tip has already are skipped. A commit for each weighty line, or one for
   * many lines when there are many. Rejects and changes nothing if a seq is missing.
   */
  append(lines: readonly JournalLine[]): Promise<void>;
  /** All lines in order, for verification. Rejects, saying where, if the repository was not only appended to. */
  lines(): AsyncIterable<{ seq: number; json: string; path: string }>;
  /** Packs when enough has come together. */
  maintain(): Promise<void>;
}

// ── sandbox ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Limits {
  /** Milliseconds of wall time. */
  timeMs: number;
  /** Bytes. */
  memory: number;
  processes: number;
  /** Bytes of output kept, stdout and stderr together. */
  output: number;
}

export interface Job {
  /** `^[A-Za-z0-9_-]+$`: names the command for ever, so that it can be found again after a crash. */
  key: string;
  /** A shell command line; bash where there is one, else sh. */
  command: string;
  checkout: Checkout;
  limits: Limits;
}

export interface JobResult {
  /** Exit code, or 128 + signal. */
  exit: number;
  /** stdout and stderr as they came, in one stream. */
  output: Uint8Array;
  /** Bytes there were in all. */
  outputSize: number;
  /** Where in `output` the middle was left out; null if nothing was. */
  cutAt: number | null;
  /** `memory`: a process of it was killed at the memory limit, whatever the command made of that. */
  ended: 'itself' | 'timeout' | 'memory' | 'aborted';
}

/** `doubt`: it started, has no exit and runs no more. */
export type JobState = 'absent' | 'running' | 'finished' | 'doubt';

/** Runs commands that outlive the runtime. */
export interface Sandbox {
  readonly name: string;
  /** False: nothing confines the command, so the policy asks for each one. */
  readonly confined: boolean;
  /**
   * Starts the command, unless one of that key has started before: then it is adopted. Rejects with SandboxError if it
   * could not start or its end is unknown.
   */
  exec(job: Job, onOutput: (chunk: Uint8Array) => void, signal: AbortSignal): Promise<JobResult>;
  /** `absent` is final: a start that was under way when the process died is cancelled. */
  find(key: string): Promise<JobState>;
  /** Waits for a command that was started before a crash and gives its result. Rejects like `exec`. */
  adopt(key: string, limits: Limits, onOutput: (chunk: Uint8Array) => void, signal: AbortSignal): Promise<JobResult>;
  /** Removes what is kept of a command, killing it if it runs. */
  forget(key: string): Promise<void>;
  /** Keys of which something is kept. */
  list(): Promise<string[]>;
}

/** `start`: the command never ran. `doubt`: it started, and nobody knows how it ended. */
export class SandboxError extends Error {
  readonly code: 'start' | 'doubt';
  constructor(code: 'start' | 'doubt', message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SandboxError';
    this.code = code;
  }
}

// ── net ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** On whose behalf bytes leave. */
export interface ForWhom {
  /** `tool:fetch`, `model:<provider>`, `channel:<name>`. */
  who: string;
  /** `host` or `host:port` that may resolve to a private or loopback address; exact match. */
  privateHosts: readonly string[];
  /** If given, only these `host` or `host:port` may be contacted, at every hop. */
  only: readonly string[] | null;
}

export interface NetRequest {
  url: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  signal?: AbortSignal;
  /** Bytes of body after which the response is cut with an error. */
  maxBytes: number;
  /** Milliseconds for the whole exchange; null for none (streams have `idleMs`). */
  timeoutMs: number | null;
  /** Milliseconds without a byte. */
  idleMs: number;
  /** Redirects followed; each hop is checked again, and credentials are dropped across origins. */
  maxRedirects: number;
  /** Called before each further hop; a reason refuses it. */
  onRedirect?: (url: string) => string | null;
  /** Called at each hop that was encrypted: when the certificate of the other side ends, in milliseconds since the epoch. */
  onCertificate?: (validTo: number) => void;
}

/** The guard refused, or the network failed. `code` says which. */
export class NetError extends Error {
  readonly code: 'blocked' | 'dns' | 'connect' | 'timeout' | 'too-large' | 'redirect' | 'protocol' | 'aborted';
  /** True: not a byte of the request has left, so it can be repeated whatever it was. */
  readonly unsent: boolean;
  constructor(code: NetError['code'], message: string, options?: ErrorOptions & { unsent?: boolean }) {
    super(message, options);
    this.name = 'NetError';
    this.code = code;
    this.unsent = options?.unsent ?? false;
  }
}

/** The only way out. */
export interface Net {
  request(request: NetRequest, forWhom: ForWhom): Promise<Response>;
}

// ── secrets, log ────────────────────────────────────────────────────────────────────────────────────────────────

/** `env:NAME` of the environment, `home:NAME` of what is kept in home. */
export interface Secrets {
  /** Rejects with what is missing and where to set it, never with a value. */
  resolve(ref: string, forWhom: string): Promise<string>;
  /** Replaces every known secret (raw, base64, hex, URL-encoded) in a text. */
  redact(text: string): string;
  /** The same for one text that comes in pieces. */
  redactPieces(): PieceRedactor;
}

/** Secrets that can be given while it runs. */
export interface KeptSecrets extends Secrets {
  /** Hides a value everywhere from now on, without keeping it. */
  hide(value: string): void;
  /** Whether there is something under this reference. */
  has(ref: string): boolean;
  /** Keeps a value in home under a name: on disk when it resolves, hidden from the call on. Gives its reference. */
  keep(name: string, value: string): Promise<string>;
}

/** A small file of home that only its owner may read. */
export interface PrivateFile {
  readonly path: string;
  /** Null if there is none. Rejects if others may read it. */
  read(): Promise<string | null>;
  /** Whole or not at all, and on disk when it resolves; mode 0600. */
  write(text: string): Promise<void>;
}

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
