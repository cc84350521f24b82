import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, copyFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { BOUNDARIES, type BoundaryName } from '../../src/core/ports/boundary.ts';
import { keysThatOpen, unseal } from '../../src/secrets/age.ts';
import { privateFile } from '../../src/platform/replace.ts';
import { LONGEST } from '../../src/secrets/vault.ts';
import { tries } from '../fakes/effort.ts';
import { brokenDisk, FOR, secretsHome } from './kit.ts';

const KEY = 'sk-vault-Canary/+0123456789';
const PEM = `-----BEGIN PRIVATE KEY-----\n${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n'.repeat(20)}-----END PRIVATE KEY-----\n`;

let place: ReturnType<typeof secretsHome>;
beforeEach(() => {
  place = secretsHome();
});
afterEach(() => place.close());

const names = (secrets: Awaited<ReturnType<typeof place.open>>): string[] =>
  secrets.vault.list().map(({ name }) => name);

test('without a secret nothing is made; with one it is encrypted, found again, and for nobody else', async () => {
  const secrets = await place.open();
  assert.equal(secrets.has('secret:work'), false);
  await assert.rejects(
    secrets.resolve('secret:work', FOR),
    /no secret work, and provider "x" needs it.*ruche secrets set work/,
  );
  assert.deepEqual(await readdir(place.home), []);
  assert.equal(await secrets.keep('work', ` ${KEY}\n`), 'secret:work');
  assert.deepEqual(await secrets.vault.set('pem', PEM), { name: 'pem', what: 'set' });
  for (const name of ['secrets.age', 'secrets.key']) assert.equal((await stat(place.at(name))).mode & 0o777, 0o600);
  const again = await place.open({ env: { OTHER_KEY: 'other-0123456789' } });
  assert.equal(await again.resolve('secret:work', FOR), KEY);
  assert.equal(await again.resolve('secret:pem', FOR), PEM, 'whole, with its lines');
  assert.equal(await again.resolve('env:OTHER_KEY', FOR), 'other-0123456789');
  assert.deepEqual(names(again), ['pem', 'work']);
  assert.ok(!(await place.read('secrets.age')).includes(KEY));
  // What any age reads.
  const key = (await place.read('secrets.key')).split('\n')[1] ?? '';
  const opened = await unseal(await place.read('secrets.age'), [key]);
  assert.ok(opened.ok && opened.text.includes(KEY));
});

test('a value is hidden from the moment it is given, also in what is streaming, and after a start', async () => {
  const secrets = await place.open();
  const pieces = secrets.redactPieces();
  const before = pieces.push('the key ');
  const keeping = secrets.vault.set('work', KEY);
  assert.equal(secrets.redact(`is ${KEY}.`), 'is [redacted].', 'before it is on disk');
  await keeping;
  const streamed = before + pieces.push(`is ${KEY.slice(0, 9)}`) + pieces.push(KEY.slice(9)) + pieces.end();
  assert.equal(streamed, 'the key is [redacted]');
  secrets.hide('tried-but-not-kept-0123');
  assert.equal(secrets.redact('tried-but-not-kept-0123'), '[redacted]');
  const again = await place.open();
  assert.equal(again.redact(Buffer.from(`x${KEY}`).toString('base64')).includes('redacted'), true);
});

test('what is set at once is all there; a change and a removal count at once and are told', async () => {
  const secrets = await place.open();
  const told: string[] = [];
  secrets.vault.onChange(({ name, what }) => told.push(`${what} ${name}`));
  const used: string[] = [];
  secrets.onUse((name, forWhom) => used.push(`${name} ${forWhom}`));
  const all = Array.from({ length: 8 }, (_, n) => `key${n}`);
  await Promise.all(all.map((name) => secrets.vault.set(name, `${KEY}-${name}`)));
  assert.equal((await secrets.vault.set('key0', `${KEY}-new`)).what, 'rotated');
  assert.equal(await secrets.resolve('secret:key0', FOR), `${KEY}-new`);
  assert.equal(secrets.redact(`${KEY}-key0`), '[redacted]', 'the one before stays hidden');
  assert.equal(await secrets.vault.remove('key1'), true);
  assert.equal(await secrets.vault.remove('key1'), false);
  await assert.rejects(secrets.resolve('secret:key1', FOR), /no secret key1/);
  assert.deepEqual(told.slice(-2), ['rotated key0', 'removed key1']);
  assert.deepEqual(used, ['key0 provider "x"']);
  const again = await place.open();
  assert.deepEqual(
    names(again),
    all.filter((name) => name !== 'key1'),
  );
  const [first] = again.vault.list();
  assert.ok(first && first.changed > first.made);
  assert.deepEqual((await readdir(place.home)).toSorted(), ['secrets.age', 'secrets.key'], 'no half file stays');
});

