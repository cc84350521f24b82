import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DroppedFiles } from '../../src/core/ports/governance.ts';
import { openDropped } from '../../src/workspace/edits/saved.ts';
import { recorder } from '../scheduler/worker-kit.ts';
import { type Lab, withLab } from './lab.ts';

const GLOBS = ['shared/deadlines/*.md', 'in/**', 'list.txt'];

/** What so many looks give, the last first no more than once. */
async function looks(dropped: DroppedFiles, count: number, globs: readonly string[] = GLOBS): Promise<string[]> {
  const given: string[] = [];
  for (let at = 0; at < count; at += 1) given.push(...(await dropped.look(globs)));
  return given.toSorted();
}

const open = (lab: Lab, maxEntries?: number) => {
  const { log, told } = recorder();
  const bound = maxEntries === undefined ? {} : { maxEntries };
  return { dropped: openDropped({ git: lab.ws.git, log, ...bound }), told };
};

test(
  'what fits a glob and holds still is given once, new or changed, and committed as the person’s',
  withLab(async (lab) => {
    const { dropped, told } = open(lab);
    // Also what was there before anybody looked.
    await lab.put('shared/deadlines/tax.md', 'soon\n');
    await lab.put('shared/deadlines/deep/no.md', 'no\n');
    await lab.put('shared/other.md', 'no\n');
    await lab.put('in/a/b/c.txt', 'yes\n');
    await lab.put('list.txt', 'yes\n');
    assert.deepEqual(await looks(dropped, 2), []);
    const given = await looks(dropped, 1);
    assert.deepEqual(given, ['in/a/b/c.txt', 'list.txt', 'shared/deadlines/tax.md']);
    assert.deepEqual(await looks(dropped, 8), [], 'once');
    const person = await lab.ws.commitPerson(given);
    assert.deepEqual(person?.paths.toSorted(), given);
    assert.equal(person?.author, 'Ada <ada@example.org>');
    assert.equal(lab.git('status', '--porcelain'), '?? shared/deadlines/deep/\n?? shared/other.md\n');
    assert.deepEqual(await looks(dropped, 40), []);

    await lab.put('shared/deadlines/tax.md', 'later\n');
    assert.deepEqual(await looks(dropped, 4), ['shared/deadlines/tax.md']);
    await lab.ws.commitPerson(['shared/deadlines/tax.md']);
    // Removals do not count, nor what a run lands.
    await rm(join(lab.dir, 'list.txt'));
    assert.equal((await lab.land('run_1', { 'in/landed.txt': 'by a run\n' })).state, 'landed');
    assert.deepEqual(await looks(dropped, 8), []);
    assert.deepEqual(told, []);
    assert.deepEqual(await looks(openDropped({ git: lab.ws.git, log: recorder().log }), 8), [], 'after a restart');
    assert.deepEqual(await looks(dropped, 8, []), []);
  }),
);

test(
  'what programs put beside files is left alone, and so is an empty file while a browser loads beside it',
  withLab(async (lab) => {
    const { dropped } = open(lab);
    for (const name of [
      '._x.md',
      '~$x.md',
      '.~lock.x.md#',
      'x.md~',
      '.x.md.swp',
      '.DS_Store',
      'Unconfirmed 1.crdownload',
    ])
      await lab.put(`in/${name}`, 'x');
    await lab.put('shared/deadlines/._x.md', 'x');
    await lab.put('shared/deadlines/bill.md', '');
    await lab.put('shared/deadlines/bill.x1.md.part', 'half');
    // With nothing that is loaded beside it, an empty file is a sign somebody sets.
    await lab.put('list.txt', '');
    assert.deepEqual(await looks(dropped, 10), ['list.txt']);
    await rename(join(lab.dir, 'shared/deadlines/bill.x1.md.part'), join(lab.dir, 'shared/deadlines/bill.md'));
    assert.deepEqual(await looks(dropped, 4), ['shared/deadlines/bill.md']);
    assert.deepEqual(await looks(open(lab).dropped, 4, ['in/*.crdownload']), ['in/Unconfirmed 1.crdownload']);
  }),
);

test(
  'a file that is still written waits; so does what is staged, until Git is asked again',
  withLab(async (lab) => {
    const { dropped } = open(lab);
    for (let size = 1; size < 12; size += 1) {
      await lab.put('in/grows.txt', 'x'.repeat(size));
      assert.deepEqual(await looks(dropped, 2), [], `at ${size}`);
    }
    assert.deepEqual(await looks(dropped, 1), ['in/grows.txt']);
    await lab.ws.commitPerson(['in/grows.txt']);

    await lab.put('in/staged.txt', 'mine to commit\n');
    lab.git('add', 'in/staged.txt');
    assert.deepEqual(await looks(dropped, 12), []);
    lab.git('reset', '-q');
    assert.deepEqual(await looks(dropped, 31), ['in/staged.txt']);
  }),
);

