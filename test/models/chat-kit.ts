import assert from 'node:assert/strict';
import { afterEach, beforeEach } from 'node:test';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { ModelEvent, ModelRequest } from '../../src/core/model.ts';
import { openAiCompatible, type OpenAiCompatibleOptions } from '../../src/models/chat/model.ts';
import { envSecrets } from '../../src/secrets/env.ts';
import { ask, callsOf, collect, endOf, textOf } from '../contracts/model.ts';
import { type ModelServer, modelServer, type RawAnswer } from '../fakes/model-server.ts';
import { type FakeNet, fakeNet } from '../fakes/net.ts';

export const NOW = Date.parse('2026-11-22T12:00:00Z');
export const KEY = 'sk-wire-canary-0123456789';
/** Sleeps only when told: the wait for usage at the end of an answer. */
export const still: Clock = { now: () => NOW, sleep: (_ms, signal) => untilAborted(signal) };
export const NEVER = new AbortController().signal;

export function untilAborted(signal?: AbortSignal): Promise<void> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
  });
}

export let server: ModelServer;
export let net: FakeNet;
beforeEach(async () => {
  server = await modelServer();
  net = fakeNet();
});
afterEach(() => server.close());

export const model = (more: Partial<OpenAiCompatibleOptions> = {}) =>
  openAiCompatible({
    provider: 'local',
    baseUrl: server.baseUrl,
    apiKey: 'env:LOCAL_KEY',
    net,
    secrets: envSecrets({ env: { LOCAL_KEY: KEY } }),
    clock: still,
    idleMs: 10_000,
    ...more,
  });

/** What the port makes of one answer. */
export async function given(
  answer: RawAnswer | RawAnswer['pieces'],
  request: ModelRequest = ask('hi'),
  more: Partial<OpenAiCompatibleOptions> = {},
): Promise<ModelEvent[]> {
  server.next('pieces' in answer ? answer : { pieces: answer });
  const events = await collect(model(more).stream(request, NEVER));
  endOf(events);
  assert.equal(JSON.stringify(events).includes(KEY), false, 'no key in events');
  return events;
}

export async function failed(answer: RawAnswer | RawAnswer['pieces'], more: Partial<OpenAiCompatibleOptions> = {}) {
  const events = await given(answer, ask('hi'), more);
  const end = endOf(events);
  assert.ok(end.type === 'error', JSON.stringify(end));
  return { ...end.error, text: textOf(events), calls: callsOf(events), usage: end.usage };
}

export async function finished(answer: RawAnswer | RawAnswer['pieces'], request?: ModelRequest) {
  const events = await given(answer, request);
  const end = endOf(events);
  assert.ok(end.type === 'finish', JSON.stringify(end));
  return { reason: end.reason, text: textOf(events), calls: callsOf(events), usage: end.usage, events };
}

export const call = (index: number | null, id: string | null, name: string | null, args: string): object => ({
  tool_calls: [
    {
      ...(index === null ? {} : { index }),
      ...(id === null ? {} : { id }),
      type: 'function',
      function: { ...(name === null ? {} : { name }), arguments: args },
    },
  ],
});
