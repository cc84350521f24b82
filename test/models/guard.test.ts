import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { ModelEvent } from '../../src/core/model.ts';
import type { Log } from '../../src/core/ports/log.ts';
import { openAiCompatible, type OpenAiCompatibleOptions } from '../../src/models/chat/model.ts';
import { openNet } from '../../src/net/guard.ts';
import { envSecrets } from '../../src/secrets/env.ts';
import { ask, collect, endOf, textOf } from '../contracts/model.ts';
import { chunk, DONE, type ModelServer, modelServer, type RawAnswer } from '../fakes/model-server.ts';

// The client on the guard it really goes through: both have their own tests, this is where they meet.

const clock: Clock = { now: () => Date.now(), sleep: (ms, signal) => wait(ms, undefined, { signal, ref: false }) };
const quiet = (): void => {};
const log: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const NEVER = new AbortController().signal;
const HELLO = chunk({ content: 'Hello' });

let server: ModelServer;
let net: ReturnType<typeof openNet>;
beforeEach(async () => {
  server = await modelServer();
  net = openNet({ clock, log });
});
afterEach(async () => {
  net.close();
  await server.close();
});

const model = (more: Partial<OpenAiCompatibleOptions> = {}) =>
  openAiCompatible({
    provider: 'local',
    baseUrl: server.baseUrl,
    apiKey: null,
    net,
    secrets: envSecrets({ env: {} }),
    clock,
    idleMs: 5_000,
    ...more,
  });

async function given(answer: RawAnswer, more: Partial<OpenAiCompatibleOptions> = {}): Promise<[string, string]> {
  server.next(answer);
  const events = await collect(model(more).stream(ask('hi'), NEVER));
  const end = endOf(events);
  return [textOf(events), end.type === 'error' ? end.error.kind : end.reason];
}

test('through the real guard: answers, and everything that can break', async () => {
  assert.deepEqual(await given({ pieces: [HELLO, chunk({}, 'stop'), DONE] }), ['Hello', 'stop']);
  assert.deepEqual(await given({ pieces: [HELLO, chunk({}, 'stop'), DONE], end: 'hang' }), ['Hello', 'stop']);
  assert.deepEqual(await given({ pieces: [HELLO], end: 'cut' }), ['Hello', 'network']);
  assert.deepEqual(await given({ pieces: [], end: 'cut' }), ['', 'network']);
  assert.deepEqual(await given({ pieces: [HELLO], end: 'hang' }, { idleMs: 60 }), ['Hello', 'timeout']);
  assert.deepEqual(await given({ status: 429, pieces: ['{"error":{"message":"slow down"}}'] }), ['', 'rate']);
  assert.deepEqual(await given({ status: 302, headers: { location: '/v2' }, pieces: [] }), ['', 'invalid']);
  const endless = Array.from({ length: 200 }, () => `: ${'x'.repeat(100)}\n`);
  assert.deepEqual(await given({ pieces: endless }, { maxChars: 100 }), ['', 'invalid']);
});

test('through the real guard: nobody listens, a hostless name, an address that is not the provider', async () => {
  const { port } = new URL(server.baseUrl);
  await server.close();
  const kinds: [string, string][] = [
    [`http://127.0.0.1:${port}/v1`, 'network'],
    ['http://nowhere.invalid/v1', 'network'],
  ];
  for (const [baseUrl, kind] of kinds) {
    const end = endOf(await collect(model({ baseUrl }).stream(ask('hi'), NEVER)));
    assert.ok(end.type === 'error' && end.error.kind === kind, JSON.stringify(end));
    assert.match(end.error.message, /models\.providers\.local/);
  }
});

test('through the real guard: an abort closes the connection and is told as one', async () => {
  server.next({ pieces: [HELLO], end: 'hang' });
  const abort = new AbortController();
  const events: ModelEvent[] = [];
  for await (const event of model().stream(ask('hi'), abort.signal)) {
    events.push(event);
    abort.abort();
  }
  const end = endOf(events);
  assert.ok(end.type === 'error' && end.error.kind === 'aborted', JSON.stringify(end));
  await server.hungUp;
});

test('through the real guard: a caller that stops reading closes the connection', async () => {
  server.next({ pieces: [HELLO], end: 'hang' });
  for await (const event of model().stream(ask('hi'), NEVER)) {
    assert.equal(event.type, 'text');
    break;
  }
  await server.hungUp;
});
