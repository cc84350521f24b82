// What earlier runs of `npm run mutate` have found, so that a run after an edit tries only what the edit may have changed:
// a killed mutant again when its file or the test file that noticed it changed, a survivor when its file changed, or with the test files that did.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Mutant } from './mutants.ts';
import type { Fate, Measured, TestFile, Verdict } from './mutation.ts';

interface Found extends Verdict {
  /** Of the changed file. */
  code: string;
  /** The test files that the verdict rests on, by path: the one that noticed, or all that did not. */
  tests: Record<string, string>;
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

const keyOf = (file: string, { start, end, replacement }: Mutant): string => `${file}:${start}:${end}:${replacement}`;

export class Known {
  readonly #path: string;
  readonly #found: Map<string, Found>;
  /** What test files reach, by path. */
  readonly measured: Record<string, Measured>;

  constructor(path: string, fresh: boolean) {
    this.#path = path;
    const { found = {}, measured = {} } = fresh ? {} : read(path);
    this.#found = new Map(Object.entries(found));
    this.measured = measured;
  }

  /** The test files that may still notice; none if the fate is known. */
  open(file: string, code: string, mutant: Mutant, tests: readonly TestFile[]): readonly TestFile[] {
    const found = this.#found.get(keyOf(file, mutant));
    if (found?.code !== hashOf(code)) return tests;
    const changed = tests.filter(({ path, hash }) => found.tests[path] !== hash);
    if (found.by === null) return changed;
    return changed.some(({ path }) => path === found.by) ? tests : [];
  }

  learn(file: string, code: string, mutant: Mutant, tests: readonly TestFile[], verdict: Verdict): void {
    const those = tests.filter(({ path }) => verdict.by === null || path === verdict.by);
    const hashes = Object.fromEntries(those.map(({ path, hash }) => [path, hash]));
    this.#found.set(keyOf(file, mutant), { ...verdict, code: hashOf(code), tests: hashes });
  }

  fateOf(file: string, mutant: Mutant): Fate {
    return this.#found.get(keyOf(file, mutant))?.fate ?? 'survived';
  }

  save(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(this.#path, JSON.stringify({ found: Object.fromEntries(this.#found), measured: this.measured }));
  }
}

function read(path: string): { found?: Record<string, Found>; measured?: Record<string, Measured> } {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ReturnType<typeof read>;
  } catch (error) {
    // None yet, or one that a stop has cut: everything is tried.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
