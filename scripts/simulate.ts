// `npm run simulate [-- --days 7 --seeds 20 --jobs 2]`: plays of all seeds, which must be clean, and one for each bug, which must be noticed.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Simulated } from '../src/cli/app-port.ts';
import { breaks } from '../src/simulate/play.ts';

const { values } = parseArgs({
  options: {
    days: { type: 'string', default: '7' },
    seeds: { type: 'string', default: '20' },
    jobs: { type: 'string', default: '2' },
    'breaks-only': { type: 'boolean', default: false },
  },
});
const main = join(import.meta.dirname, '../src/cli/main.ts');

interface Play {
  seed: number;
  broken: string | null;
}

/** Runs one play; gives what it says, whatever the exit code. */
function run({ seed, broken }: Play): Promise<Simulated> {
  const args = [main, 'simulate', '--json', '--days', values.days, '--seed', String(seed)];
  if (broken !== null) args.push('--break', broken);
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      if (stdout === '') reject(new Error(stderr || (error?.message ?? 'it said nothing')));
      else resolve(JSON.parse(stdout) as Simulated);
    });
  });
}

function rowOf({ seed, broken }: Play, { counts, violations, broken: planted }: Simulated, seconds: number): boolean {
  const named = [...new Set(violations.map(({ invariant }) => invariant))];
  const caught = planted !== null && planted.struck && named.includes(planted.caughtBy);
  const good = planted === null ? violations.length === 0 : caught;
  const sum = (each: Record<string, number>): number => Object.values(each).reduce((all, count) => all + count, 0);
  const said =
    planted === null
      ? good
        ? 'clean'
        : named.join(', ')
      : caught
        ? `noticed by ${planted.caughtBy}`
        : `NOT NOTICED (${planted.struck ? named.join(', ') || 'clean' : 'no occasion'})`;
  const numbers = `${sum(counts.tasks)} tasks, ${counts.firings} firings, ${sum(counts.faults)} faults`;
  console.log(
    `${good ? 'ok  ' : 'FAIL'} seed ${String(seed).padEnd(3)} ${(broken ?? '').padEnd(17)} ${seconds.toFixed(0).padStart(4)} s  ${numbers}: ${said}`,
  );
  return good;
}

const seeds = values['breaks-only'] ? 0 : Number(values.seeds);
const plays: Play[] = [
  ...Array.from({ length: seeds }, (_, n) => ({ seed: n + 1, broken: null })),
  ...breaks.map(({ name }, n) => ({ seed: n + 1, broken: name })),
];
let bad = 0;
const next = async (): Promise<void> => {
  for (let play = plays.shift(); play; play = plays.shift()) {
    const began = performance.now();
    try {
      if (!rowOf(play, await run(play), (performance.now() - began) / 1_000)) bad += 1;
    } catch (error) {
      bad += 1;
      console.log(`FAIL seed ${play.seed} ${play.broken ?? ''}: ${String(error)}`);
    }
  }
};
await Promise.all(Array.from({ length: Number(values.jobs) }, next));
process.exitCode = bad === 0 ? 0 : 1;
