// Loaded before the process under measurement (`--import`). From the last SIGUSR2 to its end it watches how late the event
// loop comes and which SQL statements are run how often, and takes a profile if it is told a file for one.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync, StatementSync } from 'node:sqlite';

const RESOLUTION = 5;
const { PROBE_FILE, PROFILE_FILE } = process.env;
const late = monitorEventLoopDelay({ resolution: RESOLUTION });
late.enable();

let statements = new Map();
const count = (sql) => void statements.set(sql, (statements.get(sql) ?? 0) + 1);
for (const name of ['get', 'all', 'run', 'iterate']) {
  const original = StatementSync.prototype[name];
  StatementSync.prototype[name] = function (...values) {
    count(this.sourceSQL);
    return original.apply(this, values);
  };
}
const { exec } = DatabaseSync.prototype;
DatabaseSync.prototype.exec = function (sql) {
  for (const each of sql.split(';')) if (each.trim() !== '') count(each);
  return exec.call(this, sql);
};

const session = PROFILE_FILE === undefined ? null : new Session();
const post = (method, params) => {
  let answer = null;
  // The inspector of one's own thread answers before `post` returns.
  session.post(method, params, (error, result) => {
    if (error) throw new Error(`${method}: ${error.message}`);
    answer = result;
  });
  return answer;
};
if (session) {
  session.connect();
  post('Profiler.enable');
  post('Profiler.setSamplingInterval', { interval: 500 });
}

process.on('SIGUSR2', () => {
  late.reset();
  statements = new Map();
  if (session) post('Profiler.start');
});
// Whoever does not hear the signal that ends it would end without a word.
process.on('SIGTERM', () => process.listenerCount('SIGTERM') === 1 && process.exit(0));
process.on('exit', () => {
  // What is counted is from one tick of its timer to the next: the tick itself is no delay.
  const ms = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - RESOLUTION);
  const counted = [...statements].map(([sql, times]) => ({ sql: sql.replace(/\s+/g, ' ').trim(), times }));
  writeFileSync(PROBE_FILE, JSON.stringify({ p99: ms(late.percentile(99)), max: ms(late.max), statements: counted }));
  if (session) writeFileSync(PROFILE_FILE, JSON.stringify(post('Profiler.stop').profile));
});
