// Approvals beyond one call, as an owner gives them in the terminal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Home } from '../fakes/home.ts';
import { modelsYaml, obedientModel, order, orders } from '../fakes/obedient-model.ts';

const RULES = `policy:
  rules:
    - { id: contracts, ask: { tool: write, path: "contracts/**" }, reason: "Contracts are checked." }
`;

const write = (path: string) => order('write', { path, content: 'x\n' });

test('ruche approve with a note, for a task, standing and with a value vouched for; ruche grants, endorse and endorsements', async () => {
  const model = await obedientModel();
  const home = await Home.up({
    beside: [model],
    env: { WIRE_KEY: 'a-key-0123456789' },
    files: {
      'ruche.yaml': modelsYaml(model.baseUrl, RULES),
      'agents/assistant/AGENT.md': '---\ndescription: helps\n---\nYou help.\n',
      'own.md': 'Ours.\n',
    },
  });
  const asked = async (session: string, ...paths: string[]): Promise<string> => {
    const { status, waits } = await home.ask(orders(...paths.map(write)), session);
    assert.equal(status, 'waiting');
    return waits[0]?.id ?? '';
  };
  const ok = async (...words: string[]): Promise<string> => {
    const { code, out, err } = await home.cli(...words);
    assert.equal(code, 0, `${words.join(' ')}: ${err}`);
    return out;
  };
  try {
    const first = await asked('a', 'contracts/a.md');
    for (const [words, said] of [
      [['--for-task', '--standing'], /either --for-task or --standing/],
      [['--count', '2'], /belong to --standing/],
      [['--standing', '--expires', 'soon'], /Invalid --expires "soon"/],
      [['--standing', '--match', 'path'], /Invalid --match "path"/],
      [['--standing', '--match', 'path=*'], /fits everything/],
      [['--vouch', 'amount'], /no value "amount"/],
    ] as const) {
      const { code, err } = await home.cli('approve', first, ...words);
      assert.equal(code, 1, words.join(' '));
      assert.match(err, said);
    }
    assert.match(await ok('approvals'), /denied in 23 h \d+ min if nobody answers/);
    assert.match(await ok('approvals'), /contracts\/a\.md is a new file\.[^]*why: contracts: Contracts are checked/);
    const standing = ['--standing', '--count', '2', '--expires', '7d', '--match', 'path=contracts/*.md'];
    const grant =
      /The grant (grt_[\w-]+) lets/.exec(await ok('approve', first, ...standing, '--note', 'Go on.'))?.[1] ?? '';
    assert.equal((await home.ask(orders(write('contracts/b.md')), 'b')).status, 'done');
    assert.match(
      await ok('grants'),
      new RegExp(`^${grant}  assistant may use write: path like contracts/\\*\\.md\n.*used 1 of 2 times`),
    );
    assert.equal(await ok('grants', 'revoke', grant), `Revoked ${grant}.\n`);
    assert.equal(await ok('grants', 'revoke', grant), `${grant} was already revoked.\n`);
    assert.equal(await ok('grants'), 'No grants.\n');
    assert.match(await ok('grants', '--all'), /\(revoked\)/);
    assert.match((await home.cli('grants', 'revoke', 'grt_none')).err, /Unknown grant "grt_none"/);

    const second = await asked('c', 'contracts/c.md');
    assert.match(await ok('approve', second, '--for-task', '--vouch', 'path'), /The grant grt_/);
    assert.match(await ok('endorsements'), /^end_[\w-]+ {2}text contracts\/c\.md\n {4}as path/);

    const oid = home.git('rev-parse', 'HEAD:own.md').trim();
    const said = await ok('endorse', 'own.md', '--note', 'Mine');
    const id = /\((end_[\w-]+)\)/.exec(said)?.[1] ?? '';
    assert.match(said, new RegExp(`vouch for the file own\\.md@${oid} `));
    assert.match(await ok('show', 'own.md'), new RegExp(`vouches for this content \\(${id}, .*Mine`));
    assert.equal(await ok('endorsements', 'revoke', id), `Revoked ${id}.\n`);
    assert.doesNotMatch(await ok('show', 'own.md'), /vouches/);
    assert.match((await home.cli('endorse', '500')).err, /Say which argument/);
  } finally {
    await home.close();
  }
});
