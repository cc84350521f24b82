import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LLMock } from '@copilotkit/aimock';
import type { Clock } from '../../src/core/ports/clock.ts';
import { openAiCompatible } from '../../src/models/chat/model.ts';
import { envSecrets } from '../../src/secrets/env.ts';
import { ask, askedAndRead, callsOf, collect, endOf, textOf } from '../contracts/model.ts';
import { fakeNet } from '../fakes/net.ts';

const clock: Clock = { now: () => 0, sleep: () => new Promise(() => {}) };
const NEVER = new AbortController().signal;

function portOf(mock: LLMock) {
  const secrets = envSecrets({ env: { AIMOCK_KEY: 'mock-key-0123' } });
  const baseUrl = `${mock.url}/v1`;
  return openAiCompatible({ provider: 'aimock', baseUrl, apiKey: 'env:AIMOCK_KEY', net: fakeNet(), secrets, clock });
}

async function mocked(): Promise<LLMock> {
  const mock = new LLMock({ port: 0, logLevel: 'silent' });
  mock.on(
    { userMessage: 'read one', hasToolResult: false },
    { toolCalls: [{ name: 'read', arguments: '{"path":"a.md"}' }] },
  );
  mock.on({ userMessage: 'read one', hasToolResult: true }, { content: 'It says RESULT-7.' });
  mock.onMessage('hello', { content: 'Hello from the mock, in more than one piece.' });
  await mock.start();
  return mock;
}

test('aimock counts tokens, and what it does not know is an error that names the model', async () => {
  const mock = await mocked();
  try {
    const known = endOf(await collect(portOf(mock).stream(ask('hello'), NEVER)));
    assert.ok(known.type === 'finish' && known.usage.output > 0, JSON.stringify(known));
    const unknown = endOf(await collect(portOf(mock).stream(ask('nobody answers this', { model: 'gone' }), NEVER)));
    assert.ok(unknown.type === 'error' && !unknown.error.retryable, JSON.stringify(unknown));
    assert.match(unknown.error.message, /"gone"/);
  } finally {
    await mock.stop();
  }
});

test('a conversation over the wire: call, result, answer', async () => {
  const mock = await mocked();
  try {
    const first = await collect(portOf(mock).stream(ask('read one'), NEVER));
    assert.equal(callsOf(first).length, 1);
    const second = await collect(portOf(mock).stream(askedAndRead('read one'), NEVER));
    assert.equal(textOf(second), 'It says RESULT-7.');
    assert.equal(mock.getRequests().length, 2);
  } finally {
    await mock.stop();
  }
});
