// `npm run flake -- [--n 20] [--load] [paths…]`: runs `npm test` again and again and counts what fails now and then.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { n: { type: 'string', default: '20' }, load: { type: 'boolean', default: false } },
});
const runs = Number(values.n);
if (!Number.isInteger(runs) || runs < 1) throw new Error(`--n is a number of runs, not "${values.n}".`);

// On a busy machine things come in an order that a quiet one never shows.
const load = values.load ? new Worker('for (;;);', { eval: true }) : null;
const failures = new Map<string, number>();
let kept = '';
let red = 0;
for (let run = 1; run <= runs; run++) {
  const started = performance.now();
  const test = spawnSync(process.execPath, [join(import.meta.dirname, 'test.ts'), ...positionals], {
    encoding: 'utf8',
    maxBuffer: Infinity,
  });
  const took = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  if (test.status === 0) {
    console.log(`${run}  green  ${took}`);
    continue;
  }
  red += 1;
  kept ||= mkdtempSync(join(tmpdir(), 'ruche-flake-'));
  const file = join(kept, `${run}.txt`);
  writeFileSync(file, test.stdout + test.stderr);
  const found = [...test.stdout.matchAll(/^failed: (.*) \(\S+\)$/gm)].map(([, name = '']) => name);
  const names = found.length > 0 ? found : ['(the run itself)'];
  for (const name of names) failures.set(name, (failures.get(name) ?? 0) + 1);
  console.log(`${run}  red    ${took}  ${file}`);
}
await load?.terminate();

console.log(`\nruns: ${runs}, red: ${red}`);
for (const [name, times] of [...failures].sort(([, a], [, b]) => b - a)) console.log(`  ${times} ×  ${name}`);
process.exitCode = red > 0 ? 1 : 0;
