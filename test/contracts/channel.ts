import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Channel, ChannelHost, ChannelMessage, ChannelPress, MessageFile, Receipt } from '../../src/core/ports.ts';
import { until } from '../fakes/until.ts';

export interface Seen {
  text: string;
  buttons: readonly string[];
  file: { name: string; bytes: Uint8Array } | null;
}

/** One platform with a person on it, who has a chat with the channel. What is absent is named, with the reason, in `lacking`. */
export interface ChannelRig {
  /** A fresh adapter, as after a restart. */
  open(): Channel;
  /** The platform's immutable ids. */
  person: string;
  stranger: string;
  /** Characters of one message. */
  limit: number;
  says(text: string): void;
  strangerSays?: (text: string) => void;
  sendsFile?: (name: string, bytes: Uint8Array, text: string) => void;
  presses?: (label: string) => void;
  /** What was shown to whoever pressed last. */
  pressed?: () => string;
  /** Messages that the platform still keeps for the channel. */
  kept?: () => number;
  /** What the channel has written into the person's chat, as it stands there now. */
  shown(): Seen[];
  /** The next send is carried out late, or its answer is lost, or it is refused for a while. */
  slow?: () => void;
  loseAnswer?: () => void;
  throttle?: (seconds: number) => void;
  down?: () => Promise<void>;
  up?: () => Promise<void>;
}

type Ability =
  | Exclude<keyof ChannelRig, 'open' | 'person' | 'stranger' | 'limit' | 'says' | 'shown'>
  | 'drafts'
  | 'files out'
  | 'receipts'
  | 'patience';
type Able = Required<ChannelRig>;

/** A host that keeps what it takes. `refuse` says why the nth try, from 1, does not succeed. */
class Host implements ChannelHost {
  readonly taken: ChannelMessage[] = [];
  readonly tried: ChannelMessage[] = [];
  readonly presses: ChannelPress[] = [];
  refuse: (message: ChannelMessage, nth: number) => boolean = () => false;
  refusePress: (nth: number) => boolean = () => false;
  /** Until it resolves nothing is on disk. */
  gate: Promise<void> = Promise.resolve();

  async deliver(message: ChannelMessage): Promise<void> {
    this.tried.push(message);
    if (this.refuse(message, this.tried.length)) throw new Error('not now');
    await this.gate;
    this.taken.push(message);
  }

  press(press: ChannelPress): Promise<{ text: string; done: boolean }> {
    this.presses.push(press);
    if (this.refusePress(this.presses.length)) return Promise.reject(new Error('not now'));
    return Promise.resolve({ text: 'Noted.', done: true });
  }

  texts(): string[] {
    return this.taken.map(({ text }) => text);
  }
}

/** Runs until `stop`, which ends it and waits for that. */
function run(t: TestContext, channel: Channel, host: ChannelHost): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const ended = channel.start(host, stopping.signal);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
  };
  t.after(stop);
  return { stop };
}

const send = (
  channel: Channel,
  to: string,
  text: string,
  more: Partial<Parameters<Channel['send']>[2]> = {},
): Promise<Receipt> => {
  const [part] = channel.split({ text, files: [], buttons: [] });
  assert.ok(part);
  return channel.send(to, part, { key: 'k1', again: false, draft: null, ...more });
};

function arrived(receipt: Receipt): string | null {
  assert.equal(receipt.state, 'sent', JSON.stringify(receipt));
  return receipt.state === 'sent' ? receipt.id : null;
}

/** The person writes first: gives the address that answers them. */
async function greeted(rig: ChannelRig, host: Host): Promise<string> {
  rig.says('hello');
  const message = await until(() => host.taken.at(-1), 'the greeting arrives');
  return message.replyTo;
}

interface Case {
  name: string;
  needs?: readonly Ability[];
  check(t: TestContext, rig: Able, channel: Channel, host: Host): Promise<void>;
}

const LONG = Array.from(
  { length: 420 },
  (_, n) => `Sentence number ${n} stands here.${n % 9 === 0 ? '\n\n' : ''}`,
).join(' ');

