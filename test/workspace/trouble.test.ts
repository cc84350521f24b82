import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Trouble } from '../../src/core/ports/workspace.ts';
import { AT, makeLab, withLab, type Lab } from './lab.ts';

const only = async (lab: Lab): Promise<Trouble> => {
  const found = await lab.ws.troubles();
  assert.equal(found.length, 1, JSON.stringify(found));
  return found[0] as Trouble;
};
const ok = (state: string): void => assert.equal(state, 'landed');

test(
  'a lock that was left behind is told with its path, and one of a moment is not',
  withLab(async (lab) => {
    assert.deepEqual(await lab.ws.troubles(), []);
    for (const name of ['index.lock', 'HEAD.lock', 'refs/heads/main.lock']) {
      const lock = join(lab.dir, '.git', name);
      await writeFile(lock, '');
      await utimes(lock, AT / 1000, AT / 1000);
      assert.deepEqual(await lab.ws.troubles(), [], name);
      await utimes(lock, AT / 1000 - 60, AT / 1000 - 60);
      const { what, stops } = await only(lab);
      assert.match(what, new RegExp(`another Git command .*; if none runs, remove ${lock}$`));
      assert.equal(stops, 'landings');
      const blocked = name === 'HEAD.lock' ? null : await lab.land('run_1', { 'new.md': 'x\n' });
      if (blocked !== null) {
        assert.ok(blocked.state === 'blocked', blocked.state);
        assert.match(blocked.why, new RegExp(`if none runs, remove ${lock}$`));
      }
      await rm(lock);
      assert.deepEqual(await lab.ws.troubles(), []);
    }
    ok((await lab.land('run_1', { 'new.md': 'x\n' })).state);
  }),
);

test(
  'a merge and a renamed main are told with the command that ends them, and another branch is none of that',
  withLab(async (lab) => {
    lab.git('switch', '-qc', 'side');
    // Landings move the branch alone there; that saved rules wait is told elsewhere.
    assert.deepEqual(await lab.ws.troubles(), []);
    await lab.put('notes.md', 'side\n');
    lab.git('commit', '-qam', 'side');
    lab.git('switch', '-q', 'main');
    await lab.put('notes.md', 'main\n');
    lab.git('commit', '-qam', 'main');
    assert.throws(() => lab.git('merge', '-q', 'side'));
    assert.deepEqual(await only(lab), {
      what: 'a merge is under way in the workspace; finish or abort it',
      stops: 'landings',
    });
    lab.git('merge', '--abort');
    lab.git('branch', '-m', 'main', 'trunk');
    const { what, stops } = await only(lab);
    assert.match(what, /has no branch main any more; make it again: git -C \S+ branch -m trunk main$/);
    assert.equal(stops, 'work');
    await assert.rejects(lab.ws.head(), { name: 'WorkspaceUnavailable', message: what });
    lab.git('branch', '-m', 'trunk', 'main');
    assert.deepEqual(await lab.ws.troubles(), []);
  }),
);

test(
  'a split index blocks landings and edits in words, until the command that is named has been run',
  withLab(async (lab) => {
    lab.git('update-index', '--split-index');
    const { what, stops } = await only(lab);
    assert.match(what, /split index.*run: git -C \S+ update-index --no-split-index$/);
    assert.equal(stops, 'landings');
    assert.deepEqual(await lab.land('run_1', { 'new.md': 'x\n' }), { state: 'blocked', why: what });
    await lab.put('notes.md', 'mine\n');
    assert.equal(await lab.ws.commitPerson(['notes.md']), null);
    assert.deepEqual(await lab.ws.unseen(['notes.md']), [{ path: 'notes.md', why: what }]);
    lab.git('update-index', '--no-split-index');
    assert.deepEqual(await lab.ws.troubles(), []);
    assert.notEqual(await lab.ws.commitPerson(['notes.md']), null);
    ok((await lab.land('run_1', { 'new.md': 'x\n' })).state);
    await lab.reopen();
  }),
);

