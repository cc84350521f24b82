import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CliError } from '../../src/cli/io.ts';
import { resolveOptions, type Flags, type Place } from '../../src/cli/options.ts';

const place = (env: Place['env'] = {}, folders: string[] = []): Place => ({
  env,
  cwd: '/work/net',
  userHome: '/users/ann',
  isFolder: (path) => folders.includes(path),
});
const both = ['/work/net/home', '/work/net/workspace'];
const at = (flags: Flags, env: Place['env'], folders: string[]): [string, string] => {
  const { home, workspace } = resolveOptions(flags, place(env, folders));
  return [home, workspace];
};

test('Flag beats environment beats a folder with home/ and workspace/ beats ~/.ruche', () => {
  const cases: [Flags, Place['env'], string[], string, string][] = [
    [{}, {}, [], '/users/ann/.ruche', '/users/ann/.ruche/workspace'],
    [{}, {}, ['/work/net/home'], '/users/ann/.ruche', '/users/ann/.ruche/workspace'],
    [{}, {}, both, '/work/net/home', '/work/net/workspace'],
    [{}, { RUCHE_HOME: '/e' }, both, '/e', '/e/workspace'],
    [{ home: 'f' }, { RUCHE_HOME: '/e' }, both, '/work/net/f', '/work/net/f/workspace'],
    [{ workspace: '/w' }, {}, both, '/work/net/home', '/w'],
    [{}, { RUCHE_WORKSPACE: 'ew' }, [], '/users/ann/.ruche', '/work/net/ew'],
    [{ workspace: '/w' }, { RUCHE_HOME: '/e', RUCHE_WORKSPACE: '/ew' }, both, '/e', '/w'],
    [{}, { RUCHE_HOME: '', RUCHE_WORKSPACE: '' }, both, '/work/net/home', '/work/net/workspace'],
    [{}, { RUCHE_HOME: '~/r' }, [], '/users/ann/r', '/users/ann/r/workspace'],
    [{ home: '/a/../b/' }, {}, [], '/b', '/b/workspace'],
  ];
  for (const [flags, env, folders, home, workspace] of cases)
    assert.deepEqual(at(flags, env, folders), [home, workspace], JSON.stringify([flags, env, folders]));
});

test('The rest: template, host, port and token', () => {
  const usual = resolveOptions({}, place());
  assert.deepEqual([usual.template, usual.host, usual.port, usual.token], ['network', '127.0.0.1', 4747, null]);
  const flags = { template: 'office', host: '0.0.0.0', port: '0' };
  const given = resolveOptions(flags, place({ RUCHE_PORT: '99', RUCHE_TOKEN: 'secret' }));
  assert.deepEqual([given.template, given.host, given.port, given.token], ['office', '0.0.0.0', 0, 'secret']);
  assert.equal(resolveOptions({}, place({ RUCHE_PORT: '99', RUCHE_TOKEN: '' })).port, 99);
  assert.equal(resolveOptions({}, place({ RUCHE_TOKEN: '' })).token, null);
});

test('Hints repeat the places a command was given, and only those', () => {
  assert.equal(resolveOptions({}, place({ RUCHE_HOME: '/h' })).again, '');
  assert.equal(resolveOptions({ home: '/h' }, place()).again, ' --home /h');
  assert.equal(
    resolveOptions({ home: "h's", workspace: '/w' }, place()).again,
    ` --home '/work/net/h'\\''s' --workspace /w`,
  );
});

test('What cannot be is refused, with the name of what said it', () => {
  const wrong: [Flags, Place['env'], RegExp][] = [
    [{ port: '65536' }, {}, /Invalid --port "65536"/],
    [{ port: '-1' }, {}, /--port/],
    [{ port: '80.5' }, {}, /--port/],
    [{}, { RUCHE_PORT: 'http' }, /Invalid RUCHE_PORT "http"/],
    [{ home: '/w/home', workspace: '/w' }, {}, /is inside the workspace/],
    [{ home: '/w', workspace: '/w' }, {}, /is inside the workspace/],
  ];
  for (const [flags, env, message] of wrong)
    assert.throws(
      () => resolveOptions(flags, place(env)),
      (error: Error) => {
        assert.ok(error instanceof CliError);
        assert.match(error.message, message);
        return true;
      },
    );
});

test('A flag always wins, and every path is absolute', () => {
  const name = fc.stringMatching(/^[a-z]{1,8}$/);
  const some = fc.option(name, { nil: undefined });
  fc.assert(
    fc.property(some, some, some, some, fc.boolean(), (home, workspace, envHome, envWorkspace, here) => {
      fc.pre(home !== workspace && envHome !== envWorkspace && home !== envWorkspace && workspace !== envHome);
      const env = { RUCHE_HOME: envHome, RUCHE_WORKSPACE: envWorkspace };
      const result = resolveOptions({ home, workspace }, place(env, here ? both : []));
      assert.ok(result.home.startsWith('/') && result.workspace.startsWith('/'));
      if (home !== undefined) assert.equal(result.home, `/work/net/${home}`);
      if (workspace !== undefined) assert.equal(result.workspace, `/work/net/${workspace}`);
    }),
  );
});
