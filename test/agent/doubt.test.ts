import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testTools } from '../fakes/loop.ts';
import { calls, says } from '../fakes/scripted-model.ts';
import { withLoop } from './with-loop.ts';

/** `once`, interrupted the first time by a restart while it works; what happened then is unknown. */
function interruptible() {
  const log: string[] = [];
  const settled: string[] = [];
  const working = Promise.withResolvers<void>();
  const { once } = testTools(log);
  const tool: typeof once = {
    ...once,
    run: (input, ctx) => {
      if (log.length > 0) return once.run(input, ctx);
      log.push('first');
      working.resolve();
      return new Promise(() => {});
    },
    settled: async (key) => void settled.push(key.replace(/^.*-/, '')),
  };
  return { log, settled, working: working.promise, tools: [tool] };
}

const script = () => [calls(['once', { path: 'x' }]), says('so it is')];

for (const answer of ['yes, it arrived: do not send it again', 'Run by hand, thank you', 'again? no!', 'it ran'])
  test(`a call in doubt is not run again for "${answer}"`, async () => {
    const { log, settled, working, tools } = interruptible();
    await withLoop(script(), { tools }, async (loop, _log, model) => {
      const task = await loop.deliver('go');
      await working;
      await loop.restart();
      const waiting = await loop.settled(task);
      assert.match(waiting.text, /unknown whether it took effect.*\n```\nonce\npath: x\n```\nAnswer "retry"/);
      await loop.runtime.answer(waiting.waits[0]?.id ?? '', answer, 'person:owner');
      assert.equal((await loop.settled(task)).text, 'so it is');
      assert.deepEqual(log, ['first']);
      assert.deepEqual(settled, ['s1c1']);
      assert.ok(JSON.stringify(model.requests[1]?.messages.at(-1)).includes(answer));
    });
  });

for (const answer of ['retry', ' Retry. ', 'run it again!', 'again'])
  test(`a call in doubt is run again for "${answer}"`, async () => {
    const { log, settled, working, tools } = interruptible();
    await withLoop(script(), { tools }, async (loop) => {
      const task = await loop.deliver('go');
      await working;
      await loop.restart();
      await loop.settled(task);
      assert.equal(await loop.deliver(answer), task);
      assert.equal((await loop.settled(task)).text, 'so it is');
      assert.deepEqual(log, ['first', 'once {"path":"x"}']);
      assert.deepEqual(settled, ['s1c1', 's1c1r']);
    });
  });
