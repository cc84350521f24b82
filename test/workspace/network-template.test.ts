import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { BUILTIN, knownOf } from '../../src/app/builtin.ts';
import { sourceText } from '../../src/core/trigger.ts';
import { decide } from '../../src/policy/decide.ts';
import { readBundled } from '../../src/skills/judge.ts';
import { parseAgent } from '../../src/config/agent.ts';
import { parseSettings } from '../../src/config/settings.ts';
import { readTemplate } from '../../src/workspace/init.ts';
import { makeWorkspace } from './govern-kit.ts';
import { KNOWN } from '../fakes/known.ts';

const known = { ...KNOWN, chains: ['owner'] };
const ROOT = join(import.meta.dirname, '../..');
const NAMES = ['system', 'email', 'calendar', 'writing', 'billing'];
const files = await readTemplate(join(ROOT, 'templates/network'));
const text = (path: string): string => Buffer.from(files.get(path) ?? []).toString('utf8');
const agentText = (name: string): string => text(`agents/${name}/AGENT.md`);

test('the network is read without a problem, system first', async () => {
  const kit = await makeWorkspace(Object.fromEntries(files));
  try {
    const loaded = await kit.reader.load(await kit.workspace.head());
    assert.ok(loaded.ok);
    const { agents, settings, problems } = loaded.governance;
    // The reader of this kit has other bundled skills than the package.
    assert.deepEqual(
      problems.filter(({ key }) => key !== 'skills'),
      [],
    );
    assert.equal([...agents.keys()][0], 'system');
    assert.deepEqual([...agents.keys()].sort(), [...NAMES].sort());
    assert.deepEqual(settings.bindings, [{ channel: null, chat: null, agent: 'system' }]);
  } finally {
    await kit.remove();
  }
});

test('each agent has purpose, tools, rules that narrow, and a page of text; its skills are bundled', async () => {
  const bundled = await readBundled(join(ROOT, 'skills'));
  for (const name of NAMES) {
    const { agent, problems } = parseAgent(agentText(name), 'AGENT.md', name, known);
    assert.deepEqual(problems, [], name);
    assert.ok(agent && agent.description.length > 40 && agent.rules.length > 0 && agent.tools.includes('ask'), name);
    assert.ok(agent.schedules.length > 0, `${name} does something by the clock`);
    // Not everybody lives where we do.
    assert.ok(
      agent.schedules.every(({ timing }) => timing.zone === null),
      `${name} goes by the clock of the machine`,
    );
    assert.ok(agent.skills?.every((skill) => bundled.has(skill)) ?? true, name);
    const tokens = encode(agent.instructions).length;
    assert.ok(tokens > 200 && tokens < 800, `${name}: ${tokens} tokens`);
  }
  for (const name of ['email', 'calendar'])
    assert.match(agentText(name), /no account is connected[^]*Say so when somebody asks/, `${name} says what it lacks`);
});

test('triggers: what happens is passed on, each to whom it concerns', () => {
  const found = NAMES.flatMap((name) => {
    const { agent } = parseAgent(agentText(name), 'AGENT.md', name, known);
    return (agent?.triggers ?? []).map((trigger) => [name, trigger.name, sourceText(trigger.source)]);
  });
  assert.deepEqual(found, [
    ['system', 'failed', 'run.failed'],
    ['email', 'deadline', 'file.landed shared/deadlines/*.md'],
    ['calendar', 'new-deadline', 'file.landed shared/deadlines/*.md'],
    ['billing', 'times', 'file.landed shared/billing/times/*.csv'],
  ]);
});

