// What fails now and then is counted by its name; the counter is tried on a test of this file.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './source.ts';

/** Set for the runs that are counted: a folder for their output. The first of them passes, and no other. */
const FOLDER = process.env.FLAKE_TEST_FOLDER;

if (FOLDER === undefined) test('runs are counted, red ones kept, failing tests named', count);
else test('planted (passes once)', () => mkdirSync(join(FOLDER, 'ran')));

function count(): void {
  const folder = mkdtempSync(join(tmpdir(), 'ruche-flake-test-'));
  try {
    const flake = (...args: string[]) =>
      spawnSync(process.execPath, [join(ROOT, 'scripts/flake.ts'), ...args, 'test/guards/flake.test.ts'], {
        encoding: 'utf8',
        env: { ...process.env, FLAKE_TEST_FOLDER: folder, TMPDIR: folder },
      });
    const green = flake('--n', '1', '--load');
    assert.match(green.stdout, /^1 {2}green {2}[\d.]+ s\n\nruns: 1, red: 0\n$/);
    assert.equal(green.status, 0);
    const red = flake('--n', '2');
    assert.equal(red.status, 1);
    assert.match(red.stdout, /^runs: 2, red: 2\n {2}2 × {2}planted \(passes once\)\n$/m);
    const [, file = ''] = /^1 {2}red .* (\S+)$/m.exec(red.stdout) ?? [];
    assert.match(readFileSync(file, 'utf8'), /EEXIST/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
