import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ArrivalDeps, takeIn } from '../../src/accounts/mail/arrivals.ts';
import { imapError } from '../../src/accounts/mail/imap-errors.ts';
import { mailReader } from '../../src/accounts/mail/parse.ts';
import type { Mailbox } from '../../src/core/ports/mailbox.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { readJson } from '../../src/core/records/json-blob.ts';
import { openMemoryStore } from '../../src/store/memory/store.ts';
import { FakeFolder } from '../fakes/mail-feed.ts';
import { HandClock, recorder } from '../scheduler/worker-kit.ts';
import { random } from '../store/kit.ts';

const FOLLOWED = { account: 'office', folder: 'INBOX', mailbox: { authserv: [] } as unknown as Mailbox };

const depsOf = (store: Store): ArrivalDeps => ({
  store,
  clock: new HandClock(),
  log: recorder().log,
  random: () => 0.5,
  fingerprint: (header) => createHash('sha256').update(header).digest('hex'),
  redact: (text) => text,
  reader: () => Promise.resolve(mailReader),
});

const openStore = (): Store => openMemoryStore({ clock: new HandClock(), random });

async function subjects(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const event of store.read({ types: ['mail.received'] }))
    if (event.type === 'mail.received')
      found.push((await readJson<{ subject: string }>(store, event.data.content))?.subject ?? '');
  return found;
}

test('what is there at first is nothing new, and 1,000 mails at once are 1,000 events', async () => {
  const [store, folder] = [openStore(), new FakeFolder()];
  folder.put('old', 5);
  await takeIn(depsOf(store), FOLLOWED, folder);
  for (let at = 0; at < 1_000; at += 1) folder.put(`m${at}`, 5);
  await takeIn(depsOf(store), FOLLOWED, folder);
  assert.equal((await subjects(store)).length, 1_000);
});

test('each mail is one event, whatever breaks, is moved away or is numbered anew', async () => {
  const step = fc.constantFrom('mail', 'look', 'break', 'renumber', 'move back');
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const [store, folder] = [openStore(), new FakeFolder()];
      folder.put('old', 1);
      await takeIn(depsOf(store), FOLLOWED, folder);
      const sent: string[] = [];
      for (const [at, each] of [...steps, 'look'].entries()) {
        if (each === 'mail') {
          // Some in the very second of the newest mail that was there before.
          for (let n = 0; n < 30; n += 1) sent.push(`m${at}-${n}`);
          for (const id of sent.slice(-30)) folder.put(id, 1 + (at % 2));
        }
        if (each === 'renumber') folder.renumber();
        if (each === 'move back' && (await subjects(store)).includes(sent[0] ?? '')) {
          folder.remove(sent[0] ?? '');
          folder.put(sent[0] ?? '', 9);
        }
        if (each === 'break') {
          let left = at % 3;
          folder.fetching = () => {
            if (left-- <= 0) throw new Error('the line is cut');
          };
          await takeIn(depsOf(store), FOLLOWED, folder).catch(() => undefined);
          folder.fetching = () => undefined;
        }
        if (each === 'look') await takeIn(depsOf(store), FOLLOWED, folder);
      }
      assert.deepEqual((await subjects(store)).sort(), sent.sort());
    }),
    { numRuns: 60 },
  );
});

test('a throttled login is not a rejected one', () => {
  const failed = { authenticationFailed: true };
  const code = (more: object): string => imapError({ ...failed, ...more }, 'imap.x.org:993').code;
  assert.equal(code({ serverResponseCode: 'AUTHENTICATIONFAILED', response: 'Invalid credentials' }), 'login');
  assert.equal(code({}), 'login');
  assert.equal(code({ serverResponseCode: 'UNAVAILABLE', response: 'Temporary failure' }), 'throttled');
  assert.equal(code({ response: 'Too many simultaneous connections' }), 'throttled');
  assert.equal(code({ serverResponseCode: 'LIMIT' }), 'throttled');
});
