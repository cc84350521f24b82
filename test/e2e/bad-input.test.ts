import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { TaskOutcome } from '../../src/core/api/runtime.ts';
import { AGENT, Home } from '../fakes/home.ts';

let home: Home;
before(async () => {
  home = await Home.up({
    files: {
      'ruche.yaml': 'concurrency: 5\n',
      'agents/assistant/AGENT.md': AGENT,
      'image.png': '\u0089PNG\r\n\u001a\n\0\0',
      'notes.md': 'notes\n',
    },
  });
  home.write('latin.txt', Buffer.from('caf\xe9 au lait\n', 'latin1'));
  home.write('half.md', Buffer.concat([Buffer.from('half a character: '), Buffer.from([0xf0, 0x9f])]));
  home.write('nul.md', 'a\0b');
  home.git('add', '-A');
  home.commit('binary files');
});
after(() => home.close());

const MESSAGE = { agent: 'assistant', text: 'hello' };
interface Refusal {
  status: number;
  message: string;
}
async function post(path: string, body: string | Uint8Array<ArrayBuffer>, type = 'application/json'): Promise<Refusal> {
  const response = await home.fetch(path, { method: 'POST', body, headers: { 'content-type': type } });
  const said = await response.text();
  const { error } = JSON.parse(said) as { error?: { message: string } };
  return { status: response.status, message: error?.message ?? said };
}
const done = (outcome: TaskOutcome): string => {
  assert.equal(outcome.status, 'done', outcome.text.slice(0, 500));
  return outcome.text;
};

