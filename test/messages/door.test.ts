import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Agent } from '../../src/core/agent.ts';
import type { RuntimeStatus } from '../../src/core/api/runtime.ts';
import { type ChannelHost, type ChannelMessage, HostBusy } from '../../src/core/ports/channel.ts';
import { openDoor } from '../../src/messages/door.ts';
import { openPairing } from '../../src/messages/pairing.ts';
import { withLoop } from '../agent/with-loop.ts';
import type { Loop, LoopOptions } from '../fakes/loop.ts';
import { recordingChannel, type Sent } from '../fakes/recording-channel.ts';
import { calls, says, type ScriptTurn } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';

interface Desk {
  loop: Loop;
  host: ChannelHost;
  sent: Sent[];
  owners: string[];
  followed: string[];
  now: { at: number };
  code(): Promise<string>;
  write(text: string, more?: Partial<ChannelMessage>): Promise<void>;
  /** The nth thing that was sent, once it was. */
  said(n: number): Promise<string>;
}

const STATUS: RuntimeStatus = {
  version: '1',
  ready: true,
  notReady: null,
  startedAt: 0,
  model: 'm/m',
  demo: false,
  offer: null,
  sandbox: 'none',
  workspace: '/w',
  home: '/h',
  tasks: { queued: 2, running: 1, waiting: 0, done: 0, failed: 0, dead: 0, cancelled: 0 },
  journal: { head: 0, exported: 0 },
  pending: 0,
  problems: [],
  channels: [],
};

/** A door before the loop, on a channel that records what it is told to send. */
async function withDoor(
  script: ScriptTurn[],
  body: (desk: Desk) => Promise<void>,
  options: Partial<LoopOptions> = {},
): Promise<void> {
  const { channel, sent } = recordingChannel();
  await withLoop(script, { ...options, channels: [channel] }, async (loop) => {
    const owners = ['1'];
    const followed: string[] = [];
    const now = { at: 1_000_000 };
    const clock = { ...loop.deps.clock, now: () => now.at };
    let letters = 0;
    const pairing = {
      store: loop.store,
      clock,
      bytes: (length: number) => new Uint8Array(length).map(() => (letters += 7)),
      addOwner: async (_channel: string, sender: string) => {
        if (sender === '13') throw new Error('ruche.yaml cannot be read: line 3');
        owners.push(sender);
      },
    };
    const door = openDoor({
      ...pairing,
      ids: loop.deps.ids,
      redact: (text) => text,
      runtime: { ...loop.runtime, deliver: (...args) => loop.runtime.deliver(...args), status: async () => STATUS },
      owners: () => owners,
      usualAgent: () => 'assistant',
      hasAgent: (name) => loop.governance.agents.has(name),
      recent: async () => [
        { agent: 'assistant', session: 'web-1', title: 'Begun on the page' },
        { agent: 'assistant', session: 'chat-77', title: 'This very one' },
        { agent: 'assistant', session: 'x'.repeat(100), title: 'Too long a name' },
      ],
      follow: (task) => void followed.push(task),
    });
    const host = door('chat');
    let count = 0;
    await body({
      loop,
      host,
      sent,
      owners,
      followed,
      now,
      code: async () => (await openPairing(pairing, 'chat')).code,
      write: (text, more = {}) => {
        const externalId = `u${(count += 1)}`;
        return host.deliver({ sender: '1', chat: '77', text, files: [], replyTo: '77', externalId, ...more });
      },
      said: (n) => until(() => sent[n]?.text, `the ${n}th message`),
    });
  });
}

const types = async (loop: Loop): Promise<string[]> => (await loop.events()).map((event) => event.type);

test('an owner is answered, in a conversation that is named after the chat', () =>
  withDoor([says('hello yourself')], async ({ loop, write, said, followed }) => {
    await write('hello');
    assert.equal(await said(0), 'hello yourself');
    const received = (await loop.events()).find((event) => event.type === 'message.received');
    assert.ok(received?.type === 'message.received');
    assert.deepEqual([received.data.session, received.data.from, received.actor], ['chat-77', 'chat:1', 'chat:1']);
    assert.deepEqual(followed, [received.data.task]);
  }));

