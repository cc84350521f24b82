import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readAuthorities } from '../../src/net/authorities.ts';
import { openAuthority } from '../../src/net/egress/certificates.ts';
import { homeKey } from '../../src/platform/home-key.ts';
import { privateFile } from '../../src/platform/replace.ts';

test('a file of authorities is read whole, may be missing, and is named where it holds something else', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'ruche-ca-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'ca.pem');
  assert.deepEqual(await readAuthorities(path), []);
  const open = (name: string) =>
    openAuthority({ secret: Buffer.alloc(32), name, hosts: ['x.example'] }, () => 1.8e12).cert;
  writeFileSync(path, `# ours\n${open('one')}\n${open('two')}`);
  assert.equal((await readAuthorities(path)).length, 2);
  for (const text of ['', 'hello', open('one').replace(/\n.{64}\n/, '\nAAAA\n')]) {
    writeFileSync(path, text);
    await assert.rejects(
      readAuthorities(path),
      /ca\.pem holds (?:no certificate|a certificate that cannot be read): put/,
    );
  }
});

test('the key of home is made once, and a file that holds something else is named', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'ruche-key-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = privateFile(join(dir, 'run.key'));
  const first = await homeKey(file, (length) => Buffer.alloc(length, 9));
  assert.deepEqual(Buffer.from(await homeKey(file, () => assert.fail('made anew'))), Buffer.from(first));
  await file.write('short\n');
  await assert.rejects(
    homeKey(file, () => first),
    /run\.key holds no key: delete it/,
  );
});
