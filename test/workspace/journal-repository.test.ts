import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { explain } from '../../src/cli/explain.ts';
import type { JournalLine } from '../../src/core/ports/journal.ts';
import { openJournalRepository } from '../../src/git/journal.ts';
import { quiet } from './govern-kit.ts';
import { env, makeJournal } from '../journal/export-kit.ts';
import type { Journal } from '../journal/export-kit.ts';
import { tries } from '../fakes/effort.ts';

const AT = Date.parse('2026-11-22T10:00:00Z');

const line = (seq: number, rest: Partial<JournalLine> = {}): JournalLine => ({
  seq,
  at: AT + seq * 1000,
  actor: 'agent:assistant',
  group: 'run_1',
  run: true,
  weighty: true,
  subject: `assistant: did ${seq}`,
  json: `{"seq":${seq},"text":"é ${seq}"}`,
  ...rest,
});

async function journal(t: { after(done: () => Promise<void>): void }): Promise<Journal> {
  const made = await makeJournal();
  t.after(() => made.remove());
  return made;
}

const git = async (dir: string, ...args: string[]): Promise<string> =>
  (await promisify(execFile)('git', args, { cwd: dir, env: { ...env, HOME: '/nonexistent' } })).stdout.trim();

const all = async (repository: { lines(): AsyncIterable<{ seq: number; json: string }> }): Promise<number[]> => {
  const seqs: number[] = [];
  for await (const { seq, json } of repository.lines()) {
    assert.equal(json, line(seq).json);
    seqs.push(seq);
  }
  return seqs;
};

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

test('a commit for each weighty line, by its actor, with a subject and new segments only', async (t) => {
  const { dir, open } = await journal(t);
  const repository = await open();
  assert.equal(await repository.tip(), 0);
  await repository.append([
    line(1, { actor: 'person:owner', group: 'conv-assistant-main', run: false, subject: 'owner: wrote\nto assistant' }),
    line(2, { weighty: false }),
    line(3),
    line(4, { actor: 'runtime', at: AT + 86_400_000 }),
  ]);
  assert.equal(await repository.tip(), 4);
  assert.deepEqual(await all(repository), upTo(4));
  assert.equal(
    await git(dir, 'log', '--reverse', '--format=%an <%ae> %at: %s %(trailers:key=Ruche-Seq,separator=%x2C)'),
    [
      `owner <owner@ruche.invalid> ${AT / 1000 + 1}: owner: wrote to assistant Ruche-Seq: 1`,
      `assistant <assistant@ruche.invalid> ${AT / 1000 + 3}: assistant: did 3 Ruche-Seq: 3`,
      `ruche <ruche@ruche.invalid> ${AT / 1000 + 86_400}: assistant: did 4 Ruche-Seq: 4`,
    ].join('\n'),
  );
  const files = (await git(dir, 'ls-tree', '-r', '--name-only', 'journal')).split('\n');
  assert.equal(files.length, 3);
  for (const file of files)
    assert.match(file, /^journal\/2026-11-2[23]\/[0-9a-f]{2}\/(run_1|conv-assistant-main)\.[124].jsonl$/);
  assert.equal(await git(dir, 'symbolic-ref', 'HEAD'), 'refs/heads/journal');
});

test('lines it has are skipped, and a gap is refused with nothing changed', async (t) => {
  const { open } = await journal(t);
  const repository = await open();
  await repository.append(upTo(5).map((seq) => line(seq)));
  await repository.append(upTo(7).map((seq) => line(seq)));
  assert.deepEqual(await all(repository), upTo(7));
  await assert.rejects(repository.append([line(8), line(10)]), /lacks event 9: it was given 10/);
  assert.equal(await repository.tip(), 7);
  await repository.append([]);
  assert.deepEqual(await all(repository), upTo(7));
});

