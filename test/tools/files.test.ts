import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { ToolResult } from '../../src/core/ports/tool.ts';
import { lineDiff } from '../../src/core/text/line-diff.ts';
import { editTool } from '../../src/tools/edit.ts';
import { listTool } from '../../src/tools/list.ts';
import { readTool } from '../../src/tools/read.ts';
import { searchTool } from '../../src/tools/search.ts';
import { writeTool } from '../../src/tools/write.ts';
import { call, contextOf, git, openBench, type Bench, type TestContext } from './workspace.ts';

const BIG = Array.from({ length: 5000 }, (_, index) => `line ${index + 1}`).join('\n');

let bench: Bench;
let ctx: TestContext;
before(async () => {
  bench = await openBench({
    'notes.md': 'one\ntwo\nthree\n',
    'empty.txt': '',
    'big.txt': BIG,
    'long.txt': 'x'.repeat(300_000),
    'windows.txt': 'a\r\nb\r\nc\r\n',
    'bom.txt': '\ufeffhead\n',
    'src/deep/a.ts': 'a',
    'src/deep/b.ts': 'b',
    'src/c.ts': 'c',
    'Ünï cödé.md': 'ü\n',
    'image.png': Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
    'latin1.txt': Buffer.from('caf\u00e9', 'latin1'),
    'huge.log': Buffer.alloc(16_000_001, 'x'),
    'binary.bin': new Uint8Array([1, 0, 2]),
  });
});
after(() => bench.close());
const fresh = async (): Promise<TestContext> => (ctx = contextOf(await bench.files()));
const textOf = async (path: string): Promise<string> => {
  const file = await ctx.files.read(path);
  assert.ok(file, `${path} is not there`);
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(file.bytes);
};

test('read gives a short file exactly, and says which blob it was', async () => {
  await fresh();
  const result = await call(readTool, { path: 'notes.md' }, ctx);
  assert.deepEqual([result.ok, result.text], [true, 'one\ntwo\nthree\n']);
  assert.equal(result.seen?.['notes.md'], (await ctx.files.stat('notes.md'))?.oid);
  assert.equal((await call(readTool, { path: '/workspace/./notes.md' }, ctx)).text, 'one\ntwo\nthree\n');
  assert.equal((await call(readTool, { path: 'bom.txt' }, ctx)).text, '\ufeffhead\n');
  assert.equal((await call(readTool, { path: 'empty.txt' }, ctx)).text, '[The file is empty.]');
});

test('read gives a long file in parts that together are the whole', async () => {
  await fresh();
  const lines: string[] = [];
  let offset: number | undefined = 1;
  let parts = 0;
  while (offset !== undefined) {
    const { text }: ToolResult = await call(readTool, { path: 'big.txt', offset }, ctx);
    const [note = '', ...shown] = text.split('\n');
    lines.push(...shown);
    parts += 1;
    const next: string | undefined = /go on with offset (\d+)/.exec(note)?.[1];
    offset = next === undefined ? undefined : Number(next);
  }
  assert.equal(lines.join('\n'), BIG);
  assert.equal(parts, 3);
  assert.equal(
    (await call(readTool, { path: 'notes.md', offset: 2, limit: 1 }, ctx)).text,
    '[Lines 2 to 2 of 3; go on with offset 3]\ntwo',
  );
  assert.equal((await call(readTool, { path: 'notes.md', offset: 9 }, ctx)).text, '[There are only 3 lines.]');
  assert.ok((await call(readTool, { path: 'long.txt' }, ctx)).text.length < 101_000);
});

test('read gives one very long line in parts that together are the whole', async () => {
  await fresh();
  const first = (await call(readTool, { path: 'long.txt' }, ctx)).text;
  assert.match(first, /^\[Lines 1 to 1 of 1\]\nx+ \[200000 more [^\n]*; go on with offset 1 and column 100001\]$/);
  let [line, column] = ['x'.repeat(100_000), '100001'];
  while (column !== '') {
    const { text }: ToolResult = await call(readTool, { path: 'long.txt', offset: 1, column }, ctx);
    const [note = '', part = ''] = text.split('\n');
    line += part;
    column = /go on with column (\d+)/.exec(note)?.[1] ?? '';
  }
  assert.equal(line, 'x'.repeat(300_000));
  const two = { path: 'notes.md', offset: 2, column: 2 };
  assert.equal((await call(readTool, two, ctx)).text, '[Line 2, characters 2 to 3 of 3]\nwo');
  assert.equal((await call(readTool, { ...two, column: 4 }, ctx)).text, '[Line 2 has only 3 characters.]');
  assert.equal((await call(readTool, { ...two, offset: 4 }, ctx)).text, '[There are only 3 lines.]');
});