test('what comes later stands in comments, which are known keys once the marks are off', () => {
  for (const name of NAMES) {
    const written = agentText(name).replaceAll(/^# {1,3}(?=(?:triggers|- ):?)/gm, (mark) => mark.slice(2));
    const { agent, problems } = parseAgent(written, 'AGENT.md', name, known);
    assert.ok(agent, `${name}: ${JSON.stringify(problems)}`);
    assert.deepEqual(
      problems.filter(({ severity }) => severity === 'error'),
      [],
      name,
    );
    assert.match(written, /^escalation: owner$/m, name);
  }
  const written = text('ruche.yaml')
    .replaceAll(/^# (?=models:|channels:|queues:| {2})/gm, '')
    .replaceAll(/^ *# *(?=- \{ channel)/gm, '  ')
    .replaceAll(/^ *# *(?=- \{ after)/gm, '    ');
  const { settings, problems } = parseSettings(written, 'ruche.yaml', knownOf(BUILTIN));
  assert.deepEqual(
    problems.filter(({ severity }) => severity === 'error'),
    [],
  );
  assert.deepEqual(
    settings?.escalation?.['owner']?.map(({ to }) => to),
    ['telegram:123456789', 'agent:system', 'deny'],
  );
  assert.equal(settings?.bindings?.length, 2);
  assert.equal(settings.channels[0]?.owners[0], '123456789');
});

test('the rules do what they say', () => {
  const verdict = (name: string, path: string, effect: 'read' | 'write' = 'write'): string => {
    const { agent } = parseAgent(agentText(name), 'AGENT.md', name, known);
    assert.ok(agent);
    const facts = {
      rules: [],
      agentRules: agent.rules,
      tools: agent.tools,
      network: null,
      sandboxed: true,
      labels: [],
    };
    return decide({ tool: effect, effect, paths: [path] }, facts).verdict;
  };
  const cases: [string, string, string][] = [
    ['system', 'shared/billing/invoices/2026-001.md', 'deny'],
    ['system', 'shared/reports/2026-11.md', 'allow'],
    ['email', 'shared/mail/rules.md', 'ask'],
    ['email', 'shared/mail/archive/x.eml', 'deny'],
    ['email', 'shared/mail/digests/2026-11-22.md', 'allow'],
    ['calendar', 'shared/mail/rules.md', 'deny'],
    ['writing', 'shared/writing/published/x.md', 'ask'],
    ['writing', 'shared/blog/post.md', 'allow'],
    ['billing', 'shared/billing/invoices/2026-001.md', 'ask'],
    ['billing', 'shared/billing/bank/2026-11.csv', 'deny'],
    ['billing', 'shared/blog/move.md', 'allow'],
  ];
  for (const [name, path, expected] of cases) assert.equal(verdict(name, path), expected, `${name} ${path}`);
  for (const name of NAMES) assert.equal(verdict(name, 'shared/billing/bank/2026-11.csv', 'read'), 'allow');
});

test('every folder of shared/ says what it is for, and is named in its README', () => {
  const folders = new Set([...files.keys()].flatMap((path) => /^shared\/([^/]+)\//.exec(path)?.[1] ?? []));
  assert.equal(folders.size, 6);
  for (const folder of folders) {
    assert.ok(text(`shared/${folder}/README.md`).length > 50, folder);
    assert.ok(text('shared/README.md').includes(`\`${folder}/\``), folder);
  }
  assert.ok(files.has('.gitignore') && files.has('.ruche/agent.schema.json') && files.has('README.md'));
});

test('the .gitignore of every template keeps secrets out, and lets the examples of them in', async () => {
  const examples = ['.env.example', '.env.sample', '.env.template', '.env.dist', '.env.production.example'];
  for (const name of ['network', 'solo']) {
    const dir = await mkdtemp(join(tmpdir(), 'ruche-ignore-'));
    try {
      const rules = (await readTemplate(join(ROOT, 'templates', name))).get('.gitignore');
      await writeFile(join(dir, '.gitignore'), rules ?? '');
      spawnSync('git', ['init', '-q'], { cwd: dir });
      const ignored = (path: string): boolean =>
        spawnSync('git', ['check-ignore', '-q', path], { cwd: dir }).status === 0;
      for (const path of ['.env', '.env.local', '.env.example.local', 'web/.env.production', 'a.pem'])
        assert.ok(ignored(path), `${name}: ${path}`);
      for (const path of [...examples, 'web/.env.example']) assert.ok(!ignored(path), `${name}: ${path}`);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  }
});
