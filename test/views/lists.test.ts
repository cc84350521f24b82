import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ViewChange } from '../../src/core/api/views.ts';
import { fails, says } from '../fakes/scripted-model.ts';
import { until } from '../fakes/until.ts';
import { withLoop } from '../agent/with-loop.ts';
import { stands, withViews } from './kit.ts';

const answering = { nextTry: () => null };
const script = async (request: { messages: { parts: { type: string }[] }[] }) =>
  JSON.stringify(request.messages.at(-1)).includes('break') ? fails('auth') : says('fine');

test('tasks are listed newest first, page by page, without one twice or left out', async () => {
  await withLoop(script, answering, (loop) =>
    withViews(loop, async (views) => {
      const tasks: string[] = [];
      for (let n = 0; n < 25; n++) tasks.unshift((await loop.send(`message ${n}`, `s${n % 4}`)).task);
      const first = await views.runs({ limit: 7 });
      const second = await views.runs({ limit: 7, after: first.next ?? '' });
      assert.deepEqual([first.total, second.total], [25, 25]);
      assert.deepEqual(
        [...first.runs, ...second.runs].map((run) => run.task),
        tasks.slice(0, 14),
      );
      // What comes in between moves no page.
      await loop.send('one more', 's0');
      assert.equal((await views.runs({ limit: 1 })).total, 26);
      const after = second.next ?? '';
      const rest = await views.runs({ limit: 50, after });
      assert.deepEqual(
        rest.runs.map((run) => run.task),
        tasks.slice(14),
      );
      assert.equal(rest.next, null);
    }),
  );
});

test('a query finds by status, agent and words, whatever their case', async () => {
  await withLoop(script, answering, (loop) =>
    withViews(loop, async (views) => {
      await loop.send('Write the Report for May');
      await loop.send('break the report', 'other');
      const { task } = await loop.send('something else', 'third');
      const titles = async (query: Parameters<typeof views.runs>[0]): Promise<string[]> =>
        (await views.runs(query)).runs.map((run) => run.title);
      assert.deepEqual(await titles({ text: 'REPORT' }), ['break the report', 'Write the Report for May']);
      assert.deepEqual(await titles({ text: 'report may' }), ['Write the Report for May']);
      assert.deepEqual(await titles({ text: task }), ['something else']);
      assert.deepEqual(await titles({ text: 'third' }), ['something else']);
      assert.deepEqual(await titles({ status: ['failed', 'dead'] }), ['break the report']);
      assert.deepEqual(await titles({ status: ['done'], text: 'report' }), ['Write the Report for May']);
      assert.deepEqual(await titles({ agent: 'nobody' }), []);
      const [run] = (await views.runs({ text: 'may' })).runs;
      assert.deepEqual(
        [run?.status, run?.steps, run?.usage.input, run?.model, run?.channel, run?.from],
        ['done', 1, 10, 'scripted/model', 'http', 'person:owner'],
      );
    }),
  );
});

test('beyond its bound the list forgets the oldest, and their conversations still tell all', async () => {
  await withLoop(script, answering, async (loop) => {
    const tasks: string[] = [];
    for (let n = 0; n < 30; n++) tasks.push((await loop.send(`message ${n}`, `s${n}`)).task);
    await withViews(
      loop,
      async (views) => {
        const before = await views.runs({ limit: 100 });
        assert.equal(before.total, 20);
        assert.equal(before.runs.at(-1)?.task, tasks[10]);
        // Live too.
        for (let n = 30; n < 45; n++) await loop.send(`message ${n}`, `s${n}`);
        const { total, runs } = await views.runs({ limit: 100 });
        assert.ok(total <= 20 && total >= 19, String(total));
        assert.equal(runs[0]?.title, 'message 44');
        assert.ok((await views.conversations(100)).length <= 20);
        const old = await stands(views, tasks[0] ?? '', 'answered', 's0');
        assert.equal(old.why, 'It was answered.');
        assert.equal((await views.run(tasks[0] ?? ''))?.title, 'message 0');
      },
      { limit: 20 },
    );
  });
});

test('a conversation is read from its end, page by page', async () => {
  await withLoop(script, answering, (loop) =>
    withViews(loop, async (views) => {
      for (let n = 0; n < 9; n++) await loop.send(`message ${n}`);
      const texts: string[] = [];
      let before: string | null = null;
      for (let pages = 0; pages < 10; pages++) {
        const view = await views.conversation('assistant', 'one', before, 5);
        texts.unshift(...(view?.entries ?? []).map((entry) => `${entry.kind} ${entry.text}`));
        before = view?.earlier ?? null;
        if (before === null) break;
      }
      assert.deepEqual(texts, Array.from({ length: 9 }, (_, n) => [`message message ${n}`, 'reply fine']).flat());
      assert.equal(await views.conversation('assistant', 'none', null, 5), null);
      const [row] = await views.conversations(5);
      assert.deepEqual([row?.title, row?.messages, row?.channel], ['message 0', 9, 'http']);
    }),
  );
});

test('what changes is told with its task and conversation, until nobody listens', async () => {
  await withLoop(script, answering, (loop) =>
    withViews(loop, async (views) => {
      await views.runs({});
      const changes: ViewChange[] = [];
      const stop = views.watch((change) => changes.push(change));
      const { task, run } = await loop.send('hello');
      await until(() => changes.some((change) => change.run === run && change.seq > 0), 'the change is told');
      assert.ok(changes.every((change) => change.agent === 'assistant' && change.session === 'one'));
      assert.ok(changes.some((change) => change.task === task));
      const head = await loop.store.head();
      await until(() => changes.some((change) => change.seq === head), 'the last event is told');
      stop();
      const told = changes.length;
      await loop.send('again');
      await views.runs({});
      assert.equal(changes.length, told);
    }),
  );
});
