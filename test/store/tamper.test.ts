import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { verifyChain, verifyJournal } from './chain-oracle.ts';
import { openDb } from '../../src/store/sqlite/db.ts';
import { collect, commit, note, openAt, tempDir } from './kit.ts';
import { until } from '../fakes/until.ts';

async function inTemp(body: (path: string) => Promise<void>): Promise<void> {
  const { dir, remove } = await tempDir();
  try {
    await body(join(dir, 'ruche.sqlite'));
  } finally {
    await remove();
  }
}

/** Offset of the only place in the file where `bytes` stand. */
function find(file: Buffer, bytes: Buffer | string): number {
  const at = file.indexOf(bytes);
  assert.ok(at >= 0, 'not found');
  assert.equal(file.indexOf(bytes, at + 1), -1, 'found twice');
  return at;
}

const flip = (file: Buffer, at: number): Buffer => {
  const changed = Buffer.from(file);
  changed[at] = (changed[at] ?? 0) ^ 0x01;
  return changed;
};

describe('tampering', () => {
  test('one changed byte anywhere in an event row is named by verify', () =>
    inTemp(async (path) => {
      const store = await openAt(path);
      for (let i = 1; i <= 30; i++)
        await commit(store, [
          note(`stream-${i}`, `<reason ${i}>`, { key: `<key ${i}>`, actor: `person:<p${i}>`, labels: ['private'] }),
        ]);
      const hash = (await store.event('evt_17'))?.hash ?? '';
      await store.close();
      const whole = await readFile(path);
      // The row on its page: from its stream name, which is its first text, to its hash, which is its last.
      const end = find(whole, hash) + hash.length;
      const start = whole.lastIndexOf('stream-17', end);
      assert.ok(end - start > 120 && end - start < 400, `row of ${end - start} bytes`);
      let named = 0;
      for (let at = start; at < end; at++) {
        await writeFile(path, flip(whole, at));
        const changed = await openAt(path, { readOnly: true });
        const { misfit } = await verifyChain(changed.rows());
        await changed.close();
        assert.equal(misfit?.event, 'evt_17', `byte ${at - start} of the row`);
        named++;
      }
      assert.equal(named, end - start);
      await writeFile(path, whole);
    }));

  test('one changed byte in the record header of a row, or its number, never passes', () =>
    inTemp(async (path) => {
      const store = await openAt(path);
      for (let i = 1; i <= 12; i++) await commit(store, [note(`stream-${i}`, 'x')]);
      const hash = (await store.event('evt_7'))?.hash ?? '';
      await store.close();
      const whole = await readFile(path);
      const start = whole.lastIndexOf('stream-7', find(whole, hash));
      let caught = 0;
      for (let at = start - 16; at < start; at++) {
        await writeFile(path, flip(whole, at));
        const outcome = await openAt(path, { readOnly: true }).then(
          async (changed) => {
            const { misfit } = await verifyChain(changed.rows());
            await changed.close();
            return misfit?.event ?? 'nothing';
          },
          (error: Error) => error.message,
        );
        assert.match(outcome, /^evt_([1-9]|1[012])$/, `byte ${at - start}`);
        caught++;
      }
      assert.equal(caught, 16);
    }));

  test('one changed byte of a blob, or of its key, is named with the event that has it', () =>
    inTemp(async (path) => {
      const store = await openAt(path);
      const answers = Array.from({ length: 6 }, (_, i) => store.putBlob(randomBytes(40), `person:p${i}`));
      await commit(
        store,
        answers.map((answer) =>
          note('a', 'x', { type: 'question.answered', data: { question: 'q', by: 'p', answer } }),
        ),
      );
      await store.close();
      const db = openDb(path, { timeout: 0 });
      const body = db
        .prepare<{ body: Uint8Array }>('SELECT body FROM blob WHERE hash = ?')
        .get(answers[3]?.hash ?? '')?.body;
      const secret = db
        .prepare<{ secret: Uint8Array }>("SELECT secret FROM subject WHERE name = 'person:p3'")
        .get()?.secret;
      db.close();
      assert.ok(body && secret);
      const whole = await readFile(path);
      const places = [
        ...Array.from(body, (_, i) => find(whole, Buffer.from(body)) + i),
        ...Array.from(secret, (_, i) => find(whole, Buffer.from(secret)) + i),
      ];
      assert.equal(places.length, 40 + 28 + 32);
      for (const at of places) {
        await writeFile(path, flip(whole, at));
        const changed = await openAt(path, { readOnly: true });
        const { misfit } = await verifyJournal(changed);
        assert.equal(misfit?.event, 'evt_4');
        assert.match(misfit?.why ?? '', new RegExp(`blob ${answers[3]?.hash} does not decrypt`));
        const bad = (await collect(changed.checkBlobs())).filter((blob) => blob.problem !== null);
        assert.deepEqual(
          bad.map((blob) => blob.hash),
          [answers[3]?.hash],
        );
        await changed.close();
      }
    }));
});

