import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mediaTypeOf, plainName } from '../../src/core/text/media.ts';
import type { MessageFile } from '../../src/core/ports/channel.ts';
import { withLoop } from '../agent/with-loop.ts';
import type { Loop } from '../fakes/loop.ts';
import { pngOf } from '../fakes/images.ts';
import { calls, says } from '../fakes/scripted-model.ts';

const PNG: MessageFile = { name: 'board.png', mediaType: 'image/png', bytes: pngOf(2, 2, 'png-bytes') };
const PDF: MessageFile = { name: '../../ruche.yaml', mediaType: 'application/pdf', bytes: Buffer.from('pdf-bytes') };

async function deliver(loop: Loop, files: readonly MessageFile[], externalId = 'm1'): Promise<string> {
  const about = { channel: 'http', sender: 'owner', agent: 'assistant', session: 'one', replyTo: 'one' };
  const result = await loop.runtime.deliver({ ...about, text: 'look', externalId, files });
  if (!result.ok) throw new Error(result.message);
  return result.delivered.task;
}

test('files of a message lie in the view of the run and land with it; images are shown to the model', () =>
  withLoop([says('seen')], {}, async (loop, _log, model) => {
    const outcome = await loop.settled(await deliver(loop, [PNG, PDF, { ...PNG, bytes: pngOf(2, 2, 'other') }]));
    assert.equal(outcome.text, 'seen');
    const [request] = model.requests;
    const parts = request?.messages.at(-1)?.parts ?? [];
    assert.deepEqual(
      parts.map((part) => (part.type === 'image' ? part.name : part.type)),
      ['text', 'board.png', 'board-2.png'],
    );
    const images = parts.flatMap((part) => (part.type === 'image' ? [part.blob.hash] : []));
    assert.deepEqual(
      images.map((hash) =>
        Buffer.from(request?.images?.get(hash) ?? [])
          .subarray(29)
          .toString(),
      ),
      ['png-bytes', 'other'],
    );
    const [text] = parts;
    const paths = [...(text?.type === 'text' ? text.text : '').matchAll(/inbox\/[0-9a-f]{16}\/[\w.-]+/g)].map(
      ([path]) => path,
    );
    assert.equal(paths.length, 3);
    const view = loop.workspace.files(outcome.commit ?? '', []);
    const contents = await Promise.all(
      paths.map(async (path) =>
        Buffer.from((await view.read(path))?.bytes ?? [])
          .toString()
          .split('\0')
          .at(-1),
      ),
    );
    assert.deepEqual(contents, ['png-bytes', 'pdf-bytes', 'other']);
    const events = await loop.events();
    assert.ok(events.some((event) => event.type === 'message.received' && event.labels.includes('untrusted')));
    assert.equal(events.filter((event) => event.type === 'files.placed').length, 1);
  }));

test('what a provider could not read is a file and no image, whatever its name and type say', () =>
  withLoop([says('seen')], {}, async (loop, _log, model) => {
    const given = [
      { ...PNG, bytes: Buffer.from('<html>an error page</html>') },
      { ...PNG, name: 'wide.png', bytes: pngOf(9_000, 10) },
      { ...PNG, name: 'heavy.png', bytes: Buffer.concat([pngOf(20, 20), Buffer.alloc(3_900_000)]) },
      { ...PNG, name: 'cut.png', bytes: pngOf(2, 2).subarray(0, 18) },
      { name: 'really.png', mediaType: 'image/png', bytes: Buffer.from('GIF89a\x02\0\x02\0more', 'latin1') },
      { name: 'a.jpg', mediaType: 'image/jpeg', bytes: Buffer.from('ffd8ffe000040000ffc0000b080010002001', 'hex') },
      {
        name: 'a.webp',
        mediaType: 'image/webp',
        bytes: Buffer.from('RIFF....WEBPVP8X....\0\0\0\0\x01\0\0\x01\0\0', 'latin1'),
      },
    ];
    await loop.settled(await deliver(loop, given));
    const parts = model.requests[0]?.messages.at(-1)?.parts ?? [];
    assert.deepEqual(
      parts.flatMap((part) => (part.type === 'image' ? [`${part.name} ${part.mediaType} ${part.width}`] : [])),
      ['really.png image/gif 2', 'a.jpg image/jpeg 32', 'a.webp image/webp 2'],
    );
    const said = parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
    assert.match(
      said,
      /wide\.png \(image\/png, 1 kB; you cannot see it: 9000×10 pixels, and a side can have at most 8000\)/,
    );
    assert.match(said, /heavy\.png \(image\/png, 3\.9 MB; you cannot see it: models take pictures up to 3\.9 MB\)/);
    assert.equal(said.match(/you cannot see it/g)?.length, 2);
  }));

/** The last of so many messages, each with one picture: how many its request shows, and what stands for the rest. */
const showsOf = (pictures: readonly Buffer[], shown: number, words: readonly string[]): Promise<void> =>
  withLoop(
    pictures.map(() => says('seen')),
    {},
    async (loop, _log, model) => {
      for (const [at, bytes] of pictures.entries()) {
        const files = [{ name: `p${at}.png`, mediaType: 'image/png', bytes }];
        const about = { channel: 'http', sender: 'person:owner', agent: 'assistant', session: 's', replyTo: 'x' };
        const sent = await loop.runtime.deliver({ ...about, text: 'look', externalId: `m${at}`, files });
        assert.ok(sent.ok);
        await loop.settled(sent.delivered.task);
      }
      const parts = model.requests.at(-1)?.messages.flatMap((message) => message.parts) ?? [];
      assert.equal(parts.filter(({ type }) => type === 'image').length, shown);
      const said = parts.flatMap((part) => (part.type === 'text' ? (part.text.match(/^\[image [^\]]*\]/g) ?? []) : []));
      assert.deepEqual(said, words);
    },
  );

