// Any tree of parts built by other rules than ours reads back; any bytes at all are read, in time that grows with their length.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../../src/accounts/mail/mime.ts';
import { mailReader } from '../../../src/accounts/mail/parse.ts';
import { tries } from '../../fakes/effort.ts';
import { workClock } from '../../fakes/work-ms.ts';
import { ORIGIN, readMail } from './reading.ts';

/** A tree as a person means it, before it becomes bytes. */
type Node =
  | { kind: 'text'; text: string; encoding: Encoding }
  | { kind: 'file'; name: string; bytes: Uint8Array; encoding: Encoding; style: NameStyle }
  | { kind: 'mixed'; children: Node[] };
type Encoding = 'base64' | 'quoted-printable' | '8bit';
type NameStyle = 'plain' | 'words' | 'continued' | 'percent';

const word = fc.constantFrom('alpha', 'beta', 'Grüße', '会議', 'привет', 'x', '--', '=3D', '>a', '.', 'naïve', '🐝');
const text = fc.array(word, { minLength: 1, maxLength: 30 }).map((words) => `t ${words.join(' ')} t`);
const name = fc
  .array(fc.constantFrom('a', 'B', '1', 'ü', '会', ' ', '-', "'", '%', '('), { minLength: 1, maxLength: 20 })
  .map((letters) => `n${letters.join('').replaceAll(/ +/g, ' ')}n.bin`);
const encoding = fc.constantFrom<Encoding>('base64', 'quoted-printable', '8bit');
const { tree } = fc.letrec<{ tree: Node; leaf: Node }>((tie) => ({
  leaf: fc.oneof(
    fc.record({ kind: fc.constant('text' as const), text, encoding }),
    fc.record({
      kind: fc.constant('file' as const),
      name,
      bytes: fc.uint8Array({ maxLength: 200 }),
      encoding: fc.constantFrom<Encoding>('base64', 'quoted-printable'),
      style: fc.constantFrom<NameStyle>('plain', 'words', 'continued', 'percent'),
    }),
  ),
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    tie('leaf'),
    fc.record({ kind: fc.constant('mixed' as const), children: fc.array(tie('tree'), { minLength: 1, maxLength: 4 }) }),
  ),
}));

const wrap = (letters: string, width: number, end: string): string =>
  (letters.match(new RegExp(`[^]{1,${width}}`, 'g')) ?? []).join(end);

function encode(bytes: Uint8Array, how: Encoding, end: string): Buffer {
  if (how === '8bit') return Buffer.from(bytes);
  if (how === 'base64') return Buffer.from(wrap(Buffer.from(bytes).toString('base64'), 60, end));
  const escaped = [...bytes].map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`);
  return Buffer.from(wrap(escaped.join(''), 60, `=${end}`));
}

const percent = (value: string): string =>
  [...Buffer.from(value)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

function named(value: string, style: NameStyle): string {
  if (style === 'plain') return `filename="${value.replaceAll(/["\\]/g, '\\$&')}"`;
  if (style === 'words') return `filename="=?UTF-8?b?${Buffer.from(value).toString('base64')}?="`;
  if (style === 'percent') return `filename*=utf-8''${percent(value)}`;
  const pieces = percent(value).match(/(?:%..){1,4}/g) ?? [];
  return pieces.map((piece, at) => `filename*${at}*=${at === 0 ? "utf-8''" : ''}${piece}`).join('; ');
}

let serial = 0;
function build(node: Node, end: string): Buffer {
  const head = (...fields: string[]): Buffer => Buffer.from([...fields, '', ''].join(end));
  if (node.kind === 'text')
    return Buffer.concat([
      head('Content-Type: text/plain; charset=UTF-8', `Content-Transfer-Encoding: ${node.encoding}`),
      encode(Buffer.from(node.text), node.encoding, end),
    ]);
  if (node.kind === 'file')
    return Buffer.concat([
      head(
        'Content-Type: application/octet-stream',
        `Content-Transfer-Encoding: ${node.encoding}`,
        `Content-Disposition: attachment; ${named(node.name, node.style)}`,
      ),
      encode(node.bytes, node.encoding, end),
    ]);
  const boundary = `=_${serial++}'()+,./:=? x`.slice(0, 12 + (serial % 4)).trimEnd();
  const parts = node.children.flatMap((child) => [
    Buffer.from(`--${boundary}${end}`),
    build(child, end),
    Buffer.from(end),
  ]);
  return Buffer.concat([
    head(`Content-Type: multipart/mixed; boundary="${boundary}"`),
    Buffer.from(`preamble${end}`),
    ...parts,
    Buffer.from(`--${boundary}--${end}epilogue${end}`),
  ]);
}