test('a redelivered message is answered once', () =>
  withDoor([says('once')], async ({ write, sent, said, loop }) => {
    for (let n = 0; n < 3; n++) await write('hello', { externalId: 'same' });
    await said(0);
    await until(async () => (await loop.store.counts()).queued === 0, 'nothing is left');
    assert.equal(sent.length, 1);
  }));

const edit = (externalId: string) => ({ externalId: `m1.${externalId}`, edits: 'm1' });

test('an edit that changes nothing is nothing, whether or not the process still knows the words', () =>
  withDoor([says('paid'), says('paid less')], async ({ write, said, sent, loop }) => {
    const file = { name: 'bill.txt', mediaType: 'text/plain', bytes: Buffer.from('12') };
    await write('pay this https://a.example', { externalId: 'm1', files: [file] });
    await said(0);
    await write('pay this https://a.example', { ...edit('5'), files: [file] });
    await loop.restart();
    await write('pay this https://a.example', { ...edit('6'), files: [file] });
    await write('pay less', { ...edit('7'), files: [file] });
    assert.equal(await said(1), 'paid less');
    await write('pay less', { ...edit('8'), files: [file] });
    await write('/status', { externalId: 'm2' });
    const status = await said(2);
    await write('/status', { externalId: 'm2.9', edits: 'm2' });
    assert.equal((await types(loop)).filter((type) => type === 'message.received').length, 2);
    assert.deepEqual([sent.length, sent[2]?.text], [3, status]);
  }));

test('an edit takes the place of a message that nobody has begun with, and else says what it is', async () => {
  const gate = Promise.withResolvers<void>();
  const asked: string[] = [];
  const heard =
    (text: string): ScriptTurn =>
    ({ messages }) => {
      asked.push(JSON.stringify(messages.at(-1)));
      return says(text);
    };
  await withDoor([[gate.promise, ...says('slow')], heard('bought'), heard('bought more')], async ({ write, sent }) => {
    const arrives = (text: string) => until(() => sent.some((each) => each.text === text), text);
    await write('a slow thing', { externalId: 'm0' });
    await write('buy 10 shares', { externalId: 'm1' });
    await write('buy 1 share', edit('5'));
    gate.resolve();
    await arrives('bought');
    await arrives('Your edited message takes its place.');
    assert.match(asked.join(), /buy 1 share/);
    assert.doesNotMatch(asked.join(), /buy 10 shares|An edited message/);
    await write('buy 2 shares', edit('6'));
    await arrives('bought more');
    assert.match(asked[1] ?? '', /\(An edited message, as it reads now:\)\\n\\nbuy 2 shares/);
  });
});

test('an edit that could not be delivered comes again, and is no repetition then', () =>
  withDoor([says('one'), says('two')], async ({ write, said, loop }) => {
    await write('hello', { externalId: 'm1' });
    await said(0);
    const { deliver } = loop.runtime;
    loop.runtime.deliver = async () => ({ ok: false, why: 'busy', message: 'later' });
    await assert.rejects(write('hello you', edit('5')), HostBusy);
    loop.runtime.deliver = deliver;
    await write('hello you', edit('5'));
    assert.equal(await said(1), 'two');
  }));

test('a stranger is told nothing and journaled, once in a while', () =>
  withDoor([], async ({ loop, write, host, sent, now }) => {
    for (let n = 0; n < 5; n++) await write('let me in', { sender: '666' });
    await write('/status', { sender: '666' });
    const pressed = await host.press({
      sender: '666',
      chat: '77',
      replyTo: '77',
      action: 'approve:apr_1',
      externalId: 'p',
    });
    assert.deepEqual(pressed, { text: '', done: false });
    const denied = async (): Promise<number> => (await types(loop)).filter((type) => type === 'sender.denied').length;
    assert.equal(await denied(), 1);
    now.at += 600_000;
    await write('again', { sender: '666' });
    assert.equal(await denied(), 2);
    assert.deepEqual([sent, (await types(loop)).includes('message.received')], [[], false]);
  }));

