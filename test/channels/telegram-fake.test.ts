// The fake must be as strict as the platform, or a test against it proves nothing.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Clock } from '../../src/core/ports/clock.ts';
import { checkText } from '../fakes/telegram/check.ts';
import { ANNA, startTelegram, type TelegramFake } from '../fakes/telegram/telegram.ts';
import { until } from '../fakes/until.ts';

interface Answer {
  ok: boolean;
  result?: unknown;
  error_code?: number;
  description?: string;
  parameters?: { retry_after?: number; migrate_to_chat_id?: number };
}

/** Time that stands still until it is moved; sleeps end when their time has come. */
function handClock(): Clock & { move(ms: number): void } {
  let now = 1_800_000_000_000;
  const sleepers = new Set<{ at: number; wake(): void }>();
  return {
    now: () => now,
    move(ms) {
      now += ms;
      for (const sleeper of sleepers) if (sleeper.at <= now) sleeper.wake();
    },
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { at: now + ms, wake: () => (sleepers.delete(sleeper), resolve()) };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => (sleepers.delete(sleeper), reject(signal.reason as Error)));
      }),
  };
}

async function lab(t: TestContext): Promise<{
  fake: TelegramFake;
  clock: ReturnType<typeof handClock>;
  call: (method: string, params?: object, token?: string) => Promise<Answer>;
}> {
  const clock = handClock();
  const fake = await startTelegram({ clock });
  t.after(() => fake.close());
  return {
    fake,
    clock,
    async call(method, params = {}, token = fake.token) {
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(params) };
      const response = await fetch(`${fake.url}/bot${token}/${method}`, init);
      const body = (await response.json()) as Answer;
      if (!body.ok) assert.equal(response.status, body.error_code);
      return body;
    },
  };
}

test('fake: tokens, methods and chats that are unknown are refused in Telegram’s words', async (t) => {
  const { fake, call } = await lab(t);
  fake.block(fake.person(8));
  const told = async (...args: Parameters<typeof call>): Promise<unknown[]> => {
    const { ok, error_code: code, description } = await call(...args);
    return [ok, code, description];
  };
  assert.deepEqual(await told('getMe', {}, '1:wrong'), [false, 401, 'Unauthorized']);
  assert.deepEqual(await told('getMe', {}, 'nonsense'), [false, 404, 'Not Found']);
  assert.deepEqual(await told('sendGreetings'), [false, 404, 'Not Found']);
  assert.deepEqual(await told('sendMessage', { chat_id: 5, text: 'x' }), [false, 400, 'Bad Request: chat not found']);
  assert.deepEqual(await told('sendMessage', { chat_id: 8, text: 'x' }), [
    false,
    403,
    'Forbidden: bot was blocked by the user',
  ]);
  assert.equal((await call('getMe')).ok, true);
});

test('fake: texts, entities and buttons are checked', async (t) => {
  const { fake, call } = await lab(t);
  const says = async (more: object): Promise<string> => {
    const { ok, description } = await call('sendMessage', { chat_id: ANNA, ...more });
    return ok ? 'ok' : (description ?? '');
  };
  const entity = (offset: number, length: number, type = 'bold', more = {}) => ({ type, offset, length, ...more });
  const button = (callback_data: string) => ({ reply_markup: { inline_keyboard: [[{ text: 'b', callback_data }]] } });
  const refused: [object, RegExp][] = [
    [{ text: 'x'.repeat(4097) }, /message is too long/],
    [{ text: ' \n ' }, /message text is empty/],
    [{ text: 'abc', entities: [entity(2, 2)] }, /ends after the end of the text at UTF-16 offset 4/],
    [{ text: 'abc', entities: [entity(9, 1)] }, /begins after the end of the text/],
    [{ text: '😀', entities: [entity(0, 1)] }, /in a middle of a UTF-16 symbol/],
    [{ text: 'abc', entities: [entity(0, 3, 'sparkle')] }, /Unsupported type/],
    [{ text: 'abc', entities: [entity(0, 3, 'text_link', { url: 'http://localhost' })] }, /Wrong HTTP URL/],
    [{ text: 'abc', ...button('é'.repeat(33)) }, /BUTTON_DATA_INVALID/],
    [{ text: 'abc', ...button('') }, /BUTTON_DATA_INVALID/],
    [{ text: 'abc', reply_parameters: { message_id: 5 } }, /message to be replied not found/],
    [{ text: 'abc', message_thread_id: 5 }, /message thread not found/],
  ];
  for (const [more, expected] of refused) assert.match(await says(more), expected);
  assert.equal(fake.said(ANNA).length, 0);
  assert.equal(await says({ text: ` ${'x'.repeat(4096)} `, entities: [entity(1, 4096)] }), 'ok');
  assert.equal(await says({ text: 'abc', ...button('é'.repeat(32)) }), 'ok');
  assert.equal(fake.said(ANNA).length, 2);
  assert.equal(refused.length, 11);
});

