import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CheckoutPool } from '../../src/workspace/checkouts/checkouts.ts';
import type { Checkout } from '../../src/core/ports/workspace.ts';
import { makeLab, withLab, type Lab } from './lab.ts';
import { endsOf, Views } from '../../src/workspace/checkouts/objects.ts';
import { openPool, withPool } from './pool.ts';

/** Git as a command in the checkout has it. */
const inside =
  (lab: Lab, checkout: Checkout) =>
  (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: checkout.dir,
      env: { ...lab.env, GIT_DIR: checkout.git, GIT_WORK_TREE: checkout.dir },
      stdio: 'pipe',
    }).toString();

const lines = (text: string): string[] => [...new Set(text.split('\n').filter((line) => line !== ''))].toSorted();
const all = (git: (...args: string[]) => string): string[] =>
  lines(git('cat-file', '--batch-all-objects', '--batch-check=%(objectname)'));
const reached = (lab: Lab, ...tips: string[]): string[] =>
  lines(lab.git('rev-list', '--objects', '--no-object-names', ...tips));

test(
  'a command sees the objects that its base reaches and its run’s own, not stashes, branches or what was rewritten',
  withPool(async (lab, pool) => {
    await lab.put('notes.md', 'SECRET of the stash\n');
    lab.git('stash');
    lab.git('checkout', '-q', '-b', 'private');
    await lab.put('private.txt', 'SECRET of a branch\n');
    lab.git('add', '.');
    lab.git('commit', '-qm', 'private');
    lab.git('checkout', '-q', 'main');
    lab.git('branch', '-q', 'before');
    const seen = async (base: string, changes: Parameters<typeof pool.take>[1] = []): Promise<string[]> => {
      const checkout = await pool.take(base, changes, 'call_1');
      const git = inside(lab, checkout);
      const found = all(git);
      git('fsck', '--connectivity-only', '--no-dangling');
      assert.equal(git('rev-parse', 'HEAD').trim(), base);
      await pool.release(checkout);
      return found;
    };
    const base = await lab.ws.head();
    assert.deepEqual(await seen(base), reached(lab, base));
    // Each landing adds what is its own; there are more of them than packs are kept apart.
    for (let at = 0; at < 15; at += 1) {
      assert.equal((await lab.land(`run_${at}`, { [`docs/${at}.md`]: `${at}\n` })).state, 'landed');
      const head = await lab.ws.head();
      assert.deepEqual(await seen(head), reached(lab, head), `landing ${at}`);
    }
    assert.deepEqual(await seen(base), reached(lab, base), 'an older base sees nothing newer');
    // A commit with a secret, taken back by the person.
    await lab.put('leak.txt', 'SECRET\n');
    lab.git('add', '.');
    lab.git('commit', '-qm', 'leak');
    assert.deepEqual(await seen(await lab.ws.head()), reached(lab, 'main'));
    lab.git('reset', '-q', '--hard', 'main^');
    await lab.put('other.txt', 'x\n');
    lab.git('add', '.');
    lab.git('commit', '-qm', 'other');
    const head = await lab.ws.head();
    assert.deepEqual(await seen(head), reached(lab, head));
    // What the run has changed so far is there too.
    const files = lab.ws.files(head, []);
    await files.write('over/lay.txt', Buffer.from('overlay\n'));
    await files.remove('notes.md');
    const checkout = await pool.take(head, files.changes(), 'call_2');
    const git = inside(lab, checkout);
    assert.equal(git('show', ':over/lay.txt'), 'overlay\n');
    assert.equal(git('status', '--porcelain'), 'D  notes.md\nA  over/lay.txt\n');
    await writeFile(join(checkout.dir, 'over/lay.txt'), 'again\n');
    assert.match(git('diff'), /^-overlay\n\+again$/m);
    git('commit', '-qam', 'inside');
    // The person's own Git may throw away whatever nothing names.
    lab.git('reflog', 'expire', '--expire=now', '--all');
    lab.git('gc', '-q', '--prune=now');
    assert.match(git('log', '-p'), /^\+again$[^]*^\+six$/m);
  }),
);

test(
  'views are few, last over a restart, and stay while a command is at work',
  withLab(async (lab) => {
    const dir = join(lab.root, 'home/checkouts/.objects');
    const pool = await openPool(lab);
    const base = await lab.ws.head();
    const held = await pool.take(base, [], 'held');
    for (let at = 0; at < 10; at += 1) {
      await lab.land(`run_${at}`, { 'notes.md': `${at}\n` });
      await pool.release(await pool.take(await lab.ws.head(), [], 'call_1'));
    }
    await pool.close();
    assert.equal((await readdir(dir)).length, 8, 'six, the last one, and the one that is held');
    const packs = (await readdir(join(dir, base, 'objects/pack'))).toSorted();
    const next = await openPool(lab);
    assert.equal((await next.adopt('held'))?.objects, held.objects);
    assert.match(inside(lab, held)('log', '--oneline'), /./);
    await next.release(held);
    await next.release(await next.take(base, [], 'call_1'));
    assert.deepEqual((await readdir(join(dir, base, 'objects/pack'))).toSorted(), packs, 'as it was');
    await next.close();
    // Damaged by a power cut: made anew.
    for (const name of packs) await writeFile(join(dir, base, 'objects/pack', `${name}.x`), '');
    for (const name of packs)
      await rename(join(dir, base, 'objects/pack', `${name}.x`), join(dir, base, 'objects/pack', name));
    const last = await openPool(lab);
    const again = await last.take(base, [], 'call_1');
    inside(lab, again)('fsck');
    await last.close();
  }),
);

