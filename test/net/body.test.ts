import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { fails } from '../contracts/net.ts';
import { HandClock } from '../scheduler/worker-kit.ts';
import { get, openLab, serve, serveRaw, WHO } from './support.ts';

/** Writes without end, as fast as the other side takes it; tells how much that was. */
function pour(response: ServerResponse, chunk: Buffer): { written: number } {
  const count = { written: 0 };
  const more = (): void => {
    for (let open = true; open && !response.destroyed;) {
      open = response.write(chunk);
      count.written += chunk.length;
    }
  };
  response.on('drain', more);
  more();
  return count;
}

const TEXT = 'Bees make honey. '.repeat(500);

test('gzip, deflate in both forms, and brotli are undone', async (t) => {
  const forms: Record<string, Buffer> = {
    gzip: zlib.gzipSync(TEXT),
    'x-gzip': zlib.gzipSync(TEXT),
    br: zlib.brotliCompressSync(TEXT),
    deflate: zlib.deflateSync(TEXT),
    identity: Buffer.from(TEXT),
  };
  const server = await serve(t, (request, response) => {
    const name = request.url?.slice(1) ?? '';
    const raw = name === 'raw';
    const encoding = raw ? 'deflate' : name.replace('none', 'gzip');
    response.writeHead(200, { 'content-encoding': encoding });
    response.end(raw ? zlib.deflateRawSync(TEXT) : name === 'none' ? '' : forms[name]);
  });
  const { net } = openLab(t);
  const ask = (name: string): Promise<Response> => net.request(get(`http://a.example.org:${server.port}/${name}`), WHO);
  let count = 0;
  for (const name of [...Object.keys(forms), 'raw']) {
    const response = await ask(name);
    assert.equal(await response.text(), TEXT, name);
    if (name !== 'identity') assert.equal(response.headers.get('content-encoding'), null);
    count++;
  }
  assert.equal(count, 6);
  assert.equal(await (await ask('none')).text(), '');
});

test('A43 a decompression bomb is cut at the limit', async (t) => {
  const bomb = zlib.gzipSync(Buffer.alloc(50_000_000));
  const server = await serve(t, (_request, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
  );
  const { net } = openLab(t);
  const response = await net.request(get(`http://a.example.org:${server.port}/`, { maxBytes: 100_000 }), WHO);
  let bytes = 0;
  const read = async (): Promise<void> => {
    for await (const chunk of response.body as ReadableStream<Uint8Array>) bytes += chunk.length;
  };
  await fails(read(), 'too-large');
  assert.equal(bytes, 100_000, 'what fits was delivered');
});

test('A43 compressed bytes that become nothing count too', async (t) => {
  const empty = zlib.gzipSync('');
  const server = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' });
    pour(response, Buffer.concat(Array.from({ length: 500 }, () => empty)));
  });
  const { net } = openLab(t);
  const response = await net.request(get(`http://a.example.org:${server.port}/`, { maxBytes: 50_000 }), WHO);
  await fails(response.text(), 'too-large');
});

