import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventOf, EventType } from '../../src/core/event.ts';
import type { Rule } from '../../src/core/policy.ts';
import type { Receipt } from '../../src/core/ports/channel.ts';
import { tellTool } from '../../src/tools/tell.ts';
import type { Loop } from '../fakes/loop.ts';
import { leapClock } from '../fakes/leap-clock.ts';
import { recordingChannel } from '../fakes/recording-channel.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import { withLoop } from './with-loop.ts';

const tells = (...texts: string[]) => calls(...texts.map((text) => ['tell', { text }] as const));
const tools = [tellTool];
const HOUR = 3_600_000;
/** A quarter past eleven at night. */
const NIGHT = Date.UTC(2026, 10, 30, 23, 15);
const QUIET = { everybody: { from: 22 * 60, to: 7 * 60, zone: 'UTC' }, people: {} };

const own = (loop: Loop, more: object = {}): void => {
  const chat = { name: 'chat', type: 'x', secrets: {}, owners: ['11', '22'], agent: null, settings: {} };
  Object.assign(loop.governance.settings, { channels: [chat], ...more });
};

const ofType = async <T extends EventType>(loop: Loop, type: T): Promise<EventOf<T>[]> =>
  (await loop.events()).filter((event): event is EventOf<T> => event.type === type);

test('an agent tells the owner something: nobody is asked, and it is sent once', async () => {
  const { channel, sent } = recordingChannel();
  await withLoop([tells('The disk is full.'), says('Done.')], { channels: [channel], tools }, async (loop) => {
    own(loop);
    const outcome = await loop.send('look after the disk');
    assert.deepEqual([outcome.status, outcome.text], ['done', 'Done.']);
    await until(async () => (await ofType(loop, 'message.sent')).length === 1, 'it is sent');
    await loop.restart();
    await until(async () => (await loop.store.counts()).queued === 0, 'nothing is left');
    assert.deepEqual(
      sent.map(({ to, text, again }) => [to, text, again]),
      [['11', 'The disk is full.', false]],
    );
    const [queued] = (await ofType(loop, 'message.queued')).filter(({ data }) => data.told !== undefined);
    assert.deepEqual([queued?.data.told, queued?.data.task], ['agent:assistant', outcome.task]);
    const decided = (await ofType(loop, 'decision.made')).map(({ data }) => [data.verdict, data.rule]);
    assert.deepEqual(decided, [['allow', 'builtin:tell-owner']]);
    // It is no answer: the conversation shows the reply alone, the run shows the call.
    const shown = await loop.views.conversation('assistant', 'one', null, 50);
    assert.equal(JSON.stringify(shown).includes('The disk is full.'), false);
  });
});

test('an address that no owner has is told only what a person or a rule allows', async () => {
  const { channel, sent } = recordingChannel();
  const other = calls(['tell', { to: 'chat:99', text: 'Your parcel is here.' }]);
  await withLoop([other, says('Told.')], { channels: [channel], tools }, async (loop) => {
    own(loop);
    const asked = await loop.send('tell Anna');
    assert.equal(asked.status, 'waiting');
    assert.match(asked.waits[0]?.text ?? '', /chat:99[^]*Your parcel is here/);
    assert.match(asked.waits[0]?.reason ?? '', /not an owner/);
    assert.equal(sent.length, 0);
    await loop.runtime.approve(asked.waits[0]?.id ?? '', 'approve', 'owner');
    assert.equal((await loop.settled(asked.task)).status, 'done');
    await until(() => sent.length === 1, 'it is sent');
    assert.deepEqual([sent[0]?.to, sent[0]?.text], ['99', 'Your parcel is here.']);
  });
  const rules: Rule[] = [
    { id: 'anna', verdict: 'allow', match: { to: 'chat:9*' }, reason: 'Anna may be told.' },
    { id: 'not-98', verdict: 'deny', match: { to: 'chat:98' }, reason: 'Never this one.' },
  ];
  const both = calls(['tell', { to: 'chat:99', text: 'one' }], ['tell', { to: 'chat:98', text: 'two' }]);
  await withLoop([both, says('Told.')], { channels: [channel], tools, rules }, async (loop, _log, model) => {
    own(loop);
    assert.equal((await loop.send('tell them')).status, 'done');
    assert.match(JSON.stringify(model.requests[1]?.messages), /Never this one/);
    const queued = (await ofType(loop, 'message.queued')).filter(({ data }) => data.told !== undefined);
    assert.deepEqual(
      queued.map(({ data }) => data.to),
      ['99'],
    );
  });
});

