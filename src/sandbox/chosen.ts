import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSafeName } from '../core/ids.ts';
import {
  SandboxError,
  type Job,
  type JobResult,
  type JobState,
  type Limits,
  type Sandbox,
} from '../core/ports/sandbox.ts';
import { KIND_FILE } from './jobs.ts';

type Listener = (chunk: Uint8Array) => void;

interface ChosenOptions {
  /** `<home>/shells`. */
  dir: string;
  /** The strictest of this machine: for whom nothing else is picked. */
  standard: Sandbox;
  /** Opens the one of this name; null if there is none. */
  open(kind: string): Promise<Sandbox> | null;
}

/** One sandbox of each kind, opened when a command first needs it. A command's folder says what it was started in. */
export class ChosenSandboxes implements Sandbox {
  readonly name: string;
  readonly confined: boolean;
  readonly #options: ChosenOptions;
  readonly #opened = new Map<string, Promise<Sandbox>>();
  /** Commands at their start, whose folders say nothing yet. */
  readonly #starting = new Map<string, string>();

  constructor(options: ChosenOptions) {
    this.#options = options;
    this.name = options.standard.name;
    this.confined = options.standard.confined;
  }

  async exec(job: Job, onOutput: Listener, signal: AbortSignal): Promise<JobResult> {
    // Started before, it stays where it is, whatever has been picked since.
    const kind = this.#starting.get(job.key) ?? (await this.#startedIn(job.key)) ?? job.sandbox?.kind ?? this.name;
    this.#starting.set(job.key, kind);
    try {
      const sandbox = await this.#of(kind);
      if (sandbox === null) throw new SandboxError('start', `There is no sandbox named ${kind}.`);
      return await sandbox.exec(job, onOutput, signal);
    } finally {
      this.#starting.delete(job.key);
    }
  }

  async find(key: string): Promise<JobState> {
    return (await this.#holding(key)).find(key);
  }

  async adopt(key: string, limits: Limits, onOutput: Listener, signal: AbortSignal): Promise<JobResult> {
    return (await this.#holding(key)).adopt(key, limits, onOutput, signal);
  }

  async forget(key: string): Promise<void> {
    return (await this.#holding(key)).forget(key);
  }

  list(): Promise<string[]> {
    return this.#options.standard.list();
  }

  async #holding(key: string): Promise<Sandbox> {
    const kind = this.#starting.get(key) ?? (await this.#startedIn(key)) ?? this.name;
    return (await this.#of(kind)) ?? this.#options.standard;
  }

  /** Null: nothing of it is kept, or it is older than this file. */
  async #startedIn(key: string): Promise<string | null> {
    if (!isSafeName(key)) return null;
    const text = await readFile(join(this.#options.dir, key, KIND_FILE), 'utf8').catch(() => '');
    return text.trim() === '' ? null : text.trim();
  }

  async #of(kind: string): Promise<Sandbox | null> {
    const { standard, open } = this.#options;
    if (kind === standard.name) return standard;
    const known = this.#opened.get(kind);
    if (known !== undefined) return known;
    const opening = open(kind);
    if (opening === null) return null;
    this.#opened.set(kind, opening);
    opening.catch(() => this.#opened.delete(kind));
    return opening;
  }
}
