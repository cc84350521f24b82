// Loaded before the process under measurement (`--import`): how late its event loop comes, from the last SIGUSR2 to its end.
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION = 5;
const seen = monitorEventLoopDelay({ resolution: RESOLUTION });
seen.enable();
process.on('SIGUSR2', () => seen.reset());
// Whoever does not hear the signal that ends it would end without a word.
process.on('SIGTERM', () => process.listenerCount('SIGTERM') === 1 && process.exit(0));
process.on('exit', () => {
  // What is counted is from one tick of its timer to the next: the tick itself is no delay.
  const ms = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - RESOLUTION);
  writeFileSync(process.env.DELAY_FILE, JSON.stringify({ p99: ms(seen.percentile(99)), max: ms(seen.max) }));
});