const RECEIVING: readonly Case[] = [
  {
    name: 'a message arrives with the words, the immutable id of the sender and an address that answers it',
    async check(t, rig, channel, host) {
      run(t, channel, host);
      rig.says('hello there');
      const message = await until(() => host.taken[0], 'the message arrives');
      assert.equal(message.text, 'hello there');
      assert.equal(message.sender, rig.person);
      assert.match(message.chat, /^[\w-]+$/);
      assert.deepEqual(message.files, []);
      assert.notEqual(message.externalId, '');
      arrived(await send(channel, message.replyTo, 'hello to you'));
      assert.deepEqual(
        rig.shown().map(({ text }) => text),
        ['hello to you'],
      );
    },
  },
  {
    name: 'messages of one chat arrive in their order, one at a time',
    async check(t, rig, channel, host) {
      const wanted = Array.from({ length: 20 }, (_, n) => `message ${n}`);
      for (const text of wanted.slice(0, 10)) rig.says(text);
      run(t, channel, host);
      for (const text of wanted.slice(10)) rig.says(text);
      await until(() => host.taken.length >= 20, 'all arrive');
      assert.deepEqual(host.texts(), wanted);
      assert.equal(new Set(host.taken.map(({ externalId }) => externalId)).size, 20);
    },
  },
  {
    name: 'what the host does not take comes again with the same id, before what followed it',
    async check(t, rig, channel, host) {
      host.refuse = (_, nth) => nth <= 2;
      rig.says('one');
      rig.says('two');
      run(t, channel, host);
      await until(() => host.taken.length >= 2, 'both arrive');
      assert.deepEqual(host.texts(), ['one', 'two']);
      const ids = host.tried.filter(({ text }) => text === 'one').map(({ externalId }) => externalId);
      assert.equal(ids.length, 3);
      assert.equal(new Set(ids).size, 1);
    },
  },
  {
    name: 'the platform keeps a message until the host has it, and no longer',
    needs: ['kept'],
    async check(t, rig, channel, host) {
      const gate = Promise.withResolvers<void>();
      host.gate = gate.promise;
      run(t, channel, host);
      rig.says('hold this');
      await until(() => host.tried.length === 1, 'the host is asked');
      assert.equal(rig.kept(), 1);
      gate.resolve();
      await until(() => rig.kept() === 0, 'it is acknowledged');
      assert.equal(host.tried.length, 1);
    },
  },
  {
    name: 'killed while the host writes, a fresh adapter brings the message again with the same id',
    async check(t, rig, channel, host) {
      const gate = Promise.withResolvers<void>();
      host.gate = gate.promise;
      const stopping = new AbortController();
      const ended = channel.start(host, stopping.signal);
      rig.says('do not lose me');
      await until(() => host.tried.length === 1, 'the host is asked');
      stopping.abort();
      gate.reject(new Error('killed'));
      await ended;
      const after = new Host();
      run(t, rig.open(), after);
      await until(() => after.taken.length === 1, 'it comes again');
      assert.equal(after.taken[0]?.externalId, host.tried[0]?.externalId);
      assert.deepEqual(after.texts(), ['do not lose me']);
    },
  },
  {
    name: 'what was acknowledged does not come again after a restart',
    needs: ['kept'],
    async check(t, rig, channel, host) {
      const first = run(t, channel, host);
      rig.says('one');
      await until(() => host.taken.length === 1 && rig.kept() === 0, 'the first is acknowledged');
      await first.stop();
      rig.says('two');
      const after = new Host();
      run(t, rig.open(), after);
      await until(() => after.taken.length > 0, 'the second arrives');
      assert.deepEqual(after.texts(), ['two']);
    },
  },
  {
    name: 'a message that is rejected each time does not block the others for ever',
    needs: ['patience'],
    async check(t, rig, channel, host) {
      host.refuse = ({ text }) => text === 'poison';
      rig.says('poison');
      rig.says('after it');
      run(t, channel, host);
      await until(() => host.texts().includes('after it'), 'the next one arrives');
      assert.ok(host.tried.filter(({ text }) => text === 'poison').length >= 3);
    },
  },
  {
    name: 'an unknown sender is passed on with the id that cannot be chosen',
    needs: ['strangerSays'],
    async check(t, rig, channel, host) {
      run(t, channel, host);
      rig.strangerSays('let me in');
      const message = await until(() => host.taken[0], 'the message arrives');
      assert.equal(message.sender, rig.stranger);
      assert.notEqual(rig.stranger, rig.person);
    },
  },
  {
    name: 'an abort ends the waiting at once',
    async check(t, rig, channel, host) {
      const { stop } = run(t, channel, host);
      await greeted(rig, host);
      const before = performance.now();
      await stop();
      assert.ok(performance.now() - before < 400, 'it took as long as a poll');
    },
  },
  {
    name: 'files come in with name and bytes, and the words beside them',
    needs: ['sendsFile'],
    async check(t, rig, channel, host) {
      const bytes = new Uint8Array(5000).map((_, n) => n % 251);
      run(t, channel, host);
      rig.sendsFile('notes.txt', bytes, 'please read');
      const message = await until(() => host.taken[0], 'the message arrives');
      assert.equal(message.text, 'please read');
      assert.deepEqual(
        message.files.map(({ name }) => name),
        ['notes.txt'],
      );
      assert.deepEqual(message.files[0]?.bytes, bytes);
    },
  },
  {
    name: 'a dead platform is waited for, and what was written meanwhile arrives',
    needs: ['down', 'up'],
    async check(t, rig, channel, host) {
      run(t, channel, host);
      await greeted(rig, host);
      await rig.down();
      rig.says('are you there?');
      await rig.up();
      await until(() => host.texts().includes('are you there?'), 'it arrives');
      assert.deepEqual(host.texts(), ['hello', 'are you there?']);
    },
  },
];

