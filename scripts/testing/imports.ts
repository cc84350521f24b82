// Which source files load which others, as their imports say.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export class Imports {
  readonly #imports = new Map<string, string[]>();
  readonly #importers = new Map<string, string[]>();

  constructor(dir: string, folders: readonly string[]) {
    const patterns = folders.map((folder) => `${folder}/**/*.ts`);
    const files = new Set(globSync(patterns, { cwd: dir }));
    for (const file of files) {
      const code = readFileSync(join(dir, file), 'utf8').replace(/^import type\b[^;]*;/gm, '');
      const found = [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/g)];
      // Texts of tests look like imports, too.
      const targets = found.map(([, path]) => join(dirname(file), path as string)).filter((path) => files.has(path));
      this.#imports.set(file, targets);
      for (const target of targets) this.#importers.set(target, [...(this.#importers.get(target) ?? []), file]);
    }
  }

  /** The file and everything it loads. */
  below(file: string): string[] {
    return closure(file, this.#imports);
  }

  /** The file and everything that loads it. */
  above(file: string): string[] {
    return closure(file, this.#importers);
  }
}

function closure(file: string, next: ReadonlyMap<string, readonly string[]>): string[] {
  const found = new Set([file]);
  for (const each of found) for (const other of next.get(each) ?? []) found.add(other);
  return [...found];
}
