import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { ChannelMessage } from '../../src/core/ports/channel.ts';
import { ANNA, type Writing } from '../fakes/telegram/telegram.ts';
import { until } from '../fakes/until.ts';
import { openLab, running, Taker } from './kit.ts';

const BOB = 555;
const GROUP = -1001234;
const BYTES = new Uint8Array([1, 2, 3, 4]);
const PART = `${'word '.repeat(815)}end`;
const FULL = 'x'.repeat(4096);

/** A clock on which it never gets quiet. */
const restless = (clock: Clock): Clock => ({
  now: () => clock.now(),
  sleep: (ms, signal) =>
    ms === 1_000
      ? new Promise((_, reject) =>
          signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true }),
        )
      : clock.sleep(ms, signal),
});

/** Bursts as they wait at Telegram, with what of them arrives: texts, and the number of files. */
const BURSTS: [string, Writing[], [string, number][]][] = [
  ['a long text', [{ text: PART }, { text: PART }, { text: 'rest' }], [[`${PART}\n${PART}\nrest`, 0]]],
  ['a text cut at the last unit', [{ text: FULL }, { text: 'yz' }], [[`${FULL}yz`, 0]]],
  [
    'a forward, then its comment',
    [{ text: 'Buy!', forwardedFrom: 'Eve' }, { text: 'is it true?' }],
    [['(Forwarded from Eve:)\n\nBuy!\n\nis it true?', 0]],
  ],
  [
    'a comment, then the forwards',
    [{ text: 'is it true?' }, { text: 'Buy!', forwardedFrom: 'Eve' }, { text: 'Sell!', forwardedFrom: 'Mallory' }],
    [['is it true?\n\n(Forwarded from Eve:)\n\nBuy!\n\n(Forwarded from Mallory:)\n\nSell!', 0]],
  ],
  ['a photo, then its question', [{ photo: BYTES }, { text: 'what is this?' }], [['what is this?', 1]]],
  [
    'an album, then its question',
    [{ photo: BYTES, album: 'a' }, { photo: BYTES, album: 'a' }, { text: 'which is better?' }],
    [['which is better?', 2]],
  ],
  [
    'documents that were chosen together, then the question',
    [
      { document: { name: 'a.pdf', bytes: BYTES } },
      { document: { name: 'b.pdf', bytes: BYTES } },
      { text: 'compare them' },
    ],
    [['compare them', 2]],
  ],
  [
    'a command is none',
    [{ photo: BYTES }, { text: '/stop' }],
    [
      ['', 1],
      ['/stop', 0],
    ],
  ],
  [
    'ordinary messages',
    [{ text: 'one' }, { text: 'two' }],
    [
      ['one', 0],
      ['two', 0],
    ],
  ],
  [
    'a picture with its question is whole',
    [{ photo: BYTES, text: 'this?' }, { text: 'and you?' }],
    [
      ['this?', 1],
      ['and you?', 0],
    ],
  ],
  [
    'long after each other',
    [
      { photo: BYTES, more: { date: 1_000 } },
      { text: 'lunch?', more: { date: 1_100 } },
    ],
    [
      ['', 1],
      ['lunch?', 0],
    ],
  ],
  [
    'two people',
    [{ text: PART }, { text: 'hi', from: BOB }, { text: 'rest' }],
    [
      ['hi', 0],
      [`${PART}\nrest`, 0],
    ],
  ],
];

test('what one person means as one is one message, in order, whether it waits or comes piece by piece', async (t) => {
  for (const [what, writings, expected] of BURSTS) {
    const { fake, open } = await openLab(t);
    fake.person(BOB);
    const host = new Taker();
    for (const each of writings) fake.write(each);
    running(t, open(), host);
    await until(() => host.taken.length >= expected.length && fake.pending().length === 0, what);
    const told = host.taken.map(({ text, files }) => `${files.length} ${text}`);
    const should = expected.map(([text, files]) => `${files} ${text}`);
    assert.deepEqual(told.toSorted(), should.toSorted(), what);
  }
});

