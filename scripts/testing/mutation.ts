// A copy of the project in which one file after the other is changed in one place and tested. The tree itself is never touched.
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
import { join } from 'node:path';
import { Imports } from './imports.ts';
import { Host, type Outcome } from './host.ts';
import type { Range, Reach } from './mutant-host.ts';
import type { Mutant } from './mutants.ts';

export type Fate = 'killed' | 'survived' | 'timeout';

/** What became of a mutant, and the test file that noticed. */
export interface Verdict {
  fate: Fate;
  by: string | null;
}

export interface TestCase {
  path: string;
  at: number;
  name: string;
  /** How long it takes when all is well. */
  ms: number;
  cpuMs: number;
  reach: Reach;
  /** How often it noticed lately. */
  kills: number;
}

/** A file of tests. */
export interface TestFile {
  path: string;
  /** Changes with the file and what of `test/` it loads. */
  hash: string;
  /** What runs when the file loads, for every test in it. */
  reach: Reach;
  cases: TestCase[];
}

/** What is kept of a measured file, as long as nothing that it loads has changed. */
export interface Measured {
  hash: string;
  reach: Reach;
  cases: Pick<TestCase, 'at' | 'name' | 'ms' | 'cpuMs' | 'reach'>[];
}

const COPIED = ['package.json', 'tsconfig.json', 'bin', 'scripts', 'src', 'templates', 'skills', 'schemas', 'test'];
const MEASURE_LIMITS = { cpuMs: 120_000, ms: 600_000 };
/** A case that takes more than four times the usual and so many milliseconds is taken to hang: of a processor, since a busy machine is no mutant. */
const GRACE_MS = 400;
/** To load a file of tests with all it imports. */
const LOAD_MS = 4_000;
/** The same by the wall, for one that waits. */
const WAIT_MS = 15_000;
/** So many mutants leave enough behind in memory. */
const HOST_LIFE = 200;

export class Laboratory {
  readonly dir: string;
  readonly #imports: Imports;
  #host: Host | null = null;
  #number = 0;

  constructor(root: string) {
    this.dir = mkdtempSync(join(tmpdir(), 'ruche-mutants-'));
    const there = new Set(readdirSync(root));
    for (const name of COPIED) if (there.has(name)) cpSync(join(root, name), join(this.dir, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(this.dir, 'node_modules'));
    mkdirSync(join(this.dir, '.tmp'));
    this.#imports = new Imports(this.dir, ['src', 'test', 'scripts']);
  }

  /** Runs the unchanged tests: they have to pass, in any order, and are looked at for what each one reaches and how long it takes. */
  async prepare(room: string, globs: readonly string[], kept: Record<string, Measured>): Promise<TestFile[]> {
    const tests: TestFile[] = [];
    for (const path of globSync([...globs], { cwd: this.dir }).sort()) {
      const hash = this.#hashOf(this.#imports.below(path));
      const old = kept[path];
      const measured = old?.hash === hash ? old : await this.#measure(path, room, hash);
      kept[path] = measured;
      const own = this.#hashOf(this.#imports.below(path).filter((file) => file.startsWith('test/')));
      const cases = measured.cases.map((each) => ({ ...each, path, kills: 0 }));
      tests.push({ path, hash: own, reach: measured.reach, cases });
    }
    this.#rest();
    if (tests.length === 0) throw new Error(`there are no tests in ${globs.join(', ')}`);
    return tests;
  }

  async #measure(path: string, room: string, hash: string): Promise<Measured> {
    const measured: Measured = { hash, reach: {}, cases: [] };
    const inRoom = (reach: Reach): Reach =>
      Object.fromEntries(Object.entries(reach).filter(([file]) => file.startsWith(`${room}/`)));
    for (const measure of ['reach', 'time'] as const) {
      const host = await Host.start(this.dir, measure === 'reach');
      const order = { number: this.#number++, fresh: [], changed: null, cases: [{ path, at: -1 }], measure };
      const { fate, error, seen } = await host.run(order, () => MEASURE_LIMITS);
      host.stop();
      if (fate !== 'survived') throw new Error(`${path} does not pass without any mutant: mend it first\n${error}`);
      for (const { at, name, ms, cpuMs, reach } of seen)
        if (measure === 'time')
          for (const each of measured.cases.filter((other) => other.at === at)) Object.assign(each, { ms, cpuMs });
        else if (at === -1) measured.reach = inRoom(reach);
        else measured.cases.push({ at, name, ms, cpuMs, reach: inRoom(reach) });
    }
    return measured;
  }

  #hashOf(files: readonly string[]): string {
    const hash = createHash('sha256');
    for (const file of files.toSorted()) hash.update(file).update('\0').update(this.source(file)).update('\0');
    return hash.digest('hex').slice(0, 16);
  }