const leavesOf = (node: Node): Node[] => (node.kind === 'mixed' ? node.children.flatMap(leavesOf) : [node]);

test('mail: any tree of parts reads back, with its texts and files byte by byte', async () => {
  await fc.assert(
    fc.asyncProperty(tree, fc.constantFrom('\r\n', '\n'), async (root, end) => {
      serial = 0;
      const bytes = Buffer.concat([Buffer.from(`From: Ann <ann@a.test>${end}`), build(root, end)]);
      const read = await readMail(bytes);
      const leaves = leavesOf(root);
      const texts = leaves.flatMap((leaf) => (leaf.kind === 'text' ? [leaf.text] : []));
      assert.equal(read.fullText, texts.join('\n\n').replaceAll('\ufe0f', '').trim());
      const files = leaves.flatMap((leaf) => (leaf.kind === 'file' ? [leaf] : []));
      assert.deepEqual(read.untold, []);
      assert.equal(read.attachments.length, files.length);
      for (const [at, file] of files.entries()) {
        const found = mailReader.attachment(bytes, at);
        assert.deepEqual(found?.file, read.attachments[at]);
        assert.equal(found?.file.name, file.name);
        assert.equal(found?.file.size, file.bytes.length);
        assert.deepEqual([...(found?.bytes ?? [])], [...file.bytes]);
      }
    }),
    tries(300, 3000),
  );
});

/** Pieces that mean something to a reader, so that chance comes far. */
const piece = fc.constantFrom(
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '--b',
  '--b--',
  '--',
  'Content-Type: ',
  'multipart/mixed; boundary=b',
  'multipart/alternative; boundary="b"',

  'text/html',
  'text/plain; charset=',
  'utf-7',
  'iso-2022-jp',
  'message/rfc822',
  'application/ms-tnef',
  'text/calendar; method=REQUEST',

  'Content-Transfer-Encoding: ',
  'base64',
  'quoted-printable',
  'uuencode',
  'Content-Disposition: attachment; filename*0*=',
  "utf-8''%C3",

  'From: ',
  'To: ',
  'Subject: ',
  'Date: ',
  '=?utf-8?B?',
  '=?',
  '?=',
  'Authentication-Results: mx.lab.test; ',
  'dkim=pass header.d=',
  '"',
  '(',
  '<',
  '>',
  '@',
  ';',
  '\\',

  '<div style="',
  'display:none',
  '<a href="',
  '</a>',
  '<style>',
  '<!--',
  '-->',
  '&#x',
  '> ',
  '-- \n',
  'On x wrote:',
  '-----BEGIN PGP SIGNED MESSAGE-----',
  'x\x9f>"\x01\0',
);
const soup = fc
  .array(fc.oneof({ weight: 6, arbitrary: piece }, { weight: 1, arbitrary: fc.string() }), { maxLength: 80 })
  .map((pieces) => Buffer.from(pieces.join(''), 'latin1'));

async function isRead(bytes: Uint8Array): Promise<void> {
  const read = await readMail(bytes);
  assert.ok(!read.untold.some((sentence) => sentence.startsWith('The mail could not be read')), read.untold.join());
  assert.ok(read.fullText.length <= 1_001_000);
  assert.doesNotMatch(read.fullText + read.subject, /(?![\n\t])[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/u);
  for (const { index } of read.attachments) assert.equal(mailReader.attachment(bytes, index)?.file.index, index);
  assert.equal(mailReader.attachment(bytes, read.attachments.length), null);
}

test('mail: any bytes are read', async () => {
  await fc.assert(fc.asyncProperty(fc.oneof(soup, fc.uint8Array({ maxLength: 2000 })), isRead), tries(1500, 20_000));
});

test('mail: a mail with any bytes changed is read', async () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 }), fc.constantFrom('set', 'cut', 'double')), {
    minLength: 1,
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(tree, changes, async (root, list) => {
      let bytes = Buffer.concat([Buffer.from('From: a@b.test\r\n'), build(root, '\r\n')]);
      for (const [where, value, how] of list) {
        const at = where % Math.max(1, bytes.length);
        if (how === 'set') bytes[at] = value;
        else if (how === 'cut') bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + value)]);
        else bytes = Buffer.concat([bytes.subarray(0, at + value), bytes.subarray(at)]);
      }
      await isRead(bytes);
    }),
    tries(500, 5000),
  );
});

async function workOf(run: () => Promise<unknown>): Promise<number> {
  const worked = workClock();
  await run();
  return worked();
}