test('read says what a file is that is no text, and what is not there', async () => {
  await fresh();
  const expected: [path: string, text: RegExp][] = [
    ['image.png', /is not text: PNG image, 16 bytes/],
    ['latin1.txt', /no UTF-8/],
    ['binary.bin', /binary data/],
    ['huge.log', /has 16\.0 MB: look at parts of it with shell/],
    ['missing.md', /There is no file missing\.md/],
    ['src', /src is a folder/],
    ['notes.md/x', /notes\.md is a file, so nothing is below it/],
    ['.', /the workspace itself/],
  ];
  for (const [path, text] of expected) {
    const result = await call(readTool, { path }, ctx);
    assert.equal(result.ok, false, path);
    assert.match(result.text, text);
    // That nothing is there to be read, or nothing that could be, has been seen.
    const seen = /^(?:image|latin1|binary)/.test(path) ? (await ctx.files.stat(path))?.oid : null;
    if (path !== 'huge.log' && path !== '.') assert.deepEqual(result.seen, { [path]: seen });
    else assert.deepEqual(result.seen, {});
  }
});

test('a sub-module is named as what it is, by each tool that meets it', async () => {
  git(bench.dir, 'update-index', '--add', '--cacheinfo', `160000,${git(bench.dir, 'rev-parse', 'HEAD').trim()},mod`);
  git(bench.dir, '-c', 'user.name=a', '-c', 'user.email=a@b.c', 'commit', '-qm', 'sub-module');
  await fresh();
  for (const path of ['mod', 'mod/s.txt'])
    for (const { text } of [await call(readTool, { path }, ctx), await call(listTool, { path }, ctx)])
      assert.match(text, /^mod is a sub-module: a repository of its own/);
  const written = await call(writeTool, { path: 'mod/s.txt', content: 'x' }, ctx);
  assert.deepEqual([written.ok, written.changes], [false, []]);
  assert.match(written.text, /mod is a sub-module/);
});

test('write stores exactly what it is given, again and again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme' }), async (content) => {
      await fresh();
      const first = await call(writeTool, { path: 'out/x.txt', content }, ctx);
      assert.equal(await textOf('out/x.txt'), content);
      const again = await call(writeTool, { path: 'out/x.txt', content }, ctx);
      assert.deepEqual(again.changes, first.changes);
      assert.equal(ctx.files.changes().length, 1);
    }),
    { numRuns: 30 },
  );
});

test('write refuses folders, names below files, and half characters', async () => {
  await fresh();
  for (const path of ['src', 'src/', '.', '/workspace', 'notes.md/x', 'new/'])
    assert.equal((await call(writeTool, { path, content: 'x' }, ctx)).ok, false, path);
  assert.equal(writeTool.parse({ path: 'a', content: '\ud800' }).ok, false);
  assert.equal(ctx.files.changes().length, 0);
});