  source(file: string): string {
    return readFileSync(join(this.dir, file), 'utf8');
  }

  /** Only the cases that reach the place are run: those first that notice often for the time they take. The order changes the time, never the outcome. */
  async try(file: string, mutant: Mutant, tests: readonly TestFile[]): Promise<Verdict> {
    const code = this.source(file);
    const reaching = tests
      .flatMap((test) =>
        reaches(test.reach[file], mutant) ? test.cases : test.cases.filter(({ reach }) => reaches(reach[file], mutant)),
      )
      .sort((a, b) => a.ms / (a.kills + 0.1) - b.ms / (b.kills + 0.1));
    if (reaching.length === 0) return { fate: 'survived', by: null };
    writeFileSync(join(this.dir, file), code.slice(0, mutant.start) + mutant.replacement + code.slice(mutant.end));
    try {
      const { fate, path, at } = await this.#run(file, reaching);
      if (fate === 'survived') return { fate, by: null };
      const all = tests.flatMap(({ cases }) => cases);
      for (const each of all) each.kills *= 0.95;
      for (const each of all) if (each.path === path && each.at === at) each.kills += 1;
      return { fate, by: path };
    } finally {
      writeFileSync(join(this.dir, file), code);
    }
  }

  /** What comes from outside a test may come from an earlier mutant: it counts only in a process of its own. */
  async #run(file: string, cases: readonly TestCase[]): Promise<Outcome> {
    const order = {
      changed: file,
      fresh: this.#imports.above(file),
      cases: cases.map(({ path, at }) => ({ path, at })),
    };
    const usual = new Map(cases.map((each) => [`${each.path} ${each.at}`, each]));
    const limits = (path: string, at: number): { cpuMs: number; ms: number } => {
      const { ms = 0, cpuMs = 0 } = usual.get(`${path} ${at}`) ?? {};
      return { cpuMs: at === -1 ? LOAD_MS : cpuMs * 4 + GRACE_MS, ms: ms * 4 + WAIT_MS };
    };
    for (;;) {
      this.#host ??= await Host.start(this.dir, false);
      const first = this.#host.tried === 0;
      const outcome = await this.#host.run({ ...order, number: this.#number++ }, limits);
      if (outcome.spoiled || this.#host.tried >= HOST_LIFE) this.#rest();
      if (!outcome.doubtful || first) return outcome;
      this.#rest();
    }
  }

  #rest(): void {
    this.#host?.stop();
    this.#host = null;
  }

  close(): void {
    this.#rest();
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Whether the innermost range around either end of the change ran; what follows a `?.` is a range of its own, which a null leaves out. */
function reaches(ranges: readonly Range[] | undefined, { start, end, optional }: Mutant): boolean {
  return [optional ? start - 1 : start, end - 1].some((at) => {
    const around = ranges?.filter(([from, to]) => from <= at && at < to) ?? [];
    const [inner] = around.sort((a, b) => a[1] - a[0] - (b[1] - b[0]));
    return inner?.[2] === 1;
  });
}