test(
  'ignored files, links, other repositories, tasks and the files that govern are left alone',
  withLab(async (lab) => {
    const { dropped } = open(lab);
    const all = ['**', 'linked/*', 'build/*', 'tasks/**', '.git/**', '../*.md', 'in/x.log'];
    await mkdir(join(lab.root, 'outside'));
    await writeFile(join(lab.root, 'outside', 'secret.md'), 'no\n');
    await symlink(join(lab.root, 'outside'), join(lab.dir, 'linked'));
    await symlink(join(lab.root, 'outside', 'secret.md'), join(lab.dir, 'one.md'));
    for (const path of ['.env', 'in/x.log', 'build/out.md', 'tasks/a/inbox/x.md', 'ruche.yaml', 'agents/a/AGENT.md'])
      await lab.put(path, 'no\n');
    execFileSync('git', ['init', '-q', join(lab.dir, 'theirs')], { env: lab.env });
    await lab.put('theirs/file.md', 'no\n');
    await lab.put('agents/a/notes.md', 'yes\n');
    await lab.put('odd/ name:é*.md', 'yes\n');
    const expected = ['agents/a/notes.md', 'odd/ name:é*.md'];
    assert.deepEqual(await looks(dropped, 4, all), expected);
    assert.deepEqual((await lab.ws.commitPerson(expected))?.paths.toSorted(), expected);
  }),
);

test(
  'nothing on another branch, in the middle of a merge, or while Git is at work',
  withLab(async (lab) => {
    const { dropped } = open(lab);
    const fresh = (name: string) => lab.put(`in/${name}.md`, name);
    lab.git('switch', '-q', '-c', 'elsewhere');
    await fresh('a');
    assert.deepEqual(await looks(dropped, 8), []);
    lab.git('switch', '-q', 'main');
    assert.deepEqual(await looks(dropped, 3), ['in/a.md']);
    for (const [at, busy] of ['index.lock', 'MERGE_HEAD'].entries()) {
      await fresh(`b${at}`);
      await writeFile(join(lab.dir, '.git', busy), '');
      assert.deepEqual(await looks(dropped, 8), [], busy);
      await rm(join(lab.dir, '.git', busy));
      assert.deepEqual(await looks(dropped, 3), [`in/b${at}.md`], busy);
    }
  }),
);

test(
  'what cannot be committed is reported once and tried again; so many names are looked at, and no more',
  withLab(
    async (lab) => {
      const { dropped, told } = open(lab, 50);
      await lab.put('in/large.bin', 'x'.repeat(2000));
      assert.deepEqual(await looks(dropped, 3), ['in/large.bin']);
      assert.equal(await lab.ws.commitPerson(['in/large.bin']), null);
      assert.deepEqual(await looks(dropped, 65), ['in/large.bin', 'in/large.bin']);
      assert.deepEqual(
        told.map(({ fields }) => fields),
        [{ path: 'in/large.bin' }],
      );
      told.length = 0;
      for (let at = 0; at < 60; at += 1) await lab.put(`in/many/${at}.md`, 'x');
      await lab.put('list.txt', 'named in full\n');
      assert.deepEqual(await looks(dropped, 6), ['list.txt']);
      assert.match(
        told.map(({ message }) => message).join(),
        /^the folders that triggers name hold more than 50 names:[^,]*$/,
      );
      if (process.getuid?.() !== 0) await chmod(join(lab.dir, 'in'), 0o000);
      assert.deepEqual(await looks(dropped, 3), []);
      await chmod(join(lab.dir, 'in'), 0o755);
    },
    { maxFile: 1000 },
  ),
);

test(
  'a file that is named like a secret is never committed, and the log says so once; an example of one is',
  withLab(async (lab) => {
    const { dropped, told } = open(lab);
    await lab.put('in/id_rsa', 'key\n');
    await lab.put('in/.env.example', 'KEY=\n');
    const given = await looks(dropped, 3);
    assert.deepEqual((await lab.ws.commitPerson(given))?.paths, ['in/.env.example']);
    await looks(dropped, 200);
    assert.equal(told.length, 1);
    assert.match(JSON.stringify(told), /in\/id_rsa[^]*named like a secret|named like a secret[^]*in\/id_rsa/);
  }),
);

test(
  'a name that is not UTF-8 is reported once, and stands in what is stuck until it is renamed; so does what cannot be committed',
  withLab(async (lab) => {
    const { dropped, told } = open(lab);
    const raw = Buffer.concat([Buffer.from(`${lab.dir}/in/caf`), Buffer.from([0xe9]), Buffer.from('.txt')]);
    await lab.put('in/plain.txt', 'x');
    await lab.put('in/id_rsa', 'key');
    // A name that has the sign for what is not UTF-8 as such is UTF-8.
    await lab.put('in/odd-\uFFFD.txt', 'x');
    await writeFile(raw, 'x');
    const given = await looks(dropped, 3);
    assert.deepEqual(given, ['in/id_rsa', 'in/odd-\uFFFD.txt', 'in/plain.txt']);
    await lab.ws.commitPerson(given);
    await looks(dropped, 60);
    assert.deepEqual(
      dropped
        .stuck()
        .map(({ path, why }) => [path, /^has a name that is not UTF-8|^is named like a secret/.exec(why)?.[0]]),
      [
        ['in/caf\uFFFD.txt', 'has a name that is not UTF-8'],
        ['in/id_rsa', 'is named like a secret'],
      ],
    );
    assert.equal(told.length, 2, JSON.stringify(told));
    await rename(raw, join(lab.dir, 'in/cafe.txt'));
    await rm(join(lab.dir, 'in/id_rsa'));
    assert.deepEqual(await looks(dropped, 3), ['in/cafe.txt']);
    assert.deepEqual(dropped.stuck(), []);
  }),
);
