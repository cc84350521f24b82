import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Channel, OutboundMessage, Receipt, SendOptions } from '../../src/core/ports/channel.ts';
import { ANNA } from '../fakes/telegram/telegram.ts';
import { until } from '../fakes/until.ts';
import { openLab, running, Taker } from './kit.ts';

const GROUP = -4242;
const SUPER = -1_001_234_567_890;
const TO = String(ANNA);
const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 1, 2, 3]);

/** Sends a message as the outbox does. */
async function sendAll(
  channel: Channel,
  to: string,
  message: Partial<OutboundMessage>,
  options: Partial<SendOptions> = {},
): Promise<Receipt[]> {
  const receipts: Receipt[] = [];
  for (const [n, part] of channel.split({ text: '', files: [], buttons: [], ...message }).entries())
    receipts.push(await channel.send(to, part, { key: `k.${n}`, again: false, draft: null, ...options }));
  return receipts;
}

const lab = async (t: TestContext) => {
  const { open, ...rest } = await openLab(t);
  return { ...rest, channel: open() };
};

const params = (
  fake: { calls: readonly { method: string; params: unknown }[] },
  method: string,
): Record<string, unknown>[] =>
  fake.calls.filter((call) => call.method === method).map((call) => call.params as Record<string, unknown>);

test('formatted text is shown formatted, without a preview of any link', async (t) => {
  const { fake, channel } = await lab(t);
  await sendAll(channel, TO, { text: '**Hi** 😀 [there](https://evil.example/?data=secret)\n\n```py\nprint(1)\n```' });
  const [shown] = fake.said(ANNA);
  assert.equal(shown?.text, 'Hi 😀 there\n\nprint(1)');
  assert.deepEqual(shown?.marks, [
    { type: 'bold', text: 'Hi' },
    { type: 'text_link', text: 'there', url: 'https://evil.example/?data=secret' },
    { type: 'pre', text: 'print(1)', language: 'py' },
  ]);
  await channel.drafts?.show(TO, 'https://evil.example/?data=secret', String(shown?.id));
  for (const method of ['sendMessage', 'editMessageText'])
    assert.deepEqual(
      params(fake, method).map((each) => each.link_preview_options),
      [{ is_disabled: true }],
      method,
    );
});

test('marks that Telegram does not like are left out rather than the words', async (t) => {
  const { fake, channel } = await lab(t);
  const part = {
    kind: 'text' as const,
    text: 'short',
    buttons: [],
    entities: [{ type: 'bold', offset: 3, length: 40 }],
  };
  const receipt = await channel.send(TO, part, { key: 'k', again: false, draft: null });
  assert.equal(receipt.state, 'sent');
  assert.deepEqual(
    fake.said(ANNA).map(({ text, marks }) => [text, marks]),
    [['short', []]],
  );
});

test('a part that split did not make is Markdown', async (t) => {
  const { fake, channel } = await lab(t);
  const buttons = [{ label: 'Yes', action: 'y' }];
  const receipt = await channel.send(
    TO,
    { kind: 'text', text: 'a **b**', buttons },
    { key: 'k', again: false, draft: null },
  );
  assert.equal(receipt.state, 'sent');
  assert.deepEqual(
    fake.said(ANNA).map(({ text, buttons }) => [text, buttons]),
    [['a b', ['Yes']]],
  );
});