test('words of somebody else make the conversation untrusted; only files of owners are worth fetching', () =>
  withDoor([says('read')], async ({ write, said, host, loop }) => {
    await write('look what they wrote: …', { foreign: true });
    await said(0);
    const labels = (await loop.events()).flatMap((event) => (event.type === 'run.started' ? [event.labels] : []));
    assert.deepEqual(labels, [['untrusted']]);
    assert.deepEqual([host.expects?.('1', '77'), host.expects?.('666', '77')], [true, false]);
  }));

test('where there is no room the platform keeps the message', () =>
  withDoor([calls(['ask', { question: 'which?' }])], async ({ host, loop, write, said }) => {
    loop.runtime.deliver = async () => ({ ok: false, why: 'busy', message: 'later' });
    await assert.rejects(write('hello'), HostBusy);
    loop.runtime.deliver = async () => ({ ok: false, why: 'unknown-agent', message: 'There is no agent.' });
    await write('hello');
    assert.equal(await said(0), 'There is no agent.');
    assert.ok(host);
  }));

test('a code from the terminal makes its sender an owner, once, and only in time', () =>
  withDoor([says('welcome')], async ({ write, said, owners, code, now, sent, loop }) => {
    const late = await code();
    now.at += 600_001;
    await write(late, { sender: '8' });
    const open = await code();
    await write('AAAA-AAAA', { sender: '9' });
    assert.deepEqual(owners, ['1']);
    await write(` ${open.toLowerCase().replace('-', '')} `, { sender: '9', externalId: 'pair' });
    await write(open, { sender: '9', externalId: 'pair' });
    assert.match(await said(0), /You are now an owner/);
    await write(open, { sender: '10' });
    assert.deepEqual(owners, ['1', '9']);
    await write('hello', { sender: '9' });
    assert.equal(await said(1), 'welcome');
    assert.equal(sent.length, 2);
    assert.doesNotMatch(JSON.stringify(await loop.events()), new RegExp(open.replace('-', '')));
  }));

test('a right code that cannot be written down says why, and stays good', () =>
  withDoor([], async ({ write, said, owners, code }) => {
    const open = await code();
    await write(open, { sender: '13' });
    assert.match(await said(0), /could not be added to ruche.yaml: ruche.yaml cannot be read: line 3/);
    await write(open, { sender: '14' });
    assert.match(await said(1), /You are now an owner/);
    assert.deepEqual(owners, ['1', '14']);
  }));

test('/new begins another conversation, also when it is redelivered; the old one stays', () =>
  withDoor([says('one'), says('two')], async ({ write, said, loop }) => {
    await write('hello');
    await said(0);
    await write('/new', { externalId: 'n' });
    await write('/new', { externalId: 'n' });
    assert.match(await said(1), /New conversation \(chat-77-2\)/);
    await write('hello');
    assert.equal(await said(2), 'two');
    const sessions = (await loop.events()).flatMap((event) =>
      event.type === 'message.received' ? [event.data.session] : [],
    );
    assert.deepEqual(sessions, ['chat-77', 'chat-77-2']);
    assert.equal((await types(loop)).filter((type) => type === 'chat.session').length, 1);
  }));