for (const [what, args] of [
  ['shallow', ['--depth', '2', '--no-local']],
  ['shared', ['--shared']],
  ['reference', ['--reference', 'origin']],
] as const)
  test(`F12 Git works in a checkout of a ${what} clone`, async () => {
    const lab = await makeLab({
      prepare: async (dir, root, env) => {
        const git = (cwd: string, ...words: string[]): Buffer =>
          execFileSync('git', words, { cwd, env, stdio: 'pipe' });
        for (let at = 0; at < 4; at += 1) {
          await writeFile(join(dir, 'notes.md'), `${at}\n`);
          git(dir, 'commit', '-qam', `commit ${at}`);
        }
        await rename(dir, join(root, 'origin'));
        const from = what === 'shallow' ? `file://${join(root, 'origin')}` : join(root, 'origin');
        const words = args.map((word) => (word === 'origin' ? join(root, 'origin') : word));
        git(root, 'clone', '-q', ...words, from, dir);
      },
    });
    const pool = await openPool(lab);
    try {
      const checkout = await pool.take(await lab.ws.head(), [], 'call_1');
      const git = inside(lab, checkout);
      assert.equal(git('log', '--format=%s'), lab.git('log', '--format=%s'));
      assert.equal(git('status', '--porcelain'), '');
      await writeFile(join(checkout.dir, 'notes.md'), 'new\n');
      assert.match(git('diff', 'HEAD'), /^\+new$/m);
      git('fsck');
      await pool.release(checkout);
      await lab.land('run_1', { 'x.txt': 'x\n' });
      if (what === 'shallow') lab.git('fetch', '-q', '--unshallow');
      const later = await pool.take(await lab.ws.head(), [], 'call_2');
      assert.equal(inside(lab, later)('log', '--format=%s'), lab.git('log', '--format=%s'));
      await pool.release(later);
    } finally {
      await pool.close();
      await lab.dispose();
      await rm(lab.root, { recursive: true, force: true });
    }
  });

const oldBlob = async (lab: Lab): Promise<string> => {
  await lab.land('run_old', { 'old.txt': 'of long ago\n' });
  const oid = lab.git('rev-parse', 'main:old.txt').trim();
  await lab.land('run_new', { 'old.txt': null, 'new.txt': 'new\n' });
  return join(lab.dir, '.git/objects', oid.slice(0, 2), oid.slice(2));
};

/** A command sees its base and works on it; how many commits lie before it. */
async function worksAt(lab: Lab, pool: CheckoutPool): Promise<number> {
  const head = await lab.ws.head();
  const files = lab.ws.files(head, []);
  await files.write('over.txt', Buffer.from('overlay\n'));
  const checkout = await pool.take(head, files.changes(), 'call_1');
  const git = inside(lab, checkout);
  assert.equal(git('rev-parse', 'HEAD').trim(), head);
  assert.equal(git('status', '--porcelain'), 'A  over.txt\n');
  assert.equal(git('show', 'HEAD:notes.md'), lab.git('show', 'main:notes.md'));
  git('fsck', '--connectivity-only', '--no-dangling');
  const count = lines(git('log', '--format=%H')).length;
  await pool.release(checkout);
  return count;
}

test(
  'one old file of history that is lost takes history from commands, and not the commands',
  withPool(async (lab, pool) => {
    await rm(await oldBlob(lab));
    assert.equal(await worksAt(lab, pool), 1);
    // What comes later is added to it.
    await lab.land('run_later', { 'notes.md': 'later\n' });
    assert.equal(await worksAt(lab, pool), 2);
    const kept = (await readdir(join(lab.root, 'home/checkouts/.objects'))).filter((name) => name.startsWith('new-'));
    assert.deepEqual(kept, [], 'nothing is left of what failed');
  }),
);

test(
  'history for which the disk has no room is not copied, and commands see their base',
  withLab(async (lab) => {
    await oldBlob(lab);
    const discard = (path: string): Promise<void> => rm(path, { recursive: true, force: true });
    const head = await lab.ws.head();
    const [all, alone] = [0, Number.MAX_SAFE_INTEGER].map(
      (minFree) => new Views({ git: lab.ws.git, dir: join(lab.root, `views-${minFree}`), discard, minFree }),
    );
    const [whole, cut] = [await all?.hold(head), await alone?.hold(head)];
    assert.ok(whole && cut);
    assert.deepEqual([endsOf(whole), endsOf(cut)], ['', `${head}\n`]);
    assert.ok((cut.packs[0]?.bytes ?? 0) < (whole.packs[0]?.bytes ?? 0));
  }),
);
