import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Change } from '../../src/core/files.ts';
import type { LandingRequest, Workspace } from '../../src/core/ports/workspace.ts';

export interface OpenedWorkspace {
  workspace: Workspace;
  dispose(): Promise<void>;
}

const text = (bytes: Uint8Array | undefined): string | null => (bytes ? Buffer.from(bytes).toString('utf8') : null);

/** What every workspace must do. `open` gives one that holds exactly the files. */
export function workspaceContract(
  name: string,
  open: (files: Record<string, string>) => Promise<OpenedWorkspace>,
): void {
  const using =
    (files: Record<string, string>, body: (workspace: Workspace, base: string) => Promise<void>) =>
    async (): Promise<void> => {
      const { workspace, dispose } = await open(files);
      try {
        await body(workspace, await workspace.head());
      } finally {
        await dispose();
      }
    };
  const request = (run: string, base: string, changes: readonly Change[]): LandingRequest => ({
    base,
    changes,
    subject: `Work of ${run}`,
    provenance: { run, task: 'tsk_1', agent: 'bot', model: 'demo/demo', costUsd: 0, labels: [] },
    at: 0,
  });
  const readAt = async (workspace: Workspace, commit: string, path: string): Promise<string | null> =>
    text((await workspace.files(commit, []).read(path))?.bytes);

  describe(`workspace contract: ${name}`, () => {
    test(
      'the overlay shows writes and removals, and nobody else sees them',
      using({ 'a.txt': 'a', 'd/b.txt': 'b' }, async (workspace, base) => {
        const files = workspace.files(base, []);
        await files.write('d/c.txt', Buffer.from('c'));
        const changed = await files.write('a.txt', Buffer.from('A'));
        assert.equal(await files.remove('nope'), null);
        await files.remove('d/b.txt');
        assert.deepEqual(
          (await files.list('')).map((entry) => [entry.path, entry.size]),
          [
            ['a.txt', 1],
            ['d/c.txt', 1],
          ],
        );
        assert.equal(text((await files.read('a.txt'))?.bytes), 'A');
        assert.equal(await files.read('d/b.txt'), null);
        assert.notEqual(changed.was, null);
        assert.equal(files.changes().length, 3);
        assert.equal(await readAt(workspace, base, 'a.txt'), 'a');
        const again = workspace.files(base, files.changes());
        assert.equal(text((await again.read('a.txt'))?.bytes), 'A');
        assert.equal((await again.list('d')).length, 1);
      }),
    );

    test(
      'a landing puts the changes on main, once',
      using({ 'a.txt': 'a' }, async (workspace, base) => {
        const files = workspace.files(base, []);
        await files.write('a.txt', Buffer.from('A'));
        const landed = await workspace.land(request('run_1', base, files.changes()));
        assert.equal(landed.state, 'landed');
        const head = await workspace.head();
        assert.equal(landed.state === 'landed' && landed.commit, head);
        assert.equal(await readAt(workspace, head, 'a.txt'), 'A');
        assert.equal(await workspace.findLanding('run_1', base), head);
        assert.equal(await workspace.findLanding('run_2', base), null);
        assert.equal((await workspace.land(request('run_1', base, files.changes()))).state, 'empty');
        assert.equal(await workspace.head(), head);
      }),
    );

    test(
      'two landings of different paths both stand; of one place, the second is told and keeps the rest',
      using({ 'a.txt': 'a\n', 'b.txt': 'b\n' }, async (workspace, base) => {
        const one = workspace.files(base, []);
        await one.write('a.txt', Buffer.from('mine\n'));
        const two = workspace.files(base, []);
        await two.write('a.txt', Buffer.from('other\n'));
        await two.write('b.txt', Buffer.from('B\n'));
        assert.equal((await workspace.land(request('run_1', base, one.changes()))).state, 'landed');
        const result = await workspace.land(request('run_2', base, two.changes()));
        assert.ok(result.state === 'conflict');
        assert.deepEqual(result.paths, ['a.txt']);
        assert.match(result.text, /mine/);
        assert.match(result.text, /other/);
        assert.equal(result.onto, await workspace.head());
        assert.deepEqual(
          result.changes.map((change) => change.path),
          ['b.txt'],
        );
        const solved = workspace.files(result.onto, result.changes);
        assert.equal(text((await solved.read('a.txt'))?.bytes), 'mine\n');
        await solved.write('a.txt', Buffer.from('both\n'));
        assert.equal((await workspace.land(request('run_2', result.onto, solved.changes()))).state, 'landed');
        assert.equal(await readAt(workspace, await workspace.head(), 'a.txt'), 'both\n');
        assert.equal(await readAt(workspace, await workspace.head(), 'b.txt'), 'B\n');
      }),
    );

    test(
      'untouched tells whether paths stayed as they were',
      using({ 'a.txt': 'a', 'd/b.txt': 'b' }, async (workspace, base) => {
        const files = workspace.files(base, []);
        await files.write('d/b.txt', Buffer.from('B'));
        await workspace.land(request('run_1', base, files.changes()));
        const head = await workspace.head();
        assert.equal(await workspace.untouched(base, head, ['a.txt', 'none']), true);
        assert.equal(await workspace.untouched(base, head, ['a.txt', 'd/b.txt']), false);
      }),
    );

    test(
      'a diff names the changed lines and keeps to its limit',
      using({ 'a.txt': 'one\ntwo\n' }, async (workspace, base) => {
        const files = workspace.files(base, []);
        await files.write('a.txt', Buffer.from('one\nTWO\n'));
        const diff = await workspace.diff(base, files.changes(), 10_000);
        assert.match(diff, /^-two$/m);
        assert.match(diff, /^\+TWO$/m);
        assert.ok((await workspace.diff(base, files.changes(), 20)).length <= 20);
        assert.equal(await workspace.diff(base, [], 100), '');
      }),
    );

    test(
      'nothing to commit for a person is null',
      using({ 'a.txt': 'a' }, async (workspace) => {
        assert.equal(await workspace.commitPerson(null), null);
        assert.equal(await workspace.commitPerson(['a.txt', 'none.txt', 'd/none.txt']), null);
      }),
    );

    test(
      'work that did not land is kept',
      using({ 'a.txt': 'a' }, async (workspace, base) => {
        const files = workspace.files(base, []);
        await files.write('a.txt', Buffer.from('A'));
        await workspace.keepUnlanded(request('run_9', base, files.changes()));
        assert.equal(await workspace.head(), base);
      }),
    );
  });
}
