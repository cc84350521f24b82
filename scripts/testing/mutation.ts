// A copy of the project in which one file after the other is changed in one place and tested. The tree itself is never touched.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutants.ts';

export type Fate = 'killed' | 'survived' | 'timeout';

/** What became of a mutant, and the test file that noticed. */
export interface Verdict {
  fate: Fate;
  by: string | null;
}

/** A file of tests, how long it takes when all is well, and which places of a source file it runs. */
export interface TestFile {
  path: string;
  ms: number;
  cpuMs: number;
  /** Changes with the file and the kits beside it. */
  hash: string;
  ranges: Map<string, Range[]>;
}
interface Range {
  startOffset: number;
  endOffset: number;
  count: number;
}

/** A test file that takes more than four times the usual and so many milliseconds is taken to hang: of a processor, since a busy machine is no mutant. */
const GRACE_MS = 3_000;
/** The same by the wall, for one that waits. */
const WAIT_MS = 20_000;
const LOOK_MS = 200;
const FIRST_RUN = { cpuMs: 120_000, ms: 600_000 };
const COPIED = ['package.json', 'tsconfig.json', 'bin', 'scripts', 'src', 'templates', 'skills', 'schemas', 'test'];

export class Laboratory {
  readonly dir: string;
  #child: number | undefined;

  constructor(root: string) {
    this.dir = mkdtempSync(join(tmpdir(), 'ruche-mutants-'));
    const there = new Set(readdirSync(root));
    for (const name of COPIED) if (there.has(name)) cpSync(join(root, name), join(this.dir, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(this.dir, 'node_modules'));
    mkdirSync(join(this.dir, '.tmp'));
  }

  /** Runs the unchanged tests: they have to pass, and are looked at for what they reach and how long they take. */
  async prepare(globs: readonly string[]): Promise<TestFile[]> {
    const tests: TestFile[] = [];
    for (const path of globSync([...globs], { cwd: this.dir }).sort()) {
      const coverage = mkdtempSync(join(this.dir, '.tmp', 'coverage-'));
      const { fate, ms, cpuMs } = await this.#run(path, FIRST_RUN, { NODE_V8_COVERAGE: coverage });
      if (fate !== 'survived') throw new Error(`${path} does not pass without any mutant: mend it first`);
      tests.push({ path, ms, cpuMs, hash: this.#hashOf(path), ranges: rangesIn(coverage, this.dir) });
      rmSync(coverage, { recursive: true });
    }
    if (tests.length === 0) throw new Error(`there are no tests in ${globs.join(', ')}`);
    return tests.sort((a, b) => a.ms - b.ms);
  }

  #hashOf(test: string): string {
    const kits = globSync('*.ts', { cwd: join(this.dir, dirname(test)) }).filter((name) => !name.endsWith('.test.ts'));
    const hash = createHash('sha256').update(this.source(test));
    for (const name of kits.sort()) hash.update(this.source(join(dirname(test), name)));
    return hash.digest('hex').slice(0, 16);
  }

  source(file: string): string {
    return readFileSync(join(this.dir, file), 'utf8');
  }

  /** Only the test files that reach the place are run, in their order; one that notices goes to the front. */
  async try(file: string, mutant: Mutant, tests: TestFile[]): Promise<Verdict> {
    const code = this.source(file);
    const reaching = tests.filter(({ ranges }) => reaches(ranges.get(file) ?? [], mutant));
    writeFileSync(join(this.dir, file), code.slice(0, mutant.start) + mutant.replacement + code.slice(mutant.end));
    try {
      for (const test of reaching) {
        const limits = { cpuMs: test.cpuMs * 4 + GRACE_MS, ms: test.ms * 4 + WAIT_MS };
        const { fate } = await this.#run(test.path, limits);
        if (fate === 'survived') continue;
        // What killed this one most likely kills the next; it changes the time, never the outcome.
        tests.splice(0, tests.length, test, ...tests.filter((other) => other !== test));
        return { fate, by: test.path };
      }
      return { fate: 'survived', by: null };
    } finally {
      writeFileSync(join(this.dir, file), code);
    }
  }

  close(): void {
    killGroup(this.#child);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 10 });
  }

  async #run(
    test: string,
    limits: { cpuMs: number; ms: number },
    env: NodeJS.ProcessEnv = {},
  ): Promise<{ fate: Fate; ms: number; cpuMs: number }> {
    // Not while coverage is taken, which would lose functions that come from the cache.
    const cache = env.NODE_V8_COVERAGE === undefined ? { NODE_COMPILE_CACHE: join(this.dir, '.cache') } : {};
    const random = readFileSync(join(this.dir, test), 'utf8').includes('fast-check');
    const seed = random ? [`--import=${join(this.dir, 'scripts/testing/seed.ts')}`] : [];
    const reporter = `--test-reporter=${join(this.dir, 'scripts/testing/bail.ts')}`;
    const args = ['--disable-warning=ExperimentalWarning', ...seed, '--test', '--test-isolation=none', reporter, test];
    const started = performance.now();
    const child = spawn(process.execPath, args, {
      cwd: this.dir,
      stdio: 'ignore',
      // A group of its own, so that what a mutant leaves behind ends with it.
      detached: true,
      env: { ...process.env, TMPDIR: join(this.dir, '.tmp'), ...cache, ...env },
    });
    this.#child = child.pid;
    let [late, cpuMs] = [false, 0];
    const timer = setInterval(() => {
      cpuMs = cpuMsOf(child.pid) ?? cpuMs;
      if (cpuMs < limits.cpuMs && performance.now() - started < limits.ms) return;
      late = true;
      killGroup(child.pid);
    }, LOOK_MS);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', resolve);
    });
    clearInterval(timer);
    killGroup(child.pid);
    this.#child = undefined;
    return { fate: late ? 'timeout' : code === 0 ? 'survived' : 'killed', ms: performance.now() - started, cpuMs };
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // Nobody of it is left, as it should be.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
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

/** By source file: what V8 counted. Type stripping keeps positions, so the offsets are those of the source. */
function rangesIn(coverage: string, dir: string): Map<string, Range[]> {
  const ranges = new Map<string, Range[]>();
  for (const name of readdirSync(coverage)) {
    const { result } = JSON.parse(readFileSync(join(coverage, name), 'utf8')) as {
      result: { url: string; functions: { ranges: Range[] }[] }[];
    };
    for (const { url, functions } of result) {
      if (!url.startsWith('file:')) continue;
      const file = fileURLToPath(url).slice(dir.length + 1);
      if (file.startsWith('src/'))
        ranges.set(file, [...(ranges.get(file) ?? []), ...functions.flatMap((each) => each.ranges)]);
    }
  }
  return ranges;
}

/** Whether the innermost range around either end of the change was counted. */
function reaches(ranges: readonly Range[], { start, end }: Mutant): boolean {
  return [start, end - 1].some((at) => {
    const around = ranges.filter(({ startOffset, endOffset }) => startOffset <= at && at < endOffset);
    const [inner] = around.sort((a, b) => a.endOffset - a.startOffset - (b.endOffset - b.startOffset));
    return inner !== undefined && inner.count > 0;
  });
}
