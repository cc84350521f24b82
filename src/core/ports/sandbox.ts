import type { SandboxChoice } from '../agent.ts';
import type { Boundary } from './boundary.ts';
import type { Clock } from './clock.ts';
import type { EgressHandle } from './egress.ts';
import type { Checkout } from './workspace.ts';

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
  /** `^[A-Za-z0-9_-]+$`: names the command permanently, so that it can be found again after a crash. */
  key: string;
  /** A shell command line; bash where there is one, else sh. */
  command: string;
  checkout: Checkout;
  limits: Limits;
  /** Its way out; null: it has no network. */
  network: EgressHandle | null;
  /** Where it runs; the strictest of this machine unless given. */
  sandbox?: SandboxChoice | undefined;
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

/** Facts about the process and its machine. */
export interface Machine {
  /** `process.arch`. */
  arch: string;
  /** `process.getuid()`. */
  uid: number;
}

/** What finding out whether a sandbox works may need. */
export interface ProbeOptions {
  /** A folder of the runtime that can be written; what the attempt needs in it is removed again. */
  dir: string;
  /** The runtime's PATH. */
  path: string;
  /** `process.platform`. */
  platform: string;
  machine: Machine;
  /** The runtime's environment, for what container engines need of it; none unless given. */
  env?: Readonly<Record<string, string | undefined>>;
}

/** `why` says what works or is missing, `mend` what to do about it. */
type SandboxProbe =
  | { ok: true; why: string; mend: string; open(parts: { boundary: Boundary; clock: Clock }): Promise<Sandbox> }
  | { ok: false; why: string; mend: string };

/** What settings may pick. */
export interface SandboxName {
  readonly name: string;
  /** True: it is picked with an image, whose programs commands see instead of the machine's. */
  readonly image?: boolean;
}

/** A sandbox as `app/` lists it. Of those without an image, the first that works on the machine is used where nothing is picked. */
export interface SandboxKind extends SandboxName {
  probe(options: ProbeOptions, image?: string): Promise<SandboxProbe>;
  /** How it is had by those who pick it. Absent: picking it means what is used where nothing is picked. */
  readonly picked?: {
    readonly confined: boolean;
    /** Opens it. It looks at the machine only when a command comes, which is told what is in the way. */
    open(options: ProbeOptions & { boundary: Boundary; clock: Clock }): Promise<Sandbox>;
  };
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
