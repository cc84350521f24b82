import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import type { FakeViews } from './views-kit.ts';
import { fakeViews } from './views-kit.ts';
import { echo, gate, sse, TOKEN, withGateway, type Rig } from './help.ts';
import { until } from '../fakes/until.ts';
import { HandClock } from '../scheduler/worker-kit.ts';
import type { Script } from '../fakes/runtime.ts';

const withViews = (
  body: (rig: Rig, views: FakeViews) => Promise<void>,
  options: Parameters<typeof withGateway>[2] = {},
  script: Script = echo,
): Promise<void> => {
  const views = fakeViews();
  return withGateway(script, (rig) => body(rig, views), { ...options, views });
};

test('each view has its path, with several segments, and refuses what is no query', async () => {
  await withViews(async ({ call }, views) => {
    const get = async (path: string): Promise<[number, unknown]> => {
      const answer = await call(path);
      return [answer.status, await answer.json()];
    };
    assert.deepEqual(await get('/api/conversations?limit=5'), [200, { conversations: [] }]);
    assert.equal((await get('/api/conversations/assistant/s1?before=evt_9&limit=3'))[0], 200);
    assert.deepEqual(views.asked.pop(), ['assistant', 's1', 'evt_9', 3]);
    assert.equal((await get('/api/conversations/assistant/none'))[0], 404);
    assert.equal((await get('/api/conversations/a%2Fb/s1'))[0], 200);
    assert.deepEqual(views.asked.pop(), ['a/b', 's1', null, 50]);
    const [, page] = await get('/api/runs?agent=assistant&status=done,failed&text=two%20words&after=evt_5&limit=200');
    assert.equal((page as { total: number }).total, 1);
    assert.deepEqual(views.asked.pop(), {
      agent: 'assistant',
      status: ['done', 'failed'],
      column: undefined,
      from: undefined,
      text: 'two words',
      after: 'evt_5',
      limit: 200,
    });
    assert.equal((await get('/api/runs?agent=&status=&text=&after='))[0], 200);
    assert.equal((await get('/api/runs/tsk_1'))[0], 200);
    assert.equal((await get('/api/runs/tsk_2'))[0], 404);
    assert.equal((await get('/api/runs?column=person'))[0], 200);
    assert.equal((views.asked.pop() as { column: string }).column, 'person');
    assert.deepEqual(await get('/api/board?agent=email&cards=9'), [200, { lanes: [] }]);
    assert.deepEqual(views.asked.pop(), { agent: 'email', cards: 9 });
    assert.deepEqual(await get('/api/tasks/tsk_1/chain'), [200, { task: 'tsk_1', nodes: [] }]);
    assert.equal((await get('/api/tasks/tsk_2/chain'))[0], 404);
    assert.equal((await get('/api/runs/tsk_1/diff'))[0], 200);
    assert.equal((await get('/api/runs/tsk_1/exact/h1'))[0], 200);
    assert.equal((await get('/api/runs/tsk_1/exact/h2'))[0], 404);
    assert.equal((await get('/api/show?what=notes%2Fa.md'))[0], 404);
    assert.equal(views.asked.pop(), 'notes/a.md');
    assert.equal((await get('/api/show'))[0], 400);
    assert.deepEqual(await get('/api/failures'), [200, { failures: [] }]);
    assert.deepEqual(await get('/api/net?agent=email&since=2026-11-23T08:15Z&before=evt_7&limit=5'), [
      200,
      { sent: [], next: null },
    ]);
    assert.deepEqual(views.asked.pop(), {
      agent: 'email',
      since: Date.UTC(2026, 10, 23, 8, 15),
      before: 'evt_7',
      limit: 5,
    });
    assert.equal((await get('/api/net?since=5000'))[0], 200);
    assert.equal((views.asked.pop() as { since: number }).since, 5000);
    const wrong = [
      '/api/runs?status=nothing',
      '/api/runs?limit=0',
      '/api/net?since=soon',
      '/api/net?agent=No/body',
      '/api/net?before=x',
      '/api/net?limit=1001',
      '/api/runs?column=somewhere',
      '/api/board?cards=51',
      '/api/runs?limit=201',
      '/api/runs?after=5',
      `/api/runs?text=${'x'.repeat(201)}`,
      '/api/conversations?limit=x',
      '/api/conversations/assistant/s1?before=../x',
      `/api/live?${Array.from({ length: 21 }, (_, n) => `task=t${n}`).join('&')}`,
    ];
    for (const path of wrong) assert.equal((await get(path))[0], 400, path);
    assert.equal(wrong.length, 14);
    for (const path of ['/api/runs/..%2f..', '/api/runs/tsk_1/exact/', '/api/runs//diff', '/api/files/a/b'])
      assert.equal((await get(path))[0], 404, path);
  });
});

