import type { Job } from '../core/ports/sandbox.ts';

/** How a command is run within its wrapper: the one thing in which the sandboxes differ. */
export interface Runner {
  name: string;
  confined: boolean;
  /**
   * Puts what the command needs in its folder and gives the shell program that runs it there, with arguments. Its
   * standard output and error become the command's output.
   */
  prepare(job: Job, dir: string): Promise<Prepared>;
  /** Undoes what `prepare` has made outside the folder; false if something of the command is still in it. */
  clear(key: string): Promise<boolean>;
  /** Text of a program that ends what may have strayed from the command of the folder `$dir`, which is its working folder. */
  sweep: string;
}

/**
 * In the sandbox's folder: how the runtime is, for scripts that look after it. Commands can read it and nothing else of
 * the runtime. A key never begins with a dot.
 */
export const STATUS_FILE = '.status';

export interface Prepared {
  script: string;
  args: string[];
  /** Environment of the wrapper. */
  env: Record<string, string>;
  /** Cgroups, '' for none. */
  memory: string;
  pids: string;
}
