// `npm test [-- paths] [--coverage]`: every room's tests in a process of its own, some at a time, with no network but loopback.
// `npm run test:all [-- paths]` runs the slow proofs whole besides (testing/slow.ts), `-- --slow` those alone.
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { coverageTable } from './testing/coverage.ts';
import { runJob, type Job, type Outcome } from './testing/job.ts';
import { LOOPBACK_ONLY, ownMemory, ownNetwork } from './testing/namespace.ts';
import { hasQuickForm, isBelow, SUITES, suiteOf } from './testing/slow.ts';

const root = join(import.meta.dirname, '..');
const picked = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const coverage = process.argv.includes('--coverage');
const slowOnly = process.argv.includes('--slow');
const whole = slowOnly || process.argv.includes('--all');
/** Where everything has to be there. */
const strict = whole || process.env.CI === 'true';

/** Whole processes are started and killed there: each file goes by itself. */
const isHeavy = (name: string): boolean => name.startsWith('test/crash/') || name.startsWith('test/e2e/');
/** What takes longest begins first, or one of them is all that runs in the end. */
const LONGEST = [
  'test/crash/boundaries.test.ts',
  'test/web',
  'test/workspace',
  'test/crash/random.test.ts',
  'test/agent',
  'test/e2e/schedule-switches.test.ts',
  'test/e2e',
];
/** A third of the time tests wait, for a clock or another process: one more of them than there are cores goes at once. Two more took longer. */
const LANES = Math.max(3, Math.min(5, availableParallelism() + 1));
/** Milliseconds in which a test must end, also on a machine with ten times too much to do. The crash suite sets it by its number of kills. */
const PATIENCE = Number(process.env.TEST_PATIENCE_MS ?? 300_000);
/** A skip with such a reason means that something is missing on this machine, which must not happen where all is installed. */
const MISSING = /\b(missing|not installed|not on this machine|no \S+ on this machine)\b/i;

if (process.env[LOOPBACK_ONLY] === undefined) {
  const network = ownNetwork();
  if (network.ok) {
    const [command = '', ...prefix] = [...network.prefix, ...ownMemory(network.prefix)];
    const env = { ...process.env, [LOOPBACK_ONLY]: '1' };
    const again = spawnSync(
      command,
      [...prefix, process.execPath, '--disable-warning=ExperimentalWarning', ...process.argv.slice(1)],
      {
        stdio: 'inherit',
        env,
      },
    );
    process.exit(again.status ?? 1);
  }
  console.log(`The tests can reach the network here: ${network.why}.`);
  if (strict) {
    console.log('Here, where everything has to be proven, that is an error.');
    process.exit(1);
  }
}

process.exitCode = await main();

function findJobs(): Job[] {
  const wanted = picked.map((path) => relative(root, resolve(path)));
  for (const path of wanted) statSync(join(root, path)); // a mistyped path must not pass as "no tests"
  const files = globSync('test/**/*.test.ts', { cwd: root })
    .filter((file) => wanted.length === 0 || wanted.some((path) => isBelow(path, file)))
    .filter((file) => (whole ? !slowOnly || suiteOf(file) : hasQuickForm(file)))
    .sort();
  const jobs = new Map<string, Job>();
  for (const file of files) {
    const suite = whole ? suiteOf(file) : undefined;
    const name = isHeavy(file) ? file : suite ? `${dirname(file)}:${suite.name}` : dirname(file);
    const job = jobs.get(name) ?? { name, files: [], ...(suite && { suite }) };
    job.files.push(join(root, file));
    jobs.set(name, job);
  }
  const rank = ({ name }: Job): number => LONGEST.findIndex((long) => name.startsWith(long)) >>> 0;
  return [...jobs.values()].sort((a, b) => rank(a) - rank(b));
}

