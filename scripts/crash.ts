// `npm run crash -- --seed N [--kills 200]`: the crash suite, with that many random moments.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { seed: { type: 'string' }, kills: { type: 'string', default: '200' } } });
const seed = values.seed ?? String(Math.floor(Math.random() * 1_000_000));
console.log(`seed ${seed}, ${values.kills} random moments and every boundary`);
// A kill and what follows take a second and a half, and several times that on a busy machine.
const patience = String(300_000 + Number(values.kills) * 6_000);
const env = { ...process.env, CRASH_SEED: seed, CRASH_KILLS: values.kills, TEST_PATIENCE_MS: patience };
const args = [join(import.meta.dirname, 'test.ts'), '--slow', 'test/crash'];
const result = spawnSync(process.execPath, args, { stdio: 'inherit', env });
process.exitCode = result.status ?? 1;
