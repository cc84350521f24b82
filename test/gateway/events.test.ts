import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import { echo, sse, TOKEN, withGateway, type Rig } from './help.ts';
import { until } from '../fakes/until.ts';

/** Reads events (not bare ids) until `count` have come, then hangs up. */
async function take(rig: Rig, path: string, count: number, headers: Record<string, string> = {}): Promise<string[]> {
  const hangUp = new AbortController();
  const response = await rig.call(path, {
    headers,
    signal: AbortSignal.any([hangUp.signal, AbortSignal.timeout(5_000)]),
  });
  assert.equal(response.status, 200);
  const got: string[] = [];
  for await (const { id, data } of sse(response)) {
    if (data !== '') got.push(`${id}:${(JSON.parse(data) as { type: string }).type}`);
    if (got.length === count) break;
  }
  hangUp.abort();
  return got;
}

test('Events come from a place and go on live, and a client that comes again misses none', async () => {
  await withGateway(echo, async (rig) => {
    for (let i = 0; i < 4; i += 1) rig.journal.append(i % 2 === 0 ? 'gateway.started' : 'gateway.stopped');
    const all = ['1:gateway.started', '2:gateway.stopped', '3:gateway.started', '4:gateway.stopped'];
    assert.deepEqual(await take(rig, '/api/events?after=0', 4), all);
    assert.deepEqual(await take(rig, '/api/events?after=2', 2), all.slice(2));
    assert.deepEqual(await take(rig, '/api/events?after=0', 1, { 'last-event-id': '3' }), all.slice(3));
    assert.deepEqual(await take(rig, '/api/events?after=0&types=gateway.stopped', 2), [all[1], all[3]]);
    await until(() => rig.journal.followers() === 0);
    const live = take(rig, '/api/events', 1);
    await until(() => rig.journal.followers() === 1);
    rig.journal.append('gateway.started');
    assert.deepEqual(await live, ['5:gateway.started']);
    await until(() => rig.journal.followers() === 0);
  });
});

test('A place that does not exist, or types that are none, are refused', async () => {
  await withGateway(echo, async ({ call, journal }) => {
    journal.append('gateway.started');
    for (const query of ['after=x', 'after=-1', 'after=2', 'types=Run', 'types=a.b,,c'])
      assert.equal((await call(`/api/events?${query}`)).status, 400, query);
    assert.equal((await call('/api/events', { headers: { 'last-event-id': 'evt_1' } })).status, 400);
  });
});

test('Heartbeats carry the place, so that a filtered client comes back where it was', async () => {
  await withGateway(
    echo,
    async ({ call, journal }) => {
      const hangUp = new AbortController();
      const response = await call('/api/events?after=0&types=gateway.stopped', { signal: hangUp.signal });
      for (let i = 0; i < 5; i += 1) journal.append('gateway.started');
      for await (const { id } of sse(response)) if (id === '5') break;
      hangUp.abort();
      await until(() => journal.followers() === 0);
    },
    { limits: { heartbeatMs: 10 } },
  );
});

test('Closing ends the streams cleanly', async () => {
  await withGateway(echo, async ({ call, journal, gateway }) => {
    const response = await call('/api/events');
    const read = response.text();
    await until(() => journal.followers() === 1);
    await gateway.close();
    assert.match(await read, /keep-alive/);
    assert.equal(journal.followers(), 0);
  });
});

test('A client that does not read holds back its own stream and no memory', async () => {
  await withGateway(echo, async ({ gateway: { port }, journal, call }) => {
    for (let i = 0; i < 30_000; i += 1) journal.append('gateway.started');
    const socket = createConnection(port, '127.0.0.1');
    socket.pause();
    socket.write(`GET /api/events?after=0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`);
    await until(() => journal.followers() === 1);
    assert.equal((await call('/api/status')).status, 200);
    let got = '';
    socket.on('data', (chunk) => (got = (got + chunk.toString()).slice(-2_000)));
    socket.resume();
    await until(() => got.includes('id: 30000\n'));
    socket.destroy();
    await until(() => journal.followers() === 0);
  });
});