test('write refuses a file it would replace unseen, with what has changed since it was read', async () => {
  await fresh();
  const write = (path: string, more: Partial<TestContext> = {}): Promise<ToolResult> =>
    call(writeTool, { path, content: 'mine' }, { ...ctx, ...more });
  const refused = async (path: string, why: RegExp, more: Partial<TestContext> = {}): Promise<string> => {
    const before = ctx.files.changes().length;
    const result = await write(path, more);
    assert.deepEqual([result.ok, result.changes], [false, []], path);
    assert.match(result.text, why);
    assert.match(result.text, /Nothing was written\.$/m);
    assert.equal(ctx.files.changes().length, before);
    return result.text;
  };
  await refused('notes.md', /have not read notes\.md, which is there already: read it first/);
  await refused('image.png', /have not read image\.png/);
  await call(readTool, { path: 'notes.md' }, ctx);
  await ctx.files.write('notes.md', Buffer.from('one\nby another hand\nthree\nfour\n'));
  const text = await refused('notes.md', /changed since you read it: read it again/);
  assert.match(text, /:\n@@ line 2 @@\n-two\n\+by another hand\n@@ line 4 @@\n\+four$/);
  // It was told, and has not read it: still no.
  await refused('notes.md', /changed since you read it/);
  assert.doesNotMatch(await refused('notes.md', /changed/, { mayRead: () => false }), /another hand/);
  const outside = await write('notes.md', { labelsOf: () => ['untrusted'] });
  assert.deepEqual(outside.labels, ['untrusted']);
  assert.match(outside.text, /<<untrusted [^]*by another hand[^]*<<end untrusted/);
  await call(readTool, { path: 'notes.md' }, ctx);
  assert.equal((await write('notes.md')).ok, true);
  await ctx.files.remove('notes.md');
  await refused('notes.md', /has been removed since you read it/);
  // Now it knows.
  await call(readTool, { path: 'notes.md' }, ctx);
  await ctx.files.write('notes.md', Buffer.from('back'));
  await refused('notes.md', /has been created since you looked/);
  await ctx.files.remove('notes.md');
  assert.equal((await write('notes.md')).ok, true);
  // Nothing can be seen of an image but that it is one.
  await call(readTool, { path: 'image.png' }, ctx);
  assert.equal((await write('image.png')).ok, true);
  await call(readTool, { path: 'latin1.txt' }, ctx);
  await ctx.files.write('latin1.txt', Buffer.from([0, 1]));
  assert.doesNotMatch(await refused('latin1.txt', /changed/), /What has changed/);
});

test('a file that was read in the same answer is not replaced: what it says was not known', async () => {
  await fresh();
  const oid = (await ctx.files.stat('notes.md'))?.oid ?? null;
  const justRead = { ...ctx, seen: async () => ({ oid, known: false }) };
  const written = await call(writeTool, { path: 'notes.md', content: 'mine' }, justRead);
  assert.match(written.text, /You read notes\.md in this very answer/);
  assert.equal(written.ok, false);
  assert.equal((await call(editTool, { path: 'notes.md', old: 'two', new: '2' }, justRead)).ok, true);
});

test('the difference is told in bounds, and with what can hardly be seen', async () => {
  const lines = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, index) => `line ${from + index}`).join('\n');
  assert.equal(lineDiff('same', 'same'), '');
  assert.equal(lineDiff('a\r\nb', 'a\nb'), '@@ line 1 @@\n-a\\r\n+a');
  assert.equal(lineDiff('end', 'end\n'), '@@ line 2 @@\n+');
  assert.equal(lineDiff(lines(0, 900), `first\n${lines(0, 900)}`), '@@ line 1 @@\n+first');
  assert.equal(lineDiff('1\n2\n3\n4', '1\n4\n5'), '@@ line 2 @@\n-2\n-3\n@@ line 3 @@\n+5');
  const long = lineDiff(lines(0, 900), lines(5000, 5900));
  assert.match(long, /\n\[17\d\d more lines differ\]$/);
  assert.ok(lineDiff('', `${'x'.repeat(50_000)}\n`.repeat(500)).length < 20_000);
  // Whatever the two texts: the new one is made of the old one and the lines with a plus.
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c')), fc.array(fc.constantFrom('a', 'b', 'd')), (old, now) => {
      const shown = lineDiff(old.join('\n'), now.join('\n')).split('\n');
      const count = (sign: string): number => shown.filter((line) => line.startsWith(sign)).length;
      assert.equal(count('+') - count('-'), Math.max(1, now.length) - Math.max(1, old.length));
    }),
  );
});

test('edit replaces one exact text and leaves every other byte', async () => {
  await fresh();
  await call(readTool, { path: 'notes.md' }, ctx);
  const result = await call(editTool, { path: 'notes.md', old: 'two', new: '$& $1 2' }, ctx);
  assert.equal(result.text, 'Changed notes.md, line 2.');
  assert.equal(await textOf('notes.md'), 'one\n$& $1 2\nthree\n');
  // What it wrote counts as read.
  assert.equal((await call(editTool, { path: 'notes.md', old: 'one\n', new: '' }, ctx)).ok, true);
  await call(readTool, { path: 'bom.txt' }, ctx);
  await call(editTool, { path: 'bom.txt', old: 'head', new: 'tail' }, ctx);
  assert.equal(await textOf('bom.txt'), '\ufefftail\n');
});

