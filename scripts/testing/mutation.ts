// A copy of the project in which one file after the other is changed in one place and tested. The tree itself is never touched.
import { spawn } from 'node:child_process';
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
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutants.ts';

export type Fate = 'killed' | 'survived' | 'timeout';

/** A file of tests, how long it takes when all is well, and which places of a source file it runs. */
interface TestFile {
  path: string;
  ms: number;
  ranges: Map<string, Range[]>;
}
interface Range {
  startOffset: number;
  endOffset: number;
  count: number;
}

/** Milliseconds beyond four times the usual after which a test file is taken to hang. */
const GRACE_MS = 3_000;
const FIRST_RUN_MS = 60_000;
const COPIED = ['package.json', 'tsconfig.json', 'bin', 'scripts', 'src', 'templates', 'skills', 'schemas', 'test'];

export class Laboratory {
  readonly dir: string;
  #tests: TestFile[] = [];
  #child: number | undefined;

  constructor(root: string) {
    this.dir = mkdtempSync(join(tmpdir(), 'ruche-mutants-'));
    const there = new Set(readdirSync(root));
    for (const name of COPIED) if (there.has(name)) cpSync(join(root, name), join(this.dir, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(this.dir, 'node_modules'));
    mkdirSync(join(this.dir, '.tmp'));
  }

  /** Runs the unchanged tests: they have to pass, and are looked at for what they reach and how long they take. */
  async prepare(globs: readonly string[]): Promise<void> {
    this.#tests = [];
    for (const path of globSync([...globs], { cwd: this.dir }).sort()) {
      const coverage = mkdtempSync(join(this.dir, '.tmp', 'coverage-'));
      const { fate, ms } = await this.#run(path, FIRST_RUN_MS, { NODE_V8_COVERAGE: coverage });
      if (fate !== 'survived') throw new Error(`${path} does not pass without any mutant: mend it first`);
      this.#tests.push({ path, ms, ranges: rangesIn(coverage, this.dir) });
      rmSync(coverage, { recursive: true });
    }
    if (this.#tests.length === 0) throw new Error(`there are no tests in ${globs.join(', ')}`);
    this.#tests.sort((a, b) => a.ms - b.ms);
  }

  source(file: string): string {
    return readFileSync(join(this.dir, file), 'utf8');
  }

  /** Only the test files that reach the place are run, the quick ones first. */
  async fateOf(file: string, mutant: Mutant): Promise<Fate> {
    const code = this.source(file);
    const reaching = this.#tests.filter(({ ranges }) => reaches(ranges.get(file) ?? [], mutant));
    writeFileSync(join(this.dir, file), code.slice(0, mutant.start) + mutant.replacement + code.slice(mutant.end));
    try {
      for (const test of reaching) {
        const { fate } = await this.#run(test.path, test.ms * 4 + GRACE_MS);
        if (fate === 'survived') continue;
        // What killed this one most likely kills the next; it changes the time, never the outcome.
        this.#tests = [test, ...this.#tests.filter((other) => other !== test)];
        return fate;
      }
      return 'survived';
    } finally {
      writeFileSync(join(this.dir, file), code);
    }
  }

  close(): void {
    killGroup(this.#child);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 10 });
  }

  async #run(test: string, limitMs: number, env: NodeJS.ProcessEnv = {}): Promise<{ fate: Fate; ms: number }> {
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
    let late = false;
    const end = (): void => {
      late = true;
      killGroup(child.pid);
    };
    const timer = setTimeout(end, limitMs);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', resolve);
    });
    clearTimeout(timer);
    killGroup(child.pid);
    this.#child = undefined;
    return { fate: late ? 'timeout' : code === 0 ? 'survived' : 'killed', ms: performance.now() - started };
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
