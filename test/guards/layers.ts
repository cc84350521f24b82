import { posix } from 'node:path';
import { importsOf } from './source.ts';

const ADAPTERS = [
  'store',
  'workspace',
  'memory',
  'models',
  'net',
  'tools',
  'skills',
  'sandbox',
  'secrets',
  'channels',
] as const;
const ENGINES = ['agent', 'scheduler', 'mail', 'replay', 'views'] as const;

/** Who may import whom. A room may always import itself; `app` are the files that stand in `src/` directly. */
export const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  policy: ['core'],
  journal: ['core'],
  ...Object.fromEntries(ADAPTERS.map((room) => [room, ['core']])),
  ...Object.fromEntries(ENGINES.map((room) => [room, ['core', 'policy', 'journal']])),
  gateway: ['core', ...ENGINES],
  cli: ['core', 'replay', 'app', 'simulate'],
  app: ['core', 'policy', 'journal', ...ADAPTERS, ...ENGINES, 'gateway', 'cli', 'simulate'],
  simulate: ['core', 'policy', 'journal', ...ADAPTERS, ...ENGINES, 'gateway', 'app'],
};

/** Rooms without a package of their own and without Node's modules; only hashing is pure enough. */
const PURE: readonly string[] = ['core', 'policy', 'journal', ...ENGINES];
const PURE_MODULES: readonly string[] = ['node:crypto'];

/** The one file of `cli` that reaches the composition root, and hands it on as a port. */
export const CLI_ENTRY = 'src/cli/main.ts';

/** Commands that work without a running network may ask for that port; every other one talks HTTP. */
export const MAY_LOAD_APP: readonly string[] = [
  'up',
  'init',
  'doctor',
  'simulate',
  'log',
  'verify',
  'replay',
  'secrets',
  'policy',
  'skills',
];

const roomOf = (path: string): string => {
  const [, room = '', ...rest] = path.split('/');
  return rest.length === 0 ? 'app' : room;
};

/** Every way in which the files break the rules, as sentences; files are path → text, paths start with `src/`. */
export function layerViolations(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    const room = roomOf(path);
    const allowed = ALLOWED[room];
    if (allowed === undefined) found.push(`${path}: there is no room "${room}" in DESIGN §4`);
    if (room === 'cli' && /\.loadApp\b/.test(text) && !MAY_LOAD_APP.includes(posix.basename(path, '.ts')))
      found.push(`${path}: this command talks to a running network, so it must not load the app`);
    for (const { target, names } of importsOf(text)) {
      if (target === null) found.push(`${path}: imports something that is only known while it runs`);
      else if (!target.startsWith('.')) found.push(...foreign(path, room, target, names));
      else found.push(...inside(path, room, posix.join(posix.dirname(path), target), files));
    }
  }
  return [...found, ...cycles(files)];
}

function foreign(path: string, room: string, target: string, names: string): string[] {
  if (!PURE.includes(room)) return [];
  // Lets other work go first; it says nothing about time.
  if (target === 'node:timers/promises' && /^\s*\{ setImmediate( as \w+)? \}\s*$/.test(names)) return [];
  return PURE_MODULES.includes(target) ? [] : [`${path}: ${room} is pure and must not import ${target}`];
}

function inside(path: string, room: string, target: string, files: ReadonlyMap<string, string>): string[] {
  // The bundler and type stripping both need the real name.
  if (!files.has(target)) return target.endsWith('package.json') ? [] : [`${path}: ${target} does not exist`];
  const other = roomOf(target);
  if (other === room) return [];
  if (!(ALLOWED[room] ?? []).includes(other)) return [`${path}: ${room} must not import ${other} (${target})`];
  if (room === 'cli' && (other === 'app' || other === 'simulate') && path !== CLI_ENTRY)
    return [`${path}: only ${CLI_ENTRY} may import ${target}`];
  return [];
}

/** Files that import each other in a circle, types included: one sentence for each circle found. */
export function cycles(files: ReadonlyMap<string, string>): string[] {
  const edges = new Map<string, string[]>();
  for (const [path, text] of files) {
    const targets = importsOf(text).flatMap(({ target }) =>
      target?.startsWith('.') ? [posix.join(posix.dirname(path), target)] : [],
    );
    edges.set(
      path,
      targets.filter((target) => files.has(target)),
    );
  }
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) found.push(`a circle of imports: ${[...trail.slice(at), path].join(' → ')}`);
    if (at !== -1 || done.has(path)) return;
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return found;
}
