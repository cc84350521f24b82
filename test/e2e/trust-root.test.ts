import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Pending, TaskOutcome } from '../../src/core/api/runtime.ts';
import { AGENT, Home } from '../fakes/home.ts';
import { until } from '../fakes/until.ts';

const OTHER = '---\ndescription: helps\nmodel: light\n---\nYou help.\n';
const OPEN = 'policy: { rules: [ { id: open, allow: { host: "127.0.0.1" }, reason: "opened" } ] }';

let home: Home;
before(async () => {
  home = await Home.up({
    files: { 'ruche.yaml': 'concurrency: 5\n', 'agents/assistant/AGENT.md': AGENT, 'agents/other/AGENT.md': OTHER },
  });
});
after(() => home.close());

/** The commit whose settings govern. */
const governing = async (): Promise<unknown> => (await home.recorded('config.applied')).at(-1)?.['commit'];
const theWait = ({ status, waits, text }: TaskOutcome): Pending => {
  assert.equal(status, 'waiting', text);
  assert.equal(waits.length, 1, text);
  return waits[0] ?? assert.fail();
};

test('a landing that changes ruche.yaml waits for an approval that shows the difference; denied, the rest lands', async () => {
  const before = await governing();
  const outcome = await home.ask(`write beside.md: harmless, then write ruche.yaml: ${OPEN}`, 'denied');
  const wait = theWait(outcome);
  assert.match(wait.text, /^-concurrency: 5$/m);
  assert.ok(wait.text.includes(`+${OPEN}`), wait.text);
  assert.match((await home.cli('approvals')).out, /\+policy: \{ rules:/);
  assert.ok(!home.exists('beside.md'), 'nothing lands before the answer');
  assert.equal(home.read('ruche.yaml'), 'concurrency: 5\n');
  const { code } = await home.cli('deny', wait.id, '--note', 'not like this');
  assert.equal(code, 0);
  assert.match((await home.cli('log', '--json', '--type', 'approval.answered')).out, /"reason":\{/);
  const done = await home.settled(outcome.task);
  assert.equal(done.status, 'done', done.text);
  assert.equal(home.read('beside.md'), 'harmless');
  assert.equal(home.read('ruche.yaml'), 'concurrency: 5\n');
  assert.deepEqual(home.git('show', '--name-only', '--format=', 'main').trim(), 'beside.md');
  assert.equal(await governing(), before);
  assert.equal((await home.settled(outcome.task)).waits.length, 0);
});

test('approved, it lands and applies', async () => {
  assert.match((await home.ask('fetch http://127.0.0.1:9/')).text, /this machine itself/);
  const outcome = await home.ask(`write ruche.yaml: ${OPEN}`, 'approved');
  await home.answer(theWait(outcome).id, 'approve');
  const done = await home.settled(outcome.task);
  assert.equal(done.status, 'done', done.text);
  assert.equal(home.read('ruche.yaml'), OPEN);
  assert.equal(home.git('log', '-1', '--format=%an', '--', 'ruche.yaml').trim(), 'assistant');
  assert.equal(await governing(), done.commit);
  assert.match((await home.ask('fetch http://127.0.0.1:9/')).text, /ECONNREFUSED|refused/i, 'the rule holds now');
});

test('H6 keys and prose of an AGENT.md wait, in a new one too; its description does not', async () => {
  const tools = OTHER.replace('model', 'tools: [read, shell]\nmodel');
  const described = OTHER.replace('helps', 'helps people');
  const done = await home.ask(`write agents/other/AGENT.md: ${described}`);
  assert.equal(done.status, 'done', done.text);
  assert.equal(home.read('agents/other/AGENT.md'), described);
  for (const edit of [
    `agents/other/AGENT.md: ${OTHER.replace('You help.', 'INJECTED')}`,
    'agents/other/IDENTITY.md: INJECTED',
  ]) {
    const injected = await home.ask(`write ${edit}`);
    const inject = theWait(injected);
    assert.match(inject.text, /^\+INJECTED$/m);
    await home.answer(inject.id, 'deny');
    assert.equal((await home.settled(injected.task)).status, 'done');
  }
  const asked = await home.ask(`write agents/other/AGENT.md: ${tools}`);
  const wait = theWait(asked);
  assert.match(wait.text, /^\+ tools: \["read","shell"\]$/m);
  await home.answer(wait.id, 'deny');
  assert.equal((await home.settled(asked.task)).status, 'done');
  assert.equal(home.read('agents/other/AGENT.md'), described);
  const fresh = await home.ask(`write agents/new/AGENT.md: ${tools}`);
  await home.answer(theWait(fresh).id, 'deny');
  assert.equal((await home.settled(fresh.task)).status, 'done');
  assert.ok(!home.exists('agents/new/AGENT.md'));
});

test('H7 what runs outside the sandbox waits, written by a tool or by a command, and what cannot be shown is refused', async () => {
  for (const work of [
    'write .github/workflows/ci.yml: on: push',
    'run: mkdir -p docs && echo "* -diff" > docs/.gitattributes',
    'run: mkdir -p .VSCode && echo "{}" > .VSCode/tasks.json',
  ]) {
    const outcome = await home.ask(work);
    const wait = theWait(outcome);
    assert.match(wait.text, /^\+(on: push|\* -diff|\{\})$/m, work);
    await home.answer(wait.id, 'deny');
    assert.equal((await home.settled(outcome.task)).status, 'done', work);
  }
  assert.deepEqual(home.git('ls-files', '*.yml', '*.gitattributes', '.VSCode').trim(), '');
  const long = await home.ask('run: (seq 80000; echo "policy: {}") > ruche.yaml');
  assert.equal(long.status, 'failed', long.text);
  assert.match(long.text, /cannot be shown them whole: the difference has \d+ characters/);
  assert.deepEqual(await home.pending(), []);
});

test('a shell command, a link and a rename reach what governs no more than a write does', async () => {
  for (const command of [
    'echo "concurrency: 7" > ruche.yaml',
    'mkdir agents/evil && cp agents/other/AGENT.md agents/evil/AGENT.md',
    'sed -i s/light/strong/ agents/other/AGENT.md',
    'git mv agents/other agents/moved',
    'rm ruche.yaml && ln -s README.md ruche.yaml',
  ]) {
    const outcome = await home.ask(`run: ${command}`);
    const wait = theWait(outcome);
    await home.answer(wait.id, 'deny');
    assert.equal((await home.settled(outcome.task)).status, 'done', command);
  }
  assert.equal(home.read('ruche.yaml'), OPEN);
  assert.deepEqual(home.git('ls-tree', '-r', '--name-only', 'main', 'agents').trim().split('\n'), [
    'agents/assistant/AGENT.md',
    'agents/other/AGENT.md',
  ]);
});

/** Somebody else's commit, brought in the way `git pull` does it. */
function pull(files: Record<string, string>): void {
  const clone = join(home.dir, `clone-${Math.random().toString(36).slice(2)}`);
  execFileSync('git', ['clone', '-q', home.workspace, clone], { env: home.env });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(clone, path), text);
  const inClone = (...args: string[]): void =>
    void execFileSync('git', ['-C', clone, '-c', 'user.name=Bob', '-c', 'user.email=bob@x', ...args], {
      env: home.env,
    });
  inClone('add', '-A');
  inClone('commit', '-q', '-m', 'from elsewhere');
  home.git('pull', '-q', '--no-rebase', clone, 'main');
}

test('a pulled commit that changes what governs is held until it is approved; one that does not is not', async () => {
  const before = await governing();
  pull({ 'pulled.md': 'from elsewhere' });
  assert.match((await home.ask('read pulled.md')).text, /from elsewhere/);
  assert.deepEqual(await home.pending(), []);
  pull({ 'ruche.yaml': 'concurrency: 11\n' });
  const [wait] = await until(
    async () => ((await home.pending()).length > 0 ? home.pending() : null),
    'the held change',
  );
  assert.ok(wait);
  assert.equal(wait.task, null);
  assert.match(wait.text, /^\+concurrency: 11$/m);
  assert.equal(await governing(), before, 'what governed still does');
  assert.equal(wait.changes, 'settings');
  assert.match((await home.cli('approvals')).out, /approval of a change of the settings/);
  await home.end('SIGKILL');
  await home.start();
  assert.deepEqual(
    (await home.pending()).map(({ id }) => id),
    [wait.id],
    'held over a crash, too',
  );
  assert.equal((await home.cli('approve', wait.id)).code, 0);
  assert.equal(await governing(), home.git('rev-parse', 'main').trim());
  assert.deepEqual(await home.pending(), []);
  pull({ 'agents/other/AGENT.md': OTHER.replace('light', 'heavy'), 'ruche.yaml': 'concurrency: 12\n' });
  const more = await until(async () => (await home.pending())[0] ?? null);
  assert.equal(more.changes, 'files');
  assert.match((await home.cli('approvals')).out, /approval of a change of protected files/);
  assert.equal((await home.cli('deny', more.id)).code, 0);
  const { findings } = await home.verify();
  assert.deepEqual(findings, []);
});

test('M4 A20 what a pull brings and cannot be shown whole can only be denied', async () => {
  const before = await governing();
  pull({ 'ruche.yaml': `${'# a comment\n'.repeat(40_000)}policy: { rules: [] }\n` });
  const wait = await until(async () => (await home.pending())[0] ?? null);
  const { code, err } = await home.cli('approve', wait.id);
  assert.notEqual(code, 0);
  assert.match(err, /cannot be approved, because it cannot be shown whole: the difference has \d+ characters/);
  assert.equal(await governing(), before);
  assert.equal((await home.cli('deny', wait.id)).code, 0);
  assert.equal(await governing(), before);
});