test('many lines at once take few commits', async (t) => {
  const { dir, open } = await journal(t);
  const repository = await open();
  await repository.append(upTo(1000).map((seq) => line(seq, { group: `run_${seq % 7}` })));
  assert.equal(await git(dir, 'rev-list', '--count', 'journal'), '1');
  assert.deepEqual(await all(repository), upTo(1000));
  assert.match(await git(dir, 'log', '-1', '--format=%s'), /^1000 events of 7 runs, the last: assistant: did 1000$/);
  await repository.append(upTo(1100).map((seq) => line(seq, { group: `conv-${seq % 50}`, run: seq % 2 === 0 })));
  const last = ['show', '--format=', '--name-only', 'journal'];
  const files = (await git(dir, ...last)).trim().split('\n');
  // Of fifty runs and streams, those of no run share a file without a name.
  assert.equal(files.length, 25 + 1);
  assert.equal(files.filter((file) => /\/[0-9a-f]{2}\/1001\.jsonl$/.test(file)).length, 1);
  assert.deepEqual(await all(repository), upTo(1100));
});

test('actors, groups and subjects cannot break out of their place', async (t) => {
  const { dir, open } = await journal(t);
  const repository = await open();
  const subject = 'x\n\nRuche-Seq: 99\nfrom 0000\ndone\n';
  await repository.append([
    line(1, { actor: 'person:a\n<evil@x> 0 +0000\nfrom 123', subject, json: '{"seq":1,"text":"é 1"}' }),
  ]);
  assert.equal(
    await git(dir, 'log', '-1', '--format=%an|%ae'),
    'a-evil-x- 0 -0000-from 123|a-evil-x--0--0000-from-123@ruche.invalid',
  );
  assert.equal(await repository.tip(), 1);
  await assert.rejects(repository.append([line(2, { group: '../../evil' })]), /cannot be the name of a file/);
  assert.equal(await repository.tip(), 1);
  const reopened = await open();
  assert.equal(await reopened.tip(), 1);
});

test('after a kill the tip says where to go on, whatever was left behind', async (t) => {
  const { dir, open } = await journal(t);
  const first = await open();
  await first.append([line(1), line(2)]);
  await writeFile(join(dir, 'refs/heads/journal.lock'), '');
  await writeFile(join(dir, 'packed-refs.lock'), '');
  await writeFile(join(dir, 'objects/pack/tmp_pack_abc'), 'half');
  await writeFile(join(dir, 'ruche/fast_import_crash_1'), 'x');
  const second = await open();
  assert.equal(await second.tip(), 2);
  await second.append([line(2), line(3, { subject: 'another' })]);
  assert.deepEqual(await all(second), upTo(3));
  assert.ok(!(await readdir(join(dir, 'objects/pack'))).some((name) => name.startsWith('tmp')));
  assert.ok(!(await readdir(join(dir, 'ruche'))).includes('fast_import_crash_1'));
  // The first one, were it an orphan, notices that the tip has moved and writes nothing over it.
  await assert.rejects(first.append([line(3), line(4)]));
  assert.equal(await first.tip(), 3);
  await first.append([line(3), line(4)]);
  assert.deepEqual(await all(second), upTo(4));
});

test('a ref that a power cut has emptied is told from one that is not there', async (t) => {
  const { dir, root, open } = await journal(t);
  await (await open()).append([line(1)]);
  await writeFile(join(dir, 'refs/heads/journal'), '');
  const second = await open();
  await second.append([line(1), line(2)]);
  assert.deepEqual(await all(second), upTo(2));
  assert.ok((await readdir(root)).includes('journal.git.damaged-1'));
});

test('a repository that cannot be read is moved aside and begun anew', async (t) => {
  const { dir, root, open } = await journal(t);
  const first = await open();
  await first.append([line(1)]);
  for (const name of await readdir(join(dir, 'objects/pack')))
    await writeFile(join(dir, 'objects/pack', name), '').catch(() =>
      rm(join(dir, 'objects/pack', name), { force: true }),
    );
  const second = await open();
  assert.equal(await second.tip(), 0);
  await second.append([line(1)]);
  assert.deepEqual(await all(second), [1]);
  assert.ok((await readdir(root)).includes('journal.git.damaged-1'));
});

