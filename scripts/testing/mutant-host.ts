// The process in which mutants are tried, one after the other: what a mutant changes is loaded anew under a number of its own, all else is
// loaded once. `mutation.ts` starts it, tells it what to run, and kills it when a test takes too long.
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { collect, type Suite } from './own-test.ts';

/** What to run: each case by its file and its place in the file. */
export interface Order {
  /** Under this number everything in `fresh` is loaded anew. */
  number: number;
  fresh: string[];
  /** The file that differs from one order to the next. */
  changed: string | null;
  cases: { path: string; at: number }[];
  /** Goes on after a failure, and looks at what each case runs. */
  measure?: 'time' | 'reach';
}
/** From where to where, and whether it ran. */
export type Range = [start: number, end: number, ran: 0 | 1];
/** By source file: what V8 counted. Type stripping keeps positions, so the offsets are those of the source. */
export type Reach = Record<string, Range[]>;
export type Report =
  | { kind: 'ready' }
  /** A case begins; -1 is the loading of a file. */
  | { kind: 'begin'; path: string; at: number }
  | { kind: 'case'; path: string; at: number; name: string; ms: number; cpuMs: number; reach: Reach }
  /** `stray`: the failure came from outside the test, perhaps from what an earlier mutant left behind. */
  | { kind: 'end'; failed: { path: string; error: string; stray: boolean } | null; dirty: boolean };

const root = join(import.meta.dirname, '..', '..');
const base = pathToFileURL(root).href;
const OWN_TEST = new URL('own-test.ts', import.meta.url).href;
const LOADED = -1;

let fresh = new Set<string>();
const stripped = new Map<string, string>();
let changed = '';
const session = new Session();
let interrupt: ((error: Error) => void) | null = null;

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'node:test') return { url: OWN_TEST, format: 'module', shortCircuit: true };
    const resolved = next(specifier, context);
    const tag = context.parentURL?.split('?m=')[1];
    if (tag === undefined || !resolved.url.startsWith(base) || !fresh.has(resolved.url.slice(base.length + 1)))
      return resolved;
    return { ...resolved, url: `${resolved.url}?m=${tag}` };
  },
  load(url, context, next) {
    if (!url.includes('?m=')) return next(url, context);
    return { format: 'module', source: strip(fileURLToPath(url.split('?')[0] as string)), shortCircuit: true };
  },
});

/** Types are stripped once, not again for every mutant; of the changed file always. */
function strip(path: string): string {
  const source = stripped.get(path) ?? stripTypeScriptTypes(readFileSync(path, 'utf8'));
  if (path !== changed) stripped.set(path, source);
  return source;
}

const tell = (report: Report): void => void process.send?.(report);

// A promise that nothing will settle: node:test would call that a failure, too.
process.on('beforeExit', () => interrupt?.(new Error('nothing is left that could settle the test')));
const stray = (error: unknown): void => interrupt?.(Object.assign(new Error(String(error)), { stray: true }));
process.on('uncaughtException', stray);
process.on('unhandledRejection', stray);

async function guarded(work: () => Promise<void>): Promise<void> {
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = reject;
  });
  process.channel?.unref();
  try {
    await Promise.race([work(), interrupted]);
  } finally {
    interrupt = null;
    process.channel?.ref();
  }
}

async function obey(order: Order): Promise<void> {
  const idle = process.getActiveResourcesInfo().length;
  fresh = new Set(order.fresh);
  changed = join(root, order.changed ?? '');
  stripped.delete(changed);
  const suites = new Map<string, Suite>();
  let failed: { path: string; error: string; stray: boolean } | null = null;
  let doing = '';
  try {
    for (const { path, at } of order.cases) {
      doing = path;
      if (!suites.has(path)) suites.set(path, await open(order, path));
      const cases = suites.get(path)?.cases ?? [];
      const wanted = at === LOADED ? cases.keys().toArray() : [at];
      for (const each of order.measure === 'time' ? wanted.reverse() : wanted) await run(order, path, each, cases);
    }
    for (const [path, { after }] of suites) {
      doing = path;
      await guarded(async () => {
        for (const step of after) await step();
      });
    }
  } catch (error) {
    const isStray = error instanceof Error && 'stray' in error;
    failed = {
      path: doing,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      stray: isStray,
    };
  }
  await new Promise((resolve) => setImmediate(resolve));
  tell({ kind: 'end', failed, dirty: process.getActiveResourcesInfo().length > idle });
}

async function open({ number, measure }: Order, path: string): Promise<Suite> {
  tell({ kind: 'begin', path, at: LOADED });
  const watch = stopwatch();
  let suite: Suite = { cases: [], before: [], after: [] };
  await guarded(async () => {
    suite = await collect(() => import(`${pathToFileURL(join(root, path)).href}?m=${number}`));
    for (const step of suite.before) await step();
  });
  if (measure) tell({ kind: 'case', path, at: LOADED, name: '', ...watch(), reach: reached(measure) });
  return suite;
}

async function run({ measure }: Order, path: string, at: number, cases: Suite['cases']): Promise<void> {
  const found = cases[at];
  if (!found) throw new Error(`${path} has no test ${at} any more`);
  tell({ kind: 'begin', path, at });
  const watch = stopwatch();
  await guarded(found.run);
  if (measure) tell({ kind: 'case', path, at, name: found.name, ...watch(), reach: reached(measure) });
}

function stopwatch(): () => { ms: number; cpuMs: number } {
  const [started, used] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(used);
    return { ms: performance.now() - started, cpuMs: (user + system) / 1_000 };
  };
}

/** What has run since the last look. */
function reached(measure: 'time' | 'reach'): Reach {
  const reach: Reach = {};
  if (measure === 'time') return reach;
  session.post('Profiler.takePreciseCoverage', (_, { result }) => {
    for (const { url, functions } of result) {
      const file = url.startsWith(`${base}/src/`) ? (url.slice(base.length + 1).split('?')[0] as string) : null;
      if (file === null) continue;
      const ranges = functions.flatMap((each) => each.ranges);
      reach[file] ??= [];
      for (const { startOffset, endOffset, count } of ranges)
        reach[file].push([startOffset, endOffset, count > 0 ? 1 : 0]);
    }
  });
  return reach;
}

session.connect();
if (process.argv.includes('--reach')) {
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
}
process.on('message', (order: Order) => void obey(order));
tell({ kind: 'ready' });
