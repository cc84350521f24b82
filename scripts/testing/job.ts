// One process of tests: a folder, or a single file where a folder's files are heavy.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { MARK, type Report } from './reporter.ts';
import { EFFORT, type Suite } from './slow.ts';

export interface Job {
  name: string;
  files: string[];
  /** Of the slow proofs, run whole. */
  suite?: Suite;
}

export interface Outcome {
  job: Job;
  ms: number;
  /** Of a processor. */
  cpuMs: number;
  passed: number;
  failures: { name: string; where: string; error: string }[];
  skipped: { name: string; where: string; reason: string }[];
  slow: { name: string; ms: number }[];
  /** What the tests noted, and anything they printed. */
  notes: string[];
}

const HANDLES_GRACE_MS = 15_000;

/** `silenceMs`: without any test ending for so long, the process is taken to hang, and killed. */
export function runJob(job: Job, env: NodeJS.ProcessEnv, silenceMs: number): Promise<Outcome> {
  const outcome: Outcome = { job, ms: 0, cpuMs: 0, passed: 0, failures: [], skipped: [], slow: [], notes: [] };
  const fail = (name: string, error: string): void => void outcome.failures.push({ name, where: job.name, error });
  const started = performance.now();
  const reporter = join(import.meta.dirname, 'reporter.ts');
  const args = ['--test', '--test-isolation=none', `--test-reporter=${reporter}`, ...job.files];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: job.suite ? { ...env, [EFFORT]: 'all' } : env,
  });

  let open = 0;
  let ended: boolean | null = null;
  let timer: NodeJS.Timeout | undefined;
  const watch = (): void => {
    clearTimeout(timer);
    const idle = open === 0 && (outcome.passed > 0 || outcome.failures.length > 0);
    timer = setTimeout(
      () => {
        fail(
          job.name,
          idle
            ? 'All tests ended, but something they left open keeps the process alive.'
            : `No test ended for ${silenceMs / 1000} s.`,
        );
        child.kill('SIGKILL');
      },
      idle ? HANDLES_GRACE_MS : silenceMs,
    );
  };
  watch();

  const take = (report: Report): void => {
    if (report.kind === 'queued') open += 1;
    else if (report.kind === 'note') outcome.notes.push(report.text);
    else if (report.kind === 'end') [ended, outcome.cpuMs] = [report.ok, report.cpuMs];
    else {
      if (report.top) open -= 1;
      if (report.kind === 'failed' && !(report.suite && report.error?.endsWith('failed')))
        outcome.failures.push({ name: report.name, where: report.where, error: report.error ?? '' });
      else if (report.suite) return watch();
      else if (report.skip !== undefined)
        outcome.skipped.push({ name: report.name, where: report.where, reason: report.skip });
      else outcome.passed += 1;
      outcome.slow.push({ name: report.name, ms: report.ms });
    }
    watch();
  };
  createInterface(child.stdout).on('line', (line) => {
    const at = line.indexOf(MARK);
    if (at !== 0 && line !== '') outcome.notes.push(at === -1 ? line : line.slice(0, at));
    if (at !== -1) take(JSON.parse(line.slice(at + 1)) as Report);
  });
  createInterface(child.stderr).on('line', (line) => outcome.notes.push(line));

  return new Promise((resolve) => {
    child.on('error', (error) => fail(job.name, error.message));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      outcome.ms = performance.now() - started;
      if (outcome.failures.length === 0 && (ended !== true || code !== 0))
        fail(
          job.name,
          `The process ended with ${signal ?? `code ${code}`} though no test failed: ${outcome.notes.at(-1) ?? ''}`,
        );
      resolve(outcome);
    });
  });
}
