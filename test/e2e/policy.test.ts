// `ruche policy` as docs/policy.md shows it: its files and examples are taken from the page, word for word.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Explanation, RightsTable } from '../../src/core/api/policy.ts';
import { Home } from '../fakes/home.ts';
import { bwrapHere } from '../fakes/sandbox-home.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/policy.md'), 'utf8');
/** Blocks that stand below the path of a file. */
const FILES: Record<string, string> = Object.fromEntries(
  [...PAGE.matchAll(/`([\w./-]+)`:\n\n```(?:yaml|markdown)\n([^]*?)```/g)].map(([, path = '', text = '']) => [
    path,
    text,
  ]),
);
const EXAMPLES = [...PAGE.matchAll(/```console\n\$ ruche (policy explain .*)\n([^]*?)```/g)].map(
  ([, command = '', printed = '']) => ({ command, printed }),
);
/** The words of a command line, as a shell reads them. */
const wordsOf = (line: string): string[] =>
  execFileSync('sh', ['-c', `for word in ${line}; do printf '%s\\0' "$word"; done`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);

const { skip } = await bwrapHere();
let home: Home;
before(async () => {
  home = await Home.up({ files: FILES });
});
after(() => home.close());

async function examplesHold(): Promise<void> {
  for (const { command, printed } of EXAMPLES) {
    const { code, out, err } = await home.cli(...wordsOf(command));
    assert.equal(code, 0, `${command}\n${err}`);
    assert.equal(out, printed, command);
  }
}

test('the ten examples of the page hold beside a network that runs, and the same without one', { skip }, async () => {
  assert.ok(EXAMPLES.length >= 10, `only ${EXAMPLES.length} examples`);
  await examplesHold();
  // What is saved and not valid does not govern; the files themselves say what is wrong.
  await home.end('SIGTERM');
  await examplesHold();
  home.write('ruche.yaml', `${FILES['ruche.yaml'] ?? ''}    - { id: x, allow: { colour: red }, reason: x }\n`);
  const { code, err } = await home.cli('policy', 'explain', 'email', 'shell: ls');
  assert.equal(code, 1);
  assert.match(err, /ruche\.yaml:9: /);
  home.write('ruche.yaml', FILES['ruche.yaml'] ?? '');
  await home.start();
});

test('a line that moved is shown where it stands now, and what cannot be asked is said', async () => {
  home.write('ruche.yaml', `# One line more.\n${FILES['ruche.yaml'] ?? ''}`);
  const place = async (): Promise<number | null | undefined> => {
    const { out } = await home.cli('policy', 'explain', 'email', 'write: contracts/a.md', '--json');
    return (JSON.parse(out) as Explanation).decision.place?.line;
  };
  for (let tries = 0; tries < 50 && (await place()) !== 6; tries++);
  assert.equal(await place(), 6);
  for (const [words, said] of [
    [['nobody', 'shell: ls'], /Unknown agent "nobody"\. Known: email, news\./],
    [['email', 'shel: ls'], /Unknown tool "shel"\. Did you mean "shell"\?/],
    [['email', 'read: {"path"'], /not valid JSON/],
    [['email', 'shell: ls', '--labels', 'secret'], /Unknown label "secret"/],
    [['email', 'shell: ls', '--at', 'noon'], /Invalid --at "noon"/],
    [['email', 'shell: ls', '--queue', 'emial'], /Unknown queue "emial"\. Known: email, news\./],
    [['email', 'shell: ls', '--sender', 'agent:emial'], /Unknown agent "emial"\. Known: email, news\./],
    [['email', 'shell: ls', '--sender', 'me'], /"me" is no sender\. Give owner/],
    [['email', 'fetch: https://a.example/', '--vouched', 'ulr'], /Unknown critical argument "ulr"\. Known: url\./],
    [['email', 'shell: ls', '--vouched', 'to'], /Unknown critical argument "to"\./],
    [['email'], /Name an agent and a call/],
    [['email', 'fetch'], /Say what fetch is called with/],
    [['email', 'shell:'], /Say what shell is called with/],
  ] as const) {
    const { code, err } = await home.cli('policy', 'explain', ...words);
    assert.equal(code, 1, words.join(' '));
    assert.match(err, said);
  }
});

test('the rights of an agent: what it may not use, each rule with its place, and what holds elsewhere', async () => {
  const { rights } = await home.api<RightsTable>('/api/policy/agents/news');
  const row = (kind: string, what: string | null): string => {
    const found = rights.filter((right) => right.kind === kind && right.what === what);
    return found.map(({ verdict, rule, place }) => `${verdict} ${rule} ${place?.file}:${place?.line}`).join('; ');
  };
  assert.equal(row('tool', 'shell'), 'deny builtin:agent-tools agents/news/AGENT.md:3');
  assert.match(row('path', 'contracts/**'), /^ask contracts ruche\.yaml:\d+$/);
  assert.equal(row('host', 'news.example.net'), 'allow builtin:agent-network agents/news/AGENT.md:4');
  assert.match(row('host', null), /^deny builtin:agent-network/);
  assert.match(row('path', null), /^allow builtin:workspace-files/);
  // Neither has a tool of these.
  assert.equal(row('command', null) + row('command', 'git push *'), '');
  const other = await home.fetch('/api/policy/agents/nobody');
  assert.equal(other.status, 404);
});

test('cases hold, here and in what the templates bring; one that does not is shown with its line, and what is wrong in the file, too', async () => {
  const cases = FILES['policy-cases.yaml'] ?? '';
  const last = cases.split('\n').length;
  home.write('cases.yaml', cases);
  home.cwd = home.workspace;
  const { code, out } = await home.cli('policy', 'test', 'cases.yaml');
  assert.equal(out, '4 of 4 cases hold.\n');
  assert.equal(code, 0);
  home.write('cases.yaml', `${cases}  - { agent: email, call: 'write: a.md', expect: ask, rule: contracts }\n`);
  const wrong = await home.cli('policy', 'test', 'cases.yaml');
  assert.equal(wrong.code, 1);
  assert.match(
    wrong.out,
    new RegExp(
      `^cases\\.yaml:${last}: email: write: a\\.md\n {4}expected ask by contracts\n {4}but got {2}allow by builtin:`,
    ),
  );
  assert.match(wrong.out, /^4 of 5 cases hold\.$/m);
  const json = JSON.parse((await home.cli('policy', 'test', 'cases.yaml', '--json')).out) as { failed: number };
  assert.equal(json.failed, 1);
  home.write('cases.yaml', `${cases}  - { agent: email, call: 'shell: ls', expect: maybe }\n`);
  const odd = await home.cli('policy', 'test', 'cases.yaml');
  assert.equal(odd.code, 1);
  assert.match(odd.err, new RegExp(`cases\\.yaml:${last}: cases\\.4\\.expect must be one of allow, ask, deny\\.`));
  rmSync(home.path('cases.yaml'));
  const gone = await home.cli('policy', 'test', 'cases.yaml');
  assert.equal(gone.code, 1);
  assert.match(gone.err, /^ruche: File not found: \/.*cases\.yaml$/m);

  for (const template of ['network', 'solo']) {
    const made = new Home();
    try {
      assert.equal((await made.cli('init', '--template', template)).code, 0);
      const held = await made.cli('policy', 'test', made.path('policy-cases.yaml'));
      assert.equal(held.code, 0, held.out + held.err);
    } finally {
      await made.close();
    }
  }
});

test('words that would reach nobody are explained as the run is told, and by no rule', async () => {
  const made = new Home();
  try {
    assert.equal((await made.cli('init', '--template', 'solo')).code, 0);
    const { out } = await made.cli('policy', 'explain', 'assistant', 'tell: owner It is late');
    assert.equal(
      out,
      'deny  builtin:unreachable\n  No messenger has an owner, so nobody can be told. The owner pairs with one by `ruche pair CHANNEL`.\n',
    );
  } finally {
    await made.close();
  }
});

test('what was asked and answered: a rule that was always approved is named; the past under another file', async () => {
  for (const n of [1, 2, 3, 4, 5]) {
    const { task, waits } = await home.ask(`write contracts/${n}.md: signed`, undefined, 'email');
    await home.answer(waits[0]?.id ?? '', 'approve');
    await home.settled(task);
  }
  const { out } = await home.cli('policy', 'stats', '--since', '1h');
  assert.match(out, /^5 runs, 5 questions: 100 per 100 runs\.$/m);
  assert.match(out, /^contracts +5 +5 +0 +0 +\S/m);
  assert.match(out, /^contracts only costs patience: all 5 were approved\. .*narrow or remove contracts/m);
  // With the network at work, which nothing of this disturbs.
  const file = join(home.dir, 'email', 'AGENT.md');
  mkdirSync(join(home.dir, 'email'));
  writeFileSync(file, (FILES['agents/email/AGENT.md'] ?? '').replace("'archive/**'", "'contracts/**'"));
  const past = await home.cli('policy', 'rehearse', '--since', '1h', '--at', file);
  assert.equal(past.code, 1, past.err);
  assert.match(past.out, /write contracts\/1\.md\n {4}ask \(contracts\) → deny \(no-archive\)/);
  assert.match(past.out, /^ {2}email: 5 ask → deny$/m);
  const none = await home.cli('policy', 'rehearse', '--at', 'no-such-branch');
  assert.equal(none.code, 1);
  assert.match(none.err, /There is no file, folder, commit or branch "no-such-branch"/);
});
