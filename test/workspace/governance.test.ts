import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AGENT, makeWorkspace, write } from './govern-kit.ts';
import type { TestWorkspace } from './govern-kit.ts';
import { SETTINGS } from '../fakes/governance.ts';
import { workClock } from '../fakes/work-ms.ts';

let kit: TestWorkspace;
before(async () => {
  kit = await makeWorkspace();
});
after(() => kit.remove());

async function load(commit: string) {
  const loaded = await kit.reader.load(commit);
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return loaded.governance;
}

test('a broken agent is refused with file, line and reason; the others work', async () => {
  const commit = await kit.commit({
    'ruche.yaml': 'concurrency: 9\n',
    'agents/broken/AGENT.md': '---\nmodel: light\nmodle: x\n---\nHi\n',
    'agents/mail/AGENT.md': '---\nmodel: light\n---\nYou sort mail.\n',
    'agents/mail/SOUL.md': '\ufeffYou are calm.\r\n',
    'agents/mail/USER.md': 'The owner is Ada.\n',
    'agents/notes/MEMORY.md': 'no agent here\n',
  });
  const governance = await load(commit);
  assert.equal(governance.commit, commit);
  assert.equal(governance.settings.concurrency, 9);
  assert.deepEqual([...governance.agents.keys()], ['assistant', 'mail']);
  assert.equal(governance.agents.get('mail')?.instructions, 'You sort mail.\n\nYou are calm.\n\nThe owner is Ada.');
  assert.deepEqual(
    governance.problems.map(({ file, line, key }) => ({ file, line, key })),
    [{ file: 'agents/broken/AGENT.md', line: 3, key: 'modle' }],
  );
  await kit.commit({ 'agents/broken': null });
});

test('what is in the working tree does not count, only the commit', async () => {
  const commit = await kit.workspace.head();
  await write(kit.dir, 'ruche.yaml', 'concurrency: 1\n');
  assert.equal((await load(commit)).settings.concurrency, 9);
  await kit.git('checkout', '--', 'ruche.yaml');
});

test('a broken or missing ruche.yaml and an unknown commit are told of, not thrown', async () => {
  const broken = await kit.commit({ 'ruche.yaml': 'concurency: 9\n' });
  const first = await kit.reader.load(broken);
  assert.ok(!first.ok);
  assert.deepEqual([first.problems[0]?.file, first.problems[0]?.line], ['ruche.yaml', 1]);
  const missing = await kit.reader.load(await kit.commit({ 'ruche.yaml': null }));
  assert.ok(!missing.ok);
  assert.match(missing.problems[0]?.message ?? '', /is missing; write one/);
  const unknown = await kit.reader.load('a'.repeat(40));
  assert.ok(!unknown.ok);
  await assert.rejects(kit.reader.load('--help'), /not the id of a commit/);
  await kit.commit({ 'ruche.yaml': 'concurrency: 9\n' });
});

test('links, names of the wrong form and names that differ in case are refused', async () => {
  await symlink('/etc/passwd', join(kit.dir, 'agents/mail/IDENTITY.md'));
  await write(kit.dir, 'agents/Mail/AGENT.md', AGENT);
  await write(kit.dir, 'agents/new_agent/AGENT.md', AGENT);
  await write(kit.dir, 'Ruche.yaml', 'concurrency: 1\n');
  await kit.git('add', '-A');
  await kit.git('commit', '-q', '-m', 'Tricks');
  const governance = await load(await kit.workspace.head());
  assert.deepEqual([...governance.agents.keys()], ['assistant']);
  const said = governance.problems.map((p) => `${p.file}: ${p.message}`).join('\n');
  assert.match(said, /agents\/mail\/IDENTITY.md: must be a plain file, not a link/);
  assert.match(said, /agents\/Mail: differs from agents\/mail only in case/);
  assert.match(said, /agents\/new_agent\/AGENT.md: "new_agent" cannot be the name/);
  assert.match(said, /Ruche.yaml: is named like ruche.yaml/);
  await kit.git('reset', '-q', '--hard', 'HEAD~1');
});

test('A25 a .env in the workspace sets nothing', async () => {
  const before = { ...process.env };
  const commit = await kit.commit({
    '.env': 'PATH=/evil\nnpm_execpath=/evil\nOPENAI_API_KEY=sk-evil\nRUCHE_TOKEN=evil\n',
    'agents/assistant/.env': 'LD_PRELOAD=/evil.so\n',
  });
  const governance = await load(commit);
  assert.deepEqual({ ...process.env }, before);
  assert.deepEqual(governance.settings.tiers.standard, []);
  assert.ok(!JSON.stringify([...governance.agents]).includes('evil'));
});