const HEAD = 'From: a@b.test\n';
const MIXED = `${HEAD}Content-Type: multipart/mixed; boundary=b\n\n`;
const HTML = `${HEAD}Content-Type: text/html\n\n`;
/** What grows, and how many bytes of it are tried first. */
const GROWING: readonly (readonly [string, string, string, number])[] = [
  ['empty lines', `${HEAD}\n`, '\n', 4e6],
  ['text', `${HEAD}\n`, 'hello world hello world\r\n', 4e6],
  ['spaces', `${HEAD}\nx`, ' ', 4e5],
  ['lines that are almost boundaries', MIXED, '--bx\n', 4e6],
  ['boundaries', MIXED, '--b\n', 4e6],
  ['nested parts', HEAD, 'Content-Type: multipart/mixed; boundary=b\n\n--b\n', 4e5],
  ['fields', HEAD, 'a: b\n', 4e6],
  ['folds', `${HEAD}a: b\n`, ' c\n', 4e6],
  ['addresses', `${HEAD}To: `, '"a" <b@c>, ', 4e5],
  ['encoded words', `${HEAD}Subject: `, '=?utf-8?q?a?= ', 4e5],
  ['half encoded words', `${HEAD}Subject: `, '=?a?q?', 4e5],
  ['parameters', `${HEAD}Content-Type: text/plain`, '; a*0*=x', 4e5],
  ['results', `${HEAD}Authentication-Results: mx.lab.test`, '; a=pass (x', 4e5],
  ['tags', HTML, '<div>', 2e5],
  ['tags with nothing after', HTML, '<a ', 2e5],
  ['quotes in tags', HTML, '<a x="', 2e5],
  ['ends of nothing', HTML, '<b></i>', 2e5],
  ['styles', HTML, '<style>', 2e5],
  ['tables', HTML, '<table><tr><td>', 1e5],
  ['comments in styles', `${HTML}<style>`, '/*', 2e5],
  ['links', HTML, '<a href=http://x.test>y.test</a>', 2e5],
  ['quoted lines', `${HEAD}\n`, '> a\nb\n', 2e5],
  ['announced quotes', `${HEAD}\n`, 'On a wrote:\n> x\n', 2e5],
  ['headers of Outlook', `${HEAD}\n`, 'From: x\n', 2e5],
  ['Base64 padded everywhere', `${HEAD}Content-Transfer-Encoding: base64\n\n`, 'QQ==', 1e6],
  ['UTF-7', `${HEAD}Content-Type: text/plain; charset=utf-7\n\n`, '+AGE', 1e6],
];

for (const [name, head, grows, size] of GROWING)
  test(`mail: ${name}: time grows with the length`, async () => {
    const made = (bytes: number): Buffer => Buffer.from(head + grows.repeat(Math.ceil(bytes / grows.length)));
    const small = made(size / 4);
    const large = made(size);
    await readMail(small);
    const first = await workOf(() => readMail(small));
    const second = await workOf(() => readMail(large));
    // Four times as much: sixteen times as long would be a square.
    assert.ok(
      second < 9 * Math.max(first, 15),
      `${small.length} bytes took ${first} ms, ${large.length} took ${second} ms`,
    );
  });

test('mail: of more than fifty megabytes the beginning is read, with a thousand parts', async () => {
  const file = `--b\r\nContent-Disposition: attachment; filename=x\r\n\r\nx\r\n`;
  const bytes = Buffer.concat([Buffer.from(MIXED + file.repeat(2000)), Buffer.alloc(LIMITS.bytes, 'x\n')]);
  const read = await mailReader.read(bytes, ORIGIN);
  assert.equal(read.attachments.length, LIMITS.parts);
  assert.deepEqual(read.untold, [
    `Only the first 50 MB were read; the mail has ${bytes.length} bytes.`,
    'Only the first 1000 parts were read.',
  ]);
});

test('mail: a file of fifty megabytes is listed with its size and handed out whole', async () => {
  const line = Buffer.from('All bees of this hive know the way home, and tell of it..');
  const count = 640_000;
  const content = Buffer.concat(Array.from({ length: count }, () => line));
  const bytes = Buffer.from(
    `${MIXED}--b\r\n\r\nsee file\r\n--b\r\nContent-Type: video/mp4; name=bees.mp4\r\nContent-Transfer-Encoding: base64\r\n\r\n${`${line.toString('base64')}\r\n`.repeat(count)}--b--`,
  );
  const spent = await workOf(async () => {
    const read = await readMail(bytes);
    assert.deepEqual(read.attachments, [
      { index: 0, name: 'bees.mp4', type: 'video/mp4', size: content.length, inline: false },
    ]);
    assert.equal(read.text, 'see file');
  });
  assert.ok(content.equals(mailReader.attachment(bytes, 0)?.bytes ?? Buffer.alloc(0)));
  assert.ok(spent < 5000, `${spent} ms`);
});
