// `npm run mutate [-- src/policy src/scheduler/worker.ts:40-80] [--minutes 60] [--jobs 2] [--fresh]`: changes the code in one place
// after the other and says which changes no test notices. See docs/mutation.md.
import { globSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Known } from './testing/known-mutants.ts';
import { mutantsOf, type Mutant } from './testing/mutants.ts';
import { Laboratory, type Fate, type TestFile } from './testing/mutation.ts';

/** Each room, and the tests that have to notice. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'src/policy': ['test/policy/*.test.ts', 'test/core/*.test.ts'],
  'src/journal': ['test/journal/*.test.ts'],
  'src/scheduler': ['test/scheduler/*.test.ts', 'test/agent/loop.test.ts'],
  'src/trust': ['test/trust/*.test.ts'],
};
/** Per cent of a room's mutants that have to be noticed. */
const THRESHOLD = 95;

interface Tally {
  name: string;
  mutants: number;
  killed: number;
  timeout: number;
  survived: number;
}
interface File {
  file: string;
  code: string;
  mutants: Mutant[];
}

const root = join(import.meta.dirname, '..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '120' },
    jobs: { type: 'string', default: '1' },
    fresh: { type: 'boolean', default: false },
  },
});
const until = performance.now() + Number(values.minutes) * 60_000;
const wanted = positionals.map(readWanted);
const known = new Known(join(root, 'node_modules', '.cache', 'ruche-mutants.json'), values.fresh);
const laboratories = Array.from({ length: Number(values.jobs) }, () => new Laboratory(root));
process.on('exit', () => {
  for (const laboratory of laboratories) laboratory.close();
  known.save();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
process.exit(await main());

function readWanted(text: string): { path: string; from: number; to: number } {
  const [, path = text, from = '1', to = from] = /^(.*?)(?::(\d+)(?:-(\d+))?)?$/.exec(text) ?? [];
  const lines = text.includes(':');
  return { path: relative(root, resolve(path)), from: Number(from), to: lines ? Number(to) : Infinity };
}

/** The lines of a file that were asked for. */
function linesOf(file: string): (typeof wanted)[number][] {
  const all = { path: file, from: 1, to: Infinity };
  return wanted.length === 0 ? [all] : wanted.filter(({ path }) => file === path || file.startsWith(`${path}/`));
}

async function main(): Promise<number> {
  const [first] = laboratories;
  const rooms: Tally[] = [];
  for (const [room, globs] of Object.entries(ROOMS)) {
    const files = globSync(`${room}/**/*.ts`, { cwd: root })
      .sort()
      .map((file): File => {
        const code = first?.source(file) ?? '';
        const lines = linesOf(file);
        const isWanted = ({ line }: Mutant): boolean => lines.some(({ from, to }) => line >= from && line <= to);
        return { file, code, mutants: lines.length === 0 ? [] : mutantsOf(code).filter(isWanted) };
      })
      .filter(({ mutants }) => mutants.length > 0);
    if (files.length === 0) continue;
    const tests = (await first?.prepare(room, globs, known.measured)) ?? [];
    const tallies = await tryAll(files, tests);
    if (tallies === null) {
      console.log(`\nThe ${values.minutes} minutes are over. What was tried is kept: run it again to go on.`);
      return 1;
    }
    rooms.push(sum(room, tallies));
  }
  if (rooms.length === 0) {
    console.log(`There is nothing to change there. The rooms are ${Object.keys(ROOMS).join(', ')}.`);
    return 1;
  }
  console.log('');
  for (const room of rooms) console.log(line(room));
  return rooms.every((room) => score(room) >= THRESHOLD) ? 0 : 1;
}

/** Tries every mutant whose fate is not known already; null when the time is over. */
async function tryAll(files: readonly File[], tests: readonly TestFile[]): Promise<Tally[] | null> {
  const work = files.map((file) => ({
    file,
    left: file.mutants
      .map((mutant) => ({ mutant, open: known.open(file.file, file.code, mutant, tests) }))
      .filter(({ open }) => open.length > 0),
  }));
  const count = work.reduce((sum, { left }) => sum + left.length, 0);
  const cases = tests.reduce((sum, test) => sum + test.cases.length, 0);
  console.log(`${count} mutants to try, ${cases} tests in ${tests.length} files`);
  const started = performance.now();
  const tallies: Tally[] = [];
  for (const { file, left } of work) {
    const own = laboratories.map(async (laboratory) => {
      for (let next = left.shift(); next !== undefined && performance.now() < until; next = left.shift()) {
        const verdict = await laboratory.try(file.file, next.mutant, next.open);
        known.learn(file.file, file.code, next.mutant, tests, verdict);
      }
    });
    await Promise.all(own);
    known.save();
    if (performance.now() >= until) return null;
    tallies.push(tell(file));
  }
  if (count > 0) console.log(`${Math.round((performance.now() - started) / count)} ms a mutant`);
  return tallies;
}

/** What became of a file's mutants; prints it with the survivors. */
function tell({ file, code, mutants }: File): Tally {
  const counts: Record<Fate, number> = { killed: 0, timeout: 0, survived: 0 };
  const survivors: Mutant[] = [];
  for (const mutant of mutants) {
    const fate = known.fateOf(file, mutant);
    counts[fate] += 1;
    if (fate === 'survived') survivors.push(mutant);
  }
  const tally = { name: file, mutants: mutants.length, ...counts };
  console.log(line(tally));
  for (const { line: at, column, start, end, replacement } of survivors)
    console.log(`    ${file}:${at}:${column}  ${short(code.slice(start, end))}  →  ${short(replacement)}`);
  return tally;
}

function sum(name: string, files: readonly Tally[]): Tally {
  const total = (field: 'mutants' | 'killed' | 'timeout' | 'survived'): number =>
    files.reduce((all, file) => all + file[field], 0);
  const [mutants, killed, timeout, survived] = [total('mutants'), total('killed'), total('timeout'), total('survived')];
  return { name, mutants, killed, timeout, survived };
}

/** A mutant that hangs the tests is noticed. */
function score({ mutants, killed, timeout }: Tally): number {
  return (100 * (killed + timeout)) / mutants;
}

function line(tally: Tally): string {
  const { name, mutants, killed, timeout, survived } = tally;
  const counts = `${mutants} mutants, ${killed} killed, ${timeout} timeouts, ${survived} survived`;
  return `${name.padEnd(40)} ${counts.padEnd(60)} ${score(tally).toFixed(1).padStart(5)} %`;
}

function short(text: string): string {
  const flat = text.replace(/\s+/g, ' ');
  return flat.length <= 70 ? flat : `${flat.slice(0, 45)} … ${flat.slice(-20)}`;
}