test(
  'what a power cut leaves of branch and HEAD is told with the command that mends it, open or not',
  withLab(async (lab) => {
    const head = lab.git('rev-parse', 'main').trim();
    for (const name of ['refs/heads/main', 'HEAD']) {
      const path = join(lab.dir, '.git', name);
      const text = await readFile(path, 'utf8');
      await writeFile(path, '');
      const { what, stops } = await only(lab);
      assert.equal(stops, 'work');
      const command = name === 'HEAD' ? "echo 'ref: refs/heads/main'" : `echo ${head}`;
      assert.ok(what.includes(`${path} is empty or damaged`) && what.endsWith(`${command} > ${path}`), what);
      await assert.rejects(
        makeLab({ prepare: (dir) => writeFile(join(dir, '.git', name), '') }),
        /is empty or damaged/,
      );
      await writeFile(path, text);
    }
    ok((await lab.land('run_1', { 'new.md': 'x\n' })).state);
  }),
);

test(
  'an index that was cut off is made again, at a start and later, and the rest of the old one is kept beside it',
  withLab(async (lab) => {
    const index = join(lab.dir, '.git', 'index');
    await truncate(index, 70);
    await lab.reopen();
    await lab.ws.recover();
    assert.equal(lab.git('status', '--porcelain'), '');
    assert.equal((await readFile(`${index}.damaged`)).length, 70);
    await lab.put('notes.md', 'mine\n');
    await truncate(index, 20);
    assert.deepEqual((await lab.ws.commitPerson(null))?.paths, ['notes.md']);
    await truncate(index, 20);
    assert.equal((await lab.land('run_1', { 'new.md': 'x\n' })).state, 'blocked');
    ok((await lab.land('run_1', { 'new.md': 'x\n' })).state);
    assert.equal(lab.git('status', '--porcelain'), '');
  }),
);

test(
  'objects that are away, and a folder that is, are waited for, and named',
  withLab(async (lab) => {
    const base = await lab.ws.head();
    for (const place of [join(lab.dir, '.git', 'objects'), lab.dir]) {
      await rename(place, `${lab.root}/away`);
      const { what, stops } = await only(lab);
      assert.ok(what.includes(place), what);
      assert.equal(stops, 'work');
      const overlay = lab.ws.files(base, []);
      await assert.rejects(overlay.write('new.md', Buffer.from(place)), {
        name: 'WorkspaceUnavailable',
        message: what,
      });
      await assert.rejects(lab.ws.commitPerson(null), { name: 'WorkspaceUnavailable', message: what });
      const blocked = await lab.ws.land(
        lab.request('run_1', base, [{ path: 'new.md', mode: '100644', oid: base, was: null }]),
      );
      assert.deepEqual(blocked, { state: 'blocked', why: what });
      await rename(`${lab.root}/away`, place);
    }
    assert.deepEqual(await lab.ws.troubles(), []);
    ok((await lab.land('run_2', { 'new.md': 'x\n' })).state);
  }),
);

test(
  'Ruche’s own folder in .git is made again when somebody has removed it',
  withLab(async (lab) => {
    lab.git('pack-refs', '--all');
    const base = await lab.ws.head();
    const own = join(lab.dir, '.git', 'ruche');
    const gone = (): Promise<void> => rm(own, { recursive: true });
    await gone();
    assert.equal(await lab.ws.head(), base);
    await gone();
    await lab.put('notes.md', 'mine\n');
    assert.deepEqual((await lab.ws.commitPerson(null))?.paths, ['notes.md']);
    await gone();
    assert.equal((await lab.ws.files(base, []).list('')).length, 5);
    await gone();
    const request = async () => lab.land('run_1', { 'new.md': 'x\n' });
    const first = await request();
    ok(first.state === 'blocked' ? (await request()).state : first.state);
    assert.equal(lab.git('status', '--porcelain'), '');
  }),
);