test('a part that comes a moment later is still of it, and the burst names all of them', async (t) => {
  const { fake, open, clock } = await openLab(t);
  const host = new Taker();
  running(t, open({ clock: restless(clock) }), host);
  const ids = [fake.write({ text: PART, more: { date: 1_000 } })];
  await until(() => clock.slept.includes(250), 'it looks for more');
  assert.equal(host.taken.length, 0);
  ids.push(fake.write({ text: 'the rest', more: { date: 1_001 } }));
  const message = await until(() => host.taken[0], 'it arrives');
  assert.equal(message.text, `${PART}\nthe rest`);
  assert.deepEqual(
    [message.externalId, ...(message.parts ?? [])],
    ids.map((id) => `${fake.me.id}.${ANNA}.${id}`),
  );
});

test('nobody waits for the burst of somebody else, and an ordinary message waits for nothing', async (t) => {
  const { fake, open, clock } = await openLab(t);
  fake.person(BOB);
  const host = new Taker();
  running(t, open(), host);
  fake.write({ text: 'hello' });
  await until(() => host.taken.length === 1, 'it arrives');
  assert.ok(!clock.slept.some((ms) => ms <= 5_000), 'without a pause');
  fake.write({ photo: BYTES });
  fake.write({ text: 'me first', from: BOB });
  await until(() => host.taken.length === 3, 'both arrive');
  assert.deepEqual(
    host.taken.map(({ sender }) => sender),
    [String(ANNA), String(BOB), String(ANNA)],
  );
});

test('in a group only what begins with words to the bot waits for the rest', async (t) => {
  const { fake, open } = await openLab(t);
  fake.group(GROUP);
  const host = new Taker();
  fake.write({ chat: GROUP, photo: BYTES });
  fake.write({ chat: GROUP, text: '@ruche_test_bot what is new?' });
  fake.write({ chat: GROUP, text: `@ruche_test_bot ${PART}` });
  fake.write({ chat: GROUP, text: 'and the rest' });
  running(t, open(), host);
  await until(() => host.taken.length === 2, 'both arrive');
  assert.deepEqual(
    host.taken.map(({ text, files }) => [text, files.length]),
    [
      ['what is new?', 0],
      [`${PART}\nand the rest`, 0],
    ],
  );
});

/** Keeps what it was given as the runtime does, and dies after the nth message before Telegram is told. */
class Keeper extends Taker {
  readonly kept: ChannelMessage[];
  onKept = (): void => undefined;
  constructor(kept: ChannelMessage[]) {
    super();
    this.kept = kept;
  }

  holds(_: string, id: string): Promise<readonly string[] | null> {
    const known = this.kept.find(({ externalId }) => externalId === id);
    return Promise.resolve(known ? [id, ...(known.parts ?? [])] : null);
  }

  override deliver(message: ChannelMessage): Promise<void> {
    if (!this.kept.some(({ externalId }) => externalId === message.externalId)) this.kept.push(message);
    this.onKept();
    return super.deliver(message);
  }
}

test('killed between the parts, or before Telegram is told: nothing is lost, nothing comes twice', async (t) => {
  const { fake, open, clock } = await openLab(t);
  const kept: ChannelMessage[] = [];
  fake.write({ text: PART, more: { date: 1_000 } });
  const first = running(t, open({ clock: restless(clock) }), new Keeper(kept));
  await until(() => clock.slept.includes(250), 'it looks for more');
  await first.stop();
  assert.equal(kept.length, 0);
  fake.write({ text: PART, more: { date: 1_001 } });

  // It is on disk, and the process dies before Telegram is told.
  const dying = new Keeper(kept);
  const second = running(t, open(), dying);
  dying.onKept = () => void fake.down();
  await until(() => kept.length === 1, 'it is taken in');
  await second.stop();
  assert.equal(fake.pending().length, 2, 'and not acknowledged');
  fake.write({ text: 'the rest', more: { date: 1_002 } });
  fake.write({ text: 'another', more: { date: 9_000 } });
  await fake.up();
  running(t, open(), new Keeper(kept));
  await until(() => kept.length === 3, 'the others arrive');
  assert.deepEqual(
    kept.map(({ text }) => text),
    [`${PART}\n${PART}`, 'the rest', 'another'],
  );
});
