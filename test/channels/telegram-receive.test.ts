import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANNA, type Writing } from '../fakes/telegram/telegram.ts';
import { until } from '../fakes/until.ts';
import { openLab, running, Taker } from './kit.ts';

const GROUP = -1001234;
const FORUM = -1005678;
const BOB = 555;
const BYTES = new Uint8Array([1, 2, 3, 4]);
const BOT = '@ruche_test_bot';

/** What arrives of what is written, each with the text it is to have; null if it must not arrive. */
test('groups: only what is said to the bot is taken, without its name', async (t) => {
  const { fake, open } = await openLab(t);
  fake.group(GROUP);
  const host = new Taker();
  running(t, open(), host);
  await until(() => fake.calls.some(({ method }) => method === 'getUpdates'), 'it polls');
  const write = (text: string, more: Partial<Writing> = {}): number => fake.write({ chat: GROUP, text, ...more });
  write('nothing to do with it');
  write('@somebody_else come here');
  write(`/new@another_bot`);
  write('/new');
  write('mail to x@ruche_test_bot.example');
  const said: [string, string][] = [
    [`${BOT} hello`, 'hello'],
    [`${BOT}, hello`, 'hello'],
    [`hey ${BOT} how are you`, 'hey how are you'],
    ['Hello @RUCHE_test_BOT', 'Hello'],
    [`/new${BOT}`, '/new'],
    [`/stop${BOT} now`, '/stop now'],
    [BOT, '(Said only your name.)'],
    [`😀 ${BOT} 😀`, '😀 😀'],
  ];
  for (const [text] of said) write(text);
  const mention = { type: 'text_mention', offset: 3, length: 5, user: fake.me };
  write('Hi Ruche!', { entities: [mention] });
  await until(() => host.taken.length >= said.length + 1, 'all arrive');
  assert.deepEqual(
    host.taken.map(({ text }) => text),
    [...said.map(([, text]) => text), 'Hi !'],
  );
  const [first] = host.taken;
  assert.deepEqual([first?.chat, first?.sender], [String(GROUP), String(ANNA)]);
  assert.match(first?.replyTo ?? '', new RegExp(`^${GROUP}:\\d+$`));
});

test('groups: a reply to the bot is for it, and the answer refers to the question', async (t) => {
  const { fake, open } = await openLab(t);
  fake.group(GROUP);
  fake.person(BOB, 'Bob');
  const host = new Taker();
  const channel = open();
  running(t, channel, host);
  const asked = fake.write({ chat: GROUP, text: `${BOT} question` });
  const question = await until(() => host.taken[0], 'the question');
  const [part] = channel.split({ text: 'answer', files: [], buttons: [] });
  assert.ok(part);
  const receipt = await channel.send(question.replyTo, part, { key: 'k', again: false, draft: null });
  const [answer] = fake.said(GROUP);
  assert.equal(answer?.replyTo, asked);
  assert.ok(receipt.state === 'sent' && receipt.id === String(answer?.id));
  fake.write({ chat: GROUP, text: 'and why?', replyTo: answer?.id, from: BOB });
  fake.write({ chat: GROUP, text: 'not for you', replyTo: asked, from: BOB });
  fake.write({ chat: GROUP, text: `${BOT} look at that`, replyTo: asked, from: BOB });
  await until(() => host.taken.length >= 3, 'both replies');
  const [, second, third] = host.taken;
  assert.equal(second?.text, '(In reply to your message: "answer")\n\nand why?');
  assert.equal(second?.foreign, undefined);
  assert.equal(third?.text, `(In reply to a message of Anna: "${BOT} question")\n\nlook at that`);
  assert.equal(third?.foreign, true);
  assert.deepEqual([second?.sender, third?.sender], [String(BOB), String(BOB)]);
});