test('A26 code in the workspace is never loaded', async () => {
  const marker = '__ruche_loaded';
  const code = `globalThis.${marker} = true;\n`;
  const commit = await kit.commit({
    'plugin/setup-api.js': code,
    'package.json': '{"name":"ruche","main":"index.js","type":"module"}\n',
    'index.js': code,
    'ruche.config.js': code,
    'agents/assistant/AGENT.js': code,
    'agents/assistant/tools/read.js': code,
  });
  await load(commit);
  assert.equal(marker in globalThis, false);
  const quoted = await kit.commit({
    'ruche.yaml': 'concurrency: !!js/function "function(){ globalThis.__ruche_loaded = 1 }"\n',
  });
  assert.equal((await kit.reader.load(quoted)).ok, false);
  assert.equal(marker in globalThis, false);
  await kit.commit({ 'ruche.yaml': '' });
});

test('a hundred agents load in well under a second, and again at once', async () => {
  const files: Record<string, string> = {};
  for (let at = 0; at < 100; at += 1) {
    files[`agents/a${at}/AGENT.md`] = `---\ndescription: Agent ${at}\ntools: [read, write]\n---\nYou are ${at}.\n`;
    files[`agents/a${at}/SOUL.md`] = 'Calm.\n';
  }
  const commit = await kit.commit(files);
  const worked = workClock();
  assert.equal((await load(commit)).agents.size >= 100, true);
  assert.ok(worked() < 3000);
  const again = await kit.commit({ 'notes.md': 'x\n' });
  const reread = workClock();
  assert.equal((await load(again)).commit, again);
  assert.ok(reread() < 500);
});

test('check says of a saved file what load would say of it', () => {
  const { reader } = kit;
  const local = { name: 'local', type: 'openai-compatible', baseUrl: 'http://x', apiKey: null } as const;
  const beside = { ...SETTINGS, providers: [local] };
  const check = (path: string, text: string | null) =>
    reader
      .check(path, text === null ? null : Buffer.from(text), beside)
      .map((p) => `${p.file}:${p.line} ${p.severity}`);
  assert.deepEqual(check('ruche.yaml', 'concurrency: 3\n'), []);
  assert.deepEqual(check('ruche.yaml', 'concurrency: x\n'), ['ruche.yaml:1 error']);
  assert.deepEqual(check('ruche.yaml', null), ['ruche.yaml:null error']);
  assert.deepEqual(check('agents/a/AGENT.md', '---\nmodel: local/x\n---\n'), []);
  assert.deepEqual(check('agents/a/AGENT.md', '---\nmodel: other/x\n---\n'), ['agents/a/AGENT.md:2 error']);
  assert.deepEqual(check('agents/A/AGENT.md', '---\n---\n'), ['agents/A/AGENT.md:null error']);
  assert.deepEqual(check('agents/a/AGENT.md', null), []);
  assert.deepEqual(check('agents/a/SOUL.md', 'fine\n'), []);
});

test('an entry of an agent that the list of ruche.yaml leaves nothing of is named', async () => {
  const commit = await kit.commit({
    'ruche.yaml': 'network: ["*.example.org", { host: x.org, methods: [GET] }]\n',
    'agents/narrow/AGENT.md':
      '---\nnetwork: [a.example.org, b.example.com, x.org, { host: x.org, methods: [PUT] }]\n---\n',
  });
  const { problems } = await load(commit);
  const lost = problems.filter(({ file, key }) => file === 'agents/narrow/AGENT.md' && key.startsWith('network.'));
  assert.deepEqual(
    lost.map(({ key, severity }) => `${key} ${severity}`),
    ['network.1 warning', 'network.3 warning'],
  );
  assert.match(lost[0]?.message ?? '', /b\.example\.com is not in the network list of ruche\.yaml/);
  await kit.commit({ 'ruche.yaml': 'concurrency: 9\n', 'agents/narrow/AGENT.md': null });
});

test('a secret for an agent that there is not is named, and the others keep theirs', async () => {
  const secret = "{ for: [assistant, asistant], host: x.example, header: Authorization, format: 'Bearer {}' }";
  const commit = await kit.commit({ 'ruche.yaml': `secrets:\n  key: ${secret}\n` });
  const { problems, settings } = await load(commit);
  const lost = problems.find(({ key }) => key === 'secrets.key.for.1');
  assert.deepEqual([lost?.file, lost?.line, lost?.severity], ['ruche.yaml', 2, 'warning']);
  assert.match(lost?.message ?? '', /there is no agent "asistant".*Did you mean "assistant"/);
  assert.equal(settings.secrets?.[0]?.name, 'key');
  await kit.commit({ 'ruche.yaml': 'concurrency: 9\n' });
});