test(
  'what of a person’s stands in the way of a landing is named, with why it is not committed, and a read says so',
  withLab(
    async (lab) => {
      await writeFile(
        join(lab.root, 'gitconfig'),
        '[user]\n\tname = Ada\n\temail = a@b.c\n[filter "up"]\n\tclean = cat\n',
      );
      await lab.put('.gitattributes', '*.up filter=up\n');
      for (const name of ['staged', 'skipped', 'assumed', 'large', 'x.up', 'locked', 'plain', 'turned'])
        await lab.put(name, 'one\n');
      lab.git('add', '.');
      lab.git('commit', '-qm', 'files');
      await lab.reopen();
      await lab.put('staged', 'two\n');
      lab.git('add', 'staged');
      lab.git('update-index', '--skip-worktree', 'skipped');
      lab.git('update-index', '--assume-unchanged', 'assumed');
      for (const name of ['staged', 'skipped', 'assumed', 'x.up']) await lab.put(name, 'three\n');
      await lab.put('large', 'x'.repeat(2000));
      await rm(join(lab.dir, 'turned'));
      await lab.put('turned/inside', 'x\n');
      const cases: [path: string, why: RegExp][] = [
        ['staged', /only a part of it is staged; commit it, or unstage it with.*restore --staged -- staged$/],
        ['skipped', /not to look at it \(skip-worktree\).*update-index --no-skip-worktree -- skipped$/],
        ['assumed', /\(assume-unchanged\).*--no-assume-unchanged -- assumed$/],
        ['x.up', /a filter of yours converts it.*commit -- x\.up$/],
        ['large', /large has 0\.0 MB, more than the limit/],
      ];
      for (const [path, why] of cases) {
        await lab.ws.commitPerson([path]);
        const [unseen] = await lab.ws.unseen([path]);
        assert.match(unseen?.why ?? 'nothing', why, path);
        const blocked = await lab.land(`run_${path.replace('.', '')}`, { [path]: 'by the run\n' });
        assert.ok(blocked.state === 'blocked', `${path}: ${blocked.state}`);
        assert.match(blocked.why, /^files of yours are in the way of this landing: /);
        assert.match(blocked.why, why);
      }
      // Its removal is committed; the folder in its place is no trouble before a run wants a file there.
      await lab.ws.commitPerson(['turned']);
      assert.deepEqual(await lab.ws.unseen(['turned']), []);
      const inPlace = await lab.land('run_turned', { turned: 'by the run\n' });
      assert.match(inPlace.state === 'refused' ? inPlace.why : inPlace.state, /a folder of that name holds files/);
      assert.deepEqual(await lab.ws.unseen(['plain', 'docs/guide.md', 'nothing']), []);
      await lab.put('plain', 'two\n');
      assert.notEqual(await lab.ws.commitPerson(['plain']), null);
      assert.deepEqual(await lab.ws.unseen(['plain']), []);
      assert.deepEqual(await lab.ws.unseen(null), []);
      // A folder that is looked at, with something new in it.
      await lab.put('docs/more.md', 'more\n');
      await lab.ws.commitPerson(['docs']);
      assert.deepEqual(await lab.ws.unseen(['docs', 'docs/deep']), []);
      // A file that Git does not know, and that is too large to be taken in, is there all the same.
      await lab.put('dump', 'x'.repeat(2000));
      assert.match((await lab.ws.unseen(['dump']))[0]?.why ?? 'nothing', /more than the limit/);
    },
    { maxFile: 1000 },
  ),
);

test('a configuration that Git cannot read is told with what Git says and where to look', async () => {
  const broken = (dir: string): Promise<void> => writeFile(join(dir, '.git', 'config'), '[core\n');
  await assert.rejects(
    makeLab({ prepare: broken }),
    /^Error: the workspace cannot be opened: Git could not work on it \(.*bad config line 1 .*\); see what is wrong with: git -C/,
  );
});

/** The command at the end of an advice, as a person pastes it. */
const pasted = (lab: Lab, advice: string): Buffer =>
  execFileSync('sh', ['-c', advice.slice(advice.indexOf('git -C '))], { cwd: lab.root, env: lab.env, stdio: 'pipe' });

test(
  'a path or a branch with any name stands in a command as that name, whatever a shell would make of it',
  withLab(async (lab) => {
    const name = "n'$(touch x)'.md";
    for (const path of [name, '-f']) {
      await lab.put(path, 'one\n');
      lab.git('add', '--', path);
      await lab.put(path, 'two\n');
      await lab.ws.commitPerson([path]);
      const [unseen] = await lab.ws.unseen([path]);
      pasted(lab, unseen?.why ?? '');
      assert.equal(lab.git('diff', '--cached', '--name-only'), '', path);
    }
    const branch = "b'$(id>x)'";
    lab.git('branch', '-m', 'main', branch);
    pasted(lab, (await only(lab)).what);
    assert.equal(lab.git('branch', '--show-current'), 'main\n');
    lab.git('branch', '-m', 'main', branch);
    const refused = await lab.reopen().then(
      () => '',
      (error: unknown) => String(error),
    );
    pasted(lab, refused);
    await lab.reopen();
    assert.equal(existsSync(join(lab.root, 'x')) || existsSync(join(lab.dir, 'x')), false);
  }),
);
