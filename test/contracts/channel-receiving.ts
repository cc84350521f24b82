import assert from 'node:assert/strict';
import { until } from '../fakes/until.ts';
import { arrived, type Case, greeted, Host, run, send } from './channel-kit.ts';

export const RECEIVING: readonly Case[] = [
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
    name: 'a message that is rejected each time does not block the others without end',
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
    factor: 1,
    async check(t, rig, channel, host) {
      const { stop } = run(t, channel, host);
      await greeted(rig, host);
      const before = performance.now();
      await stop();
      assert.ok(performance.now() - before < 10_000, 'it took as long as a poll');
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
