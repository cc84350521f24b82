import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

/** Path from the root → text, of every TypeScript file of `src/`. */
export function readSources(folder = 'src'): Map<string, string> {
  const files = new Map<string, string>();
  for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.[mc]?[tj]sx?$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(ROOT, path).replaceAll('\\', '/'), readFileSync(path, 'utf8'));
  }
  return files;
}

/** Comments and the insides of template texts become blanks, so that words in them are not taken for code. */
export function withoutComments(text: string): string {
  return text.replace(
    /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (part) => (part.startsWith('/') ? part.replaceAll(/[^\n]/g, ' ') : part),
  );
}

export interface Import {
  /** What is imported; null where the code works it out while it runs. */
  target: string | null;
  /** Names of a static import, '' for none. */
  names: string;
}

const STATIC = /(?:^|[;}\n])\s*(?:import|export)\b([^'"`;()=]*?)\bfrom\s*(['"])(.*?)\2/g;
const BARE = /(?:^|[;}\n])\s*import\s*(['"])(.*?)\1/g;
const DYNAMIC = /\b(?:import|require|createRequire\([^)]*\))\s*\(\s*(?:(['"])(.*?)\1\s*[,)])?/g;

/** Texts that were read before: planting a violation asks for the whole tree again each time. */
const seen = new Map<string, Import[]>();

/** Every import of a file: values and types, re-exports, `import()`, `typeof import()` and `require()`. */
export function importsOf(text: string): Import[] {
  const known = seen.get(text) ?? readImports(text);
  seen.set(text, known);
  return known;
}

function readImports(text: string): Import[] {
  const code = withoutComments(text);
  return [
    ...[...code.matchAll(STATIC)].map(([, names = '', , target = '']) => ({ target, names })),
    ...[...code.matchAll(BARE)].map(([, , target = '']) => ({ target, names: '' })),
    ...[...code.matchAll(DYNAMIC)].map(([, , target]) => ({ target: target ?? null, names: '' })),
  ];
}
