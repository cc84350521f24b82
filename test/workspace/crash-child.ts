import { rmSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import type { Boundary } from '../../src/core/ports/boundary.ts';
import { openCheckouts } from '../../src/workspace/checkouts/checkouts.ts';
import { openWorkspace } from '../../src/workspace/workspace.ts';

/** What the child process does, and where it dies. */
export interface Crash {
  dir: string;
  home: string;
  env: Record<string, string>;
  work: 'land' | 'person' | 'checkout';
  boundary: string;
}

export const LANDED = { 'notes.md': 'landed '.repeat(2000), 'docs/guide.md': null, 'fresh/deep/file.txt': 'new\n' };

async function main(crash: Crash): Promise<void> {
  const boundary: Boundary = (name) => {
    if (name === crash.boundary) process.kill(process.pid, 'SIGKILL');
  };
  const clock = {
    now: () => Date.now(),
    sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
  };
  const ws = await openWorkspace({ dir: crash.dir, env: crash.env, clock, boundary });
  const base = await ws.head();
  if (crash.work === 'person') {
    await ws.commitPerson(['notes.md', 'staged.txt']);
  } else if (crash.work === 'land') {
    const files = ws.files(base, []);
    for (const [path, text] of Object.entries(LANDED))
      if (text === null) await files.remove(path);
      else await files.write(path, Buffer.from(text));
    await ws.land({
      base,
      changes: files.changes(),
      subject: 'Land',
      provenance: { run: 'run_1', task: 'tsk_1', agent: 'bot', model: 'm', costUsd: 0, labels: [] },
      at: 0,
    });
  } else {
    const pool = await openCheckouts({
      workspace: ws,
      dir: join(crash.home, 'checkouts'),
      boundary,
      clock,
      minFree: 0,
    });
    const checkout = await pool.take(base, [], 'call_1');
    writeFileSync(join(checkout.dir, 'made.txt'), 'made\n');
    rmSync(join(checkout.dir, 'notes.md'));
    await pool.collect(checkout);
    await pool.release(checkout);
    await pool.close();
  }
  await ws.close();
}

if (process.argv[2]?.startsWith('{')) {
  // It is killed, and would not keep for the next one what it has compiled.
  flushCompileCache();
  await main(JSON.parse(process.argv[2]) as Crash);
}