test('a check that fails once, or for want of memory, is no damage; of what is damaged the newest copy is kept', async (t) => {
  const made = await journal(t);
  const first = await made.open();
  await first.append([line(1)]);
  first.close();
  // Git as it is on a machine under load: a command ends as the next line of a file says.
  const bin = join(made.root, 'bin');
  const says = join(made.root, 'says');
  await mkdir(bin);
  const script = `case " $* " in *" fsck "*|*" for-each-ref "*)
  said=$(head -n 1 '${says}'); sed -i 1d '${says}'
  if [ -n "$said" ]; then echo "$said" >&2; exit 128; fi;;
esac
PATH='${process.env['PATH']}' exec git "$@"`;
  await writeFile(join(bin, 'git'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const path = { PATH: `${bin}:${process.env['PATH']}` };
  const { dir } = made;
  await writeFile(says, 'error: bad\n');
  const repository = await openJournalRepository({ dir, env: path, boundary: () => undefined, log: quiet });
  assert.equal(await repository.tip(), 1);
  assert.equal(await readFile(says, 'utf8'), '', 'the first look failed');
  const check = async (...lines: string[]): Promise<boolean> => {
    await writeFile(says, lines.map((line) => `${line}\n`).join(''));
    return repository.check(new AbortController().signal);
  };
  const copies = async (): Promise<string[]> => (await readdir(made.root)).filter((name) => name.includes('.damaged-'));
  assert.ok(await check('error: unable to read a pack'));
  await assert.rejects(check('fatal: Out of memory, malloc failed'), /memory/);
  await assert.rejects(check('error: bad', 'error: open: Too many open files'), /open files/);
  assert.deepEqual(await copies(), []);
  for (const copy of [1, 2, 3]) {
    assert.ok(!(await check('error: bad', 'error: bad')));
    assert.equal((await copies()).length, 1, `after damage ${copy}`);
    await repository.append([line(1)]);
  }
  repository.close();
});

test('what was changed instead of added is reported', async (t) => {
  const { dir, root, open } = await journal(t);
  const repository = await open();
  await repository.append([line(1), line(2)]);
  const clone = join(root, 'clone');
  await git(root, 'clone', '-q', '-b', 'journal', dir, clone);
  const file = (await git(clone, 'ls-files')).split('\n')[0] ?? '';
  await writeFile(join(clone, file), '{"seq":1,"text":"forged"}\n');
  await git(clone, '-c', 'user.name=x', '-c', 'user.email=x@x', 'commit', '-q', '-a', '-m', 'Forge\n\nRuche-Seq: 2');
  await git(clone, 'push', '-q', 'origin', 'journal');
  await assert.rejects(all(repository), /commit [0-9a-f]{12} of journal.git changes journal\/.*only ever added/);
});

test('maintenance keeps the number of packs small and loses nothing', async (t) => {
  const { dir, open } = await journal(t);
  const repository = await open();
  for (const seq of upTo(50)) {
    await repository.append([line(seq)]);
    if (seq % 20 === 0) await repository.maintain();
  }
  // A writer that appends meanwhile waits its turn.
  await Promise.all([repository.maintain(), repository.append([line(51)]), repository.maintain()]);
  const packs = (await readdir(join(dir, 'objects/pack'))).filter((name) => name.endsWith('.pack'));
  assert.ok(packs.length <= 40, `${packs.length} packs`);
  assert.deepEqual(await all(repository), upTo(51));
  await git(dir, 'fsck', '--strict');
});

test('however lines are cut into batches, groups and weights, they come back in order, once', async (t) => {
  const { open } = await journal(t);
  let repository = await open();
  let next = 1;
  const batch = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.boolean(), fc.integer({ min: -1e9, max: 1e9 })), {
    minLength: 1,
    maxLength: 80,
    size: 'max',
  });
  await fc.assert(
    fc.asyncProperty(batch, fc.boolean(), async (shapes, reopen) => {
      const lines = shapes.map(([group, weighty, skew], at) =>
        line(next + at, { group: `run_${group}`, run: group < 3, weighty, at: AT + skew }),
      );
      await repository.append(lines);
      next += lines.length;
      if (reopen) {
        repository.close();
        repository = await open();
      }
      assert.equal(await repository.tip(), next - 1);
    }),
    tries(6, 12),
  );
  assert.deepEqual(await all(repository), upTo(next - 1));
  assert.ok(next > 100, `${next - 1} lines`);
});

test('a file where the repository must be is told with its path, and left as it is', async (t) => {
  const { dir, open } = await journal(t);
  await rm(dir, { recursive: true, force: true });
  await writeFile(dir, 'mine');
  await assert.rejects(open(), (error: Error) => {
    assert.equal(
      explain(error),
      `Cannot use ${dir} (EEXIST): a file is where a folder must be. Move it away and try again.`,
    );
    return true;
  });
  assert.equal(await readFile(dir, 'utf8'), 'mine');
});
