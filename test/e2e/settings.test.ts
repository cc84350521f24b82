import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Problem } from '../../src/core/agent.ts';
import { AGENT, Home } from '../fakes/home.ts';
import type { ModelServer } from '../fakes/model-server.ts';
import { modelsYaml, obedientModel } from '../fakes/obedient-model.ts';
import { until } from '../fakes/until.ts';

/** Milliseconds in which a saved change usually applies; a machine under load may take longer once. */
const SECOND = 1_000;
const took: number[] = [];

let server: ModelServer;
let home: Home;
before(async () => {
  server = await obedientModel();
  home = await Home.up({
    beside: [server],
    env: { WIRE_KEY: 'a-key-0123456789' },
    files: { 'ruche.yaml': 'concurrency: 5\n', 'agents/assistant/AGENT.md': AGENT, 'agents/other/AGENT.md': AGENT },
  });
});
after(() => home.close());

/** Waits for what a saved file brings about, and notes how long it took. */
async function soon<T>(look: () => Promise<T>, what: string): Promise<NonNullable<T>> {
  const before = performance.now();
  const found = await until(look, what);
  took.push(performance.now() - before);
  return found;
}

const problems = async (): Promise<readonly Problem[]> => (await home.status()).problems;
const errorAt = (file: string) => async (): Promise<Problem | undefined> =>
  (await problems()).find((problem) => problem.file === file && problem.severity === 'error');
const agents = async (): Promise<string[]> =>
  (await home.api<{ agents: { name: string }[] }>('/api/agents')).agents.map(({ name }) => name);

test('a saved ruche.yaml applies within a second, without a restart, and is committed under the person’s name', async () => {
  const { pid } = home;
  home.write('ruche.yaml', modelsYaml(server.baseUrl));
  await until(async () => (await home.status()).model === 'wire/obedient', 'the new model');
  assert.equal((await home.ask('hello')).text, 'You said: hello');
  assert.equal(home.pid, pid);
  assert.equal(home.git('log', '-1', '--format=%an', '--', 'ruche.yaml').trim(), 'owner');
  assert.equal(home.git('status', '--porcelain').trim(), '');
  assert.deepEqual(await problems(), []);
});

