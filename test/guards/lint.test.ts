// The linter's rules stand for house rules; a rule that was switched off by accident would go unnoticed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { readSources, ROOT } from './source.ts';

const dir = mkdtempSync(join(tmpdir(), 'ruche-lint-'));
after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));

const lines = (count: number): string =>
  Array.from({ length: count }, (_, index) => `  out.push(${index});`).join('\n');

const PLANTED: Readonly<Record<string, readonly [rule: string, code: string]>> = {
  'src/a.ts': ['no-explicit-any', 'export const x = (value: any): string => `${String(value)}`;'],
  'src/b.ts': ['max-lines-per-function', `export function f(out: number[]): void {\n${lines(80)}\n}`],
  'src/c.ts': ['max-lines', Array.from({ length: 501 }, (_, index) => `export const c${index} = ${index};`).join('\n')],
  'src/e.ts': ['no-empty', 'export function f(g: () => void): void {\n  try {\n    g();\n  } catch {}\n}'],
  'src/f.ts': ['no-floating-promises', 'export function f(): void {\n  Promise.resolve(1);\n}'],
  'src/g.ts': [
    'no-misused-promises',
    'export const f = (g: (h: () => void) => void): void => g(async () => Promise.reject(new Error()));',
  ],
  'src/h.ts': [
    'no-unsafe-assignment',
    "export const f = (): void => {\n  const x = JSON.parse('1');\n  console.log(x);\n};",
  ],
  'src/i.ts': [
    'switch-exhaustiveness-check',
    "export function f(k: 'a' | 'b'): void {\n  switch (k) {\n    case 'a':\n      console.log(k);\n  }\n}",
  ],
  'src/k.ts': ['eqeqeq', 'export const f = (a: number, b: number): boolean => a == b;'],
};

test('the linter sees a violation of each house rule', () => {
  for (const file of ['.oxlintrc.json', 'tsconfig.json', 'package.json'])
    copyFileSync(join(ROOT, file), join(dir, file));
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  for (const [path, [, code]] of Object.entries(PLANTED)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), `${code}\n`);
  }
  const bin = join(ROOT, 'node_modules', '.bin', 'oxlint');
  const { stdout, status } = spawnSync(bin, ['--type-aware', '--format=json', 'src'], { cwd: dir, encoding: 'utf8' });
  assert.equal(status, 1);
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] };
  for (const [path, [rule]] of Object.entries(PLANTED))
    assert.ok(
      diagnostics.some(({ code, filename }) => filename.endsWith(path) && code.includes(`(${rule})`)),
      `${rule} was not reported for ${path}`,
    );
});

test('no file of the sources switches a rule of length or type off', () => {
  const sources = readSources();
  assert.ok(sources.size >= 120);
  for (const [path, text] of sources)
    assert.doesNotMatch(
      text,
      /(oxlint|eslint)-disable(?!-next-line)|@ts-(ignore|nocheck)|disable-next-line[^\n]*(max-lines|any)/,
      path,
    );
});
