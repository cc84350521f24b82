// `npm run crash -- --seed N [--kills 200]`: the crash suite, with that many random moments.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { seed: { type: 'string' }, kills: { type: 'string', default: '200' } } });
const seed = values.seed ?? String(Math.floor(Math.random() * 1_000_000));
console.log(`seed ${seed}, ${values.kills} random moments and every boundary`);
const env = { ...process.env, CRASH_SEED: seed, CRASH_KILLS: values.kills };
const args = [join(import.meta.dirname, 'test.ts'), 'test/crash'];
const result = spawnSync(process.execPath, args, { stdio: 'inherit', env });
process.exitCode = result.status ?? 1;