test('a repeat is visible in full parts, on files and when a draft is gone', async (t) => {
  const { fake, channel } = await lab(t);
  const again = { again: true };
  const [full] = channel.split({ text: `**${'word '.repeat(1500)}end**`, files: [], buttons: [] });
  assert.ok(full);
  assert.equal((await channel.send(TO, full, { key: 'k', draft: null, ...again })).state, 'sent');
  const file = { name: 'a.txt', mediaType: 'text/plain', bytes: new Uint8Array([1]) };
  await sendAll(channel, TO, { files: [file] }, again);
  await sendAll(channel, TO, { text: 'anew' }, { draft: '77', ...again });
  const shown = fake.said(ANNA);
  assert.equal(shown.length, 3);
  for (const { text } of shown) assert.match(text, /^\(This may be a repeat: /);
  assert.match(shown[0]?.marks[0]?.text ?? '', /^word word/, 'the marks have moved along');
});

test('photos, voice and documents go as what they are; what Telegram cannot show as such goes as a document', async (t) => {
  const { fake, channel } = await lab(t);
  const opus = Buffer.concat([Buffer.from('OggS'), Buffer.alloc(24), Buffer.from('OpusHead')]);
  const files = [
    { name: 'a.png', mediaType: 'image/png', bytes: PNG },
    { name: 'b.jpg', mediaType: 'image/jpeg', bytes: new Uint8Array([1, 2, 3]) },
    { name: 'c.ogg', mediaType: 'audio/ogg', bytes: new Uint8Array(opus) },
    { name: 'd.ogg', mediaType: 'audio/ogg', bytes: new Uint8Array([1]) },
  ];
  const receipts = await sendAll(channel, TO, { files });
  assert.deepEqual(
    receipts.map(({ state }) => state),
    ['sent', 'sent', 'sent', 'sent'],
  );
  assert.deepEqual(
    fake.said(ANNA).map(({ file }) => [file?.kind, file?.name]),
    [
      ['photo', 'a.png'],
      ['document', 'b.jpg'],
      ['voice', 'c.ogg'],
      ['document', 'd.ogg'],
    ],
  );
  assert.deepEqual(fake.said(ANNA)[1]?.file?.bytes, files[1]?.bytes);
});

test('a file takes the place of a draft, a text becomes of it with its buttons', async (t) => {
  const { fake, channel } = await lab(t);
  const shown = await channel.drafts?.show(TO, 'making a picture', null);
  assert.ok(shown?.state === 'sent');
  await sendAll(channel, TO, { files: [{ name: 'a.png', mediaType: 'image/png', bytes: PNG }] }, { draft: shown.id });
  assert.deepEqual(
    fake.said(ANNA).map(({ text, file }) => [text, file?.kind]),
    [['', 'photo']],
  );
  const draft = await channel.drafts?.show(TO, 'May', null);
  assert.ok(draft?.state === 'sent');
  await sendAll(channel, TO, { text: 'May I?', buttons: [{ label: 'Yes', action: 'yes' }] }, { draft: draft.id });
  const last = fake.said(ANNA).at(-1);
  assert.deepEqual([last?.text, last?.buttons, last?.edits], ['May I?', ['Yes'], 1]);
});

test('a draft is cut to one message, marked as unfinished, and never half a character', async (t) => {
  const { fake, channel } = await lab(t);
  for (const text of ['', 'x'.repeat(5000), '😀'.repeat(3000), ' \n ', '\ud83d'])
    assert.equal((await channel.drafts?.show(TO, text, null))?.state, 'sent', text.slice(0, 5));
  for (const { text } of fake.said(ANNA)) assert.ok(text.length <= 4096 && text.endsWith('✍ …') && text.isWellFormed());
});

test('a draft that the person has deleted is not begun again', async (t) => {
  const { fake, open } = await openLab(t);
  const channel = open();
  const shown = await channel.drafts?.show(TO, 'one', null);
  assert.ok(shown?.state === 'sent' && shown.id !== null);
  fake.delete(ANNA, Number(shown.id));
  const again = await channel.drafts?.show(TO, 'one two', shown.id);
  assert.ok(again?.state === 'failed' && again.final, JSON.stringify(again));
  assert.equal(fake.said(ANNA).length, 0);
  await sendAll(channel, TO, { text: 'one two three' }, { draft: shown.id });
  assert.equal(fake.said(ANNA).at(-1)?.text, 'one two three');
});

test('drafts in a group keep to its twenty messages a minute', async (t) => {
  const { fake, channel } = await lab(t);
  fake.group(GROUP);
  const receipts: Receipt[] = [];
  let draft: string | null = null;
  for (let n = 0; n < 60; n++) {
    const receipt: Receipt | undefined = await channel.drafts?.show(String(GROUP), `text ${n}`, draft);
    assert.ok(receipt);
    if (receipt.state === 'sent') draft = receipt.id;
    receipts.push(receipt);
  }
  assert.ok(receipts.filter(({ state }) => state === 'sent').length <= 21);
  assert.ok(
    receipts.every(
      (each) => each.state === 'sent' || (each.state === 'failed' && !each.final && (each.retryAfter ?? 0) > 0),
    ),
  );
  assert.equal(fake.said(GROUP).length, 1);
});

test('a reply for a topic that is gone comes to the chat, and says so', async (t) => {
  const { fake, channel } = await lab(t);
  const [receipt] = await sendAll(channel, `${ANNA}_5`, { text: '**hi**' });
  assert.equal(receipt?.state, 'sent', JSON.stringify(receipt));
  const [message] = fake.said(ANNA);
  assert.equal(message?.text, '(For a topic that is gone:)\n\nhi');
  assert.deepEqual(message?.marks, [{ type: 'bold', text: 'hi' }]);
});

test('a long reply for a topic that is gone keeps its words and its marks', async (t) => {
  const { fake, channel } = await lab(t);
  const text = `${'word '.repeat(790)}**the end** ${'x'.repeat(400)}`;
  await sendAll(channel, `${ANNA}_5`, { text }, { again: true });
  const said = fake.said(ANNA);
  assert.equal(
    said
      .map((each) => each.text.replace(/^\([^)]*\)\n\n/gm, ''))
      .join('')
      .replace(/\s/g, ''),
    text.replace(/[\s*]/g, ''),
  );
  assert.deepEqual(
    said.flatMap(({ marks }) => marks),
    [{ type: 'bold', text: 'the end' }],
  );
});

