import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { hasQuickForm, SUITES, suiteOf } from '../../scripts/testing/slow.ts';
import { ROOT } from './source.ts';

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const asks = (file: string): boolean => /from '.*\/fakes\/effort\.ts'/.test(read(file));

test('a slow proof stands in a suite, or nothing would ever run it whole', () => {
  const files = globSync('test/**/*.ts', { cwd: ROOT });
  const tests = files.filter((file) => file.endsWith('.test.ts'));
  // A kit may ask on behalf of the tests of its folder.
  const kits = files.filter((file) => !file.endsWith('.test.ts') && asks(file));
  const slow = tests.filter((file) => asks(file) || !hasQuickForm(file) || kits.some((kit) => imports(file, kit)));
  assert.ok(slow.length > 10, `only ${slow.length} were found`);
  assert.deepEqual(
    slow.filter((file) => suiteOf(file) === undefined),
    [],
  );
});

const imports = (file: string, kit: string): boolean =>
  [...read(file).matchAll(/from '(\.[^']+)'/g)].some(([, path = '']) => join(dirname(file), path) === kit);

test('a suite names what is there, and nothing twice', () => {
  const paths = SUITES.flatMap((suite) => suite.paths);
  for (const path of paths) assert.ok(existsSync(join(ROOT, path)), path);
  assert.equal(new Set(paths).size, paths.length);
});
