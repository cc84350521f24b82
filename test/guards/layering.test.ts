import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALLOWED, layerViolations, measure } from './layers.ts';
import { importsOf, readSources } from './source.ts';

const sources = readSources();

test('every file imports only what its room may, and none in a circle', (t) => {
  assert.ok(sources.size >= 120, `only ${sources.size} files were looked at`);
  const imports = [...sources.values()].flatMap((text) => importsOf(text));
  assert.ok(imports.length >= 500, `only ${imports.length} imports were seen`);
  assert.deepEqual(layerViolations(sources), []);
  const { rooms, folders, arrows } = measure(sources);
  t.diagnostic(
    `${sources.size} files in ${rooms} rooms and ${folders} folders, ${arrows} arrows between rooms, none up`,
  );
});

/** The real tree with some files more: what is found must be what they do wrong, and nothing else. */
const before = layerViolations(sources);
const plant = (files: Record<string, string>): string[] =>
  layerViolations(new Map([...sources, ...Object.entries(files)])).filter((each) => !before.includes(each));

test('a violation of each kind is seen', () => {
  const kinds: [code: string, path: string][] = [
    ["import { openWorkspace } from '../workspace/workspace.ts';", 'src/agent/planted.ts'],
    ["import type { OpenWorkspace } from '../workspace/workspace.ts';", 'src/agent/planted.ts'],
    ["import {\n  type OpenWorkspace,\n} from '../workspace/workspace.ts';", 'src/agent/planted.ts'],
    ["export { openWorkspace } from '../workspace/workspace.ts';", 'src/agent/planted.ts'],
    ["export * from '../workspace/workspace.ts';", 'src/agent/planted.ts'],
    ["import '../workspace/workspace.ts';", 'src/agent/planted.ts'],
    ["const x = await import('../workspace/workspace.ts');", 'src/agent/planted.ts'],
    ["type X = typeof import('../workspace/workspace.ts');", 'src/agent/planted.ts'],
    ['const x = await import(`../workspace/${name}.ts`);', 'src/agent/planted.ts'],
    ["const x = require('../workspace/workspace.ts');", 'src/agent/planted.ts'],
    ["import { x } from '../nowhere/at-all.ts';", 'src/agent/planted.ts'],
    ["import { decide } from '../policy/decide.ts';", 'src/core/planted.ts'],
    ["import { readFile } from 'node:fs/promises';", 'src/core/planted.ts'],
    ["import { z } from 'zod';", 'src/policy/planted.ts'],
    [
      "import { readTool } from './read.ts';\nimport { openSqliteStore } from '../store/sqlite/store.ts';",
      'src/tools/planted.ts',
    ],
    ["import { openWorkspace } from '../workspace/workspace.ts';", 'src/gateway/planted.ts'],
    ["import { startApp } from '../app/app.ts';", 'src/store/planted.ts'],
    ["import { startApp } from '../app/app.ts';", 'src/gateway/planted.ts'],
    ["import { startApp } from '../app/app.ts';", 'src/cli/ask.ts'],
    ["import { systemClock } from '../platform/system.ts';", 'src/cli/ask.ts'],
    ["import { plainGit } from '../git/git.ts';", 'src/store/planted.ts'],
    ["import { systemClock } from '../platform/system.ts';", 'src/config/planted.ts'],
    ["import { createRuntime } from '../runtime/runtime.ts';", 'src/messages/planted.ts'],
    ["import { startTrust } from '../trust/trust.ts';", 'src/scheduler/planted.ts'],
    ["import { openWorkspace } from '../workspace/workspace.ts';", 'src/cli/up.ts'],
    ['const app = await io.loadApp();', 'src/cli/planted.ts'],
    ['export const x = 1;', 'src/elsewhere/planted.ts'],
    ['export const x = 1;', 'src/planted.ts'],
    ["import { startApp } from './app/app.ts';", 'src/planted.ts'],
  ];
  for (const [code, path] of kinds) {
    // A forbidden arrow often closes a circle of folders as well, which is said in a sentence of its own.
    const found = plant({ [path]: code }).filter((each) => !each.startsWith('a circle of folders'));
    assert.equal(found.length, 1, `${path}: ${code}\n${found.join('\n')}`);
    assert.ok(found[0]?.startsWith(`${path}:`));
  }
  assert.equal(kinds.length, 29);
});

test('circles are seen, through types and over three files', () => {
  const circle = plant({
    'src/agent/p1.ts': "import { b } from './p2.ts';",
    'src/agent/p2.ts': "import type { C } from './p3.ts';",
    'src/agent/p3.ts': "export type { A } from './p1.ts';",
  });
  assert.equal(circle.length, 1);
  assert.match(circle[0] ?? '', /p1\.ts → src\/agent\/p2\.ts → src\/agent\/p3\.ts → src\/agent\/p1\.ts/);
});

test('a circle of folders is seen although no file is in one', () => {
  const circle = plant({
    'src/agent/run/p1.ts': "import { b } from '../finish/p2.ts';",
    'src/agent/finish/p2.ts': 'export const b = 1;',
    'src/agent/finish/p3.ts': "import type { C } from '../run/p4.ts';",
    'src/agent/run/p4.ts': 'export type C = 1;',
  });
  assert.ok(circle.length > 0);
  for (const each of circle) assert.match(each, /^a circle of folders: .*src\/agent\/run/);
});

test('no file only passes on what others export', () => {
  const reexport = /(?:^|\n)export\s+(?:type\s+)?(?:\*|\{[^}]*\})[^;]*?\bfrom\b/;
  for (const [path, text] of sources) assert.doesNotMatch(text, reexport, path);
  for (const barrel of [
    "export * from './a.ts';",
    "export { a } from './a.ts';",
    "export type {\n  A,\n} from './a.ts';",
  ])
    assert.match(barrel, reexport);
});

test('words in comments and texts are no imports', () => {
  const harmless =
    "// import x from '../workspace/workspace.ts'\n/* import('../store/sqlite.ts') */\nexport const x = 'important';";
  assert.deepEqual(plant({ 'src/agent/planted.ts': harmless }), []);
});

test('the rooms are those of the design', () => {
  assert.equal(Object.keys(ALLOWED).length, 31);
  const rooms = new Set([...sources.keys()].map((path) => path.split('/')).map(([, room = '']) => room));
  for (const room of rooms) assert.ok(Object.hasOwn(ALLOWED, room), room);
});

test('the composition root stays on a few screens', () => {
  const app = sources.get('src/app/app.ts');
  assert.ok(app, 'src/app/app.ts is missing');
  const lines = app.trimEnd().split('\n').length;
  assert.ok(lines < 150, `${lines} lines`);
});