test('of a link whose words are code the address stays', async (t) => {
  const { fake, channel } = await lab(t);
  await sendAll(channel, String(ANNA), { text: '[`README.md`](https://x.example/r) and `code`' });
  assert.deepEqual(
    fake
      .said(ANNA)
      .at(-1)
      ?.marks.map(({ type }) => type),
    ['text_link', 'code'],
  );
});

test('blocked, unknown and gone are failures for good; a chat that moved is followed', async (t) => {
  const { fake, channel } = await lab(t);
  const blocked = fake.person(77);
  fake.block(blocked);
  for (const [to, says] of [
    ['77', /blocked by the user/],
    ['78', /chat not found/],
  ] as const) {
    const [receipt] = await sendAll(channel, to, { text: 'hi' });
    assert.ok(receipt?.state === 'failed' && receipt.final, JSON.stringify(receipt));
    assert.match(receipt.error, says);
  }
  fake.group(GROUP, { basic: true });
  const asked = fake.write({ chat: GROUP, text: 'question' });
  fake.migrate(GROUP, SUPER);
  for (const text of ['one', 'two'])
    assert.equal((await sendAll(channel, `${GROUP}:${asked}`, { text }))[0]?.state, 'sent');
  assert.deepEqual(
    fake.said(SUPER).map(({ text }) => text),
    ['one', 'two'],
  );
  assert.equal(params(fake, 'sendMessage').filter((each) => each.chat_id === GROUP).length, 1, 'asked once');
});

test('a group that has become a supergroup is put on record, from either of its messages or a refusal, and followed after a start', async (t) => {
  const { fake, open } = await openLab(t);
  fake.group(GROUP, { basic: true });
  const names = new Map<string, string>();
  const host = Object.assign(new Taker(), {
    renamed: async (from: string, to: string) => void names.set(from, to),
    nameNow: async (chat: string) => names.get(chat) ?? null,
  });
  const first = running(t, open(), host);
  fake.migrate(GROUP, SUPER);
  await until(() => names.get(String(GROUP)) === String(SUPER), 'it is on record');
  await first.stop();
  const calls = fake.calls.length;
  const later = open();
  running(t, later, host);
  const [receipt] = await sendAll(later, `${GROUP}:1`, { text: 'late' });
  assert.equal(receipt?.state, 'sent');
  assert.ok(!fake.calls.slice(calls).some(({ params: { chat_id: id } }) => id === GROUP), 'the old one is not asked');
  assert.equal(fake.said(SUPER).at(-1)?.text, 'late');
});

test('no message gives a person, or a group that is none any more, another name', async (t) => {
  const { fake, open } = await openLab(t);
  const names: string[] = [];
  const host = Object.assign(new Taker(), {
    renamed: async (from: string, to: string) => void names.push(`${from} ${to}`),
  });
  running(t, open(), host);
  fake.group(GROUP, { basic: true });
  for (const [from, to] of [
    [ANNA, SUPER],
    [GROUP, GROUP - 1],
    [SUPER, SUPER - 1],
  ] as const)
    fake.migrate(from, to);
  fake.write({ text: 'that was all' });
  await until(() => host.taken.length === 1, 'all are taken in');
  assert.deepEqual(names, []);
});

test('a file for a topic that is gone comes to the chat, and says so', async (t) => {
  const { fake, channel } = await lab(t);
  const files = [
    { name: 'a.txt', mediaType: 'text/plain', bytes: new Uint8Array([1]) },
    { name: 'a.png', mediaType: 'image/png', bytes: PNG },
  ];
  const receipts = await sendAll(channel, `${ANNA}_5`, { files });
  assert.deepEqual(
    receipts.map(({ state }) => state),
    ['sent', 'sent'],
  );
  assert.deepEqual(
    fake.said(ANNA).map(({ text, file }) => [text, file?.kind]),
    [
      ['(For a topic that is gone:)', 'document'],
      ['(For a topic that is gone:)', 'photo'],
    ],
  );
});

test('the General topic is addressed by its group, whatever the address says', async (t) => {
  const { fake, channel } = await lab(t);
  fake.group(SUPER, { forum: true });
  await sendAll(channel, `${SUPER}_1`, { text: 'hi' });
  assert.deepEqual(
    fake.said(SUPER).map(({ text }) => text),
    ['hi'],
  );
});