const GONE = ['p0', 'p1'].map((name) => `[image ${name}.png: no longer shown, because newer ones fill the request]`);

test('more pictures than a provider takes at once do not fail the run: the oldest are named', async () => {
  const small = Array.from({ length: 22 }, (_, at) => pngOf(20, 20, `${at}`));
  await showsOf(small, 22, []);
  await showsOf(small.with(4, pngOf(2_001, 20)), 20, GONE);
  const heavy = Array.from({ length: 5 }, (_, at) => Buffer.concat([pngOf(20, 20, `${at}`), Buffer.alloc(3_800_000)]));
  await showsOf(heavy, 3, GONE);
});

test('a redelivered message with files is the same message, and its files are placed once', () =>
  withLoop([says('seen')], {}, async (loop, _log, model) => {
    const first = await deliver(loop, [PDF]);
    assert.equal(await deliver(loop, [PDF]), first);
    await loop.settled(first);
    assert.equal(model.requests.length, 1);
  }));

test('a model that cannot see gets the image in words', async () => {
  await withLoop([says('ok')], { choice: { images: false } }, async (loop, _log, model) => {
    await loop.settled(await deliver(loop, [PNG]));
    assert.match(JSON.stringify(model.requests[0]?.messages), /image board\.png: this model cannot see images/);
    assert.equal(model.requests[0]?.images, undefined);
  });
});

test('the file of an answer to a question can be read', () =>
  withLoop(
    [
      calls(['ask', { question: 'which one?' }]),
      (request) => {
        const path = /inbox\/[0-9a-f]{16}\/note\.txt/.exec(JSON.stringify(request.messages.at(-1)))?.[0] ?? 'none';
        return calls(['read', { path }]);
      },
      says('read'),
    ],
    {},
    async (loop, _log, model) => {
      await loop.settled(await loop.deliver('go'));
      const file = { name: 'note.txt', mediaType: 'text/plain', bytes: Buffer.from('this one') };
      const outcome = await loop.settled(await deliver(loop, [file], 'a1'));
      assert.equal(outcome.text, 'read');
      assert.match(JSON.stringify(model.requests[2]?.messages.at(-1)), /this one/);
      const read = (await loop.events()).findLast((event) => event.type === 'tool.returned');
      assert.deepEqual(read?.labels, ['untrusted']);
    },
  ));

test('a file of an answer that cannot be kept is reported once', () =>
  withLoop(
    [
      calls(['ask', { question: 'which one?' }]),
      calls(['read', { path: 'a' }]),
      calls(['read', { path: 'b' }]),
      says('read'),
    ],
    { files: { inbox: 'a file where the folder would be' } },
    async (loop) => {
      await loop.settled(await loop.deliver('go'));
      assert.equal((await loop.settled(await deliver(loop, [PDF], 'a1'))).text, 'read');
      assert.equal((await loop.events()).filter((event) => event.type === 'note.added').length, 1);
    },
  ));

test('where the workspace ignores inbox/ files can be worked with, and the rest lands', () =>
  withLoop(
    [calls(['write', { path: 'kept.md', content: 'x' }]), says('done'), says('seen')],
    { files: { '.gitignore': 'inbox/\n' } },
    async (loop, _log, model) => {
      const outcome = await loop.settled(await deliver(loop, [PNG, PDF]));
      assert.deepEqual([outcome.status, outcome.text, model.requests.length], ['done', 'done', 2]);
      const view = loop.workspace.files(outcome.commit ?? '', []);
      assert.deepEqual([await view.list('inbox'), (await view.list('')).length > 2], [[], true]);
      const alone = await loop.settled(await deliver(loop, [PNG], 'm2'));
      assert.deepEqual([alone.status, alone.commit, alone.text], ['done', null, 'seen']);
    },
  ));

test('too many files, or too much of them, are refused and nothing is stored', () =>
  withLoop([], {}, async (loop) => {
    const about = { channel: 'http', sender: 'owner', agent: 'assistant', session: 'one', replyTo: 'one', text: '' };
    const many = Array.from({ length: 21 }, () => PNG);
    const big = [{ ...PNG, bytes: new Uint8Array(50_000_001) }];
    const before = await loop.events();
    for (const files of [many, big]) {
      const result = await loop.runtime.deliver({ ...about, externalId: 'x', files });
      assert.ok(!result.ok && result.why === 'too-large', JSON.stringify(result));
    }
    assert.deepEqual(await loop.events(), before);
  }));

test('whatever a file is called, its name is one plain segment', () => {
  const names = new Set<string>();
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (name) => {
      const plain = plainName(name);
      assert.match(plain, /^[^/\\\p{Cc}\p{Cf}:*?"<>|.~-][^/\\\p{Cc}\p{Cf}:*?"<>|]*$/u);
      assert.ok(Array.from(plain).length <= 100);
      assert.equal(plainName(plain), plain);
      names.add(plain);
    }),
  );
  assert.ok(names.size > 50);
  const rows = [
    ['../../etc/passwd', 'passwd'],
    ['C:\\temp\\a b.TXT', 'a b.TXT'],
    ['.env', 'env'],
    ['\u202egpj.exe', 'gpj.exe'],
    ['', 'file'],
    [`${'x'.repeat(300)}.pdf`, `${'x'.repeat(96)}.pdf`],
  ] as const;
  for (const [given, plain] of rows) assert.equal(plainName(given), plain);
  assert.deepEqual(
    [mediaTypeOf('a.PNG'), mediaTypeOf('constructor'), mediaTypeOf('a.b.csv')],
    ['image/png', 'application/octet-stream', 'text/csv'],
  );
});