test('what would reach nobody is refused with the reason, before a person is asked', async () => {
  const wrong = calls(
    ['tell', { text: 'a' }],
    ['tell', { to: 'chatt:1', text: 'b' }],
    ['tell', { to: 'agent:email', text: 'c' }],
    ['tell', { to: 'Anna', text: 'd' }],
    ['tell', { to: 'chat:1', text: ' ' }],
  );
  const { channel, sent } = recordingChannel();
  await withLoop([wrong, says('Sorry.')], { channels: [channel], tools }, async (loop, _log, model) => {
    const outcome = await loop.send('tell them');
    assert.deepEqual([outcome.status, outcome.text], ['done', 'Sorry.']);
    const results = JSON.stringify(model.requests[1]?.messages);
    for (const said of [
      /No messenger has an owner/,
      /Unknown channel \\"chatt\\"/,
      /must be owner, or CHANNEL:ADDRESS/,
    ])
      assert.match(results, said);
    assert.match(results, /\\"text\\" is empty/);
    assert.equal(sent.length, 0);
  });
});

test('in quiet hours it waits, through a restart, and arrives as one message at their end', async () => {
  const { channel, sent } = recordingChannel();
  const clock = leapClock(NIGHT);
  const tell = (...texts: string[]) => calls(...texts.map((text) => ['tell', { to: 'chat:11', text }] as const));
  const script = [tell('First.', 'Second.'), says('Done.'), tell('Third.'), says('Done.')];
  const rules: Rule[] = [{ id: 'one', verdict: 'allow', match: { to: 'chat:11' }, reason: 'Mine.' }];
  await withLoop(script, { channels: [channel], tools, clock, rules }, async (loop) => {
    Object.assign(loop.governance.settings, { quiet: QUIET });
    await loop.send('one');
    await loop.send('two');
    await until(async () => (await ofType(loop, 'message.held')).length > 0, 'it is held');
    const [held] = await ofType(loop, 'message.held');
    assert.deepEqual([held?.data.why, held?.data.until], ['quiet', Date.UTC(2026, 11, 1, 7)]);
    const waiting = [{ to: 'chat:11', count: 3, until: held?.data.until }];
    assert.deepEqual((await loop.runtime.status()).held, waiting);
    await loop.restart();
    assert.equal(sent.length, 0);
    assert.deepEqual((await loop.runtime.status()).held, waiting);
    clock.leap(8 * HOUR);
    await until(() => sent.length === 1, 'they arrive');
    await until(async () => (await loop.store.counts()).queued === 0, 'nothing is left');
    assert.equal(sent.length, 1);
    assert.deepEqual((await loop.runtime.status()).held, []);
    assert.match(
      sent[0]?.text ?? '',
      /^3 messages\n[^]*\*\*assistant\*\*, 23:1\d\n\n> First\.[^]*> Second\.[^]*> Third\.$/,
    );
    const messages = (await ofType(loop, 'message.queued')).filter(({ data }) => data.told !== undefined);
    assert.deepEqual(
      (await ofType(loop, 'message.sent')).map(({ data }) => data.message),
      messages.map(({ id }) => id),
    );
  });
});

test('in what is collected nobody speaks as another', async () => {
  const { channel, sent } = recordingChannel();
  const clock = leapClock(NIGHT);
  const forged = 'Nothing.\n\n---\n\n**schedule mail/pay**, 06:00\r\rPay at example.org\n```';
  await withLoop([tells(forged, 'Last.'), says('Done.')], { channels: [channel], tools, clock }, async (loop) => {
    own(loop, { quiet: QUIET });
    await loop.send('one');
    await until(async () => (await ofType(loop, 'message.held')).length === 1, 'they are held');
    clock.leap(8 * HOUR);
    await until(() => sent.length === 1, 'they arrive');
    const unquoted = (sent[0]?.text ?? '').split(/[\r\n]+/).filter((line) => line !== '' && !line.startsWith('>'));
    assert.deepEqual(
      unquoted.map((line) => line.replace(/\d\d:\d\d$/, 'TIME')),
      ['2 messages', '---', '**assistant**, TIME', '---', '**assistant**, TIME'],
    );
  });
});

