import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reaches } from '../../src/core/net/reach.ts';
import { type ForWhom, httpOnly } from '../../src/core/ports/net.ts';
import { ANNA } from '../fakes/telegram/telegram.ts';
import { until } from '../fakes/until.ts';
import { openLab, running, Taker } from './kit.ts';

const calls = (fake: { calls: readonly { method: string }[] }, method: string): number =>
  fake.calls.filter((call) => call.method === method).length;

test('a start takes a webhook away, says its commands once and waits in held polls', async (t) => {
  const { fake, open, lines } = await openLab(t);
  fake.setWebhook('https://example.org/hook');
  const host = new Taker();
  running(t, open(), host);
  fake.write({ text: 'hello' });
  await until(() => host.taken.length === 1, 'the message arrives');
  assert.equal(calls(fake, 'deleteWebhook'), 1);
  assert.ok(lines.some((line) => line.startsWith('warn a webhook was set')));
  assert.equal(calls(fake, 'setMyCommands'), 1);
  assert.deepEqual(
    fake.commands.map(({ command }) => command),
    ['new', 'chats', 'stop', 'status', 'agents', 'ack'],
  );
  const polls = calls(fake, 'getUpdates');
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(calls(fake, 'getUpdates') - polls <= 1, 'no busy loop');
});

test('a webhook that is set later is taken away too', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  running(t, open(), host);
  fake.write({ text: 'one' });
  await until(() => host.taken.length === 1, 'the first arrives');
  fake.setWebhook('https://example.org/hook');
  fake.write({ text: 'two' });
  await until(() => host.taken.length === 2, 'the second arrives');
});

test('a token that is refused or none at all is said with advice, and never shown', async (t) => {
  const { fake, open, lines } = await openLab(t);
  const wrong = '7000001:AAWrong-token';
  for (const [token, message] of [
    [wrong, /channels\.telegram\.token in ruche\.yaml: Telegram refuses the token.*BotFather/],
    ['nonsense', /channels\.telegram\.token in ruche\.yaml: this is not a bot's token/],
    ['', /this is not a bot's token/],
    ['1:a/../../x', /this is not a bot's token/],
  ] as const)
    await assert.rejects(open({ token }).start(new Taker(), new AbortController().signal), message);
  assert.equal(calls(fake, 'getUpdates'), 0);
  assert.ok(!lines.join().includes(wrong));
  await assert.rejects(
    open({ apiRoot: 'ftp://example.org' }).start(new Taker(), new AbortController().signal),
    /channels\.telegram\.apiRoot in ruche\.yaml cannot be used/,
  );
});

test('a token that is revoked while it runs ends the channel with advice', async (t) => {
  const { fake, open } = await openLab(t);
  const { ended } = running(t, open(), new Taker());
  await until(() => calls(fake, 'getUpdates') > 0, 'it polls');
  fake.fail('getUpdates', { kind: 'status', code: 401 });
  fake.write({ text: 'wake' });
  await assert.rejects(ended, /refuses the token/);
});

test('two that fetch for one bot: said once, with growing pauses, and it goes on when the other ends', async (t) => {
  const { fake, open, lines, clock } = await openLab(t);
  const host = new Taker();
  fake.fail('getUpdates', { kind: 'status', code: 409 }, { times: 5 });
  running(t, open(), host);
  fake.write({ text: 'hello' });
  await until(() => host.taken.length === 1, 'it goes on');
  assert.equal(lines.filter((line) => /another program fetches/.test(line)).length, 1);
  const pauses = clock.slept.filter((ms) => ms < 50_000 && ms > 100);
  assert.deepEqual(pauses.slice(0, 5), [750, 1500, 3000, 6000, 12_000]);
});

test('a real second poller ends the first poll with a conflict, and messages arrive at one of them', async (t) => {
  const { fake, open } = await openLab(t);
  const [one, two] = [new Taker(), new Taker()];
  const first = running(t, open(), one);
  await until(() => calls(fake, 'getUpdates') > 0, 'the first polls');
  running(t, open(), two);
  await until(() => calls(fake, 'getUpdates') > 2, 'both have polled');
  fake.write({ text: 'hello' });
  await until(() => one.taken.length + two.taken.length > 0, 'it arrives');
  await first.stop();
  fake.write({ text: 'again' });
  await until(() => two.taken.some(({ text }) => text === 'again'), 'the other goes on');
});

test('a start without a network waits for one, with jitter and no busy loop', async (t) => {
  const { fake, open, lines, clock } = await openLab(t);
  await fake.down();
  const host = new Taker();
  running(t, open(), host);
  await until(() => clock.slept.filter((ms) => ms >= 500).length >= 4, 'it waits');
  assert.ok(lines.filter((line) => line.startsWith('warn')).length === 1, lines.join('\n'));
  assert.match(host.reports[0] ?? '', /Telegram cannot be reached/);
  await fake.up();
  fake.write({ text: 'hello' });
  await until(() => host.taken.length === 1, 'it arrives');
  assert.deepEqual([host.reports.length, host.reports[1]], [2, null]);
});

test('garbage, errors of the server and cut connections are lived through', async (t) => {
  const { fake, open } = await openLab(t);
  const host = new Taker();
  for (const method of ['getMe', 'getWebhookInfo', 'getUpdates'])
    for (const fault of [{ kind: 'garbage' }, { kind: 'status', code: 500 }, { kind: 'cut' }] as const)
      fake.fail(method, fault);
  fake.fail('getUpdates', { kind: 'status', code: 429, retryAfter: 3 });
  running(t, open(), host);
  fake.write({ text: 'hello' });
  await until(() => host.taken.length === 1, 'it arrives');
});

test('an abort ends whatever is under way: a held poll, a pause, a fetch', async (t) => {
  // In our time: a poll is held for 50 s.
  const { fake, open } = await openLab(t, 1);
  const quick = async (stop: () => Promise<void>): Promise<void> => {
    const before = performance.now();
    await stop();
    assert.ok(performance.now() - before < 10_000);
  };
  const held = running(t, open(), new Taker());
  await until(() => calls(fake, 'getUpdates') === 1, 'it polls');
  await quick(held.stop);

  fake.fail('download', { kind: 'slow', ms: 100_000 });
  const fetching = running(t, open(), new Taker());
  fake.write({ document: { name: 'a.txt', bytes: new Uint8Array([1]) } });
  await until(() => calls(fake, 'download') === 1, 'it fetches');
  await quick(fetching.stop);

  await fake.down();
  const waiting = running(t, open(), new Taker());
  await quick(waiting.stop);
  await fake.up();
});

test('nothing but the configured api root is ever contacted, and nothing before it is needed', async (t) => {
  const { fake, open } = await openLab(t);
  const asked: ForWhom[] = [];
  const net = httpOnly((_, forWhom) => (asked.push(forWhom), Promise.reject(new Error('no network'))));
  const official = open({ apiRoot: undefined, net });
  official.split({ text: 'x', files: [], buttons: [] });
  assert.equal(asked.length, 0);
  await official.drafts?.typing(String(ANNA));
  const nobody = { who: 'channel:telegram', agent: null, run: null };
  assert.deepEqual(asked, [{ ...nobody, privateHosts: [], only: reaches('api.telegram.org:443') }]);
  const other = open({ net });
  await other.drafts?.typing(String(ANNA));
  const host = new URL(fake.url).host;
  assert.deepEqual(asked[1], { ...nobody, privateHosts: [host], only: reaches(host) });
});