test('a failed task is sent once more, and one that is unknown or well is refused', async () => {
  await withViews(
    async ({ call }) => {
      const post = (path: string): Promise<Response> => call(path, { body: {} });
      const { task } = (await (await post2(call, 'break')).json()) as { task: string };
      await call(`/api/tasks/${task}/wait?seconds=5`);
      assert.equal((await post('/api/tasks/tsk_none/retry')).status, 404);
      const again = await post(`/api/tasks/${task}/retry`);
      assert.equal(again.status, 200);
      assert.match(((await again.json()) as { task: string }).task, /^tsk_/);
      assert.deepEqual(await (await post(`/api/tasks/${task}/dismiss`)).json(), { dismissed: true });
      assert.equal((await call(`/api/tasks/${task}/retry`, { method: 'POST' })).status, 415);
    },
    {},
    () => Promise.reject(new Error('broken')),
  );
});

const post2 = (call: Rig['call'], text: string): Promise<Response> =>
  call('/api/messages', { body: { agent: 'assistant', text } });

test('a file is never a page: only pictures are shown, all else is saved, and nothing runs', async () => {
  await withViews(async ({ call }, views) => {
    const evil = Buffer.from('<script>alert(1)</script>');
    const files: [string, string, RegExp, string][] = [
      ['a.html', 'text/html', /^attachment;/, 'application/octet-stream'],
      ['a.svg', 'image/svg+xml', /^attachment;/, 'application/octet-stream'],
      ['a.pdf', 'application/pdf', /^attachment;/, 'application/octet-stream'],
      ['a.xhtml', 'application/xhtml+xml', /^attachment;/, 'application/octet-stream'],
      ['a.png', 'image/png', /^inline;/, 'image/png'],
      ['a.webp', 'image/webp', /^inline;/, 'image/webp'],
      [
        'x"\r\nSet-Cookie: a=b;ž.txt',
        'text/plain\r\nX: y',
        /^attachment; filename="x___Set-Cookie_ a_b__\.txt"; filename\*=UTF-8''x%22%0D%0A/,
        'application/octet-stream',
      ],
    ];
    for (const [index, [name, mediaType, disposition, type]] of files.entries()) {
      views.files.set(`hash${index}`, { name, mediaType, bytes: evil });
      const answer = await call(`/api/files/assistant/s1/hash${index}`);
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('content-disposition') ?? '', disposition);
      assert.equal(answer.headers.get('content-type'), type);
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
      assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'; sandbox/);
      assert.equal(answer.headers.get('set-cookie'), null);
      assert.equal((await answer.arrayBuffer()).byteLength, evil.length);
    }
    assert.equal(files.length, 7);
    assert.equal((await call('/api/files/assistant/s1/none')).status, 404);
    assert.equal((await call('/api/files/assistant/s1/..%2f..%2ftoken')).status, 404);
  });
});

