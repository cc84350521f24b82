import { posix } from 'node:path';
import { importsOf } from './source.ts';

/** They touch the machine, a server or Git, each behind a port, and never know of each other. */
const ADAPTERS = [
  'git',
  'store',
  'memory',
  'models',
  'net',
  'tools',
  'skills',
  'sandbox',
  'secrets',
  'channels',
  'accounts',
  'telemetry',
] as const;
const ENGINES = ['agent', 'scheduler', 'trust', 'spend', 'messages', 'pending', 'runtime', 'views', 'trace'] as const;
const UNDER_ENGINES = ['core', 'policy', 'journal'];
const GROUND = ['core', 'platform', 'config'];

/** Who may import whom; a room may always import itself. Engines reach each other only downwards, as far as they do. */
export const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  platform: ['core'],
  config: ['core'],
  policy: ['core'],
  journal: ['core'],
  ...Object.fromEntries(ADAPTERS.map((room) => [room, GROUND])),
  workspace: [...GROUND, 'git'],
  ...Object.fromEntries(ENGINES.map((room) => [room, UNDER_ENGINES])),
  messages: [...UNDER_ENGINES, 'pending'],
  runtime: [...UNDER_ENGINES, 'pending', 'messages'],
  gateway: ['core', ...ENGINES],
  app: [...GROUND, 'policy', 'journal', ...ADAPTERS, 'workspace', ...ENGINES, 'gateway'],
  simulate: [...GROUND, 'policy', 'journal', ...ADAPTERS, 'workspace', ...ENGINES, 'gateway', 'app'],
  cli: ['core', 'platform', 'trace', 'app', 'simulate'],
};

/** Rooms without a package of their own and without Node's modules; only hashing is pure enough. */
const PURE: readonly string[] = ['core', 'policy', 'journal', ...ENGINES];
const PURE_MODULES: readonly string[] = ['node:crypto'];

/** The one file of `cli` that reaches the composition and the machine, and hands them on as ports. */
export const CLI_ENTRY = 'src/cli/main.ts';

/** Commands that work without a running network may ask for that port; every other one talks HTTP. */
export const MAY_LOAD_APP: readonly string[] = [
  'pause',
  'up',
  'down',
  'init',
  'doctor',
  'security',
  'simulate',
  'log',
  'verify',
  'replay',
  'secrets',
  'policy',
  'skills',
];

/** '' for a file that stands loose in `src/`. */
const roomOf = (path: string): string => {
  const [, room = '', ...rest] = path.split('/');
  return rest.length === 0 ? '' : room;
};

/** The imports of files among themselves: path → the paths it imports. */
function arrowsOf(files: ReadonlyMap<string, string>): Map<string, string[]> {
  const targets = ([path, text]: [string, string]): [string, string[]] => [
    path,
    importsOf(text)
      .flatMap(({ target }) => (target?.startsWith('.') ? [posix.join(posix.dirname(path), target)] : []))
      .filter((target) => files.has(target)),
  ];
  return new Map([...files].map(targets));
}

/** The same between groups of files, such as folders or rooms, without a group's arrows to itself. */
function between(arrows: ReadonlyMap<string, readonly string[]>, groupOf: (path: string) => string) {
  const groups = new Map<string, Set<string>>();
  for (const [path, targets] of arrows) {
    const from = groupOf(path);
    const to = groups.get(from) ?? new Set();
    for (const target of targets) if (groupOf(target) !== from) to.add(groupOf(target));
    groups.set(from, to);
  }
  return groups;
}

/** How large the house is: what the guard prints beside its verdict. */
export function measure(files: ReadonlyMap<string, string>): { rooms: number; folders: number; arrows: number } {
  const arrows = arrowsOf(files);
  const rooms = between(arrows, roomOf);
  const folders = between(arrows, (path) => posix.dirname(path));
  return {
    rooms: rooms.size,
    folders: folders.size,
    arrows: [...rooms.values()].reduce((sum, to) => sum + to.size, 0),
  };
}

/** Every way in which the files break the rules, as sentences; files are path → text, paths start with `src/`. */
export function layerViolations(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    const room = roomOf(path);
    const allowed = ALLOWED[room];
    if (room === '') found.push(`${path}: no file stands loose in src/; every file belongs to a room`);
    else if (allowed === undefined) found.push(`${path}: there is no room "${room}" in DESIGN §4`);
    if (room === 'cli' && /\.loadApp\b/.test(text) && !MAY_LOAD_APP.includes(posix.basename(path, '.ts')))
      found.push(`${path}: this command talks to a running network, so it must not load the app`);
    for (const { target, names } of importsOf(text)) {
      if (target === null) found.push(`${path}: imports something that is only known while it runs`);
      else if (!target.startsWith('.')) found.push(...foreign(path, room, target, names));
      else found.push(...inside(path, room, posix.join(posix.dirname(path), target), files));
    }
  }
  const arrows = arrowsOf(files);
  const circles = [
    ...importCircles(files),
    ...cycles(between(arrows, (path) => posix.dirname(path))).map((circle) => `a circle of folders: ${circle}`),
  ];
  return [...found, ...circles];
}

function foreign(path: string, room: string, target: string, names: string): string[] {
  if (!PURE.includes(room)) return [];
  // Lets other work go first; it says nothing about time.
  if (target === 'node:timers/promises' && /^\s*\{ setImmediate( as \w+)? \}\s*$/.test(names)) return [];
  // What a port gives back. Types open nothing.
  if (target === 'node:net' && names.trim() === 'type { Socket }') return [];
  return PURE_MODULES.includes(target) ? [] : [`${path}: ${room} is pure and must not import ${target}`];
}

function inside(path: string, room: string, target: string, files: ReadonlyMap<string, string>): string[] {
  // The bundler and type stripping both need the real name.
  if (!files.has(target)) return target.endsWith('package.json') ? [] : [`${path}: ${target} does not exist`];
  const other = roomOf(target);
  if (other === room) return [];
  // Said already, of the file as a whole.
  if (room === '') return [];
  if (!(ALLOWED[room] ?? []).includes(other)) return [`${path}: ${room} must not import ${other} (${target})`];
  if (room === 'cli' && ['app', 'simulate', 'platform'].includes(other) && path !== CLI_ENTRY)
    return [`${path}: only ${CLI_ENTRY} may import ${target}`];
  return [];
}

/** Files that import each other in a circle, one sentence for each circle found. */
export const importCircles = (files: ReadonlyMap<string, string>): string[] =>
  cycles(arrowsOf(files)).map((circle) => `a circle of imports: ${circle}`);

/** What leads back to itself, one text for each circle found; types count, so that no order of loading is left to luck. */
function cycles(arrows: ReadonlyMap<string, Iterable<string>>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) found.push([...trail.slice(at), path].join(' → '));
    if (at !== -1 || done.has(path)) return;
    for (const target of arrows.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of arrows.keys()) visit(path, []);
  return found;
}
