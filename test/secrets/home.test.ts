import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { privateFile } from '../../src/platform/replace.ts';
import { openSecrets } from '../../src/secrets/open.ts';

const KEY = 'sk-home-Canary/+0123456789';
const FOR = 'provider "x"';

let home: string;
let path: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ruche-keys-'));
  path = join(home, 'keys.json');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const open = (env: Record<string, string> = {}) => openSecrets({ env, values: [], keys: privateFile(path) });

test('a key is kept, found again after a start, and read by nobody else', async () => {
  const secrets = await open();
  assert.equal(secrets.has('home:work'), false);
  await assert.rejects(secrets.resolve('home:work', FOR), /no key "work" in .*keys\.json.*provider "x".*web page/);
  assert.equal(await secrets.keep('work', ` ${KEY}\n`), 'home:work');
  assert.equal(await secrets.resolve('home:work', FOR), KEY);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const again = await open({ OTHER_KEY: 'other-0123456789' });
  assert.equal(await again.resolve('home:work', FOR), KEY);
  assert.equal(await again.resolve('env:OTHER_KEY', FOR), 'other-0123456789');
  assert.deepEqual(['home:work', 'home:none', 'env:OTHER_KEY', 'env:NONE'].map(again.has), [true, false, true, false]);
});

test('it is hidden from the moment it is given, also in what is streaming, and after a start', async () => {
  const secrets = await open();
  const pieces = secrets.redactPieces();
  const before = pieces.push('the key ');
  const keeping = secrets.keep('work', KEY);
  assert.equal(secrets.redact(`is ${KEY}.`), 'is [redacted].', 'before it is on disk');
  await keeping;
  const streamed = before + pieces.push(`is ${KEY.slice(0, 9)}`) + pieces.push(KEY.slice(9)) + pieces.end();
  assert.equal(streamed, 'the key is [redacted]');
  secrets.hide('tried-but-not-kept-0123');
  assert.equal(secrets.redact('tried-but-not-kept-0123'), '[redacted]');
  const again = await open();
  assert.equal(again.redact(Buffer.from(`x${KEY}`).toString('base64')).includes('redacted'), true);
});

test('keys kept at once are all there, one replaces another, and no half file stays', async () => {
  const secrets = await open();
  const names = Array.from({ length: 8 }, (_, n) => `key${n}`);
  await Promise.all(names.map((name) => secrets.keep(name, `${KEY}-${name}`)));
  await secrets.keep('key0', `${KEY}-new`);
  const again = await open();
  for (const name of names.slice(1)) assert.equal(await again.resolve(`home:${name}`, FOR), `${KEY}-${name}`);
  assert.equal(await again.resolve('home:key0', FOR), `${KEY}-new`);
  assert.deepEqual(await readdir(home), ['keys.json']);
  await assert.rejects(secrets.keep('../x', KEY), RangeError);
});

test('a disk that refuses keeps the keys there were', async () => {
  const real = privateFile(path);
  let broken = false;
  const keys = { ...real, write: (text: string) => (broken ? Promise.reject(new Error('full')) : real.write(text)) };
  const secrets = await openSecrets({ env: {}, keys });
  await secrets.keep('a', KEY);
  broken = true;
  await assert.rejects(secrets.keep('b', `${KEY}-b`), /full/);
  broken = false;
  await secrets.keep('c', `${KEY}-c`);
  assert.deepEqual(Object.keys((JSON.parse(await readFile(path, 'utf8')) as { keys: object }).keys), ['a', 'c']);
  assert.equal(secrets.has('home:b'), false);
});

test('a file that cannot be used says which, why and what to do, and repeats nothing of it', async () => {
  const cases: [string, RegExp][] = [
    [`{"format":1,"keys":{"a":"${KEY}"`, /no JSON/],
    [`{"format":2,"keys":{"a":"${KEY}"}}`, /format 1/],
    [`["${KEY}"]`, /format 1/],
    [`{"format":1,"keys":{"a b":"${KEY}"}}`, /no key/],
    ['{"format":1,"keys":{"a":7}}', /no key/],
  ];
  for (const [text, why] of cases) {
    await writeFile(path, text, { mode: 0o600 });
    await assert.rejects(open(), (error: Error) => {
      assert.match(error.message, why);
      assert.match(error.message, /keys\.json cannot be used.*mend it, or delete it/);
      assert.ok(!error.message.includes(KEY));
      return true;
    });
  }
  await writeFile(path, '{"format":1,"keys":{}}');
  await chmod(path, 0o644);
  await assert.rejects(open(), /can be read by other users.*chmod 600/);
});

test('what is no reference is refused and not repeated', async () => {
  const secrets = await open();
  await assert.rejects(secrets.resolve(KEY, FOR), (error: Error) => !error.message.includes(KEY));
  assert.equal(secrets.redact(KEY), '[redacted]');
});
