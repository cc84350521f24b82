import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Channel, InboundMessage, Log } from '../../src/core/ports.ts';
import { startChannels } from '../../src/mail/channels.ts';

const MESSAGE: InboundMessage = {
  channel: 'a',
  sender: 'person:owner',
  agent: 'assistant',
  session: 'one',
  text: 'hello',
  replyTo: 'one',
  externalId: '1',
};

test('a channel that cannot start harms no other; what is refused, the adapter hears', async () => {
  const said: string[] = [];
  const log: Log = { debug() {}, info() {}, warn() {}, error: (fields) => void said.push(JSON.stringify(fields)) };
  const heard = Promise.withResolvers<string>();
  const channel = (name: string, start: Channel['start']): [string, Channel] => [
    name,
    { name, dedupes: false, start, send: () => Promise.resolve({ state: 'sent', id: null }) },
  ];
  const channels = new Map([
    channel('throws', () => {
      throw new Error('no token');
    }),
    channel('rejects', () => Promise.reject(new Error('no network'))),
    channel('works', async (deliver) => {
      await deliver(MESSAGE).catch((error: unknown) => heard.resolve(String(error)));
    }),
  ]);
  const deliver = () => Promise.resolve({ ok: false, why: 'busy', message: 'later' } as const);
  const listening = startChannels(channels, { deliver }, log);
  assert.equal(await heard.promise, 'Error: later');
  assert.deepEqual(said, [
    '{"channel":"throws","error":"Error: no token"}',
    '{"channel":"rejects","error":"Error: no network"}',
  ]);
  listening.stop();
});
