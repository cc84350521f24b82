import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelsText } from '../../src/cli/models.ts';
import { NO_USAGE } from '../../src/core/model.ts';
import type { ModelsView } from '../../src/core/api/views.ts';

const VIEW: ModelsView = {
  model: 'anthropic/claude-sonnet-5-5',
  demo: false,
  providers: [
    {
      name: 'anthropic',
      type: 'anthropic',
      baseUrl: 'https://api.anthropic.com',
      source: 'home',
      key: 'home:anthropic',
      problem: '',
    },
    {
      name: 'gpu',
      type: 'ollama',
      baseUrl: 'http://gpu.lan:11434',
      source: 'ruche.yaml',
      key: null,
      problem: 'no Ollama answers\u001b[2J.',
    },
  ],
  models: [
    {
      ref: 'anthropic/claude-sonnet-5-5',
      provider: 'anthropic',
      model: 'claude-sonnet-5-5',
      tiers: [
        { tier: 'light', place: 1 },
        { tier: 'standard', place: 0 },
      ],
      window: 1_000_000,
      images: true,
      reasoning: true,
      price: { input: 2, cached: 0.1, output: 10, asOf: '2026-11-22' },
      problem: '',
    },
    {
      ref: 'gpu/qwen3',
      provider: 'gpu',
      model: 'qwen3',
      tiers: [],
      window: 32_768,
      images: false,
      reasoning: false,
      price: null,
      problem: 'ollama pull qwen3',
    },
  ],
};

test('the table says which model answers, what each can do, costs and lacks', () => {
  const lines = modelsText(VIEW, []).split('\n');
  assert.equal(lines[0], 'anthropic/claude-sonnet-5-5 answers.');
  assert.match(lines[2] ?? '', /^MODEL +TIERS +WINDOW +CAN +IN \/ CACHED \/ OUT$/);
  assert.match(
    lines[3] ?? '',
    /^anthropic\/claude-sonnet-5-5 {2}light 2, standard {2}1M +images, thinks {2}2 \/ 0\.1 \/ 10$/,
  );
  assert.match(lines[4] ?? '', /^gpu\/qwen3 +33k +ollama pull qwen3$/);
  assert.match(lines[7] ?? '', /^anthropic +home +home:anthropic +https:\/\/api\.anthropic\.com$/);
  assert.match(lines.at(-1) ?? '', /USD per million tokens, as of 2026-11-22/);
  assert.ok(!lines.join('').includes('\u001b'), 'nothing steers the terminal');
});

test('a window that is assumed says so', () => {
  const models = VIEW.models.map((each) => (each.price ? each : { ...each, window: null, assumed: 8_192 }));
  assert.match(modelsText({ ...VIEW, models }, []), /^gpu\/qwen3 +8k assumed/m);
});

test('F7 a price that nobody says is unknown, in the table and of a test', () => {
  const models = VIEW.models.map((each) => (each.price ? each : { ...each, unpriced: true, problem: '' }));
  assert.match(modelsText({ ...VIEW, models }, []), /^gpu\/qwen3 +33k +unknown$/m);
  const test = { ref: 'gpu/qwen3', ok: true, ms: 1234, usage: NO_USAGE, costUsd: 0, unpriced: true, said: 'Here.' };
  assert.match(modelsText({ ...VIEW, models }, [test]), /works: 1\.2 s, cost unknown$/m);
});

test('without any key no model answers, and why is said once', () => {
  const problem = 'ANTHROPIC_API_KEY is not set.';
  const providers = VIEW.providers.map((each) => (each.name === 'anthropic' ? { ...each, problem } : each));
  const text = modelsText({ ...VIEW, providers, models: VIEW.models.map((each) => ({ ...each, problem })) }, []);
  assert.match(text, /^No model can answer: anthropic\/claude-sonnet-5-5: ANTHROPIC_API_KEY is not set\.\n/);
  assert.match(text, /cannot answer: see anthropic below$/m);
  assert.doesNotMatch(text, / answers\./);
});

test('a test says how long it took and what it cost, or what is wrong', () => {
  const ref = 'anthropic/claude-sonnet-5-5';
  const test = { ref, ok: true, ms: 1234, usage: NO_USAGE, costUsd: 0.00012, said: 'Here.' };
  assert.match(modelsText(VIEW, [test]), /works: 1\.2 s, \$0\.00012$/m);
  assert.match(modelsText(VIEW, [{ ...test, ok: false, said: 'refused the key' }]), /fails: refused the key$/m);
});

test('the demo says what it is, and a list without prices has none', () => {
  const demo = modelsText({ model: 'demo/demo', demo: true, providers: [], models: [] }, []);
  assert.match(demo, /^demo\/demo answers: the built-in demo/);
  assert.doesNotMatch(demo, /USD/);
});