test('buttons that were answered elsewhere go, and the message says what came of them', async (t) => {
  const { fake, channel } = await lab(t);
  const buttons = [{ label: 'Approve', action: 'approve:apr_1' }];
  const [part] = channel.split({ text: 'May I?\n```\nrm x\n```', files: [], buttons });
  assert.ok(part);
  const receipt = await channel.send(TO, part, { key: 'k', again: false, draft: null });
  assert.ok(receipt.state === 'sent' && receipt.id);
  for (let times = 0; times < 2; times += 1) await channel.retire?.(TO, part, receipt.id, 'Denied');
  await channel.retire?.(TO, part, '999', 'Denied');
  const [shown, ...more] = fake.said(ANNA);
  assert.deepEqual(
    [shown?.text, shown?.buttons, shown?.marks.length, more.length],
    ['May I?\n\nrm x\n\n→ Denied', [], 1, 0],
  );
});

test('an answer comes also if the question has been deleted', async (t) => {
  const { fake, channel } = await lab(t);
  fake.group(GROUP);
  const asked = fake.write({ chat: GROUP, text: 'question' });
  fake.delete(GROUP, asked);
  assert.equal((await sendAll(channel, `${GROUP}:${asked}`, { text: 'answer' }))[0]?.state, 'sent');
});

test('what may have been carried out is unsure; what was refused or never left is not', async (t) => {
  const { fake, channel } = await lab(t);
  const state = async (): Promise<string> => {
    const [receipt] = await sendAll(channel, TO, { text: 'x' });
    return receipt?.state === 'failed' ? `failed ${receipt.final ? 'for good' : 'for now'}` : (receipt?.state ?? '');
  };
  const expected: [Parameters<typeof fake.fail>[1], string][] = [
    [{ kind: 'lost' }, 'unsure'],
    [{ kind: 'cut' }, 'unsure'],
    [{ kind: 'garbage' }, 'unsure'],
    [{ kind: 'status', code: 500 }, 'unsure'],
    [{ kind: 'status', code: 502 }, 'unsure'],
    [{ kind: 'status', code: 429, retryAfter: 3 }, 'failed for now'],
    [{ kind: 'status', code: 401 }, 'failed for now'],
    [{ kind: 'status', code: 400 }, 'failed for good'],
  ];
  for (const [fault, is] of expected) {
    fake.fail('sendMessage', fault);
    assert.equal(await state(), is, JSON.stringify(fault));
  }
  await fake.down();
  // The first may still go over a connection that was open: nobody knows what became of it.
  await until(async () => (await state()) === 'failed for now', 'a refused connection is known to be one');
  await fake.up();
});

test('no error holds the token', async (t) => {
  const { fake, channel, lines } = await lab(t);
  const receipts: Receipt[] = [];
  for (const kind of ['cut', 'garbage', 'lost'] as const) {
    fake.fail('sendMessage', { kind });
    receipts.push(...(await sendAll(channel, TO, { text: 'x' })));
  }
  await fake.down();
  receipts.push(...(await sendAll(channel, TO, { text: 'x' })));
  assert.equal(receipts.filter(({ state }) => state !== 'sent').length, 4);
  assert.ok(!JSON.stringify([receipts, lines]).includes(fake.token.slice(8)));
  await fake.up();
});

test('a press by somebody else is passed on as theirs; an old or dead one harms nothing', async (t) => {
  const { fake, channel } = await lab(t);
  fake.group(GROUP);
  fake.person(9, 'Bob');
  const host = new Taker();
  host.press = (press) => {
    host.presses.push(press);
    return Promise.resolve({ text: 'x'.repeat(300), done: false });
  };
  running(t, channel, host);
  await sendAll(channel, String(GROUP), { text: 'May I?', buttons: [{ label: 'Yes', action: 'yes' }] });
  fake.fail('answerCallbackQuery', { kind: 'status', code: 400 });
  fake.press(GROUP, 'Yes', 9);
  fake.press(GROUP, 'Yes', 9);
  await until(() => host.presses.length === 2 && fake.answers.length === 1, 'both are passed on');
  assert.deepEqual(
    host.presses.map(({ sender, chat, replyTo, action }) => [sender, chat, replyTo, action]),
    [
      ['9', String(GROUP), String(GROUP), 'yes'],
      ['9', String(GROUP), String(GROUP), 'yes'],
    ],
  );
  assert.notEqual(host.presses[0]?.externalId, host.presses[1]?.externalId);
  assert.equal(fake.answers[0]?.text.length, 200);
  assert.deepEqual(fake.said(GROUP)[0]?.buttons, ['Yes'], 'it has not had its use');
});