test('fake: entities are put right as TDLib does it', () => {
  const kept = (text: string, ...given: [type: string, offset: number, length: number][]): string[] => {
    const entities = given.map(([type, offset, length]) => ({ type, offset, length, url: 'https://x.example' }));
    const taken = checkText(text, entities, 4096);
    return taken.entities.map(({ type, offset, length }) => `${type} ${taken.text.slice(offset, offset + length)}`);
  };
  const cases: [string[], string[]][] = [
    [kept('abc', ['code', 0, 3], ['text_link', 0, 3]), ['code abc']],
    [kept('abcdef', ['text_link', 0, 6], ['code', 2, 2]), ['text_link abcdef']],
    [kept('abcdef', ['bold', 0, 4], ['italic', 2, 4]), ['bold ab', 'italic cdef', 'bold cd']],
    [kept('abcdef', ['bold', 0, 6], ['code', 2, 2]), ['bold ab', 'code cd', 'bold ef']],
    [kept('abcdef', ['bold', 0, 6], ['text_link', 2, 2]), ['bold ab', 'text_link cd', 'bold cd', 'bold ef']],
    [kept('abcd', ['bold', 0, 2], ['bold', 2, 2]), ['bold abcd']],
    [kept('abcd', ['blockquote', 0, 4], ['blockquote', 1, 2]), ['blockquote abcd']],
    [kept('abcd', ['blockquote', 1, 3], ['text_link', 0, 2]), ['blockquote bcd']],
    [kept('  a  b ', ['bold', 3, 2], ['bold', 4, 3]), ['bold  b']],
    [kept('  ab', ['pre', 1, 3]), ['pre  ab']],
    [kept('\u202eA\u030ab', ['bold', 1, 3]), ['bold Ab']],
    [kept('ab', ['url', 0, 2], ['bold', 0, 2]), ['bold ab']],
  ];
  for (const [are, should] of cases) assert.deepEqual(are, should);
  const many = Array.from({ length: 130 }, (_, at) => ['code', 2 * at, 1] as [string, number, number]);
  assert.equal(kept('x '.repeat(130), ...many).length, 100);
});

