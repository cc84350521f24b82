// `npm run fuzz -- [--runs 1000000] [--seed N]`: the parsers of the egress proxy, with that many inputs. A failure prints its seed.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { seed: { type: 'string' }, runs: { type: 'string', default: '1000000' } } });
const seed = values.seed ?? String(Math.floor(Math.random() * 1_000_000));
console.log(`seed ${seed}, ${values.runs} inputs`);
const env = { ...process.env, FUZZ_SEED: seed, FUZZ_RUNS: values.runs, TEST_PATIENCE_MS: '3600000' };
const args = [join(import.meta.dirname, 'test.ts'), 'test/net/egress-fuzz.test.ts'];
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1;
