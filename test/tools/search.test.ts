import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { editTool } from '../../src/tools/edit.ts';
import { searchTool } from '../../src/tools/search.ts';
import { call, contextOf, openBench, type Bench, type TestContext } from './workspace.ts';

let bench: Bench;
let ctx: TestContext;
before(async () => {
  bench = await openBench({
    'a.md': 'alpha\nBeta 12\ngamma (x)\n',
    'src/one.ts': 'const alpha = 1;\n',
    'src/two.js': 'const beta = 22;\n',
    'evil.txt': `${'a'.repeat(40)}!\n`,
    'wide.txt': `${'-'.repeat(5000)}needle${'-'.repeat(5000)}\n`,
    'many.txt': 'hit\n'.repeat(500),
    'binary.bin': Buffer.from('alpha\0alpha'),
    'large.txt': 'alpha\n'.repeat(400_000),
  });
  ctx = contextOf(await bench.files());
});
after(() => bench.close());
const search = async (pattern: string, path?: string): Promise<string> =>
  (await call(searchTool, { pattern, path }, ctx)).text;

test('search finds plain words and regular expressions, by line', async () => {
  assert.equal(await search('gamma (x)', 'a.md'), '[No match in 1 file.]');
  assert.equal(await search('gamma \\(x\\)', 'a.md'), 'a.md:3: gamma (x)');
  assert.equal(await search('^\\w+ \\d+$', 'a.md'), 'a.md:2: Beta 12');
  assert.equal(await search('(?i)beta', 'src'), 'src/two.js:1: const beta = 22;');
  assert.equal(await search('(?i)BETA \\d', '*.md'), 'a.md:2: Beta 12');
  assert.equal(await search('alpha', 'src/**/*.ts'), 'src/one.ts:1: const alpha = 1;');
  assert.equal(await search('alpha', '/workspace/src/*.ts'), 'src/one.ts:1: const alpha = 1;');
  const everywhere = (await search('alpha')).split('\n');
  assert.deepEqual(everywhere, [
    'a.md:1: alpha',
    'src/one.ts:1: const alpha = 1;',
    '[Not searched, too large: large.txt]',
  ]);
});

test('search reads lines as people do, and says what it does not understand or has left out', async () => {
  const own = await openBench({
    'dos.txt': '\ufefffirst();\r\nsecond();\r\n',
    'back.txt': 'C:\\Archive\n',
    'utf16.txt': Buffer.from('\ufefffirst\n', 'utf16le'),
    'latin1.txt': Buffer.from('caf\u00e9 first', 'latin1'),
    'picture.png': Buffer.from([0x89, 0x50, 0, 1]),
  });
  const inOwn = async (pattern: string, path?: string): Promise<string> =>
    (await call(searchTool, { pattern, path }, contextOf(await own.files()))).text;
  assert.equal(await inOwn('\\);$', 'dos.txt'), 'dos.txt:1: first();\ndos.txt:2: second();');
  assert.equal(await inOwn('^first', 'dos.txt'), 'dos.txt:1: first();');
  assert.match(await inOwn('first'), /dos\.txt:1: first.*\n\[Not searched, not UTF-8: latin1\.txt, utf16\.txt\]$/);
  assert.match(await inOwn('[[:space:]]first'), /\[\[:space:\]\] mean nothing here: use \\s/);
  assert.match(await inOwn('\\Afirst'), /each line is searched by itself/);
  assert.match(await inOwn('\\p{Lu}'), /mean nothing here/);
  assert.equal(await inOwn('C:\\\\Arch'), 'back.txt:1: C:\\Archive\n[Not searched, not UTF-8: latin1.txt, utf16.txt]');
  assert.match(await inOwn('first', '*.{txt,md}'), /Braces stand for themselves/);
  await own.close();
});

test('search counts as having read the files it shows', async () => {
  const own = contextOf(await bench.files());
  const result = await call(searchTool, { pattern: 'alpha', path: 'src' }, own);
  assert.deepEqual(Object.keys(result.seen ?? {}), ['src/one.ts']);
  assert.equal((await call(editTool, { path: 'src/one.ts', old: 'alpha', new: 'omega' }, own)).ok, true);
  assert.equal(
    (await call(searchTool, { pattern: 'omega' }, own)).text.split('\n')[0],
    'src/one.ts:1: const omega = 1;',
  );
});

test('search is bounded in lines and in width', async () => {
  const lines = (await search('hit', 'many.txt')).split('\n');
  assert.equal(lines.length, 201);
  assert.match(lines[200] ?? '', /stopped at 200 lines/);
  const wide = await search('needle', 'wide.txt');
  assert.ok(wide.includes('needle') && wide.length < 300);
});

test('a pattern that would never end is stopped, and nothing waits for it', async () => {
  const started = performance.now();
  let turns = 0;
  const ticking = setInterval(() => (turns += 1), 20);
  const result = await call(searchTool, { pattern: '^(a+)+$', path: 'evil.txt' }, ctx);
  clearInterval(ticking);
  assert.equal(result.ok, false);
  assert.match(result.text, /takes too long/);
  assert.ok(performance.now() - started < 10_000);
  assert.ok(turns > 10, `the event loop turned ${turns} times`);
});

test('search says what is wrong with a pattern or a path', async () => {
  for (const [pattern, path, text] of [
    ['(', undefined, /Invalid regular expression/],
    ['x', 'nowhere', /There is no file nowhere/],
    ['x', 'a/../../b*', /leaves the workspace|cannot be used/],
    ['x', '../*.md', /leaves the workspace/],
  ] as const) {
    const result = await call(searchTool, { pattern, path }, ctx);
    assert.equal(result.ok, false, pattern);
    assert.match(result.text, text);
  }
  assert.equal(searchTool.parse({ pattern: '' }).ok, false);
  assert.equal(searchTool.parse({ pattern: 'x'.repeat(1001) }).ok, false);
});

test('search sees nothing that may not be read', async () => {
  const hidden = contextOf(ctx.files, { mayRead: (path) => !path.startsWith('src/') });
  assert.equal((await call(searchTool, { pattern: 'alpha' }, hidden)).text.includes('src/'), false);
  assert.equal(
    (await call(searchTool, { pattern: 'alpha', path: 'src/one.ts' }, hidden)).text,
    '[No match in 0 files.]',
  );
});

test('an aborted search ends as failed', async () => {
  const aborted = contextOf(ctx.files, { signal: AbortSignal.abort() });
  assert.equal((await call(searchTool, { pattern: 'alpha' }, aborted)).ok, false);
});
