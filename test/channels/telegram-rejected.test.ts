// What the host does not take: comes again, in order, and does not hold others back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostBusy } from '../../src/core/ports/channel.ts';
import { StoreUnavailable } from '../../src/core/ports/store.ts';
import { ANNA } from '../fakes/telegram/telegram.ts';
import { until } from '../fakes/until.ts';
import { openLab, running, Taker } from './kit.ts';

const BOB = 555;
const BYTES = new Uint8Array([1, 2, 3, 4]);

test('one chat that is rejected does not hold back another', async (t) => {
  const { fake, open, lines } = await openLab(t);
  fake.person(BOB);
  const host = new Taker();
  const taken = host.deliver.bind(host);
  host.deliver = (message) => (message.text === 'bad' ? Promise.reject(new Error('no')) : taken(message));
  fake.write({ text: 'bad' });
  fake.write({ from: BOB, text: 'good' });
  running(t, open(), host);
  await until(() => host.taken.length === 1, 'the good one arrives');
  fake.write({ from: BOB, text: 'more' });
  // Never acknowledged before it was given up, which takes five tries and others that succeed.
  const skipped = await until(() => {
    fake.write({ from: BOB, text: 'again' });
    return lines.find((line) => line.startsWith('error'));
  }, 'it is given up');
  await until(() => fake.pending().length === 0, 'all is acknowledged');
  assert.match(skipped, /is skipped.*"updates":\[500001\]/);
});

test('a host that takes nothing at all loses nothing, however long it lasts', async (t) => {
  const { fake, open, lines } = await openLab(t);
  const host = new Taker();
  let full = true;
  let tries = 0;
  const taken = host.deliver.bind(host);
  host.deliver = (message) => {
    tries += 1;
    return full ? Promise.reject(new Error('disk full')) : taken(message);
  };
  for (const text of ['one', 'two', 'three']) fake.write({ text });
  running(t, open(), host);
  await until(() => tries > 20, 'it tries for a while');
  assert.equal(fake.pending().length, 3);
  full = false;
  await until(() => host.taken.length === 3, 'all arrive');
  assert.deepEqual(
    host.taken.map(({ text }) => text),
    ['one', 'two', 'three'],
  );
  assert.ok(!lines.some((line) => line.startsWith('error')));
});

test('an album whose parts have another message between them comes again whole, or not at all', async (t) => {
  const { fake, open } = await openLab(t);
  fake.person(BOB);
  fake.write({ photo: BYTES, album: 'a', text: 'both' });
  fake.write({ from: BOB, text: 'bad' });
  fake.write({ photo: BYTES, album: 'a' });
  const host = new Taker();
  const taken = host.deliver.bind(host);
  let rejected = 0;
  host.deliver = (message) => (message.text === 'bad' ? (rejected++, Promise.reject(new Error('no'))) : taken(message));
  const first = running(t, open(), host);
  await until(() => rejected >= 3, 'it was tried, and asked for again');
  await first.stop();
  assert.deepEqual(
    host.taken.map(({ files }) => files.length),
    [2],
    'the album came once',
  );
  const after = new Taker();
  running(t, open(), after);
  await until(() => after.taken.length === 2, 'both come again');
  assert.deepEqual(
    new Map(after.taken.map(({ text, files }) => [text, files.length])),
    new Map([
      ['bad', 0],
      ['both', 2],
    ]),
  );
  assert.equal(after.taken.find(({ text }) => text === 'both')?.externalId, host.taken[0]?.externalId);
});

test('a full queue or a full disk is no fault of the message: it waits, in order, while others are served', async (t) => {
  const { fake, open, lines } = await openLab(t);
  fake.person(BOB);
  const host = new Taker();
  const taken = host.deliver.bind(host);
  let room = false;
  let tries = 0;
  host.deliver = (message) => {
    if (message.sender === String(BOB) || room) return taken(message);
    tries += 1;
    return Promise.reject(tries % 2 ? new HostBusy('full') : new StoreUnavailable('full', 'full'));
  };
  running(t, open(), host);
  fake.write({ text: 'one' });
  fake.write({ text: 'two' });
  await until(() => {
    if (fake.pending().length < 20) fake.write({ from: BOB, text: 'other' });
    return tries > 12;
  }, 'it is tried for a while');
  assert.ok(host.taken.length > 5 && host.taken.every(({ sender }) => sender === String(BOB)));
  room = true;
  await until(() => host.taken.filter(({ sender }) => sender === String(ANNA)).length === 2, 'they arrive');
  assert.deepEqual(
    host.taken.filter(({ sender }) => sender === String(ANNA)).map(({ text }) => text),
    ['one', 'two'],
  );
  assert.ok(!lines.some((line) => line.startsWith('error')));
});