test('a broken or cut compressed body is an error, not an end', async (t) => {
  const whole = zlib.gzipSync(TEXT);
  const bodies = [whole.subarray(0, whole.length - 12), Buffer.concat([whole.subarray(0, 20), Buffer.alloc(50)])];
  const server = await serve(t, (request, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(bodies[Number(request.url?.slice(1))]),
  );
  const { net } = openLab(t);
  for (const index of bodies.keys()) {
    const response = await net.request(get(`http://a.example.org:${server.port}/${index}`), WHO);
    await fails(response.text(), 'protocol');
  }
});

test('A43 an endless body ends at the limit, having taken little more from the server', async (t) => {
  let count = { written: 0 };
  const server = await serve(t, (_request, response) => {
    count = pour(response, Buffer.alloc(64 * 1024, 'x'));
  });
  const { net } = openLab(t);
  const response = await net.request(get(`http://a.example.org:${server.port}/`, { maxBytes: 300_000 }), WHO);
  await fails(response.text(), 'too-large');
  assert.ok(count.written < 50_000_000, `${count.written} bytes were written`);
});

test('A43 a body that is not taken is not read ahead, and the wait for the caller is no silence', async (t) => {
  let count = { written: 0 };
  const server = await serve(t, (_request, response) => {
    count = pour(response, Buffer.alloc(64 * 1024));
  });
  const clock = new HandClock();
  const { net } = openLab(t, { clock });
  const response = await net.request(get(`http://a.example.org:${server.port}/`, { maxBytes: 1e9, idleMs: 40 }), WHO);
  for (let still = -1; still !== count.written; await new Promise((resolve) => setTimeout(resolve, 100)))
    still = count.written;
  assert.ok(count.written < 100_000_000, `${count.written} bytes went ahead`);
  for (let n = 0; n < 20; n++) await clock.pass(10);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  assert.ok(((await reader.read()).value as Uint8Array).length > 0);
  await reader.cancel();
});

test('A43 slow reads: a byte now and then does not outlive the total time, and slow headers not the silence', async (t) => {
  let drop = (): void => undefined;
  const drip = await serve(t, (_request, response) => {
    drop = () => void response.write('x');
    drop();
  });
  const clock = new HandClock();
  const { net } = openLab(t, { clock });
  const limits = { timeoutMs: 1_000, idleMs: 400 };
  const response = await net.request(get(`http://a.example.org:${drip.port}/`, limits), WHO);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (let at = 0; at < 1_000; at += 100) {
    drop();
    await reader.read();
    await clock.pass(100);
  }
  await fails(reader.read(), 'timeout', /longer than 1000 ms/);
  const written = Promise.withResolvers<void>();
  const port = await serveRaw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nx-slow: ', () => written.resolve());
    drop = () => void socket.write('x');
  });
  const slow = net.request(get(`http://a.example.org:${port}/`, limits), WHO);
  const failed = fails(slow, 'timeout', /nothing came/);
  await written.promise;
  for (let at = 0; at < 400; at += 10) {
    drop();
    await clock.pass(10);
  }
  await failed;
});

test('silence lasts as long as it says: not a moment less, and a sixtieth more at most', async (t) => {
  const silent = await serve(t, () => undefined);
  const clock = new HandClock();
  const { net } = openLab(t, { clock });
  let ended = false;
  const limits = { timeoutMs: 1e9, idleMs: 300_000 };
  const failed = fails(net.request(get(`http://a.example.org:${silent.port}/`, limits), WHO), 'timeout', /300000 ms/);
  void failed.then(() => void (ended = true));
  while (silent.seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
  for (let at = 0; at < 295_000; at += 5_000) await clock.pass(5_000);
  assert.equal(ended, false);
  for (let at = 0; at < 10_000; at += 5_000) await clock.pass(5_000);
  await failed;
});

test('an abort in the middle of a body, and a body that nobody wants, end the connection', async (t) => {
  let closed = 0;
  const server = await serve(t, (_request, response) => {
    response.on('close', () => closed++);
    response.write('x');
  });
  const { net } = openLab(t);
  const stop = new AbortController();
  const first = await net.request(get(`http://a.example.org:${server.port}/`, { signal: stop.signal }), WHO);
  const text = first.text();
  stop.abort();
  await fails(text, 'aborted');
  const second = await net.request(get(`http://a.example.org:${server.port}/`), WHO);
  await second.body?.cancel();
  while (closed < 2) await new Promise((resolve) => setImmediate(resolve));
});

test('answers without a body', async (t) => {
  const server = await serve(t, (request, response) => {
    const status = Number(request.url?.slice(1));
    response.writeHead(status, { 'x-status': String(status) }).end();
  });
  const { net } = openLab(t);
  for (const status of [200, 204, 205, 304, 404]) {
    const method = status === 200 ? 'HEAD' : 'GET';
    const response = await net.request(get(`http://a.example.org:${server.port}/${status}`, { method }), WHO);
    assert.deepEqual([response.status, response.headers.get('x-status')], [status, String(status)]);
    assert.equal(await response.text(), '');
    // There is no body to wait for, but the end of the answer has to be read before the connection is free.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // The server itself closes after a HEAD of unknown length.
  assert.ok(server.connections() <= 2, 'the connection is free again after each');
});