test('/chats goes on with a conversation that was begun elsewhere', () =>
  withDoor([says('web'), says('still there')], async ({ loop, write, said, host, sent }) => {
    await loop.send('hello from the page', 'web-1');
    await write('/chats');
    assert.match(await said(0), /This works only in a private chat with me/);
    const own = { chat: '1', replyTo: '1' };
    await write('/chats', own);
    assert.match(await said(1), /This chat is in chat-1\./);
    assert.deepEqual(sent[1]?.buttons?.[0], { label: 'Begun on the page · assistant', action: 'go:assistant/web-1' });
    const press = (action: string) => host.press({ sender: '1', ...own, action, externalId: `p${action}` });
    assert.deepEqual(await press('go:assistant/none'), { text: 'This conversation no longer exists.', done: true });
    assert.deepEqual(await press('go:assistant/web-1'), { text: 'This chat now continues web-1.', done: true });
    await write('and now?', own);
    assert.equal(await said(2), 'still there');
    const received = (await loop.events()).flatMap((event) =>
      event.type === 'message.received' ? [[event.data.channel, event.data.session]] : [],
    );
    assert.deepEqual(received, [
      ['http', 'web-1'],
      ['chat', 'web-1'],
    ]);
  }));

test('a chat whose agent is gone is answered by the usual one', () =>
  withDoor([says('here')], async ({ loop, write, said }) => {
    const data = { channel: 'chat', chat: '77', agent: 'ghost', session: 'old' };
    const event = { type: 'chat.session' as const, stream: 'chat:chat/77', actor: 'x', cause: null, labels: [], data };
    await loop.store.commit({ events: [event], sync: false });
    await write('hello');
    assert.equal(await said(0), 'here');
  }));

test('/stop ends what is under way, /status, /agents and /help cost no model', () =>
  withDoor([calls(['once', { path: 'contracts/a.md' }])], async ({ write, said, loop, sent }) => {
    await write('/stop');
    assert.match(await said(0), /Nothing is running here/);
    await write('/status');
    assert.match(await said(1), /Everything is running\. Model: m\/m\. 1 running, 2 queued, 0 waiting/);
    await write('/agents');
    assert.match(await said(2), /\*\*assistant\*\* \(idle\)/);
    await write('/start');
    assert.match(await said(3), /\/new starts a new conversation/);
    assert.equal((await types(loop)).includes('task.queued'), false);
    assert.equal(sent.length, 4);
  }));

const askFirst = { rules: [{ id: 'ask-first', verdict: 'ask' as const, match: { tool: 'once' }, reason: 'It acts.' }] };

test('an approval is put with buttons; who presses decides, once; what it was is shown exactly', () =>
  withDoor(
    [calls(['once', { path: 'a```b.md' }]), says('did it')],
    async ({ write, said, host, sent, loop }) => {
      await write('do it');
      const asked = await said(0);
      assert.match(asked, /^May I\?\n````\nonce\n/);
      assert.match(asked, /Asked by the rule ask-first: It acts\./);
      const [approve] = sent[0]?.buttons ?? [];
      assert.equal(approve?.label, 'Approve');
      assert.ok((approve?.action.length ?? 99) <= 60);
      const press = (sender: string, action = approve?.action ?? '') =>
        host.press({ sender, chat: '77', replyTo: '77', action, externalId: 'p1' });
      assert.deepEqual(await press('666'), { text: '', done: false });
      assert.deepEqual(await press('1'), { text: 'Approved.', done: true, stands: 'Approved' });
      // A person presses too late, whatever they press: what counts is said, and stands there.
      const late = { text: 'It was already approved.', done: true, stands: 'It was already approved' };
      assert.deepEqual(await press('1'), late);
      assert.deepEqual(await press('1', (approve?.action ?? '').replace('approve', 'deny')), late);
      const gone = { text: 'Nothing waits for this any more.', done: true, stands: 'Nothing waits for this any more' };
      assert.deepEqual(await press('1', 'deny:apr_none'), gone);
      assert.deepEqual(await press('1', 'else'), { text: 'This button has expired.', done: true });
      assert.equal(await said(1), 'did it');
      const answered = (await loop.events()).find((event) => event.type === 'approval.answered');
      assert.ok(answered?.type === 'approval.answered' && answered.data.by === 'chat:1');
    },
    askFirst,
  ));