test('a body that is no JSON, too deep, too large, no UTF-8 or of the wrong form: what is wrong, and no task', async () => {
  const before = (await home.status()).tasks;
  const text = JSON.stringify(MESSAGE);
  const deep = '['.repeat(100_000);
  const cases: [body: string | Uint8Array<ArrayBuffer>, status: number, said: RegExp, type?: string][] = [
    ['', 400, /not JSON/],
    [text.slice(0, -1), 400, /not JSON/],
    [`${text}}`, 400, /not JSON/],
    ['null', 400, /must be a JSON object/],
    [`[${text}]`, 400, /must be a JSON object/],
    [`{"agent":"assistant","text":${deep}${']'.repeat(100_000)}}`, 400, /nested deeper than 64 levels/],
    [`{"agent":"assistant","text":${deep}`, 400, /nested deeper than 64 levels/],
    [JSON.stringify({ ...MESSAGE, text: 'x'.repeat(40_000_000) }), 413, /larger than \d+ bytes/],
    [
      Uint8Array.from(
        Buffer.concat([Buffer.from('{"agent":"assistant","text":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
      ),
      400,
      /not valid UTF-8/,
    ],
    [text, 415, /application\/json/, 'text/plain'],
    [JSON.stringify({ ...MESSAGE, text: 5 }), 400, /"text" must be a string/],
    [JSON.stringify({ ...MESSAGE, text: ' ' }), 400, /"text" must not be empty/],
    [JSON.stringify({ ...MESSAGE, session: { id: 1 } }), 400, /"session"/],
    [JSON.stringify({ text: 'x' }), 400, /"agent" must be a string/],
    [JSON.stringify({ ...MESSAGE, agent: 'nobody' }), 404, /Unknown agent "nobody".*assistant/],
    [JSON.stringify({ ...MESSAGE, agent: '__proto__' }), 404, /Unknown agent/],
  ];
  for (const [body, status, said, type] of cases) {
    const refusal = await post('/api/messages', body, type);
    assert.equal(refusal.status, status, `${String(body).slice(0, 60)}: ${refusal.message}`);
    assert.match(refusal.message, said);
  }
  const chat = (fields: object): string =>
    JSON.stringify({ model: 'assistant', messages: [{ role: 'user', content: 'hello' }], ...fields });
  for (const [fields, said] of [
    [{ messages: [] }, /messages/],
    [{ messages: 'hello' }, /messages/],
    [{ messages: [{ role: 'robot', content: 'x' }] }, /messages\[0\]\.role/],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, /messages\[0\]\.content\[0\]/],
    [{ messages: [{ role: 'user', content: 'x' }, null] }, /messages\[1\]/],
    [{ stream: 'yes' }, /stream/],
    [{ n: 2 }, /"n"/],
    [{ model: 5 }, /"model"/],
  ] as const) {
    const refusal = await post('/v1/chat/completions', chat(fields));
    assert.equal(refusal.status, 400, refusal.message);
    assert.match(refusal.message, said);
  }
  assert.deepEqual((await home.status()).tasks, before);
});

test('a message of 1 MB is taken, word for word; a longer one is refused with what to do instead', async () => {
  const head = 'write big.md: ';
  const content = 'é'.repeat(1_000_000 - head.length);
  done(await home.ask(head + content));
  assert.equal(home.read('big.md'), content);
  const refusal = await post('/api/messages', JSON.stringify({ ...MESSAGE, text: 'x'.repeat(1_000_001) }));
  assert.equal(refusal.status, 413);
  assert.match(refusal.message, /1000000 characters. Put longer text in a file/);
});

test('odd characters of a message, and odd names of files, come through as they are', async () => {
  const odd = 'a\u0000b\u001b[31m \u202e \ud83d\ude00 \u{10ffff} e\u0301 é';
  done(await home.ask(`write odd.md: ${odd}`));
  assert.equal(home.read('odd.md'), odd);
  const lone = await home.ask(JSON.parse('"write lone.md: \\ud800x"') as string);
  done(lone);
  assert.equal(home.read('lone.md'), '\ufffdx');
  const names = [
    'with space.md',
    'umläut.md',
    // In the other Unicode form, and without a twin: with one it would be the same file.
    'cafe\u0301.md',
    '日本.md',
    'quote".md',
    "apostrophe'.md",
    '$(id).md',
    '*.md',
    '-n',
    'line\nbreak.md',
    'tab\t.md',
  ];
  for (const [at, name] of names.entries()) {
    const plain = !name.includes('\n');
    if (plain) done(await home.ask(`write ${name}: ${at}, then read ${name}`));
    else done(await home.ask(`run: printf ${at} > "$(printf 'line\\nbreak.md')"`));
    assert.equal(home.read(name), String(at), JSON.stringify(name));
  }
  assert.equal(home.git('status', '--porcelain').trim(), '');
});

test('binary where text is expected, and bytes that are no UTF-8: the tools say what it is, and nothing is changed', async () => {
  const before = home.git('rev-parse', 'main^{tree}');
  for (const [path, said] of [
    ['image.png', /not text: (PNG image|binary|bytes)/],
    ['latin.txt', /not text: bytes that are no UTF-8/],
    ['half.md', /not text: bytes that are no UTF-8/],
    ['nul.md', /not text: binary data/],
  ] as const) {
    assert.match(done(await home.ask(`read ${path}`)), said, path);
    assert.match(done(await home.ask(`edit ${path}: a => b`)), /was not done.*not text/, path);
    assert.match(done(await home.ask(`append ${path}: x`)), /was not done.*not text/, path);
  }
  done(await home.ask('search au lait'));
  assert.match(done(await home.ask('run: cat latin.txt nul.md; head -c 300 /dev/urandom')), /au lait/);
  assert.equal(home.git('rev-parse', 'main^{tree}'), before);
});

test('a file of 1 GB: of the person, or of a command, is refused by its size and leaves no trace', async () => {
  writeFileSync(home.path('huge.bin'), '');
  truncateSync(home.path('huge.bin'), 1024 ** 3);
  const objects = (): number =>
    Number(/size-pack: (\d+)/.exec(home.git('count-objects', '-v'))?.[1]) +
    Number(/^size: (\d+)/m.exec(home.git('count-objects', '-v'))?.[1]);
  const before = objects();
  const started = performance.now();
  assert.match(done(await home.ask('read huge.bin, then search notes')), /read huge\.bin was not done/);
  const made = done(await home.ask('run: truncate -s 1G made.bin; ls -s made.bin'));
  assert.match(made, /none of its changes were kept: .*made\.bin/);
  assert.ok(!home.exists('made.bin'));
  assert.ok(performance.now() - started < 20_000);
  assert.ok(objects() - before < 1_000, 'kB in the repository');
  assert.equal(home.git('status', '--porcelain').trim(), '?? huge.bin');
});

test('after all of it the record is whole and the network works', async () => {
  assert.match(done(await home.ask('read notes.md')), /notes/);
  const { findings } = await home.verify();
  assert.deepEqual(findings, []);
  assert.ok(!/"level":(50|60)/.test(home.log()), 'no error in the log');
});
