import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelContract } from '../contracts/channel.ts';
import { fakeChannel } from '../fakes/fake-channel.ts';
import { startPlatform } from '../fakes/platform.ts';

const LACKS = {
  strangerSays: 'everybody has the same id there',
  sendsFile: 'it has no files',
  'files out': 'it has no files',
  presses: 'it has no buttons',
  kept: 'it does not tell what it keeps',
  drafts: 'it cannot edit',
  down: 'it does not come back at the same address',
  slow: 'it is never slow',
  loseAnswer: 'it never loses an answer',
  throttle: 'it knows no limits',
  receipts: 'it takes every text to every place, and says so by the key alone',
  patience: 'it waits for its first message without end',
};

const counts = channelContract('fake', LACKS, async (t) => {
  const platform = await startPlatform();
  t.after(() => platform.close());
  return {
    open: () => fakeChannel(platform.url),
    person: '1',
    stranger: '',
    limit: Infinity,
    says: (text) => void platform.say('chat', text),
    shown: () => platform.sent.map(({ text }) => ({ text, buttons: [], file: null })),
  };
});

test('the simple fake runs what it can of the contract', () => assert.deepEqual(counts, { run: 7, skipped: 17 }));