test('names and values that cannot be are refused, and not repeated', async () => {
  const { vault } = await place.open();
  for (const name of ['', '../x', 'a b', '1a', 'x'.repeat(64), 'a.b', 'é'])
    await assert.rejects(vault.set(name, KEY), /has a name of letters/, name);
  const values: [string, RegExp][] = [
    ['', /fewer than 8/],
    ['short12', /fewer than 8/],
    ['x'.repeat(LONGEST + 1), /16384 are the most/],
    [`${KEY}\0`, /not text/],
    [`${KEY}\ud800`, /not text/],
  ];
  for (const [value, why] of values)
    await assert.rejects(
      vault.set('a', value),
      (error: Error) => why.test(error.message) && !error.message.includes(KEY),
    );
  assert.deepEqual(await readdir(place.home), []);
});

test('what another process has written meanwhile is not overwritten', async () => {
  const one = await place.open();
  await one.vault.set('a', `${KEY}-a`);
  const two = await place.open();
  await two.vault.set('b', `${KEY}-b`);
  await one.vault.set('c', `${KEY}-c`);
  assert.deepEqual(names(await place.open()), ['a', 'b', 'c']);
});

test('a file or a key that cannot be used: what, where, what to do, nothing lost, and the rest works', async () => {
  const first = await place.open();
  await first.vault.set('a', `${KEY}-a`);
  const [age, key] = [place.at('secrets.age'), place.at('secrets.key')];
  await copyFile(age, place.at('good.age'));
  await copyFile(key, place.at('good.key'));
  const other = secretsHome();
  await (await other.open()).vault.set('a', `${KEY}-other`);
  const good = await place.read('secrets.age');
  const changed = (at: number): string => good.slice(0, at) + (good[at] === 'A' ? 'B' : 'A') + good.slice(at + 1);
  const keyText = await place.read('secrets.key');
  const cases: [string, () => Promise<unknown>, RegExp][] = [
    [
      'another key',
      () => copyFile(other.at('secrets.key'), key),
      /key in .*secrets\.key does not open .*secrets\.age.*one backup/,
    ],
    ['no key', () => rm(key), /key of .*secrets\.age is gone: there is no .*secrets\.key.*backup/],
    ['an empty key', () => writeFile(key, ''), /is not in .*secrets\.key: one line that begins with AGE-SECRET-KEY-1/],
    ['two keys', () => writeFile(key, keyText + keyText), /one line that begins/],
    [
      'a key for others',
      () => chmod(key, 0o640),
      /secrets\.key can be read by other users: run chmod 600 .*rotate-key/,
    ],
    ['secrets for others', () => chmod(age, 0o604), /secrets\.age can be read by other users: run chmod 600/],
    ['an empty file', () => writeFile(age, ''), /secrets\.age is damaged.*backup/],
    ['other bytes', () => writeFile(age, 'hello'), /damaged/],
    ['cut', () => writeFile(age, good.slice(0, good.length / 2)), /damaged|does not open/],
    ['a changed end', () => writeFile(age, changed(good.length - 60)), /damaged/],
    ['a changed head', () => writeFile(age, changed(120)), /damaged|does not open/],
    [
      'a broken setting',
      () => writeFile(place.at('secrets-key.json'), '{"format":1', { mode: 0o600 }),
      /secrets-key\.json does not say/,
    ],
    [
      'no credential',
      () => writeFile(place.at('secrets-key.json'), '{"format":1,"from":"credential","name":"k"}', { mode: 0o600 }),
      /systemd credential k, and none is given.*LoadCredential=k/,
    ],
    [
      'a command that fails',
      () =>
        writeFile(place.at('secrets-key.json'), '{"format":1,"from":"command","command":"exit 3"}', { mode: 0o600 }),
      /command in .*secrets-key\.json.* exit code 3: try it/,
    ],
    [
      'a pipe in place of the key',
      async () => {
        await rm(key);
        execFileSync('mkfifo', ['-m', '600', key]);
      },
      /secrets\.key cannot be read \(it is a pipe\)/,
    ],
    [
      'a command that does not end, with what it has started',
      () =>
        writeFile(place.at('secrets-key.json'), '{"format":1,"from":"command","command":"yes | cat"}', { mode: 0o600 }),
      /command in .*secrets-key\.json.* prints far too much/,
    ],
    ['a folder', () => rm(age).then(() => rename(other.home, age)), /secrets\.age cannot be read \(EISDIR\)/],
  ];
  for (const [what, harm, said] of cases) {
    await harm();
    const before = await place.read('secrets.age').catch(() => null);
    const secrets = await place.open({ env: { OTHER_KEY: 'other-0123456789' } });
    assert.match(secrets.vault.problem() ?? '', said, what);
    assert.doesNotMatch(secrets.vault.problem() ?? '', /Canary|AGE-SECRET-KEY-1[A-Z0-9]{10}/, what);
    await assert.rejects(secrets.resolve('secret:a', FOR), said, what);
    assert.equal(await secrets.resolve('env:OTHER_KEY', FOR), 'other-0123456789', what);
    // Nothing is written over what may still be saved.
    for (const write of [secrets.vault.set('b', KEY), secrets.vault.remove('a'), secrets.vault.rotateKey()])
      await assert.rejects(write, said, what);
    assert.equal(await place.read('secrets.age').catch(() => null), before, what);
    for (const path of [age, key]) await rm(path, { recursive: true, force: true });
    await copyFile(place.at('good.age'), age);
    await copyFile(place.at('good.key'), key);
    await rm(place.at('secrets-key.json'), { force: true });
    for (const path of [age, key]) await chmod(path, 0o600);
    await secrets.settle();
    assert.equal(await secrets.resolve('secret:a', FOR), `${KEY}-a`, `${what}, mended`);
  }
  await other.close();
});