async function main(): Promise<number> {
  const jobs = findJobs();
  if (jobs.some(({ name }) => isHeavy(name) || /^test\/(web|cli)\b/.test(name))) bundle();
  mkdirSync(join(root, '.cache'), { recursive: true });
  // Not among the temporary files: it grows to gigabytes, and those may be in memory.
  const coverageDir = coverage ? mkdtempSync(join(root, '.cache', 'coverage-')) : null;
  // What one process has compiled, the next one reads. V8 counts less exactly in what was kept so.
  const compiled = { NODE_COMPILE_CACHE: join(root, '.cache', 'tests') };
  const env = { ...process.env, ...(coverageDir === null ? compiled : { NODE_V8_COVERAGE: coverageDir }) };
  const waiting = [...jobs];
  const outcomes: Outcome[] = [];
  const work = async (): Promise<void> => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      const outcome = await runJob(job, env, PATIENCE);
      outcomes.push(outcome);
      print(outcome);
    }
  };
  await Promise.all(Array.from({ length: LANES }, work));
  if (coverageDir !== null) {
    console.log(coverageTable(coverageDir, root));
    rmSync(coverageDir, { recursive: true, force: true });
  }
  return summarise(outcomes);
}

/**
 * Hundreds of processes are started: from the bundle each takes half the time. Coverage needs the source, but the page
 * is built all the same: once, and not by two processes of tests into the same folder.
 */
function bundle(): void {
  const args = [join(import.meta.dirname, 'build.ts'), '--if-stale', ...(coverage ? ['--web'] : [])];
  const build = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (build.status !== 0) console.log(`The bundle cannot be built, so processes start from source.\n${build.stderr}`);
}

function print(outcome: Outcome): void {
  const { job, passed, failures, skipped, notes, ms, cpuMs } = outcome;
  const counts = [
    `${passed} passed`,
    failures.length && `${failures.length} failed`,
    skipped.length && `${skipped.length} skipped`,
  ];
  console.log(
    `${failures.length ? '✗' : '✓'} ${job.name}  ${counts.filter(Boolean).join(', ')}  ${(ms / 1000).toFixed(1)} s, ${(cpuMs / 1000).toFixed(1)} s of CPU`,
  );
  for (const note of notes) console.log(`    ${note}`);
  for (const { name, where, error } of failures)
    console.log(`\n  ✗ ${name}\n    ${relative(root, where)}\n${error.replaceAll(/^/gm, '    ')}\n`);
}

function summarise(outcomes: readonly Outcome[]): number {
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  const slow = outcomes.flatMap((outcome) => outcome.slow).filter(({ ms }) => ms > 2000);
  if (slow.length > 0) console.log('\nSlow tests:');
  for (const { name, ms } of slow.sort((a, b) => b.ms - a.ms).slice(0, 10))
    console.log(`  ${(ms / 1000).toFixed(1)} s  ${name}`);
  if (skipped.length > 0) console.log('\nSkipped:');
  for (const { name, reason } of skipped) console.log(`  ${name}: ${reason}`);

  for (const line of budgets(outcomes)) console.log(line);

  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failed = outcomes.reduce((sum, outcome) => sum + outcome.failures.length, 0);
  const missing = strict ? skipped.filter(({ reason }) => MISSING.test(reason)) : [];
  if (missing.length > 0) console.log(`\nEverything must be there, but ${missing.length} tests missed something.`);
  if (passed + failed === 0) console.log('\nNo test ran.');
  for (const { job, failures } of outcomes)
    for (const { name } of failures) console.log(`\nfailed: ${name} (${job.name})`);
  const cpu = outcomes.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / 1000;
  const time = `${(performance.now() / 1000).toFixed(0)} s, ${cpu.toFixed(0)} s of CPU`;
  console.log(`\n${passed} passed, ${failed} failed, ${skipped.length} skipped  ${time}`);
  return failed > 0 || missing.length > 0 || passed === 0 ? 1 : 0;
}

/** What each suite of slow proofs used of what it may. More is no failure: machines differ. */
function budgets(outcomes: readonly Outcome[]): string[] {
  const rows = SUITES.flatMap(({ name, seconds }) => {
    const own = outcomes.filter(({ job }) => job.suite?.name === name);
    if (own.length === 0) return [];
    const used = own.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / 1000;
    const over =
      used > seconds ? '  OVER ITS BUDGET: make it quicker, or say in testing/slow.ts why it takes longer' : '';
    return [`  ${name.padEnd(12)} ${used.toFixed(0).padStart(5)} s of ${String(seconds).padStart(4)} s of CPU${over}`];
  });
  return rows.length === 0 ? [] : ['\nSlow proofs:', ...rows];
}