test('edit refuses what is unread, changed, absent or ambiguous, and says why', async () => {
  await fresh();
  const edit = async (args: object): Promise<string> => {
    const result = await call(editTool, args, ctx);
    assert.equal(result.ok, false);
    assert.match(result.text, /Nothing was changed\.$/m);
    return result.text;
  };
  assert.match(await edit({ path: 'notes.md', old: 'one', new: '1' }), /have not read notes\.md/);
  await call(readTool, { path: 'notes.md' }, ctx);
  assert.match(await edit({ path: 'notes.md', old: 'four', new: '4' }), /does not occur/);
  assert.match(await edit({ path: 'notes.md', old: 'one  two', new: '4' }), /other white space/);
  assert.match(await edit({ path: 'notes.md', old: 'e', new: 'E' }), /occurs 3 times in notes\.md \(lines 1, 3, 3\)/);
  assert.match(await edit({ path: 'missing.md', old: 'e', new: 'E' }), /There is no file/);
  assert.match(await edit({ path: 'image.png', old: 'e', new: 'E' }), /not text/);
  await call(writeTool, { path: 'mixed.txt', content: 'a\r\nb\nc\n' }, ctx);
  assert.match(await edit({ path: 'mixed.txt', old: 'a\nb', new: 'x' }), /ends some of its lines with/);
  await ctx.files.write('notes.md', Buffer.from('one more\n'));
  assert.match(await edit({ path: 'notes.md', old: 'one', new: '1' }), /has changed since you read it/);
  assert.equal(editTool.parse({ path: 'a', old: '', new: 'x' }).ok, false);
  assert.equal(editTool.parse({ path: 'a', old: 'x', new: 'x' }).ok, false);
});

test('edit with "all" replaces every occurrence, without overlaps', async () => {
  await fresh();
  await call(writeTool, { path: 'a.txt', content: 'aaaa b aa' }, ctx);
  await call(editTool, { path: 'a.txt', old: 'aa', new: 'a', all: true }, ctx);
  assert.equal(await textOf('a.txt'), 'aa b a');
});

test('list shows one level, folders with their counts', async () => {
  await fresh();
  assert.equal((await call(listTool, { path: 'src' }, ctx)).text, 'deep/  2 files\nc.ts  1 byte');
  const root = (await call(listTool, {}, ctx)).text.split('\n');
  assert.equal(root[0], 'src/  3 files');
  assert.ok(root.includes('"Ünï cödé.md"  3 bytes'));
  assert.ok(root.includes(`big.txt  ${(BIG.length / 1000).toFixed(1)} kB`));
  assert.equal((await call(listTool, { path: 'src/c.ts' }, ctx)).text, 'src/c.ts  1 byte');
  assert.match((await call(listTool, { path: 'nowhere' }, ctx)).text, /There is no file nowhere/);
  await call(writeTool, { path: 'src/new.ts', content: '' }, ctx);
  assert.match((await call(listTool, { path: 'src/' }, ctx)).text, /new\.ts/);
});

test('list is bounded, and leaves out what may not be read', async () => {
  await fresh();
  for (let index = 0; index < 310; index += 1) await ctx.files.write(`many/${index}.txt`, Buffer.from('x'));
  const lines = (await call(listTool, { path: 'many' }, ctx)).text.split('\n');
  assert.deepEqual([lines.length, lines.at(-1)], [301, '[10 more: use search, or list a folder below]']);
  const hidden = contextOf(ctx.files, { mayRead: (path) => !path.startsWith('src/deep/') });
  assert.equal((await call(listTool, { path: 'src' }, hidden)).text, 'c.ts  1 byte');
});

