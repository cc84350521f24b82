import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Change } from '../../src/core/files.ts';
import { withLab, type Lab } from './lab.ts';

/** All that a person may do to clean a repository up, or to copy it. */
function cleanAndCopy(lab: Lab): void {
  lab.git('gc', '--quiet', '--prune=now');
  lab.git('repack', '-adq');
  lab.git('fsck', '--no-dangling');
  lab.git('bundle', 'create', '-q', join(lab.root, 'all.bundle'), '--all');
  lab.git('init', '-q', '--bare', join(lab.root, 'mirror.git'));
  lab.git('push', '-q', '--mirror', join(lab.root, 'mirror.git'));
}

const runRefs = (lab: Lab): string => lab.git('for-each-ref', '--format=%(refname)', 'refs/ruche/runs').trim();

/** Writes into an overlay of `main`, as the steps of a run do. */
async function changes(lab: Lab, files: Record<string, string>): Promise<{ base: string; changes: Change[] }> {
  const base = await lab.ws.head();
  const overlay = lab.ws.files(base, []);
  for (const [path, text] of Object.entries(files)) await overlay.write(path, Buffer.from(text));
  return { base, changes: overlay.changes() };
}

const objectFile = (lab: Lab, oid: string): string => join(lab.dir, '.git', 'objects', oid.slice(0, 2), oid.slice(2));

const lose = (lab: Lab, change: Change | undefined): Promise<void> => rm(objectFile(lab, change?.oid ?? ''));

test(
  'what a run has written survives what a person does to clean the repository up, and lands after it',
  withLab(async (lab) => {
    const work = await changes(lab, { 'draft.txt': 'one draft\n', 'docs/new/er.md': 'new\n' });
    await lab.ws.hold(lab.request('run_1', work.base, work.changes));
    cleanAndCopy(lab);
    await lab.reopen();
    await lab.ws.recover();
    assert.deepEqual(lab.ws.held(), ['run_1']);
    assert.equal((await lab.ws.land(lab.request('run_1', work.base, work.changes))).state, 'landed');
    assert.equal(lab.git('show', 'main:draft.txt'), 'one draft\n');
    await lab.ws.release('run_1');
    assert.equal(runRefs(lab), '');
    assert.deepEqual(lab.ws.held(), []);
  }),
);

test(
  'a run holds what it has now, with its base, and lets go of what it had; one without changes has no ref',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    await lab.ws.hold(lab.request('run_0', base, []));
    assert.equal(existsSync(join(lab.dir, '.git', 'refs', 'ruche', 'runs')), false);
    const first = await changes(lab, { 'a.txt': 'first thought\n' });
    const second = await changes(lab, { 'a.txt': 'second thought\n' });
    const holds = [first, second].map((each) => lab.ws.hold(lab.request('run_1', base, each.changes)));
    // The person rewrites main: the base is in no branch any more.
    await Promise.all(holds);
    lab.git('checkout', '-q', '--orphan', 'other');
    lab.git('commit', '-qm', 'anew');
    lab.git('branch', '-qM', 'main');
    lab.git('reflog', 'expire', '--expire=now', '--all');
    lab.git('gc', '-q', '--prune=now');
    assert.equal(lab.git('show', 'refs/ruche/runs/run_1:a.txt'), 'second thought\n');
    assert.equal(lab.git('rev-parse', 'refs/ruche/runs/run_1^').trim(), base);
    assert.throws(() => lab.git('cat-file', '-e', first.changes[0]?.oid ?? ''));
    // What is written once more is on disk once more.
    await changes(lab, { 'a.txt': 'first thought\n' });
    assert.equal(lab.git('cat-file', '-p', first.changes[0]?.oid ?? ''), 'first thought\n');
    // It took its changes back.
    await lab.ws.hold(lab.request('run_1', base, []));
    assert.equal(runRefs(lab), '');
  }),
);

test(
  'the work of a failed run is kept without what the repository has lost, and never by a ref that breaks Git',
  withLab(async (lab) => {
    const work = await changes(lab, { 'kept.txt': 'kept\n', 'lost.txt': 'lost\n' });
    await lose(lab, work.changes[1]);
    assert.deepEqual(await lab.ws.keepUnlanded(lab.request('run_1', work.base, work.changes)), ['lost.txt']);
    assert.equal(lab.git('show', 'refs/ruche/unlanded/run_1:kept.txt'), 'kept\n');
    assert.match(lab.git('log', '-1', '--format=%s', 'refs/ruche/unlanded/run_1'), /\(without lost\.txt\)/);
    const all = lab.request('run_2', work.base, work.changes.slice(1));
    await assert.rejects(lab.ws.keepUnlanded(all), /lost the content of lost\.txt/);
    await lab.ws.hold(lab.request('run_3', work.base, work.changes));
    cleanAndCopy(lab);
    assert.deepEqual(await lab.ws.brokenRefs(), []);
  }),
);