test('a disk that refuses keeps what there was, and says why', async () => {
  const { broken, file } = brokenDisk();
  const secrets = await place.open({ file });
  const reasons: [string, RegExp][] = [
    ['ENOSPC', /disk is full/],
    ['EROFS', /read-only/],
    ['EACCES', /may not write/],
  ];
  for (const [code, why] of reasons) {
    broken.code = null;
    await secrets.vault.set('a', `${KEY}-a`);
    broken.code = code;
    for (const write of [secrets.vault.set('b', `${KEY}-b`), secrets.vault.remove('a'), secrets.vault.rotateKey()])
      await assert.rejects(
        write,
        (error: Error) => why.test(error.message) && /Nothing was changed/.test(error.message),
      );
    assert.deepEqual(names(secrets), ['a']);
    assert.equal(await (await place.open()).resolve('secret:a', FOR), `${KEY}-a`);
  }
  // The key cannot be written, the secrets can.
  Object.assign(broken, { code: 'EROFS', name: 'secrets.key' });
  await assert.rejects(secrets.vault.rotateKey(), /secrets\.key could not be written/);
  assert.equal(await (await place.open()).resolve('secret:a', FOR), `${KEY}-a`);
});

test('a change of the key that a full disk ends halfway locks nobody out, now or after a start', async () => {
  const { broken, file } = brokenDisk();
  const full = (name: string): void => {
    if (name === 'secrets.key.before') broken.code = 'ENOSPC';
  };
  // The other way to fail: the key is in its place, and only the folder could not be synced.
  const late = (path: string) => {
    const real = privateFile(path);
    const write = (text: string): Promise<void> =>
      real.write(text).then(() => {
        if (path.endsWith('secrets.key')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      });
    return { ...real, write };
  };
  await (await place.open()).vault.set('a', `${KEY}-a`);
  // And of the file itself only the second write fails, when the new key counts already.
  let writes = 0;
  const last = (path: string) => {
    const real = privateFile(path);
    const write = (text: string): Promise<void> =>
      path.endsWith('secrets.age') && (writes += 1) === 2
        ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }))
        : real.write(text);
    return { ...real, write };
  };
  const key = /Nothing was changed, because .*secrets\.key could not be written/;
  for (const [disk, told] of [
    [{ file, boundary: full }, key],
    [{ file: late }, key],
    [
      { file: last },
      /The key was replaced, but the old one opens .*secrets\.age, too.* The next start of ruche does it/,
    ],
  ] as const) {
    const { vault } = await place.open(disk);
    await assert.rejects(vault.rotateKey(), told);
    broken.code = null;
    await vault.set('b', `${KEY}-b`);
    const again = await place.open();
    assert.equal(again.vault.problem(), null);
    assert.equal(await again.resolve('secret:b', FOR), `${KEY}-b`);
    await again.settle();
    assert.equal(await keysThatOpen(await place.read('secrets.age')), 1, 'the key that stands there');
  }
});