test('list says which names are not UTF-8, so that nobody takes the folder for empty', async () => {
  const own = await openBench({ 'in/.keep': '' });
  try {
    const name = (text: string): Buffer => Buffer.concat([Buffer.from(`${own.dir}/in/${text}`), Buffer.from([0xe9])]);
    await writeFile(name('caf'), 'x');
    await writeFile(name('private-'), 'x');
    git(own.dir, 'rm', '-q', 'in/.keep');
    git(own.dir, 'add', '.');
    git(own.dir, '-c', 'user.name=A', '-c', 'user.email=a@example.org', 'commit', '-qm', 'odd');
    const context = contextOf(await own.files(), { mayRead: (path) => !path.startsWith('in/private') });
    const said = '[Not UTF-8, so no tool can open them until they are renamed: "caf\uFFFD"]';
    assert.equal((await call(listTool, { path: 'in' }, context)).text, said);
  } finally {
    await own.close();
  }
});

test('a file keeps its line endings and its mark, whatever the model writes', async () => {
  await fresh();
  await call(readTool, { path: 'windows.txt' }, ctx);
  const edited = await call(editTool, { path: 'windows.txt', old: 'a\nb', new: 'a\nnew\r\nb' }, ctx);
  assert.equal(edited.ok, true, edited.text);
  assert.equal(await textOf('windows.txt'), 'a\r\nnew\r\nb\r\nc\r\n');
  assert.equal((await call(writeTool, { path: 'windows.txt', content: 'x\ny\r\nz' }, ctx)).ok, true);
  assert.equal(await textOf('windows.txt'), 'x\r\ny\r\nz');
  await call(readTool, { path: 'bom.txt' }, ctx);
  assert.equal((await call(writeTool, { path: 'bom.txt', content: 'other\n' }, ctx)).ok, true);
  assert.equal(await textOf('bom.txt'), '\ufeffother\n');
  // What has no one ending has none to keep.
  for (const [path, before, after] of [
    ['mixed.txt', 'a\r\nb\n', 'c\nd\r\n'],
    ['unix.txt', 'a\nb\n', 'c\r\nd\n'],
    ['one.txt', 'a', 'b\n'],
  ] as const) {
    await call(writeTool, { path, content: before }, ctx);
    await call(writeTool, { path, content: after }, ctx);
    assert.equal(await textOf(path), after);
  }
});

test('a name in another form of Unicode is the name that stands there; where both stand, each is its own', async () => {
  const [nfd, nfc] = ['Re\u0301sume\u0301/u\u0308ber.md', 'R\u00e9sum\u00e9/\u00fcber.md'];
  const both = ['cafe\u0301.txt', 'caf\u00e9.txt'] as const;
  const own = await openBench({ [nfd]: 'one\ntwo\n', [both[1]]: 'one' });
  try {
    await writeFile(`${own.dir}/${both[0]}`, 'two characters');
    git(own.dir, 'add', '.');
    git(own.dir, '-c', 'user.name=p', '-c', 'user.email=p@example.org', 'commit', '-qm', 'a second one');
    const it = contextOf(await own.files());
    const read = await call(readTool, { path: nfc }, it);
    assert.deepEqual([read.ok, read.text], [true, 'one\ntwo\n']);
    assert.deepEqual(Object.keys(read.seen ?? {}), [nfd], 'it is known under the name that stands there');
    for (const [tool, args] of [
      [editTool, { path: nfc, old: 'two', new: 'three' }],
      [writeTool, { path: nfc, content: 'new\n' }],
      [writeTool, { path: 'R\u00e9sum\u00e9/neu.md', content: 'beside it\n' }],
    ] as const) {
      const { ok, text } = await call(tool as never, args, it);
      assert.ok(ok, text);
    }
    assert.deepEqual((await it.files.list('R\u00e9sum\u00e9')).map(({ path }) => path).sort(), [
      'Re\u0301sume\u0301/neu.md',
      nfd,
    ]);
    const listed = await call(listTool, { path: 'R\u00e9sum\u00e9' }, it);
    assert.match(listed.text, /^neu\.md {2}10 bytes\n/);
    assert.match((await call(searchTool, { pattern: 'beside', path: 'R\u00e9sum\u00e9' }, it)).text, /neu\.md/);
    assert.ok(await it.files.remove(nfc));
    assert.equal(await it.files.stat(nfd), null);
    for (const path of both)
      assert.equal((await call(readTool, { path }, it)).text, path === both[0] ? 'two characters' : 'one');
    assert.match((await call(readTool, { path: 'th\u00e9.md' }, it)).text, /There is no file/);
  } finally {
    await own.close();
  }
});