test(
  'refs that an older version has left over lost work are named, and mended at the start',
  withLab(async (lab) => {
    const work = await changes(lab, { 'kept.txt': 'kept\n', 'lost.txt': 'lost\n', 'gone/all.txt': 'gone\n' });
    const [kept, lost, gone] = work.changes;
    for (const [run, of] of [
      ['run_1', [kept, lost]],
      ['run_2', [gone]],
      ['run_3', [kept]],
    ] as const)
      await lab.ws.keepUnlanded(
        lab.request(
          run,
          work.base,
          of.flatMap((change) => change ?? []),
        ),
      );
    const whole = lab.git('rev-parse', 'refs/ruche/unlanded/run_3');
    await lose(lab, lost);
    await lose(lab, gone);
    // A power cut has left a ref of a run empty, and another one without its commit.
    await lab.ws.hold(lab.request('run_4', work.base, [kept as Change]));
    await lab.ws.hold(lab.request('run_5', work.base, [kept as Change]));
    await writeFile(join(lab.dir, '.git', 'refs', 'ruche', 'runs', 'run_4'), '');
    await writeFile(join(lab.dir, '.git', 'refs', 'ruche', 'runs', 'run_5'), `${'1'.repeat(40)}\n`);
    assert.throws(() => lab.git('gc', '-q'));
    await lab.reopen();
    const broken = ['runs/run_4', 'runs/run_5', 'unlanded/run_1', 'unlanded/run_2'].map((name) => `refs/ruche/${name}`);
    assert.deepEqual(await lab.ws.brokenRefs(), broken);
    const mended = (await lab.ws.recover()) ?? '';
    for (const [name, how] of [
      ['unlanded/run_1', /made \S+run_1 anew without lost\.txt/],
      ['unlanded/run_2', /removed \S+run_2/],
      ['runs/run_4', /removed \S+run_4/],
      ['runs/run_5', /removed \S+run_5/],
    ] as const)
      assert.match(mended, how, name);
    assert.deepEqual(await lab.ws.brokenRefs(), []);
    assert.equal(lab.git('show', 'refs/ruche/unlanded/run_1:kept.txt'), 'kept\n');
    assert.equal(lab.git('rev-parse', 'refs/ruche/unlanded/run_3'), whole);
    cleanAndCopy(lab);
    assert.equal(await lab.ws.recover(), null);
  }),
);

/** A clone that borrows the objects of `<root>/source`. */
const borrowing = {
  prepare: async (dir: string, root: string, env: Record<string, string>): Promise<void> => {
    await rename(dir, join(root, 'source'));
    execFileSync('git', ['clone', '-q', '--shared', join(root, 'source'), dir], { env, stdio: 'pipe' });
  },
};

for (const [what, own] of [
  ['base', false],
  ['files of the base', true],
] as const)
  test(
    `refs of work whose ${what} lie on a disk that is away at one start are left, and whole when it is back`,
    withLab(async (lab) => {
      // What lands is the clone's own; the files beside it stay in the source.
      if (own) await lab.land('run_0', { 'landed.txt': 'landed\n' });
      // One of the files has content that the source has, so nothing but that may be away.
      const work = await changes(lab, { 'held.txt': 'held\n', 'docs/same.md': 'guide\n' });
      const same = work.changes.filter(({ path }) => path === 'docs/same.md');
      await lab.ws.hold(lab.request('run_1', work.base, work.changes));
      await lab.ws.hold(lab.request('run_2', work.base, same));
      await lab.ws.keepUnlanded(lab.request('run_3', work.base, work.changes));
      const refs = lab.git('for-each-ref', 'refs/ruche');
      const objects = join(lab.root, 'source', '.git', 'objects');
      await rename(objects, join(lab.root, 'away'));
      await lab.reopen();
      assert.deepEqual(await lab.ws.brokenRefs(), []);
      await lab.ws.recover().catch(() => null);
      assert.deepEqual(await lab.ws.lost(work.base, work.changes), []);
      await assert.rejects(lab.ws.hold(lab.request('run_2', work.base, [...same])));
      await rename(join(lab.root, 'away'), objects);
      assert.equal(lab.git('for-each-ref', 'refs/ruche'), refs);
      await lab.reopen();
      assert.equal(await lab.ws.recover(), null);
      cleanAndCopy(lab);
      assert.equal(lab.git('show', 'refs/ruche/runs/run_1:held.txt'), 'held\n');
      assert.equal(lab.git('show', 'refs/ruche/unlanded/run_3:held.txt'), 'held\n');
    }, borrowing),
  );
