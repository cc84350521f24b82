// What older versions kept in keys.json, and how it moves into the vault.
import assert from 'node:assert/strict';
import { chmod, readdir, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import { BOUNDARIES, type BoundaryName } from '../../src/core/ports/boundary.ts';
import { brokenDisk, FOR, secretsHome } from './kit.ts';

const KEY = 'sk-home-Canary/+0123456789';

let place: ReturnType<typeof secretsHome>;
beforeEach(() => {
  place = secretsHome();
});
afterEach(() => place.close());

const older = (keys: Record<string, string>): Promise<void> =>
  writeFile(place.at('keys.json'), `${JSON.stringify({ format: 1, keys }, null, 2)}\n`, { mode: 0o600 });

test('keys of an older version are read where they are, and in the vault from the first start on', async () => {
  await older({ work: ` ${KEY}\n`, other: `${KEY}-2` });
  const reader = await place.open();
  assert.equal(await reader.resolve('home:work', FOR), KEY);
  assert.deepEqual(await readdir(place.home), ['keys.json'], 'who only looks changes nothing');
  await reader.settle();
  for (const secrets of [reader, await place.open()]) {
    for (const ref of ['home:work', 'secret:work']) assert.equal(await secrets.resolve(ref, FOR), KEY);
    assert.equal(await secrets.resolve('home:other', FOR), `${KEY}-2`);
    assert.equal(secrets.has('home:work') && secrets.has('secret:other') && !secrets.has('home:none'), true);
    assert.equal(secrets.redact(`is ${KEY}.`), 'is [redacted].');
  }
  assert.deepEqual((await readdir(place.home)).toSorted(), ['keys.json', 'secrets.age', 'secrets.key']);
  assert.ok(!(await place.read('keys.json')).includes(KEY));
  assert.ok(!(await place.read('secrets.age')).includes(KEY));
});

test('what an older version finds afterwards, it refuses', async () => {
  await older({ work: KEY });
  await (await place.open()).settle();
  // The older version takes only format 1, and says so: see its openHomeKeys.
  assert.notEqual((JSON.parse(await place.read('keys.json')) as { format: number }).format, 1);
});

test('killed anywhere on the way, every key is there and the next start ends it', async () => {
  const reached = new Set<BoundaryName>();
  const own = BOUNDARIES.filter((name) => name.startsWith('secrets.'));
  for (const killed of own) {
    await place.close();
    place = secretsHome();
    await older({ work: KEY, other: `${KEY}-2` });
    const dies = (name: BoundaryName): void => {
      if (name !== killed) return;
      reached.add(name);
      throw new Error('killed');
    };
    await assert.rejects(
      place.open({ boundary: dies }).then((secrets) => secrets.settle()),
      /killed/,
    );
    const again = await place.open();
    assert.equal(await again.resolve('home:work', FOR), KEY, killed);
    await again.settle();
    for (const secrets of [again, await place.open()]) {
      assert.equal(await secrets.resolve('home:work', FOR), KEY, killed);
      assert.deepEqual(
        secrets.vault.list().map(({ name }) => name),
        ['other', 'work'],
      );
    }
    assert.ok(!(await place.read('keys.json')).includes(KEY));
  }
  assert.deepEqual([...reached], own);
});

test('a key given to an older version since is the newer one, and the one before is kept', async () => {
  await (await place.open()).keep('work', `${KEY}-old`);
  await older({ work: `${KEY}-new` });
  const secrets = await place.open();
  await secrets.settle();
  assert.equal(await secrets.resolve('home:work', FOR), `${KEY}-new`);
  assert.equal(await secrets.resolve('secret:work-before', FOR), `${KEY}-old`);
});

test('where they cannot be moved they stay, and are read from there', async () => {
  await older({ work: KEY });
  for (const name of ['secrets.key', 'secrets.age', 'keys.json'])
    for (const code of ['ENOSPC', 'EROFS']) {
      const { broken, file } = brokenDisk();
      Object.assign(broken, { code, name });
      const secrets = await place.open({ file });
      await assert.rejects(
        secrets.settle(),
        name === 'keys.json' ? new RegExp(code) : /keys\.json stay there.*could not be written/,
      );
      assert.equal(await secrets.resolve('home:work', FOR), KEY);
      assert.ok((await place.read('keys.json')).includes(KEY));
    }
  const secrets = await place.open();
  await secrets.settle();
  assert.equal(await secrets.resolve('home:work', FOR), KEY);
});

test('a file that cannot be used says which, why and what to do, and repeats nothing of it', async () => {
  const cases: [string, RegExp][] = [
    [`{"format":1,"keys":{"a":"${KEY}"`, /no JSON/],
    [`{"format":3,"keys":{"a":"${KEY}"}}`, /format 1/],
    [`["${KEY}"]`, /format 1/],
    [`{"format":1,"keys":{"a b":"${KEY}"}}`, /no key/],
    ['{"format":1,"keys":{"a":7}}', /no key/],
  ];
  for (const [text, why] of cases) {
    await writeFile(place.at('keys.json'), text, { mode: 0o600 });
    await assert.rejects(place.open(), (error: Error) => {
      assert.match(error.message, why);
      assert.match(error.message, /keys\.json cannot be used.*mend it, or delete it/);
      assert.ok(!error.message.includes(KEY));
      return true;
    });
  }
  await writeFile(place.at('keys.json'), '{"format":1,"keys":{}}');
  await chmod(place.at('keys.json'), 0o644);
  await assert.rejects(place.open(), /can be read by other users.*chmod 600/);
});
