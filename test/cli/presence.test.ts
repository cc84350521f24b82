import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { homeToken, removePresence, tokenNow, writePresence } from '../../src/app/presence.ts';
import { recordedLog } from '../gateway/help.ts';

async function withHome(run: (home: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'ruche-presence-'));
  try {
    await run(home);
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

const bytes = (length: number): Uint8Array => new Uint8Array(length).map((_, index) => index * 7 + 3);

test('The token is made once, from 32 bytes, and only its owner can read it', async () => {
  await withHome(async (home) => {
    const token = await homeToken(home, bytes);
    assert.match(token, /^[A-Za-z0-9_-]{43}$/);
    assert.equal((await stat(join(home, 'token'))).mode & 0o777, 0o600);
    assert.equal(await homeToken(home, () => assert.fail('made again')), token);
    await chmod(join(home, 'token'), 0o640);
    await assert.rejects(homeToken(home, bytes), /can be read by other users.*chmod 600/s);
    await writeFile(join(home, 'token'), 'one of my own  \n');
    await chmod(join(home, 'token'), 0o400);
    assert.equal(await homeToken(home, bytes), 'one of my own');
  });
});

test('A changed token counts at once; one that cannot be used is reported, and the one before stays', async () => {
  await withHome(async (home) => {
    const path = join(home, 'token');
    const save = async (text: string, mode = 0o600): Promise<void> => {
      await rm(path, { force: true });
      await writeFile(path, text, { mode });
      await chmod(path, mode);
    };
    const first = await homeToken(home, bytes);
    const log = recordedLog();
    const hidden: string[] = [];
    const secrets = { hide: (value: string) => void hidden.push(value) };
    const token = tokenNow({ home, host: '0.0.0.0', first, secrets, log });
    assert.equal(token(), first);
    await save('another-token-0123456789-abcdef\n');
    assert.equal(token(), 'another-token-0123456789-abcdef');
    assert.deepEqual(hidden, ['another-token-0123456789-abcdef'], 'and no log shows it');
    for (const [text, mode, said] of [
      ['short', 0o600, /too short/],
      ['a-third-token-0123456789-abcdef', 0o644, /read by other users; run: chmod 600/],
    ] as const) {
      await save(text, mode);
      assert.equal(token(), 'another-token-0123456789-abcdef');
      assert.match(JSON.stringify(log.lines.at(-1)), said);
    }
    await rm(path);
    assert.equal(token(), 'another-token-0123456789-abcdef');
    assert.equal(token(), 'another-token-0123456789-abcdef');
    assert.equal(log.lines.length, 3, 'each is told once');
  });
});

test('A home that cannot be looked at leaves the token in force, and is told once', async () => {
  await withHome(async (outer) => {
    const home = join(outer, 'home');
    await mkdir(home);
    const first = await homeToken(home, bytes);
    const log = recordedLog();
    const token = tokenNow({ home, host: '127.0.0.1', first, secrets: { hide: () => undefined }, log });
    // A loop stands for a mount that has gone or a bad disk: the system refuses the look itself, for root as well.
    await rename(home, join(outer, 'away'));
    await symlink('home', home);
    assert.deepEqual([token(), token(), token()], [first, first, first]);
    assert.equal(log.lines.length, 1);
    assert.match(JSON.stringify(log.lines), /cannot be looked at \(ELOOP\)/);
    await rm(home);
    await rename(join(outer, 'away'), home);
    assert.equal(token(), first);
    await writeFile(join(home, 'token'), 'another-token-0123456789-abcdef\n');
    assert.equal(token(), 'another-token-0123456789-abcdef');
    assert.equal(log.lines.length, 1);
  });
});

test('gateway.json is whole, private, and removed only by the one who wrote it', async () => {
  await withHome(async (home) => {
    const path = join(home, 'gateway.json');
    await writePresence(home, { url: 'http://127.0.0.1:1', pid: 1 });
    await writePresence(home, { url: 'http://127.0.0.1:4747', pid: 12 });
    assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), { url: 'http://127.0.0.1:4747', pid: 12 });
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await removePresence(home, 1);
    assert.deepEqual(await readdir(home), ['gateway.json'], 'and no temporary file is left');
    await removePresence(home, 12);
    await removePresence(home, 12);
    assert.deepEqual(await readdir(home), []);
  });
});