const SENDING: readonly Case[] = [
  {
    name: 'equal messages are split equally, and into no part that is too long',
    async check(_t, rig, channel) {
      for (const text of ['short', LONG, `\`\`\`js\n${LONG}\n\`\`\``, '']) {
        const parts = channel.split({ text, files: [], buttons: [] });
        assert.ok(parts.length >= 1);
        assert.deepEqual(channel.split({ text, files: [], buttons: [] }), parts);
        for (const part of parts) assert.ok(part.kind === 'text' && part.text.length <= rig.limit);
      }
    },
  },
  {
    name: 'a long message arrives whole, its parts in order',
    async check(t, rig, channel, host) {
      run(t, channel, host);
      const to = await greeted(rig, host);
      for (const [index, part] of channel.split({ text: LONG, files: [], buttons: [] }).entries())
        arrived(await channel.send(to, part, { key: `long.${index}`, again: false, draft: null }));
      const words = (text: string): string => text.replace(/\s+/g, ' ').trim();
      assert.equal(
        words(
          rig
            .shown()
            .map(({ text }) => text)
            .join(' '),
        ),
        words(LONG),
      );
    },
  },
  {
    name: 'a message without words can be seen',
    async check(t, rig, channel, host) {
      run(t, channel, host);
      const to = await greeted(rig, host);
      for (const text of ['', ' \n ', '\u200b']) arrived(await send(channel, to, text));
      assert.equal(rig.shown().filter(({ text }) => text.trim() !== '').length, 3);
    },
    needs: ['receipts'],
  },
  {
    name: 'what may have arrived already is dropped by the platform, or says so',
    async check(t, rig, channel, host) {
      run(t, channel, host);
      const to = await greeted(rig, host);
      arrived(await send(channel, to, 'the answer'));
      arrived(await send(channel, to, 'the answer', { again: true }));
      const texts = rig.shown().map(({ text }) => text);
      assert.equal(texts.length, channel.dedupes ? 1 : 2);
      if (!channel.dedupes) assert.match(texts[1] ?? '', /repeat[^]*the answer/);
    },
    needs: ['receipts'],
  },
  {
    name: 'a draft shows that it is not finished, grows, and becomes the reply',
    needs: ['drafts'],
    async check(t, rig, channel, host) {
      run(t, channel, host);
      const to = await greeted(rig, host);
      const { drafts } = channel;
      assert.ok(drafts && drafts.everyMs >= 100);
      await drafts.typing(to);
      const draft = arrived(await drafts.show(to, 'The answer', null));
      assert.ok(draft !== null);
      assert.match(rig.shown()[0]?.text ?? '', /^The answer(?!$)/);
      assert.equal(arrived(await drafts.show(to, 'The answer is', draft)), draft);
      assert.equal(
        arrived(await drafts.show(to, 'The answer is', draft)),
        draft,
        'an edit without a change is no error',
      );
      arrived(await drafts.show(to, LONG, draft));
      arrived(await send(channel, to, 'The answer is 42.', { draft }));
      arrived(await send(channel, to, 'The answer is 42.', { draft }));
      assert.deepEqual(
        rig.shown().map(({ text }) => text),
        ['The answer is 42.'],
      );
    },
  },
  {
    name: 'a draft that is gone is sent anew',
    needs: ['drafts'],
    async check(t, rig, channel, host) {
      run(t, channel, host);
      const to = await greeted(rig, host);
      arrived(await send(channel, to, 'still here', { draft: '99999' }));
      assert.deepEqual(
        rig.shown().map(({ text }) => text),
        ['still here'],
      );
    },
  },
  {
    name: 'files go out after the words, byte for byte',
    needs: ['files out'],
    async check(t, rig, channel, host) {
      run(t, channel, host);
      const to = await greeted(rig, host);
      const bytes = new Uint8Array(3000).map((_, n) => (n * 7) % 256);
      const file: MessageFile = { name: 'a report; "final".bin', mediaType: 'application/octet-stream', bytes };
      const parts = channel.split({ text: 'Here it is.', files: [file], buttons: [] });
      assert.deepEqual(
        parts.map(({ kind }) => kind),
        ['text', 'file'],
      );
      for (const [n, part] of parts.entries())
        arrived(await channel.send(to, part, { key: `f.${n}`, again: false, draft: null }));
      const [text, sent] = rig.shown();
      assert.equal(text?.text, 'Here it is.');
      assert.deepEqual(sent?.file?.bytes, bytes);
      assert.match(sent?.file?.name ?? '', /report.*final.*\.bin/);
    },
  },
  {
    name: 'a button brings its action and who pressed it, and goes when it has had its use',
    needs: ['presses', 'pressed'],
    async check(t, rig, channel, host) {
      run(t, channel, host);
      const to = await greeted(rig, host);
      const buttons = [
        { label: 'Approve', action: `approve:${'x'.repeat(52)}` },
        { label: 'Deny', action: 'deny:1' },
      ];
      const [part] = channel.split({ text: 'May I?', files: [], buttons });
      assert.ok(part);
      arrived(await channel.send(to, part, { key: 'b', again: false, draft: null }));
      assert.deepEqual(rig.shown()[0]?.buttons, ['Approve', 'Deny']);
      host.refusePress = (nth) => nth === 1;
      rig.presses('Approve');
      await until(() => host.presses.length === 2, 'the press comes again');
      const [first, second] = host.presses;
      assert.deepEqual(second, first);
      assert.equal(second?.action, buttons[0]?.action);
      assert.equal(second?.sender, rig.person);
      assert.equal(second?.chat, host.taken[0]?.chat);
      await until(() => rig.shown()[0]?.buttons.length === 0, 'the buttons go');
      assert.match(rig.shown()[0]?.text ?? '', /May I\?[^]*Approve/);
      assert.equal(rig.pressed(), 'Noted.');
      arrived(await send(channel, second?.replyTo ?? '', 'done'));
    },
  },
  {
    name: 'a place that does not exist is a failure for good',
    needs: ['receipts'],
    async check(_t, _rig, channel) {
      for (const to of ['99', 'not a place', '']) {
        const receipt = await send(channel, to, 'anybody?');
        assert.ok(receipt.state === 'failed' && receipt.final, JSON.stringify(receipt));
      }
    },
  },
  {
    name: 'a dead platform is a failure that can be tried again, and then it can',
    needs: ['down', 'up', 'receipts'],
    async check(t, rig, channel, host) {
      const { stop } = run(t, channel, host);
      const to = await greeted(rig, host);
      await stop();
      await rig.down();
      const receipt = await send(channel, to, 'hello?');
      assert.ok(receipt.state === 'failed' && !receipt.final, JSON.stringify(receipt));
      await rig.up();
      arrived(await send(channel, to, 'hello!'));
      assert.deepEqual(
        rig.shown().map(({ text }) => text),
        ['hello!'],
      );
    },
  },
  {
    name: 'an answer that is lost leaves the send in doubt',
    needs: ['loseAnswer'],
    async check(t, rig, channel, host) {
      run(t, channel, host);
      const to = await greeted(rig, host);
      rig.loseAnswer();
      assert.equal((await send(channel, to, 'did it?')).state, 'unsure');
      assert.equal(rig.shown().length, 1);
    },
  },
  {
    name: 'a platform that wants a pause is believed',
    needs: ['throttle'],
    async check(t, rig, channel, host) {
      run(t, channel, host);
      const to = await greeted(rig, host);
      rig.throttle(7);
      const receipt = await send(channel, to, 'too fast');
      assert.deepEqual([receipt.state, 'final' in receipt && receipt.final], ['failed', false]);
      assert.equal(receipt.state === 'failed' && receipt.retryAfter, 7000);
      arrived(await send(channel, to, 'later'));
      assert.deepEqual(
        rig.shown().map(({ text }) => text),
        ['later'],
      );
    },
  },
  {
    name: 'a slow platform is waited for',
    needs: ['slow'],
    async check(t, rig, channel, host) {
      run(t, channel, host);
      const to = await greeted(rig, host);
      rig.slow();
      arrived(await send(channel, to, 'in time'));
      assert.equal(rig.shown().length, 1);
    },
  },
];

const CASES: readonly Case[] = [...RECEIVING, ...SENDING];

/** What whoever is handed a Channel may rely on. Gives how many cases run and how many are skipped, for the caller to assert. */
export function channelContract(
  name: string,
  lacking: Partial<Record<Ability, string>>,
  openRig: (t: TestContext) => Promise<ChannelRig>,
): { run: number; skipped: number } {
  let skipped = 0;
  for (const { name: what, needs = [], check } of CASES) {
    const reason = needs.map((need) => lacking[need]).find((why) => why !== undefined);
    if (reason !== undefined) skipped += 1;
    test(`${name}: ${what}`, { skip: reason ?? false, timeout: 20_000 }, async (t) => {
      const rig = await openRig(t);
      await check(t, rig as Able, rig.open(), new Host());
    });
  }
  return { run: CASES.length - skipped, skipped };
}