test('the public address applies as it is saved: links name it', async () => {
  const link = async (): Promise<string> =>
    (await home.api<{ publicUrl: string | null }>('/api/logins', {})).publicUrl ?? '';
  assert.equal(await link(), '');
  home.write('ruche.yaml', `${modelsYaml(server.baseUrl)}publicUrl: https://Ruche.Example.org/\n`);
  await until(async () => (await link()) === 'https://ruche.example.org', 'the public address');
  const { out, err } = await home.cli('login');
  assert.match(out, /^https:\/\/ruche\.example\.org\/login#[\w-]{22}\n$/);
  assert.match(err, /On this machine http:\/\/127\.0\.0\.1:\d+\/login#[\w-]{22} works, too\./);
});

test('an invalid one keeps the old, and the status says file, line and key', async () => {
  const cases: [yaml: string, line: number, key: string, said: RegExp][] = [
    [`${modelsYaml(server.baseUrl)}concurency: 5\n`, 5, 'concurency', /concurrency/],
    [`${modelsYaml(server.baseUrl)}concurrency: many\n`, 5, 'concurrency', /number/],
    [`${modelsYaml(server.baseUrl)}limits:\n  steps: 0\n`, 6, 'limits.steps', />=1|at least 1/],
    ['publicUrl: https://example.org/ruche\n', 1, 'publicUrl', /without a path/],
    ['models:\n  standard: [nowhere/gpt]\n', 2, 'models.standard.0', /nowhere/],
    ['models:\n  standard: [demo/demo\n', 3, '', /./],
    ['concurrency: 5\nconcurrency: 6\n', 2, 'concurrency', /second time/],
    [
      'models: { providers: { x: { type: openai-compatible, apiKey: sk-1234567890 } } }\n',
      1,
      'models.providers.x.apiKey',
      /env:/,
    ],
  ];
  for (const [yaml, line, key, said] of cases) {
    home.write('ruche.yaml', yaml);
    const problem = await soon(errorAt('ruche.yaml'), `a problem of ${yaml}`);
    assert.match(problem.message, said, yaml);
    assert.deepEqual([problem.line, problem.key], [line, key], `${yaml}: ${JSON.stringify(problem)}`);
    assert.equal((await home.status()).model, 'wire/obedient', 'the old settings stay');
    home.write('ruche.yaml', modelsYaml(server.baseUrl));
    await soon(async () => (await problems()).length === 0, 'no problem any more');
  }
  assert.equal(cases.length, 8);
  assert.equal((await home.ask('still there?')).text, 'You said: still there?');
  assert.equal((await home.events('config.refused')).length, cases.length, 'each is on record');
});

test('keys that are known but not built yet warn and apply', async () => {
  home.write('ruche.yaml', `${modelsYaml(server.baseUrl)}budgets: { usd: { day: 2 } }\n`);
  const warned = await soon(async () => (await problems()).find(({ key }) => key === 'budgets'), 'a warning');
  assert.deepEqual([warned.severity, warned.line], ['warning', 5]);
  home.write('ruche.yaml', modelsYaml(server.baseUrl));
  await soon(async () => (await problems()).length === 0, 'no warning any more');
});

test('a saved AGENT.md that is broken keeps the old one and is named; the other agents work', async () => {
  home.write('agents/other/AGENT.md', '---\ndescription: helps\nmodle: light\n---\nYou help.\n');
  const problem = await soon(errorAt('agents/other/AGENT.md'), 'the broken agent');
  assert.deepEqual([problem.line, problem.key], [3, 'modle']);
  assert.match(problem.message, /model/);
  assert.equal((await home.ask('hello', 'a', 'assistant')).status, 'done');
  assert.equal((await home.ask('hello', 'b', 'other')).status, 'done', 'as it was before');
  home.write('agents/other/AGENT.md', AGENT);
  await soon(async () => (await problems()).length === 0, 'no problem any more');
});

test('a broken AGENT.md on main refuses that agent only, at the start too', async () => {
  home.write('agents/other/AGENT.md', '---\ndescription: [\n---\nYou help.\n');
  home.git('add', '-A');
  home.commit('break one agent');
  await soon(errorAt('agents/other/AGENT.md'), 'the broken agent');
  assert.equal(await home.end('SIGTERM'), 0);
  await home.start();
  assert.match(home.out, /Problems:\n {2}error: agents\/other\/AGENT\.md:\d/);
  assert.deepEqual(await agents(), ['assistant']);
  assert.equal((await home.ask('hello', 'c', 'assistant')).status, 'done');
  const { code, err } = await home.cli('ask', 'other', 'hello');
  assert.equal(code, 1);
  assert.match(err, /Unknown agent "other"\. Known: assistant/);
  const doctor = await home.cli('doctor');
  assert.match(doctor.out, /agents\/other\/AGENT\.md:\d/);
});

test('an agent that is saved anew, and one that is removed, are there and gone within a second', async () => {
  home.write('agents/third/AGENT.md', AGENT);
  await soon(async () => (await agents()).includes('third'), 'the new agent');
  assert.equal((await home.ask('hello', 'd', 'third')).text, 'You said: hello');
  rmSync(home.path('agents/third'), { recursive: true });
  await soon(async () => !(await agents()).includes('third'), 'no agent any more');
  const { findings } = await home.verify();
  assert.deepEqual(findings, []);
});

test('a saved change applies within a second', (context) => {
  const sorted = took.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? Infinity;
  assert.ok(took.length >= 15 && median < SECOND, String(took));
  context.diagnostic(
    `${took.length} saved changes, median ${Math.round(median)} ms, slowest ${Math.round(sorted.at(-1) ?? 0)} ms`,
  );
});
