import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SecretsView } from '../../src/core/api/secrets.ts';
import { Home } from '../fakes/home.ts';

const KEY = 'sk-ant-Formats-0123456789';
const FOLDER = join(import.meta.dirname, '..', 'fixtures');
const fixtures = globSync('home-*.tar.gz', { cwd: FOLDER }).sort();

test('there is a home of every release', () => {
  assert.ok(fixtures.length >= 1);
  for (const name of fixtures) assert.ok(statSync(join(FOLDER, name)).size < 300_000, name);
});

for (const name of fixtures)
  test(`${name}: opens, goes on with what waited and with what was said, and its record holds`, async () => {
    const home = new Home();
    try {
      execFileSync('tar', ['-xzf', join(FOLDER, name), '-C', home.dir, '--no-same-owner']);
      // As the page of that time kept a key.
      const keys = join(home.home, 'keys.json');
      writeFileSync(keys, `${JSON.stringify({ format: 1, keys: { anthropic: KEY } }, null, 2)}\n`, { mode: 0o600 });
      await home.start();
      assert.equal(home.out.includes('(just created)'), false);
      const { secrets } = await home.api<SecretsView>('/api/secrets');
      assert.deepEqual(
        [secrets.map((each) => each.name), readFileSync(keys, 'utf8').includes(KEY)],
        [['anthropic'], false],
      );
      const waiting = await home.pending();
      assert.deepEqual(waiting.map(({ kind, session }) => `${kind} ${session}`).sort(), [
        'approval waiting',
        'question question',
      ]);
      for (const { id, kind, task } of waiting) {
        if (kind === 'approval') await home.answer(id, 'approve');
        else await home.api(`/api/questions/${id}`, { text: 'green' });
        const { status, text } = await home.settled(task ?? '');
        assert.equal(status, 'done', text);
      }
      assert.equal(home.read('contracts/waiting.md'), 'signed');
      assert.equal(home.read('asked.md'), 'yes');
      const said = await home.ask('what did I say?', 'first');
      assert.match(said.text, /- write notes\.md: hello/);
      assert.match((await home.ask('read notes.md', 'first')).text, /hello, edited by a person/);
      assert.equal((await home.ask('write new.md: by a later version', 'first')).status, 'done');
      const { findings, counts } = await home.verify();
      assert.deepEqual(findings, []);
      assert.ok(counts.events > 150 && counts.lines === counts.events, JSON.stringify(counts));
      const types = new Set((await home.events()).map(({ type }) => type));
      assert.ok(types.size >= 25, [...types].join(' '));
      assert.equal(await home.end('SIGTERM'), 0);
    } finally {
      await home.close();
    }
  });