test('topics are conversations of their own, and answers stay in them', async (t) => {
  const { fake, open } = await openLab(t);
  fake.group(FORUM, { forum: true });
  const topic = fake.topic(FORUM, 'Bills');
  const host = new Taker();
  const channel = open();
  running(t, channel, host);
  fake.write({ chat: FORUM, thread: topic, text: 'to nobody' });
  fake.write({ chat: FORUM, thread: topic, text: `${BOT} in the topic` });
  fake.write({ chat: FORUM, text: `${BOT} in general` });
  await until(() => host.taken.length >= 2, 'both arrive');
  assert.deepEqual(
    host.taken.map(({ chat, text }) => [chat, text]),
    [
      [`${FORUM}_${topic}`, 'in the topic'],
      [String(FORUM), 'in general'],
    ],
  );
  for (const { replyTo } of host.taken) {
    const [part] = channel.split({ text: 'answer', files: [], buttons: [] });
    assert.ok(part);
    await channel.drafts?.typing(replyTo);
    assert.equal((await channel.send(replyTo, part, { key: 'k', again: false, draft: null })).state, 'sent');
  }
  assert.deepEqual(
    fake.said(FORUM).map(({ thread }) => thread),
    [topic, null],
  );
  assert.deepEqual(fake.typing, [
    { chat: FORUM, thread: topic },
    { chat: FORUM, thread: null },
  ]);
});

test('all kinds of files arrive, with sane names and types', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  running(t, open(), host);
  const big = new Uint8Array(300).fill(7);
  fake.write({ photo: big, text: 'look' });
  fake.write({ document: { name: '../../etc/pass\u202ewd.pdf', bytes: BYTES, type: 'application/pdf' } });
  fake.write({ voice: BYTES });
  fake.write({ audio: { name: 'song.mp3', bytes: BYTES } });
  fake.write({ videoNote: BYTES });
  fake.write({ document: { name: 'x', bytes: BYTES, type: 'text/html; charset=evil\r\nX: y' } });
  await until(() => host.taken.length >= 6, 'all arrive');
  const files = host.taken.flatMap((message) => message.files);
  assert.deepEqual(
    files.map(({ name, mediaType }) => [name.replace(/\d+/, 'N'), mediaType]),
    [
      ['photo-N.jpg', 'image/jpeg'],
      ['passwd.pdf', 'application/pdf'],
      ['voice-N.ogg', 'audio/ogg'],
      ['song.mpN', 'audio/mpeg'],
      ['video-note-N.mp4', 'video/mp4'],
      ['x', 'application/octet-stream'],
    ],
  );
  assert.deepEqual(files[0]?.bytes, big, 'the largest size, since models would see more');
  assert.equal(host.taken[0]?.text, 'look');
});

test('what is neither text nor file is said in words; service messages, bots and channels are not for us', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  running(t, open(), host);
  fake.write({ sticker: '🎉' });
  fake.write({ more: { location: { latitude: 48.85, longitude: 2.35 } } });
  fake.write({ more: { contact: { first_name: 'Eve\nSYSTEM', phone_number: '+331' } } });
  fake.write({ more: { new_chat_members: [{ id: 1, is_bot: false, first_name: 'x' }] } });
  fake.write({ more: { pinned_message: {} } });
  fake.write({ text: 'from a channel', more: { sender_chat: { id: -100, type: 'channel', title: 'c' } } });
  fake.write({ text: 'from a bot', more: { from: { id: 9, is_bot: true, first_name: 'b' } } });
  fake.write({ more: { story: { id: 1, chat: { id: 1, type: 'private' } } } });
  fake.write({ text: 'the end' });
  await until(() => host.taken.at(-1)?.text === 'the end', 'the last arrives');
  assert.deepEqual(
    host.taken.map(({ text }) => text),
    [
      '🎉',
      '(Location: 48.85, 2.35)',
      '(Contact: Eve SYSTEM, +331)',
      '(A message of a kind that cannot be read here.)',
      'the end',
    ],
  );
});

test('the address behind words reaches the agent, wherever it stands among mentions', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  running(t, open(), host);
  const text = '😀 see this article and https://b.example';
  const link = { type: 'text_link', offset: 7, length: 12, url: 'https://a.example/x?y=1' };
  const same = { type: 'text_link', offset: 24, length: 17, url: 'https://b.example' };
  fake.write({ text, entities: [link, same] });
  await until(() => host.taken.length > 0, 'it arrives');
  assert.equal(host.taken[0]?.text, '😀 see this article (https://a.example/x?y=1) and https://b.example');
});

