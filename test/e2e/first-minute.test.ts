import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Home } from '../fakes/home.ts';

interface Asked {
  task: string;
  run: string;
  session: string;
  status: string;
  text: string;
  commit: string;
}

let home: Home;
before(async () => {
  home = new Home();
  await home.start('--template', 'solo');
});
after(() => home.close());

const lines = (text: string): string[] => text.split('\n').filter(Boolean);
const trailersOf = (commit: string): Record<string, string> => {
  const message = home.git('log', '-1', '--format=%B', commit);
  const parsed = execFileSync('git', ['interpret-trailers', '--parse', '--only-trailers'], {
    input: message,
    encoding: 'utf8',
  });
  return Object.fromEntries(lines(parsed).map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]));
};

test('a fresh home: one sentence gives the file, the count, one commit with its trailers, and the readable journal', async () => {
  const { code, out, err } = await home.cli(
    'ask',
    'assistant',
    'write notes.md: hello, then run: wc -c notes.md',
    '--json',
  );
  assert.equal(code, 0, err);
  const asked = JSON.parse(out) as Asked;
  assert.equal(asked.status, 'done');
  assert.match(asked.text, /\b5 notes\.md\b/, 'the reply has the count');
  assert.equal(home.read('notes.md'), 'hello');

  assert.equal(lines(home.git('log', '--format=%H', 'main')).length, 2, 'the start and one landing');
  assert.equal(home.git('log', '-1', '--format=%H').trim(), asked.commit);
  assert.equal(home.git('log', '-1', '--format=%an <%ae> %cn').trim(), 'assistant <assistant@ruche.invalid> assistant');
  assert.deepEqual(trailersOf(asked.commit), {
    'Ruche-Run': asked.run,
    'Ruche-Task': asked.task,
    'Ruche-Agent': 'assistant',
    'Ruche-Model': 'demo/demo',
    'Ruche-Cost-USD': '0.000000',
    'Ruche-Labels': 'none',
  });
  assert.deepEqual(lines(home.git('diff', '--name-status', 'main~1', 'main')), ['A\tnotes.md']);
  // But for the live view of the queues, which comes a moment later and which Git is not to know of.
  const rest = home.git('status', '--porcelain', '--ignored').trim();
  assert.equal(rest.replace('!! tasks/', ''), '', 'nothing else stands in the work tree');

  const { findings, counts } = await home.verify();
  assert.deepEqual(findings, []);
  assert.equal(counts.lines, counts.events);
  const journal = (...args: string[]): string =>
    execFileSync('git', ['-C', join(home.home, 'journal.git'), ...args], { encoding: 'utf8' });
  const subjects = journal('log', '--reverse', '--format=%an: %s');
  assert.match(subjects, /^owner: owner: wrote to assistant/m);
  assert.match(subjects, /^assistant: assistant: shell done/m);
  assert.match(subjects, /^assistant: assistant: landed 1 path/m);
  assert.match(journal('grep', '-h', 'message.received', 'HEAD'), /write notes\.md: hello/);
});

test('the answer without --json, the status, the log and the models say the same in plain words', async () => {
  const asked = await home.cli('ask', 'assistant', 'read notes.md');
  assert.equal(asked.code, 0);
  assert.match(asked.out, /^read notes\.md: hello$/m);
  assert.match(asked.out, /demo model/);
  const status = await home.cli('status');
  assert.match(status.out, /ready/);
  assert.match(status.out, /assistant\s+demo\/demo/);
  assert.match((await home.cli('log', '--type', 'tool.')).out, /shell/);
  const models = await home.api<{ data: { id: string }[] }>('/v1/models');
  assert.deepEqual(
    models.data.map(({ id }) => id),
    ['assistant'],
  );
  assert.equal((await home.cli('ask', 'nobody', 'hello')).code, 1);
  assert.equal((await home.cli('approvals')).out, 'Nothing waits for you.\n');
});

test('what others on the machine may not read has mode 0600 or lies below a folder of mode 0700', () => {
  assert.equal(statSync(home.home).mode & 0o777, 0o700);
  const open = readdirSync(home.home).filter((name) => {
    const info = statSync(join(home.home, name));
    return info.isFile() && (info.mode & 0o077) !== 0;
  });
  assert.deepEqual(open, []);
});

test('SIGTERM ends it with code 0, and without a gateway the commands say so with code 2', async () => {
  const before = home.git('rev-parse', 'main');
  assert.equal(await home.end('SIGTERM'), 0);
  const { code, err } = await home.cli('ask', 'assistant', 'hello');
  assert.equal(code, 2);
  assert.match(err, /No gateway is running for .*Start it with: ruche up/);
  const { findings, counts } = await home.verify();
  assert.deepEqual(findings, []);
  assert.equal(counts.commits, 1);
  assert.equal(home.git('rev-parse', 'main'), before);
});