test('a new key: at its place, behind a passphrase, from a command, from systemd, and back', async () => {
  const first = await place.open();
  await first.vault.set('a', `${KEY}-a`);
  const backup = await place.read('secrets.key');
  const { publicKey } = await first.vault.rotateKey();
  assert.match(publicKey, /^age1/);
  assert.notEqual(await place.read('secrets.key'), backup);
  const oldKey = backup.split('\n')[1] ?? '';
  assert.deepEqual(await unseal(await place.read('secrets.age'), [oldKey]), { ok: false, why: 'key' });

  const spare = secretsHome();
  await (await spare.open()).vault.set('a', KEY);
  const command = { from: 'command' as const, command: `cat ${spare.at('secrets.key')}; test -z "$OTHER_KEY"` };
  const env = { OTHER_KEY: 'other-0123456789', PATH: process.env['PATH'] ?? '', CREDENTIALS_DIRECTORY: spare.home };
  const second = await place.open({ env });
  await second.vault.rotateKey({ place: command, passphrase: null });
  const third = await place.open({ env });
  assert.equal(await third.resolve('secret:a', FOR), `${KEY}-a`, 'and the command was not given the secret');
  await assert.rejects(third.vault.rotateKey(), /where ruche cannot write.*--command/);
  await assert.rejects(third.vault.rotateKey({ place: command, passphrase: null }), /used already/);

  const credential = { from: 'credential' as const, name: 'new.key' };
  const outside = { ...credential, name: '../new.key' };
  await assert.rejects(third.vault.rotateKey({ place: outside, passphrase: null }), /name it, not its file/);
  await (await spare.open()).vault.rotateKey();
  await copyFile(spare.at('secrets.key'), spare.at('new.key'));
  await third.vault.rotateKey({ place: credential, passphrase: null });
  const fourth = await place.open({ env });
  assert.equal(await fourth.resolve('secret:a', FOR), `${KEY}-a`);
  await assert.rejects((await place.open()).resolve('secret:a', FOR), /systemd credential/);

  await fourth.vault.rotateKey({ place: { from: 'file', path: spare.at('elsewhere.key') }, passphrase: null });
  assert.equal(await (await place.open()).resolve('secret:a', FOR), `${KEY}-a`);
  await spare.close();
});

test('a key behind a passphrase: from a person, from a file, wrong, and none', async () => {
  const first = await place.open();
  await first.vault.set('a', `${KEY}-a`);
  const passphrase = 'correct horse battery';
  await first.vault.rotateKey({ place: { from: 'file', path: null }, passphrase });
  assert.ok(!(await place.read('secrets.key')).includes('AGE-SECRET-KEY'));
  const locked = await place.open();
  assert.match(locked.vault.problem() ?? '', /secrets\.key needs its passphrase.*RUCHE_SECRETS_PASSPHRASE_FILE/);
  assert.deepEqual([first.vault.locked(), locked.vault.locked()], [false, true]);
  const asked: boolean[] = [];
  const person = await place.open({
    askPassphrase: async (_path, again) => {
      asked.push(again);
      return again ? passphrase : 'wrong horse';
    },
  });
  assert.equal(await person.resolve('secret:a', FOR), `${KEY}-a`);
  assert.deepEqual(asked, [false, true]);
  assert.equal(person.redact(passphrase), '[redacted]');
  const file = place.at('phrase');
  await writeFile(file, `${passphrase}\n`, { mode: 0o600 });
  const env = { RUCHE_SECRETS_PASSPHRASE_FILE: file };
  assert.equal(await (await place.open({ env })).resolve('secret:a', FOR), `${KEY}-a`);
  await writeFile(file, 'wrong horse');
  assert.match((await place.open({ env })).vault.problem() ?? '', /passphrase does not open .*secrets\.key/);
  // What is wrong with that file closes the vault and nothing else.
  await chmod(file, 0o644);
  assert.match((await place.open({ env })).vault.problem() ?? '', /phrase can be read by other users: run chmod 600/);
  // systemd lets the user of a service read a credential in a way that looks like rights of others.
  await writeFile(file, passphrase);
  await chmod(file, 0o440);
  const service = { ...env, CREDENTIALS_DIRECTORY: dirname(file) };
  assert.equal(await (await place.open({ env: service })).resolve('secret:a', FOR), `${KEY}-a`);
});