test('M4 an approval that a chat cannot show whole can only be denied there', () =>
  withDoor(
    [calls(['once', { path: 'a.md', content: `${'harmless\n'.repeat(3_000)}evil` }]), says('left it')],
    async ({ write, said, host, sent, loop }) => {
      await write('do it');
      assert.match(await said(0), /^May I\? The call has \d+ characters, too many to be shown here\./);
      assert.deepEqual(
        sent[0]?.buttons?.map(({ label }) => label),
        ['Deny'],
      );
      const [wait] = await loop.runtime.pending();
      await write(`/approve ${wait?.id}`);
      assert.match(await said(1), /is too long to be shown here/);
      const press = { sender: '1', chat: '77', replyTo: '77', externalId: 'p1' };
      assert.match(
        (await host.press({ ...press, action: `approve:${wait?.id}` })).text,
        /is too long to be shown here/,
      );
      assert.equal((await loop.runtime.pending()).length, 1);
      const reply = (text: string) => {
        const actions = (sent[0]?.buttons ?? []).map(({ action }) => action);
        return write(`(In reply to your message)\n\n${text}`, { answers: { actions, text } });
      };
      await reply('yes');
      assert.match(await said(2), /is too long to be shown here/);
      await reply('no: too long');
      assert.deepEqual([await said(3), await said(4)], ['Denied.', 'left it']);
    },
    askFirst,
  ));

test('a question is put in the chat, and the next message there is the answer', () =>
  withDoor([calls(['ask', { question: 'which colour?' }]), says('blue it is')], async ({ write, said, sent }) => {
    await write('paint');
    assert.match(await said(0), /which colour\?\n\n\(Your next message here is the answer\.\)/);
    await write('blue');
    assert.equal(await said(1), 'blue it is');
    assert.equal(sent.length, 2);
  }));

test('a message that comes again after the chat has moved on is the same message', () =>
  withDoor([says('once')], async ({ write, said, sent, loop }) => {
    await write('hello', { externalId: 'm' });
    await said(0);
    await write('/new', { externalId: 'n' });
    await said(1);
    // The process was killed before the platform heard of either.
    await write('hello', { externalId: 'm' });
    await write('/new', { externalId: 'n' });
    await until(async () => (await loop.store.counts()).queued === 0, 'nothing is left');
    assert.equal((await types(loop)).filter((type) => type === 'message.received').length, 1);
    assert.equal(sent.length, 2);
  }));

test('a command that comes again is not carried out again: what was written after /stop goes on', () =>
  withDoor([calls(['ask', { question: 'which?' }]), says('done')], async ({ write, said, sent, loop }) => {
    await write('/stop', { externalId: 's' });
    await said(0);
    await write('paint', { externalId: 'm' });
    await said(1);
    await write('/stop', { externalId: 's' });
    await write('blue');
    assert.equal(await said(2), 'done');
    assert.equal(sent.length, 3);
    assert.equal((await types(loop)).filter((type) => type === 'task.queued').length, 1);
  }));

test('a code that two send in the same moment makes one of them an owner', () =>
  withDoor([], async ({ write, said, owners, code, sent }) => {
    const open = await code();
    await Promise.all([write(open, { sender: '9' }), write(open, { sender: '10', chat: '78' })]);
    await said(0);
    assert.deepEqual([owners.length, sent.length], [2, 1]);
  }));