describe('erasure', () => {
  test('the bytes of an erased key are in no file any more, and the other keys still work', () =>
    inTemp(async (path) => {
      const secrets = new Map<string, Buffer>();
      let subject = '';
      const recording = (n: number): Uint8Array => {
        const bytes = randomBytes(n);
        if (n === 32) secrets.set(subject, bytes);
        return bytes;
      };
      const store = await openAt(path, { random: recording });
      const refs = new Map<string, ReturnType<typeof store.putBlob>>();
      for (let i = 0; i < 1500; i++) {
        // Names of all lengths, so that rows do not fall on the same places of their pages.
        subject = `person:${i}${'x'.repeat((i * 37) % 200)}`;
        refs.set(subject, store.putBlob(Buffer.from(`said by ${i}`), subject));
        if (i % 10 === 0) await commit(store, [note('a', 'x')]);
      }
      await commit(store, [note('a', 'x')]);
      const names = [...secrets.keys()];
      assert.equal(names.length, 1500);
      const erased = names.filter((_, i) => (i * 7919) % 13 === 3);
      for (const name of erased) await store.erase(name);
      const gone = new Set(erased);
      const files = await readdir(dirname(path));
      assert.ok(files.includes('ruche.sqlite-wal'), 'looked at while it is open');
      const bytes = Buffer.concat(await Promise.all(files.map((file) => readFile(join(dirname(path), file)))));
      let found = 0;
      for (const [name, secret] of secrets) {
        const there = bytes.includes(secret);
        assert.equal(there, !gone.has(name), name);
        if (there) found++;
      }
      assert.deepEqual([found, gone.size], [1500 - 115, 115]);
      for (const [name, ref] of refs) assert.equal((await store.getBlob(ref)) === null, gone.has(name));
      await store.close();
    }));

  test('waits for another process that reads, and says so if it never ends', () =>
    inTemp(async (path) => {
      const store = await openAt(path);
      const ref = store.putBlob(Buffer.from('x'), 'person:ann');
      await commit(store, [note('a', 'x')]);
      const reader = openDb(path, { timeout: 0 });
      reader.exec('BEGIN; SELECT count(*) FROM event');
      const erased = store.erase('person:ann');
      await until(async () => (await store.getBlob(ref)) === null, 'gone for everyone at once');
      reader.exec('COMMIT');
      await erased;
      assert.equal((await stat(`${path}-wal`)).size, 0);
      store.putBlob(Buffer.from('x'), 'person:bob');
      await commit(store, [note('a', 'x')]);
      reader.exec('BEGIN; SELECT count(*) FROM event');
      await assert.rejects(store.erase('person:bob'), /person:bob is deleted, but another process keeps reading/);
      reader.close();
      await store.erase('person:bob');
      assert.equal((await stat(`${path}-wal`)).size, 0);
      await store.close();
    }));
});