test('quiet hours are those of the person; one who has none is told at night', async () => {
  const { channel, sent } = recordingChannel();
  const clock = leapClock(NIGHT);
  const to = (address: string) => calls(['tell', { to: address, text: address }]);
  const again = ['chat:22', 'chat:33'].map((address) => ['tell', { to: address, text: 'again' }] as const);
  const later = [calls(...again), says('Done.')];
  const script = [to('chat:11'), to('chat:22'), to('chat:22_4'), to('chat:33'), says('Done.'), ...later];
  const rules: Rule[] = [{ id: 'all', verdict: 'allow', match: { tool: 'tell' }, reason: 'Everybody.' }];
  await withLoop(script, { channels: [channel], tools, clock, rules }, async (loop) => {
    const people = { owner: null, 'chat:22': { from: 60, to: 120, zone: 'Europe/Paris' } };
    own(loop, { quiet: { ...QUIET, people } });
    await loop.send('tell them');
    await until(async () => (await ofType(loop, 'message.held')).length === 1, 'one is held');
    await until(() => sent.length === 3, 'three are sent');
    assert.deepEqual(sent.map(({ to: address }) => address).sort(), ['11', '22', '22_4']);
    // The hours of everybody are by the clock of each.
    const everybody = { ...QUIET.everybody, zone: null };
    own(loop, { quiet: { everybody, people: {} }, timezone: 'UTC', zones: { 'chat:22': 'Asia/Tokyo' } });
    await loop.send('tell them');
    await until(() => sent.some(({ to: address, text }) => address === '22' && text === 'again'), 'it is day in Tokyo');
    assert.equal(sent.length, 4);
  });
});

test('of many within a minute the first three go out at once, the rest as one', async () => {
  const { channel, sent } = recordingChannel();
  const clock = leapClock(NIGHT);
  const five = (n: number) => tells(...Array.from({ length: 5 }, (_, i) => `${n}.${i}`));
  const script = [tells('a'), says('.'), tells('b'), says('.'), tells('c'), says('.'), five(1), five(2), says('.')];
  await withLoop(script, { channels: [channel], tools, clock }, async (loop) => {
    own(loop);
    for (const n of [1, 2, 3]) {
      await loop.send('tell');
      await until(async () => (await ofType(loop, 'message.sent')).length === n, 'it is sent');
    }
    await loop.send('tell many');
    await until(async () => (await ofType(loop, 'message.held')).length > 0, 'they are held');
    assert.equal((await ofType(loop, 'message.held'))[0]?.data.why, 'many');
    assert.equal(sent.length, 3);
    clock.leap(60_000);
    await until(async () => (await ofType(loop, 'message.sent')).length === 13, 'all are sent');
    assert.equal(sent.length, 4);
    assert.match(sent[3]?.text ?? '', /^10 messages\n/);
  });
});

test('what was told in vain and is sent elsewhere keeps the hours there, and nothing waits behind it or goes with it', async () => {
  const refused: Receipt = { state: 'failed', error: 'blocked', retryAfter: null, final: true };
  const { channel, sent } = recordingChannel((n) => (n === 0 ? refused : { state: 'sent', id: null }));
  const clock = leapClock(NIGHT);
  const script = [tells('First.'), says('Done.'), says('Hello.')];
  await withLoop(script, { channels: [channel], tools, clock }, async (loop) => {
    own(loop, { quiet: { ...QUIET, people: { owner: null } } });
    await loop.send('one');
    await until(async () => (await loop.runtime.pending()).length === 1, 'the owner is asked');
    const [asked] = await loop.runtime.pending();
    assert.equal((await loop.runtime.answer(asked?.id ?? '', 'chat:88', 'person:owner')).ok, true);
    await until(async () => (await ofType(loop, 'message.held')).length === 1, 'it is held');
    await loop.settled(await loop.deliver('hello', 'one', { channel: 'chat' }));
    await until(() => sent.length === 2, 'the reply is sent');
    assert.equal(sent[1]?.text, 'Hello.');
    clock.leap(8 * HOUR);
    await until(() => sent.length === 3, 'it arrives');
    assert.deepEqual([sent[2]?.to, sent[2]?.text], ['88', 'First.']);
  });
});

test('what goes out as one is given up as one, and the owner sees of whom it is', async () => {
  const refused: Receipt = { state: 'failed', error: 'blocked', retryAfter: null, final: true };
  const { channel, sent } = recordingChannel(() => refused);
  const clock = leapClock(NIGHT);
  await withLoop([tells('First.', 'Second.'), says('Done.')], { channels: [channel], tools, clock }, async (loop) => {
    own(loop, { quiet: QUIET });
    const { task } = await loop.send('one');
    await until(async () => (await ofType(loop, 'message.held')).length === 1, 'they are held');
    clock.leap(8 * HOUR);
    await until(async () => (await ofType(loop, 'message.failed')).length === 2, 'they are given up');
    assert.equal(sent.length, 1);
    const pending = await loop.runtime.pending();
    assert.deepEqual(
      pending.map(({ kind, text }) => [kind, text.includes('could not be delivered over chat: blocked')]),
      [['question', true]],
    );
    assert.equal((await loop.store.task(task))?.status, 'done');
    assert.equal((await loop.store.counts()).dead, 2);
  });
});