test('@name at the beginning goes to that agent, and the chat stays with it', () =>
  withDoor([says('one'), says('two'), says('three'), says('four')], async ({ loop, write, said }) => {
    const email = { ...loop.governance.agents.get('assistant'), name: 'email' } as Agent;
    loop.governance.agents = new Map([...loop.governance.agents, ['email', email]]);
    const texts: [string, Partial<ChannelMessage>][] = [
      ['hello @email', {}],
      ['@Email, what is new?', { externalId: 'same' }],
      ['@Email, what is new?', { externalId: 'same' }],
      ['and then?', {}],
      ['@nobody @email hi', { foreign: true }],
    ];
    for (const [text, more] of texts) await write(text, more);
    await write('@assistant');
    assert.match(await until(async () => (await said(4)) || null, 'it says who listens'), /./);
    const received = (await loop.events()).flatMap((event) =>
      event.type === 'message.received' ? [[event.data.agent, event.data.session]] : [],
    );
    assert.deepEqual(received, [
      ['assistant', 'chat-77'],
      ['email', 'chat-77'],
      ['email', 'chat-77'],
      ['email', 'chat-77'],
    ]);
    await write('back');
    assert.equal(
      (await loop.events('conv:assistant/chat-77')).filter(({ type }) => type === 'message.received').length,
      2,
    );
  }));

test('a person who writes to a paused agent is told once for each message, and answered when it is resumed', () =>
  withDoor([says('one'), says('two')], async ({ loop, write, said }) => {
    await loop.runtime.pauseAgent('assistant', 'owner', 'month end');
    await write('hello', { externalId: 'a' });
    await write('hello', { externalId: 'a' });
    assert.match(await said(0), /^assistant has been paused for \d+ s: month end\. Your message waits/);
    await write('more', { externalId: 'b' });
    assert.match(await said(1), /^assistant has been paused/);
    await loop.runtime.resumeAgent('assistant', 'owner');
    assert.match(await said(2), /one|two/);
    const notes = (await loop.events()).filter((event) => event.type === 'message.queued' && event.data.task === null);
    assert.equal(notes.length, 2);
  }));

test('an edit of one part of a burst that changes nothing is nothing, and one that does takes no other part away', () =>
  withDoor([says('one'), says('two'), says('three')], async ({ loop, host, write, said }) => {
    await write('first half\nsecond half', { externalId: 'a', parts: ['b'] });
    await said(0);
    for (const [part, text] of [
      ['a', 'first half'],
      ['b', 'second half'],
    ] as const)
      await write(text, { externalId: `${part}.1`, edits: part });
    await write('second half, mended', { externalId: 'b.2', edits: 'b' });
    assert.equal(await said(1), 'two');
    await write('first', { externalId: 'a.2', edits: 'a' });
    assert.equal(await said(2), 'three', 'one that is only shorter is one, too');
    const received = (await loop.events()).filter((event) => event.type === 'message.received');
    assert.equal(received.length, 3);
    assert.deepEqual(await host.holds?.('77', 'a'), ['a', 'b']);
    assert.equal(await host.holds?.('77', 'b'), null);
  }));

test('a chat that gets another name keeps its conversation, its topics and what is set for it', () =>
  withDoor([says('one'), says('two'), says('three'), says('four')], async ({ loop, host, write, said }) => {
    await write('hello', { chat: '-5', replyTo: '-5' });
    await said(0);
    // Names that go round, and a second old name for a chat, change nothing.
    for (const names of ['-5 -100', '-5 -100', '-100 -5', '-6 -100', '-7 -5'])
      await host.renamed?.(...(names.split(' ') as [string, string]));
    const now = [];
    for (const chat of ['-5', '-5_3', '-100', '-6', '-7']) now.push(await host.nameNow?.(chat));
    assert.deepEqual(now, ['-100', '-100_3', null, null, null]);
    await write('still there?', { chat: '-100', replyTo: '-100' });
    await said(1);
    await write('/new', { chat: '-100', replyTo: '-100' });
    await said(2);
    await write('anew', { chat: '-100', replyTo: '-100' });
    await said(3);
    const sessions = (await loop.events()).flatMap((event) =>
      event.type === 'message.received' ? [event.data.session] : [],
    );
    assert.deepEqual(sessions.slice(0, 2), ['chat--5', 'chat--5']);
    assert.notEqual(sessions[2], 'chat--5');
  }));