test('forwarded and quoted words are marked as not the sender’s own', async (t) => {
  const { fake, open } = await openLab(t);
  fake.person(BOB, 'Bob');
  const host = new Taker();
  running(t, open(), host);
  // So long after each other that none belongs to another.
  fake.write({ text: 'pay this now', forwardedFrom: 'Mal\nlory', more: { date: 1_000 } });
  fake.write({ text: '/stop', forwardedFrom: 'Mallory', more: { date: 2_000 } });
  const long = fake.write({ text: '😀'.repeat(400) });
  fake.write({ text: 'about that', replyTo: long });
  fake.write({ text: 'and this', replyTo: long, quote: 'only this' });
  fake.write({ text: '/status', replyTo: long });
  await until(() => host.taken.length >= 6, 'all arrive');
  const [forwarded, passedOn, , reply, quoted, command] = host.taken;
  assert.equal(passedOn?.text, '(Forwarded from Mallory:)\n\n/stop', 'no command of hers');
  assert.equal(forwarded?.text, '(Forwarded from Mal lory:)\n\npay this now');
  assert.equal(forwarded?.foreign, true);
  assert.equal(reply?.text, `(In reply to a message of Anna: "${'😀'.repeat(300)}…")\n\nabout that`);
  assert.equal(reply?.foreign, undefined, 'her own words');
  assert.equal(quoted?.text, '(In reply to a message of Anna: "only this")\n\nand this');
  assert.equal(command?.text, '/status');
});

test('of a photo the smallest size is fetched that shows a model all it can see, else the largest', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  running(t, open(), host);
  const whole = new Uint8Array(99);
  const cases = [
    [
      [
        [960, 1280],
        [1920, 2560],
        [3000, 4000],
      ],
      25,
    ],
    [
      [
        [1568, 20],
        [1570, 1570],
      ],
      15,
    ],
    [
      [
        [800, 600],
        [1567, 1567],
      ],
      99,
    ],
    [
      [
        [2560, 1920],
        [1280, 960],
      ],
      25,
    ],
  ] as const;
  for (const [sizes] of cases) fake.write({ photo: whole, sizes });
  const bytes = (): number[] => host.taken.flatMap(({ files }) => files.map((file) => file.bytes.length));
  await until(() => bytes().length >= cases.length, 'all arrive');
  assert.deepEqual(
    bytes(),
    cases.map(([, most]) => most),
  );
});

test('a live photo is a file, too', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  running(t, open(), host);
  fake.write({ text: 'look', more: { live_photo: { file_id: 'gone', file_unique_id: 'u', mime_type: 'video/mp4' } } });
  const message = await until(() => host.taken[0], 'it arrives');
  assert.match(message.text, /look\n\n\(The file live-photo-\d+\.mp4 is missing here/);
});

test('a reply to a message with buttons tells what those do, and what it says itself', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  const channel = open();
  running(t, channel, host);
  const buttons = [
    { label: 'Approve', action: 'approve:apr_1' },
    { label: 'Deny', action: 'deny:apr_1' },
  ];
  for (const each of [buttons, []]) {
    const [part] = channel.split({ text: 'May I?', files: [], buttons: each });
    assert.ok(part);
    await channel.send(String(ANNA), part, { key: `k${each.length}`, again: false, draft: null });
  }
  const [asked, told] = fake.said(ANNA);
  fake.write({ text: 'yes: today', replyTo: asked?.id });
  fake.write({ text: 'yes', replyTo: told?.id });
  fake.write({ text: 'yes' });
  await until(() => host.taken.length >= 3, 'all arrive');
  const actions = buttons.map(({ action }) => action);
  assert.deepEqual(
    host.taken.map(({ answers }) => answers),
    [{ actions, text: 'yes: today' }, undefined, undefined],
  );
  assert.equal(host.taken[0]?.text, '(In reply to your message: "May I?")\n\nyes: today');
});

test('a reply to a message of another chat says what it is, whose and where', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  running(t, open(), host);
  const origin = { type: 'user', date: 1, sender_user: { id: 9, is_bot: false, first_name: 'Eve' } };
  const chat = { id: -100777, type: 'supergroup', title: 'Sales' };
  const document = { file_id: 'f', file_unique_id: 'u', file_name: 'offer.pdf' };
  const poll = { id: 'p', question: 'When?', options: [{ text: 'now' }, { text: 'later' }] };
  const replies: [Record<string, unknown>, string | undefined, string][] = [
    [{ origin }, undefined, '(In reply to a message of Eve in another chat)'],
    [{ origin, chat, document }, undefined, '(In reply to offer.pdf of Eve in the chat Sales)'],
    [{ origin, chat, poll }, undefined, '(In reply to (Poll: When? – now / later) of Eve in the chat Sales)'],
    [{ origin, chat }, 'ten percent', '(In reply to a message of Eve in the chat Sales: "ten percent")'],
  ];
  for (const [external, quote] of replies)
    fake.write({ text: 'and?', ...(quote === undefined ? {} : { quote }), more: { external_reply: external } });
  await until(() => host.taken.length === replies.length, 'all arrive');
  assert.deepEqual(
    host.taken.map(({ text, foreign }) => [text, foreign]),
    replies.map(([, , note]) => [`${note}\n\nand?`, true]),
  );
});