type Step = {
  do: 'set' | 'remove' | 'rotate' | 'start';
  name: string;
  value: string;
  kill: BoundaryName | null;
  nth: number;
};

test('sets, removals, changes of the key and kills in any order: each secret is as before the step or as after it', async () => {
  const own = BOUNDARIES.filter((name) => name.startsWith('secrets.') && !name.startsWith('secrets.move'));
  const step: fc.Arbitrary<Step> = fc.record({
    do: fc.constantFrom('set', 'set', 'remove', 'rotate', 'start'),
    name: fc.constantFrom('a', 'b', 'c'),
    value: fc.string({ minLength: 8, maxLength: 40 }),
    kill: fc.option(fc.constantFrom(...own), { freq: 2 }),
    nth: fc.integer({ min: 1, max: 2 }),
  });
  let kills = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const here = secretsHome();
      let left = 0;
      let kill: BoundaryName | null = null;
      const boundary = (name: BoundaryName): void => {
        if (name === kill && (left -= 1) === 0) throw new Error('killed');
      };
      let secrets = await here.open({ boundary });
      let known = new Map<string, string>();
      const now = (): Map<string, string> => new Map(secrets.vault.list().map(({ name }) => [name, '']));
      for (const each of steps) {
        const after = new Map(known);
        if (each.do === 'set') after.set(each.name, each.value);
        if (each.do === 'remove') after.delete(each.name);
        [kill, left] = [each.kill, each.nth];
        let died = false;
        try {
          if (each.do === 'set') await secrets.vault.set(each.name, each.value);
          if (each.do === 'remove') await secrets.vault.remove(each.name);
          if (each.do === 'rotate' && known.size > 0) await secrets.vault.rotateKey();
        } catch (error) {
          assert.match((error as Error).message, /killed/);
          died = true;
          kills += 1;
        }
        kill = null;
        if (died || each.do === 'start') {
          secrets = await here.open({ boundary });
          await secrets.settle();
        }
        assert.equal(secrets.vault.problem(), null);
        const found = new Map<string, string>();
        for (const name of now().keys()) found.set(name, await secrets.resolve(`secret:${name}`, FOR));
        const as = (map: Map<string, string>): string =>
          JSON.stringify([...map].toSorted(([a], [b]) => (a < b ? -1 : 1)));
        assert.ok(as(found) === as(after) || (died && as(found) === as(known)), each.do);
        known = found;
      }
      await here.close();
    }),
    tries(12, 200),
  );
  assert.ok(kills > 5, `${kills} kills`);
});

test('a passphrase is that of age: what the library locks, opens here, and the other way', async () => {
  const { Decrypter, Encrypter, armor } = await import('age-encryption');
  const { sealWithPassphrase, unsealWithPassphrase } = await import('../../src/secrets/age.ts');
  const encrypter = new Encrypter();
  encrypter.setPassphrase('correct horse');
  encrypter.setScryptWorkFactor(10);
  const theirs = armor.encode(await encrypter.encrypt('a text'));
  assert.deepEqual(await unsealWithPassphrase(theirs, 'correct horse'), { ok: true, text: 'a text' });
  assert.deepEqual(await unsealWithPassphrase(theirs, 'wrong horse'), { ok: false, why: 'key' });
  const decrypter = new Decrypter();
  decrypter.addPassphrase('correct horse');
  assert.equal(
    await decrypter.decrypt(armor.decode(await sealWithPassphrase('a text', 'correct horse')), 'text'),
    'a text',
  );
});
