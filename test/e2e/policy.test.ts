// `ruche policy` as docs/policy.md shows it: its files and examples are taken from the page, word for word.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Explanation, RightsTable } from '../../src/core/api/policy.ts';
import { Home } from '../fakes/home.ts';
import { bwrapHere } from '../fakes/sandbox-home.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/policy.md'), 'utf8');
/** Blocks that stand below the path of a file. */
const FILES = Object.fromEntries(
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
    [['email'], /Name an agent and a call/],
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
