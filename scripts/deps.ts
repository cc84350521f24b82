// What an installed `ruche` brings along, without the Node it carries and without what only developers need.
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Dependencies {
  /** Packages that package.json names itself, for run time. */
  direct: string[];
  /** Every package that gets installed, with its bytes. */
  packages: { name: string; bytes: number }[];
  bytes: number;
}

export const BUDGET = { direct: 30, packages: 130, bytes: 90_000_000 };

interface LockEntry {
  dev?: boolean;
  devOptional?: boolean;
  link?: boolean;
}

const CARRIED_NODE = /^node_modules\/node-(bin-)?(linux|darwin)-/;

export function measureDependencies(root: string): Dependencies {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockEntry & { dependencies?: Record<string, string> }>;
  };
  const packages = Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && !entry.dev && !entry.devOptional && !CARRIED_NODE.test(path))
    .filter(([path]) => existsSync(join(root, path)))
    .map(([path]) => ({ name: path.replace(/^node_modules\//, ''), bytes: bytesOf(join(root, path)) }));
  return {
    direct: Object.keys(lock.packages['']?.dependencies ?? {}),
    packages,
    bytes: packages.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** A package's own files; what is installed within it has an entry of its own. */
function bytesOf(folder: string): number {
  let sum = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules') continue;
    const path = join(folder, entry.name);
    sum += entry.isDirectory() ? bytesOf(path) : lstatSync(path).size;
  }
  return sum;
}

if (import.meta.main) {
  const { direct, packages, bytes } = measureDependencies(join(import.meta.dirname, '..'));
  for (const { name, bytes: own } of packages.toSorted((a, b) => b.bytes - a.bytes))
    console.log(`${(own / 1000).toFixed(0).padStart(8)} kB  ${name}`);
  console.log(
    `${direct.length} direct (at most ${BUDGET.direct}), ${packages.length} in all (at most ${BUDGET.packages}),`,
  );
  console.log(`${(bytes / 1e6).toFixed(1)} MB (at most ${BUDGET.bytes / 1e6} MB)`);
}
