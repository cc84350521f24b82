import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { BUILTIN } from '../../src/app/builtin.ts';
import { type KeptProvider, openKept } from '../../src/models/choice/kept.ts';
import { privateFile } from '../../src/platform/replace.ts';

let home: string;
let path: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ruche-kept-'));
  path = join(home, 'models.json');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const CLAUDE: KeptProvider = {
  name: 'anthropic',
  type: 'anthropic',
  baseUrl: null,
  apiKey: 'home:anthropic',
  model: null,
};
const SERVER: KeptProvider = {
  name: 'server',
  type: 'openai-compatible',
  baseUrl: 'http://127.0.0.1:1/v1',
  apiKey: null,
  model: 'q',
};

test('providers are kept, the last one first, and one of a name replaces the other', async () => {
  const kept = await openKept(privateFile(path), BUILTIN.providers);
  assert.deepEqual(kept.providers(), []);
  await Promise.all([kept.keep(CLAUDE), kept.keep(SERVER)]);
  await kept.keep({ ...CLAUDE, model: 'claude-opus-5-5' });
  const providers = [{ ...CLAUDE, model: 'claude-opus-5-5' }, SERVER];
  assert.deepEqual(kept.providers(), providers);
  assert.deepEqual((await openKept(privateFile(path), BUILTIN.providers)).providers(), providers);
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), { format: 1, providers });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test('a file that cannot be used is refused, saying what to do', async () => {
  const cases = [
    '{"format":1',
    '{"format":2,"providers":[]}',
    '{"format":1,"providers":[{"name":"a b","type":"openai"}]}',
    '{"format":1,"providers":[{"name":"a","type":"magic"}]}',
    '{"format":1,"providers":[{"name":"a","type":"openai","apiKey":"sk-secret-0123456789"}]}',
    '{"format":1,"providers":[{"name":"a","type":"openai","baseUrl":7}]}',
  ];
  for (const text of cases) {
    await writeFile(path, text, { mode: 0o600 });
    await assert.rejects(openKept(privateFile(path), BUILTIN.providers), (error: Error) => {
      assert.match(error.message, /models\.json cannot be used.*mend it, or delete it/);
      assert.ok(!error.message.includes('sk-secret'));
      return true;
    });
  }
});
