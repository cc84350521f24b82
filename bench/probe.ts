// Loaded before the process under measurement (`--import`). From the last SIGUSR2 to its end it watches how late the event
// loop comes and which SQL statements are run how often, and takes a profile if it is told a file for one.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync, StatementSync, type SQLInputValue } from 'node:sqlite';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What is written to `PROBE_FILE`. */
export interface Probed {
  /** Milliseconds the event loop came late. */
  p99: number;
  max: number;
  statements: { sql: string; times: number }[];
  /** Bytes of the heap that are in use after a collection: when the watch began, and at the signal that ends the process. */
  heap: { begun: number; ended: number };
}

const RESOLUTION = 5;
/** Microseconds between two samples. */
const INTERVAL = 500;
const { PROBE_FILE = '', PROFILE_FILE } = process.env;

const late = monitorEventLoopDelay({ resolution: RESOLUTION });
late.enable();

let statements = new Map<string, number>();
const count = (sql: string): void => void statements.set(sql, (statements.get(sql) ?? 0) + 1);
const { get, all, run, iterate } = StatementSync.prototype;
const counted = <T>(method: (...values: SQLInputValue[]) => T) =>
  function (this: StatementSync, ...values: SQLInputValue[]): T {
    count(this.sourceSQL);
    return method.apply(this, values);
  };
Object.assign(StatementSync.prototype, {
  get: counted(get),
  all: counted(all),
  run: counted(run),
  iterate: counted(iterate),
});
const { exec } = DatabaseSync.prototype;
DatabaseSync.prototype.exec = function (sql) {
  for (const each of sql.split(';')) if (each.trim() !== '') count(each);
  exec.call(this, sql);
};

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const heap = { begun: 0, ended: 0 };
function heapInUse(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

let profiling: Session | null = null;
async function profile(): Promise<void> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: INTERVAL });
  await session.post('Profiler.start');
  profiling = session;
}

process.on('SIGUSR2', () => {
  heap.begun = heapInUse();
  late.reset();
  statements = new Map();
  if (PROFILE_FILE !== undefined) void profile();
});
// Whoever does not hear the signal that ends it would end without a word. The profile is taken before the end is prepared.
process.prependListener('SIGTERM', () => {
  heap.ended = heapInUse();
  void profiling?.post('Profiler.stop').then(({ profile: taken }) => {
    writeFileSync(PROFILE_FILE ?? '', JSON.stringify(taken));
  });
  if (process.listenerCount('SIGTERM') === 1) process.exit(0);
});
process.on('exit', () => {
  // What is counted is from one tick of its timer to the next: the tick itself is no delay.
  const ms = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION);
  const probed: Probed = {
    p99: ms(late.percentile(99)),
    max: ms(late.max),
    heap,
    statements: [...statements].map(([sql, times]) => ({ sql: sql.replace(/\s+/g, ' ').trim(), times })),
  };
  writeFileSync(PROBE_FILE, JSON.stringify(probed));
});
