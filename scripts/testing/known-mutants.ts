// What earlier runs of `npm run mutate` have found, so that a run after an edit tries only what the edit may have changed:
// a killed mutant again when its file or the test file that noticed it changed, a survivor when its file or any test of the room did.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Mutant } from './mutants.ts';
import type { Fate, TestFile, Verdict } from './mutation.ts';

interface Found extends Verdict {
  /** Of what the verdict rests on. */
  hash: string;
}

const hashOf = (...parts: readonly string[]): string =>
  createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16);

const keyOf = (file: string, { start, end, replacement }: Mutant): string => `${file}:${start}:${end}:${replacement}`;

export class Known {
  readonly #path: string;
  readonly #found: Map<string, Found>;

  constructor(path: string, fresh: boolean) {
    this.#path = path;
    this.#found = new Map(fresh ? [] : Object.entries(read(path)));
  }

  holds(file: string, code: string, mutant: Mutant, tests: readonly TestFile[]): boolean {
    const found = this.#found.get(keyOf(file, mutant));
    return found !== undefined && found.hash === restsOn(code, tests, found.by);
  }

  learn(file: string, code: string, mutant: Mutant, tests: readonly TestFile[], verdict: Verdict): void {
    this.#found.set(keyOf(file, mutant), { ...verdict, hash: restsOn(code, tests, verdict.by) });
  }

  fateOf(file: string, mutant: Mutant): Fate {
    return this.#found.get(keyOf(file, mutant))?.fate ?? 'survived';
  }

  save(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(this.#path, JSON.stringify(Object.fromEntries(this.#found)));
  }
}

function restsOn(code: string, tests: readonly TestFile[], by: string | null): string {
  const those = tests.filter(({ path }) => by === null || path === by).map(({ path, hash }) => `${path} ${hash}`);
  return hashOf(code, ...those.sort());
}

function read(path: string): Record<string, Found> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, Found>;
  } catch (error) {
    // None yet, or one that a stop has cut: everything is tried.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
