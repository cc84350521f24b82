import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelSettings } from '../../src/core/agent.ts';
import type { Channel, ChannelHost, ChannelMessage } from '../../src/core/ports/channel.ts';
import type { Log } from '../../src/core/ports/log.ts';
import { openChannels } from '../../src/messages/channels.ts';

const MESSAGE: ChannelMessage = { sender: '1', chat: '1', text: 'hello', files: [], replyTo: '1', externalId: '1' };
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

function channel(name: string, start: Channel['start']): Channel {
  return {
    name,
    dedupes: false,
    start,
    split: ({ text, buttons }) => [{ kind: 'text', text, buttons }],
    send: () => Promise.resolve({ state: 'sent', id: null }),
  };
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

const settings = (more: Partial<ChannelSettings> = {}): ChannelSettings => ({
  name: 'telegram',
  type: 'telegram',
  secrets: { token: 'env:T' },
  owners: [],
  agent: null,
  settings: {},
  ...more,
});

const clock = { now: () => 0 };
const host = (): ChannelHost => ({
  deliver: () => Promise.resolve(),
  press: () => Promise.resolve({ text: '', done: false }),
});

test('what keeps a channel from working stands among the problems until it works again', async () => {
  const told = Promise.withResolvers<ChannelHost>();
  const channels = openChannels({
    fixed: [channel('far', (given, signal) => (told.resolve(given), untilAborted(signal)))],
    settings: () => [],
    open: () => Promise.reject(new Error('not asked')),
    log: quiet,
    clock,
  });
  channels.sync(host);
  const { report } = await told.promise;
  report?.('it cannot be reached');
  assert.equal(channels.doing('far')?.problem, 'it cannot be reached');
  report?.(null);
  assert.equal(channels.doing('far')?.problem, null);
  channels.stop();
  report?.('too late');
  assert.equal(channels.doing('far')?.problem, null);
});

test('how a channel does is known: since when, what came in and went out last, and what went wrong', async () => {
  const told = Promise.withResolvers<ChannelHost>();
  let at = 100;
  const channels = openChannels({
    fixed: [channel('far', (given, signal) => (told.resolve(given), untilAborted(signal)))],
    settings: () => [],
    open: () => Promise.reject(new Error('not asked')),
    log: quiet,
    clock: { now: () => at },
  });
  assert.equal(channels.doing('far'), null);
  channels.sync(() => ({ ...host(), deliver: () => Promise.resolve() }));
  const { report, deliver } = await told.promise;
  const fresh = { problem: null, since: 100, lastIn: null, lastOut: null, lastError: null };
  assert.deepEqual(channels.doing('far'), fresh);
  at = 200;
  await deliver(MESSAGE);
  report?.('it cannot be reached');
  at = 300;
  report?.('it cannot be reached');
  report?.(null);
  channels.went('far', { state: 'sent', id: '1' });
  at = 400;
  channels.went('far', { state: 'unsure', error: 'cut' });
  const lastError = { at: 400, text: 'cut' };
  assert.deepEqual(channels.doing('far'), { problem: null, since: 300, lastIn: 200, lastOut: 300, lastError });
  channels.stop();
});

test('a channel that cannot start harms no other; what is refused, the adapter hears', async () => {
  const heard = Promise.withResolvers<string>();
  const channels = openChannels({
    fixed: [
      channel('throws', () => {
        throw new Error('no token');
      }),
      channel('rejects', () => Promise.reject(new Error('no network'))),
      channel('works', async (host) => {
        await host.deliver(MESSAGE).catch((error: unknown) => heard.resolve(String(error)));
      }),
    ],
    settings: () => [],
    open: () => Promise.reject(new Error('not asked')),
    log: quiet,
    clock,
  });
  assert.equal(channels.get('works'), undefined);
  channels.sync(() => ({
    deliver: () => Promise.reject(new Error('later')),
    press: () => Promise.reject(new Error('later')),
  }));
  assert.equal(await heard.promise, 'Error: later');
  assert.deepEqual(
    ['throws', 'rejects', 'works'].map((name) => channels.doing(name)?.problem),
    ['no token', 'no network', null],
  );
  assert.ok(channels.get('works') && channels.has('works') && !channels.has('telegram'));
  channels.stop();
});

test('channels follow the settings: opened, opened again for another token, left alone for an owner, closed', async () => {
  let wanted: ChannelSettings[] = [];
  const opened: string[] = [];
  const closed: string[] = [];
  const channels = openChannels({
    fixed: [],
    settings: () => wanted,
    open: ({ name, secrets: { token = '' } }) => {
      opened.push(token);
      return Promise.resolve(
        channel(name, async (_host, signal) => {
          await untilAborted(signal);
          closed.push(token);
        }),
      );
    },
    log: quiet,
    clock,
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const apply = async (next: ChannelSettings[]): Promise<void> => {
    wanted = next;
    channels.sync(host);
    await turn();
  };
  await apply([settings()]);
  const first = channels.get('telegram');
  assert.ok(first);
  await apply([settings({ owners: ['1'], agent: 'x' })]);
  assert.equal(channels.get('telegram'), first);
  await apply([settings({ secrets: { token: 'env:U' } })]);
  assert.notEqual(channels.get('telegram'), first);
  await apply([]);
  assert.deepEqual(
    [opened, closed],
    [
      ['env:T', 'env:U'],
      ['env:T', 'env:U'],
    ],
  );
  assert.deepEqual([channels.get('telegram'), channels.has('telegram')], [undefined, false]);
});

test('a channel that is closed while it is being opened stays closed', async () => {
  const opening = Promise.withResolvers<Channel>();
  let wanted = [settings()];
  let started = 0;
  const channels = openChannels({
    fixed: [],
    settings: () => wanted,
    open: () => opening.promise,
    log: quiet,
    clock,
  });
  channels.sync(host);
  wanted = [];
  channels.sync(host);
  opening.resolve(
    channel('telegram', async () => {
      started += 1;
    }),
  );
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([started, channels.get('telegram')], [0, undefined]);
});

test('a channel is opened anew when a secret that it was made with is another, and not for other secrets', async () => {
  let stamp = '1';
  let opened = 0;
  const channels = openChannels({
    fixed: [],
    settings: () => [settings({ secrets: { token: 'secret:bot' } })],
    stamp: (references) => `${references['token']} ${stamp}`,
    open: () => {
      opened += 1;
      return Promise.resolve(channel('telegram', (_host, signal) => untilAborted(signal)));
    },
    log: quiet,
    clock,
  });
  channels.sync(host);
  channels.sync(host);
  assert.equal(opened, 1);
  stamp = '2';
  channels.sync(host);
  assert.equal(opened, 2);
  channels.stop();
});