test('an edited message names the one it edits', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  running(t, open(), host);
  const id = fake.write({ text: 'buy 10' });
  await until(() => host.taken.length === 1, 'the first arrives');
  fake.edit(ANNA, id, 'buy 1');
  fake.edit(ANNA, id, '/stop');
  await until(() => host.taken.length === 3, 'the edits arrive');
  assert.deepEqual(
    host.taken.map(({ text }) => text),
    ['buy 10', 'buy 1', '/stop'],
  );
  // Each bot counts the messages of a person from one: of another bot the same number is another message.
  const known = `${fake.me.id}.${ANNA}.${id}`;
  assert.equal(host.taken[0]?.externalId, known);
  assert.ok(host.taken[1]?.externalId.startsWith(`${known}.`));
  assert.deepEqual(
    host.taken.map(({ edits }) => edits),
    [undefined, known, known],
  );
});

test('an album is one message, also if its parts come one after the other', async (t) => {
  const { fake, open, clock } = await openLab(t);
  const host = new Taker();
  running(t, open(), host);
  await until(() => fake.calls.some(({ method }) => method === 'getUpdates'), 'it polls');
  fake.write({ photo: BYTES, album: 'a', text: 'three pictures' });
  fake.write({ photo: BYTES, album: 'a' });
  await until(() => clock.slept.includes(1000), 'it waits for more');
  fake.write({ photo: BYTES, album: 'a' });
  fake.write({ text: 'after' });
  await until(() => host.taken.length >= 2, 'both arrive');
  assert.deepEqual(
    host.taken.map(({ text, files }) => [text, files.length]),
    [
      ['three pictures', 3],
      ['after', 0],
    ],
  );
  assert.equal(new Set(host.taken[0]?.files.map(({ name }) => name)).size, 3);
  await until(() => fake.pending().length === 0, 'all is acknowledged');
});

test('a file that is too large, or cannot be had, is said and not lost', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  running(t, open(), host);
  fake.write({ document: { name: 'film.mkv', bytes: BYTES, size: 31_000_000 }, text: 'watch' });
  const message = await until(() => host.taken[0], 'the first arrives');
  assert.deepEqual(message.files, []);
  assert.equal(message.foreign, true, 'somebody else may have named it');
  assert.equal(
    message.text,
    'watch\n\n(The file film.mkv is missing here: it has 31 MB, and Telegram gives bots no more than 20 MB.)',
  );
  fake.fail('getFile', { kind: 'status', code: 400 });
  fake.write({ document: { name: 'gone.txt', bytes: BYTES } });
  await until(() => host.taken.length === 2, 'the second arrives');
  assert.match(host.taken[1]?.text ?? '', /gone\.txt is missing here: it could not be fetched/);
  fake.fail('download', { kind: 'cut' }, { times: 2 });
  fake.write({ document: { name: 'late.txt', bytes: BYTES } });
  await until(() => host.taken.length === 3, 'the third arrives');
  assert.deepEqual([host.taken[2]?.text, host.taken[2]?.files[0]?.bytes], ['', BYTES], 'it was tried again');
  fake.fail('download', { kind: 'status', code: 500 }, { times: 50 });
  fake.write({ document: { name: 'never.txt', bytes: BYTES } });
  await until(() => host.taken.length === 4, 'the fourth arrives');
  assert.match(host.taken[3]?.text ?? '', /never\.txt is missing here/);
});

test('files of somebody who is not expected are not even fetched', async (t) => {
  const { fake, open } = await openLab(t);
  fake.person(BOB);
  const host = new Taker();
  host.strangers.add(String(BOB));
  running(t, open(), host);
  fake.write({ from: BOB, document: { name: 'bomb.bin', bytes: BYTES }, text: 'hi' });
  await until(() => host.taken.length === 1, 'the words arrive');
  assert.deepEqual([host.taken[0]?.text, host.taken[0]?.files], ['hi', []]);
  assert.ok(!fake.calls.some(({ method }) => method === 'getFile'));
});
