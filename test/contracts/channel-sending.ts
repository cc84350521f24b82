import assert from 'node:assert/strict';
import type { MessageFile } from '../../src/core/ports/channel.ts';
import { until } from '../fakes/until.ts';
import { arrived, type Case, greeted, LONG, run, send } from './channel-kit.ts';

export const SENDING: readonly Case[] = [
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
      // The first may still go over a connection that was open: nobody knows what became of it.
      const receipt = await until(async () => {
        const told = await send(channel, to, 'hello?');
        assert.notEqual(told.state, 'sent');
        return told.state === 'failed' ? told : null;
      }, 'a platform that is not there is known not to be');
      assert.equal(receipt.final, false);
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