test('files come with a message, within their bounds', async () => {
  await withViews(
    async ({ call, runtime }) => {
      const send = (files: unknown, text = 'look'): Promise<Response> =>
        call('/api/messages', { body: { agent: 'assistant', text, files } });
      const file = { name: 'a.png', mediaType: 'image/PNG', data: Buffer.from('abcd').toString('base64') };
      assert.equal((await send([file])).status, 202);
      assert.deepEqual(runtime.deliveries[0]?.message.files, [
        { name: 'a.png', mediaType: 'image/png', bytes: Buffer.from('abcd') },
      ]);
      assert.equal((await send([file], '')).status, 202, 'a picture says enough');
      assert.equal((await send([])).status, 202);
      assert.equal(runtime.deliveries[2]?.message.files, undefined);
      const wrong: [number, unknown][] = [
        [400, 'x'],
        [400, [null]],
        [400, [{ ...file, name: '' }]],
        [400, [{ ...file, name: 'x'.repeat(201) }]],
        [400, [{ ...file, mediaType: 'png' }]],
        [400, [{ ...file, mediaType: 'image/png; x="\r\n"' }]],
        [400, [{ ...file, data: 'a' }]],
        [400, [{ ...file, data: 'a*==' }]],
        [400, [{ ...file, data: undefined }]],
        [400, Array.from({ length: 21 }, () => file)],
        [
          413,
          [
            { ...file, data: Buffer.alloc(60).toString('base64') },
            { ...file, data: Buffer.alloc(60).toString('base64') },
          ],
        ],
      ];
      for (const [status, files] of wrong) {
        const answer = await send(files);
        assert.equal(answer.status, status, JSON.stringify(files).slice(0, 80));
      }
      assert.equal((await send([], '')).status, 400);
      assert.equal(runtime.deliveries.length, 3);
      assert.equal(wrong.length, 11);
    },
    { limits: { fileBytes: 100 } },
  );
});

interface Told {
  event: string;
  id: string | null;
  data: string;
}

/** The events of a live stream as they come, comments left out. */
async function live(call: Rig['call'], path: string, headers: Record<string, string> = {}) {
  const stop = new AbortController();
  const answer = await call(path, { headers, signal: stop.signal });
  assert.equal(answer.status, 200);
  const told: Told[] = [];
  const reading = (async () => {
    for await (const each of sse(answer)) if (each.data !== '') told.push(each);
  })().catch(() => undefined);
  return {
    told,
    async close(): Promise<void> {
      stop.abort();
      await reading;
    },
  };
}

test('the live stream tells each changed thing once, and pieces of the tasks it was asked for', async () => {
  const hold = gate();
  const script: Script = async (run) => {
    await hold.opened;
    run.say('piece');
    return 'all';
  };
  await withViews(
    async ({ call, gateway }, views) => {
      const { task } = (await (await post2(call, 'a')).json()) as { task: string };
      const stream = await live(call, `/api/live?task=${task}&task=tsk_other`);
      for (let seq = 1; seq <= 50; seq++)
        views.change({ task: `t${seq % 2}`, run: 'r', agent: 'assistant', session: 's', seq });
      hold.open();
      await until(() => stream.told.filter(({ event }) => event === 'changed').length >= 2);
      await until(() => stream.told.some(({ event }) => event === 'delta'));
      const changed = stream.told.filter(({ event }) => event === 'changed');
      assert.deepEqual(changed.map(({ data }) => (JSON.parse(data) as { task: string }).task).toSorted(), ['t0', 't1']);
      assert.ok(changed.every(({ id }) => id === '50'));
      const deltas = stream.told.filter(({ event }) => event === 'delta');
      assert.deepEqual(JSON.parse(deltas[0]?.data ?? ''), {
        kind: 'text',
        step: 1,
        offset: 0,
        text: 'piece',
        task,
        run: 'run_1',
      });
      await stream.close();
      await until(() => views.watching() === 0);
      assert.ok(gateway.port > 0);
    },
    {},
    script,
  );
});

test('a live stream in which nothing happens says that it is alive, with its place', async () => {
  await withViews(
    async ({ call, journal }) => {
      journal.append('gateway.started');
      const stream = await live(call, '/api/live');
      await until(() => stream.told.length >= 2);
      assert.deepEqual(
        stream.told.slice(0, 2),
        [1, 2].map(() => ({ event: 'alive', id: '1', data: '{}' })),
      );
      await stream.close();
    },
    { limits: { heartbeatMs: 20 } },
  );
});

