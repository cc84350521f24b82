// `npm run mutate [-- src/policy src/scheduler/worker.ts:40-80] [--minutes 60]`: changes the code in one place after the other
// and says which changes no test notices. See docs/mutation.md.
import { globSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { mutantsOf, type Mutant } from './testing/mutants.ts';
import { Laboratory, type Fate } from './testing/mutation.ts';

/** Each room, and the tests that have to notice. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'src/policy': ['test/policy/*.test.ts', 'test/core/*.test.ts'],
  'src/journal': ['test/journal/*.test.ts'],
  'src/scheduler': ['test/scheduler/*.test.ts', 'test/agent/loop.test.ts'],
  'src/trust': ['test/trust/*.test.ts'],
};
/** Per cent of a room's mutants that have to be noticed. */
const THRESHOLD = 90;

interface Tally {
  name: string;
  mutants: number;
  killed: number;
  timeout: number;
  survived: number;
}

const root = join(import.meta.dirname, '..');
const args = process.argv.slice(2);
const minutes = Number(option('--minutes') ?? 120);
const wanted = args.filter((arg) => !arg.startsWith('-')).map(readWanted);
process.exitCode = await main();

function option(name: string): string | undefined {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, 2)[1];
}

function readWanted(text: string): { path: string; from: number; to: number } {
  const [, path = text, from = '1', to = from] = /^(.*?)(?::(\d+)(?:-(\d+))?)?$/.exec(text) ?? [];
  const lines = text.includes(':');
  return { path: relative(root, resolve(path)), from: Number(from), to: lines ? Number(to) : Infinity };
}

function isWanted(file: string, { line }: Mutant): boolean {
  const fits = ({ path, from, to }: (typeof wanted)[number]): boolean =>
    (file === path || file.startsWith(`${path}/`)) && line >= from && line <= to;
  return wanted.length === 0 || wanted.some(fits);
}

async function main(): Promise<number> {
  const until = performance.now() + minutes * 60_000;
  const laboratory = new Laboratory(root);
  process.on('exit', () => laboratory.close());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
  const rooms: Tally[] = [];
  for (const [room, tests] of Object.entries(ROOMS)) {
    const work = globSync(`${room}/**/*.ts`, { cwd: laboratory.dir })
      .sort()
      .map((file) => ({ file, mutants: mutantsOf(laboratory.source(file)).filter((each) => isWanted(file, each)) }))
      .filter(({ mutants }) => mutants.length > 0);
    if (work.length === 0) continue;
    await laboratory.prepare(tests);
    const files: Tally[] = [];
    for (const { file, mutants } of work) {
      const tally = await tryAll(laboratory, file, mutants, until);
      if (tally === null) {
        console.log(`\nThe ${minutes} minutes are over: raise --minutes, or name fewer files.`);
        return 1;
      }
      files.push(tally);
    }
    rooms.push(sum(room, files));
  }
  if (rooms.length === 0) {
    console.log(`There is nothing to change there. The rooms are ${Object.keys(ROOMS).join(', ')}.`);
    return 1;
  }
  console.log('');
  for (const room of rooms) console.log(line(room));
  return rooms.every((room) => score(room) >= THRESHOLD) ? 0 : 1;
}

/** Null when the time is over. */
async function tryAll(
  laboratory: Laboratory,
  file: string,
  mutants: readonly Mutant[],
  until: number,
): Promise<Tally | null> {
  const counts: Record<Fate, number> = { killed: 0, timeout: 0, survived: 0 };
  const survivors: Mutant[] = [];
  for (const mutant of mutants) {
    if (performance.now() > until) return null;
    const fate = await laboratory.fateOf(file, mutant);
    counts[fate] += 1;
    if (fate === 'survived') survivors.push(mutant);
  }
  const tally = { name: file, mutants: mutants.length, ...counts };
  console.log(line(tally));
  const code = laboratory.source(file);
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
  return `${name.padEnd(32)} ${counts.padEnd(60)} ${score(tally).toFixed(1).padStart(5)} %`;
}

function short(text: string): string {
  const flat = text.replace(/\s+/g, ' ');
  return flat.length <= 70 ? flat : `${flat.slice(0, 45)} … ${flat.slice(-20)}`;
}
