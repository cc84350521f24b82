// The process in which mutants are tried, seen from outside: what it is told to run, and when it is killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Order, Report } from './mutant-host.ts';

export interface Outcome {
  fate: 'killed' | 'survived' | 'timeout';
  /** The case that noticed, or was running. */
  path: string;
  at: number;
  error: string;
  /** The process may have come to this by an earlier mutant. */
  doubtful: boolean;
  /** Nothing else may be tried in this process. */
  spoiled: boolean;
  seen: Extract<Report, { kind: 'case' }>[];
}
type Limits = (path: string, at: number) => { cpuMs: number; ms: number };

const LOOK_MS = 100;

export class Host {
  readonly #child: ChildProcess;
  tried = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(dir: string, reach: boolean): Promise<Host> {
    const file = (name: string): string => join(dir, 'scripts', 'testing', name);
    const args = ['--disable-warning=ExperimentalWarning', `--import=${file('seed.ts')}`, file('mutant-host.ts')];
    const child = spawn(process.execPath, reach ? [...args, '--reach'] : args, {
      cwd: dir,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // A group of its own, so that what a mutant leaves behind ends with it.
      detached: true,
      env: { ...process.env, TMPDIR: join(dir, '.tmp') },
    });
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', (code) => reject(new Error(`the process for mutants ended at once, with ${code}`)));
    });
    child.removeAllListeners('exit');
    return new Host(child);
  }

  run(order: Order, limits: Limits): Promise<Outcome> {
    this.tried += 1;
    const outcome: Outcome = {
      fate: 'survived',
      path: '',
      at: -1,
      error: '',
      doubtful: false,
      spoiled: false,
      seen: [],
    };
    let begun = { cpuMs: 0, at: performance.now() };
    return new Promise((resolve) => {
      const end = (more: Partial<Outcome>): void => {
        clearInterval(timer);
        this.#child.removeAllListeners();
        resolve({ ...outcome, ...more });
      };
      const timer = setInterval(() => {
        const limit = limits(outcome.path, outcome.at);
        const cpuMs = (cpuMsOf(this.#child.pid) ?? 0) - begun.cpuMs;
        if (cpuMs < limit.cpuMs && performance.now() - begun.at < limit.ms) return;
        end({ fate: 'timeout', error: 'it takes too long', spoiled: true });
      }, LOOK_MS);
      this.#child.on('exit', () => end({ fate: 'killed', error: 'the process ended', doubtful: true, spoiled: true }));
      this.#child.on('message', (report: Report) => {
        if (report.kind === 'case') outcome.seen.push(report);
        if (report.kind === 'begin') {
          [outcome.path, outcome.at] = [report.path, report.at];
          begun = { cpuMs: cpuMsOf(this.#child.pid) ?? 0, at: performance.now() };
        }
        if (report.kind !== 'end') return;
        const { failed, dirty } = report;
        const stray = failed?.stray === true;
        end({
          fate: failed ? 'killed' : 'survived',
          error: failed?.error ?? '',
          doubtful: stray,
          spoiled: stray || dirty,
        });
      });
      this.#child.send(order);
    });
  }

  stop(): void {
    this.#child.removeAllListeners();
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch (error) {
      // Nobody of it is left, as it should be.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** What a process that runs has used of a processor; null where that cannot be known. */
function cpuMsOf(pid: number | undefined): number | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    // It has ended, or this is no Linux: the limit by the wall holds.
    return null;
  }
}