test('who comes back is told to look again exactly if something happened meanwhile', async () => {
  await withViews(async ({ call, journal }, views) => {
    journal.append('gateway.started');
    const same = await live(call, '/api/live', { 'last-event-id': '1' });
    views.change({ task: 'x', seq: 2 });
    await until(() => same.told.length > 0);
    assert.deepEqual(
      same.told.map(({ event }) => event),
      ['changed'],
    );
    await same.close();
    for (const id of ['0', '7', 'nonsense']) {
      const back = await live(call, '/api/live', { 'last-event-id': id });
      await until(() => back.told.length > 0);
      assert.deepEqual([back.told[0]?.event, back.told[0]?.id], ['resync', '1']);
      await back.close();
    }
  });
});

test('a storm of changes becomes one word, and who leaves is forgotten', async () => {
  await withViews(
    async ({ call, gateway: { port } }, views) => {
      const stream = await live(call, '/api/live');
      for (let n = 0; n < 5_000; n++) views.change({ task: `t${n}`, seq: n + 1 });
      await until(() => stream.told.length > 0);
      assert.deepEqual(
        stream.told.map(({ event, id }) => [event, id]),
        [['resync', '5000']],
      );
      await stream.close();
      const socket = createConnection(port, '127.0.0.1');
      socket.write(`GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`);
      socket.pause();
      await until(() => views.watching() === 1);
      socket.destroy();
      await until(() => views.watching() === 0);
    },
    { limits: { backlogBytes: 64 * 1024 } },
  );
});

test('a body is bounded by silence and by a pace, not by its length; without a right token by its time', async () => {
  const clock = new HandClock();
  const slow = (port: number, path: string, length: number, token = ''): Slow => {
    const type = 'Content-Type: application/json\r\n';
    const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${token}${type}Content-Length: ${length}\r\n\r\n`;
    return slowly(port, head);
  };
  await withViews(
    async ({ call, gateway: { port }, runtime }) => {
      const body = JSON.stringify({ agent: 'assistant', text: 'x'.repeat(40_000), id: 'slow' });
      const bearer = `Authorization: Bearer ${TOKEN}\r\n`;
      const steady = slow(port, '/api/messages', body.length, bearer);
      const silent = slow(port, '/api/messages', 30_000_000, bearer);
      const dripping = slow(port, '/api/messages', 30_000_000, bearer);
      const stranger = slow(port, '/hooks/none', 900_000);
      assert.equal((await call('/api/me')).status, 404, 'others are answered');
      // 50 s: longer than a silence may last, and faster than the pace that is asked for.
      const piece = Math.ceil(body.length / 50);
      for (let at = 0; at < body.length; at += piece) {
        await steady.write(body.slice(at, at + piece));
        await dripping.write('x');
        await stranger.write('x'.repeat(1_000));
        await clock.pass(1_000);
      }
      assert.match(await steady.answer, /^HTTP\/1\.1 202 /);
      for (const each of [silent, dripping, stranger]) assert.match(await each.answer, /^HTTP\/1\.1 408 /);
      assert.equal(runtime.deliveries.length, 1);
    },
    { clock, limits: { uploadBytesPerSecond: 500 } },
  );
});

interface Slow {
  /** Resolves when the bytes have gone, or nobody takes them any more. */
  write(bytes: string): Promise<void>;
  answer: Promise<string>;
}

/** A client whose body comes as the test sends it. Closes with the answer. */
function slowly(port: number, head: string): Slow {
  const socket = createConnection(port, '127.0.0.1');
  socket.on('error', () => socket.destroy());
  let got = '';
  const answer = new Promise<string>((resolve) => {
    socket.on('data', (chunk) => {
      got += chunk.toString();
      if (got.includes('\r\n\r\n')) socket.destroy();
    });
    socket.on('close', () => resolve(got));
  });
  const write = (bytes: string): Promise<void> =>
    new Promise((resolve) => (socket.destroyed ? resolve() : socket.write(bytes, () => resolve())));
  void write(head);
  return { write, answer };
}
