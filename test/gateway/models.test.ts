import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_USAGE } from '../../src/core/model.ts';
import type { ModelDesk, ModelsView, SetupRequest } from '../../src/core/api/views.ts';
import { echo, withGateway } from './help.ts';

const VIEW: ModelsView = { model: 'demo/demo', demo: true, providers: [], models: [] };

function fakeDesk() {
  const asked: (string | SetupRequest)[] = [];
  const desk: ModelDesk = {
    makers: ['openai', 'gemini'],
    servers: ['ollama'],
    list: async () => VIEW,
    test: async (ref) => {
      asked.push(ref);
      return { ref, ok: false, ms: 7, usage: NO_USAGE, costUsd: 0, said: 'no key' };
    },
    setup: async (request) => {
      asked.push(request);
      return request.kind === 'ollama'
        ? { ok: false, field: 'baseUrl', message: 'nobody there' }
        : { ok: true, model: 'server/q', said: 'Here.' };
    },
  };
  return { desk, asked };
}

test('the models are listed, tested and set up; what does not work is an answer as well', async () => {
  const { desk, asked } = fakeDesk();
  await withGateway(
    echo,
    async ({ call }) => {
      const json = async (path: string, body?: object): Promise<unknown> => {
        const response = await call(path, body === undefined ? {} : { body });
        assert.equal(response.status, 200);
        return response.json();
      };
      assert.deepEqual(await json('/api/models'), VIEW);
      const tried = (await json('/api/models/test', { ref: 'openai/gpt' })) as { ok: boolean; said: string };
      assert.deepEqual([tried.ok, tried.said], [false, 'no key']);
      const url = { kind: 'url', baseUrl: 'http://127.0.0.1:1/v1', model: 'q' };
      assert.deepEqual(await json('/api/setup', { ...url, key: null }), { ok: true, model: 'server/q', said: 'Here.' });
      const ollama = { kind: 'ollama', baseUrl: '127.0.0.1' };
      assert.deepEqual(await json('/api/setup', ollama), { ok: false, field: 'baseUrl', message: 'nobody there' });
      const key = { kind: 'key', provider: 'gemini', key: 'k-0123456789', model: 'm', baseUrl: 'http://127.0.0.1:1' };
      await json('/api/setup', { ...key, more: 'ignored' });
      assert.deepEqual(asked, ['openai/gpt', url, ollama, key]);
    },
    { desk },
  );
});

test('a request that says nothing to set up is refused with the field that is wrong', async () => {
  const { desk, asked } = fakeDesk();
  const cases: [object, string][] = [
    [{}, 'kind'],
    [{ kind: 'key', provider: 'openai-compatible', key: 'k' }, 'provider'],
    [{ kind: 'key', provider: 'openai' }, 'key'],
    [{ kind: 'key', provider: 'openai', key: 7 }, 'key'],
    [{ kind: 'url', baseUrl: 'http://x', model: '' }, 'model'],
    [{ kind: 'url', model: 'q' }, 'baseUrl'],
    [{ kind: 'ollama' }, 'baseUrl'],
  ];
  await withGateway(
    echo,
    async ({ call }) => {
      for (const [body, param] of cases) {
        const response = await call('/api/setup', { body });
        const told = (await response.json()) as { error: { param: string } };
        assert.deepEqual([response.status, told.error.param], [400, param], JSON.stringify(body));
      }
      assert.equal((await call('/api/models/test', { body: {} })).status, 400);
      assert.equal(
        (await call('/api/models', { headers: { authorization: 'Bearer wrong-token-0123456' } })).status,
        401,
      );
    },
    { desk },
  );
  assert.equal(asked.length, 0);
});

test('a gateway without models has no such paths', async () => {
  await withGateway(echo, async ({ call }) => {
    for (const path of ['/api/models', '/api/setup', '/api/models/test']) assert.equal((await call(path)).status, 404);
  });
});