test('fake: edits are refused that change nothing or have nothing to change', async (t) => {
  const { fake, call } = await lab(t);
  const theirs = fake.write({ text: 'mine' });
  const sent = (await call('sendMessage', { chat_id: ANNA, text: 'one' })).result as { message_id: number };
  const edit = (message_id: number, text: string) => call('editMessageText', { chat_id: ANNA, message_id, text });
  assert.match((await edit(sent.message_id, 'one')).description ?? '', /message is not modified/);
  assert.match((await edit(999, 'one')).description ?? '', /message to edit not found/);
  assert.match((await edit(theirs, 'one')).description ?? '', /message can't be edited/);
  assert.equal((await edit(sent.message_id, 'two')).ok, true);
  assert.match(
    (await call('deleteMessage', { chat_id: ANNA, message_id: 999 })).description ?? '',
    /message to delete not found/,
  );
  assert.deepEqual(
    fake.said(ANNA).map(({ text, edits }) => [text, edits]),
    [['two', 1]],
  );
});

test('fake: too many messages to one chat have to wait, by its clock', async (t) => {
  const { fake, clock, call } = await lab(t);
  fake.group(-7);
  const burst = async (chat: number, many: number): Promise<number[]> => {
    const waits: number[] = [];
    for (let n = 0; n < many; n++)
      waits.push((await call('sendMessage', { chat_id: chat, text: `m${n}` })).parameters?.retry_after ?? 0);
    return waits;
  };
  assert.deepEqual(await burst(ANNA, 6), [0, 0, 0, 0, 0, 5]);
  const group = await burst(-7, 21);
  assert.deepEqual([group.filter((wait) => wait === 0).length, group.at(-1)], [20, 60]);
  clock.move(5_000);
  assert.deepEqual(await burst(ANNA, 1), [0]);
  assert.deepEqual(await burst(-7, 1), [55]);
  clock.move(55_000);
  assert.deepEqual(await burst(-7, 1), [0]);
});

test('fake: polls are held, acknowledge by offset, and the older of two ends with a conflict', async (t) => {
  const { fake, clock, call } = await lab(t);
  let ended = false;
  const held = call('getUpdates', { timeout: 50 }).finally(() => (ended = true));
  await until(() => fake.calls.length === 1, 'it is asked');
  assert.equal(ended, false);
  const second = call('getUpdates', { timeout: 50 });
  const conflict = await held;
  assert.deepEqual(
    [conflict.error_code, conflict.description],
    [409, 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running'],
  );
  await until(() => fake.calls.length === 2, 'the second is asked');
  clock.move(50_000);
  assert.deepEqual((await second).result, []);

  for (const text of ['one', 'two', 'three']) fake.write({ text });
  const ids = fake.pending();
  const get = async (params: object): Promise<string[]> =>
    ((await call('getUpdates', params)).result as { message: { text: string } }[]).map(({ message }) => message.text);
  assert.deepEqual(await get({}), ['one', 'two', 'three']);
  assert.deepEqual(await get({ limit: 2 }), ['one', 'two'], 'not acknowledged, so they come again');
  assert.deepEqual(await get({ offset: ids[1] }), ['two', 'three']);
  assert.deepEqual(await get({ allowed_updates: ['callback_query'] }), []);
  assert.deepEqual(fake.pending(), ids.slice(1));
  fake.setWebhook('https://example.org');
  assert.match((await call('getUpdates')).description ?? '', /can't use getUpdates method while webhook is active/);
});

test('fake: files are handed out by getFile up to 20 MB, and buttons answered once', async (t) => {
  const { fake, call } = await lab(t);
  fake.write({ document: { name: 'a.txt', bytes: new Uint8Array([1, 2]) } });
  fake.write({ document: { name: 'b.bin', bytes: new Uint8Array([1]), size: 21_000_000 } });
  const updates = (await call('getUpdates')).result as { message: { document: { file_id: string } } }[];
  const [small, big] = updates.map(({ message }) => message.document.file_id);
  const { file_path: path } = (await call('getFile', { file_id: small })).result as { file_path: string };
  const got = await fetch(`${fake.url}/file/bot${fake.token}/${path}`);
  assert.deepEqual(await got.bytes(), new Uint8Array([1, 2]));
  assert.match((await call('getFile', { file_id: big })).description ?? '', /file is too big/);
  assert.match((await call('getFile', { file_id: 'x' })).description ?? '', /wrong file_id/);
  await call('sendMessage', {
    chat_id: ANNA,
    text: '?',
    reply_markup: { inline_keyboard: [[{ text: 'Y', callback_data: 'y' }]] },
  });
  const query = fake.press(ANNA, 'Y');
  const answer = () => call('answerCallbackQuery', { callback_query_id: query, text: 'ok' });
  assert.equal((await answer()).ok, true);
  assert.match((await answer()).description ?? '', /query is too old/);
  assert.throws(() => fake.press(ANNA, 'N'), /no button "N" is shown/);
});
