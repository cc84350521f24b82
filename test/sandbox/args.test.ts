import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bwrapArgs, ENVIRONMENT, type BwrapPlan } from '../../src/sandbox/system.ts';

const PLAN: BwrapPlan = {
  system: [
    { kind: 'bind', from: '/usr', to: '/usr' },
    { kind: 'link', target: 'usr/bin', to: '/bin' },
  ],
  proc: [{ kind: 'bind', from: '/proc/sys', to: '/proc/sys' }],
  late: [{ kind: 'bind', from: '/h/alternates', to: '/workspace/.git/objects/info/alternates' }],
  checkout: { dir: '/h/checkout', git: '/h/git', objects: '/w/.git/objects' },
  command: '/h/shells/k/command',
  tmp: 1000,
  filter: 4,
};

/** How many words follow each option: together, every option that may ever appear. */
const ARITY: Readonly<Record<string, number>> = {
  '--unshare-user': 0,
  '--unshare-pid': 0,
  '--unshare-net': 0,
  '--unshare-ipc': 0,
  '--unshare-uts': 0,
  '--unshare-cgroup-try': 0,
  '--uid': 1,
  '--gid': 1,
  '--cap-drop': 1,
  '--hostname': 1,
  '--new-session': 0,
  '--die-with-parent': 0,
  '--clearenv': 0,
  '--setenv': 2,
  '--ro-bind': 2,
  '--bind': 2,
  '--symlink': 2,
  '--proc': 1,
  '--dev': 1,
  '--size': 1,
  '--tmpfs': 1,
  '--dir': 1,
  '--remount-ro': 1,
  '--chdir': 1,
  '--seccomp': 1,
};

function options(args: readonly string[]): string[][] {
  const found: string[][] = [];
  for (let index = 0; index < args.length;) {
    const name = args[index] ?? '';
    const arity = ARITY[name];
    assert.notEqual(arity, undefined, `an option nobody expects: ${name}`);
    found.push(args.slice(index, (index += 1 + (arity ?? 0))));
  }
  return found;
}

test('A35 the sandbox is exactly this', () => {
  const environment = Object.entries(ENVIRONMENT).map(([name, value]) => ['--setenv', name, value]);
  assert.deepEqual(options(bwrapArgs(PLAN)), [
    ['--unshare-user'],
    ['--unshare-pid'],
    ['--unshare-net'],
    ['--unshare-ipc'],
    ['--unshare-uts'],
    ['--unshare-cgroup-try'],
    ['--uid', '1000'],
    ['--gid', '1000'],
    ['--cap-drop', 'ALL'],
    ['--hostname', 'ruche'],
    ['--new-session'],
    ['--die-with-parent'],
    ['--clearenv'],
    ...environment,
    ['--ro-bind', '/usr', '/usr'],
    ['--symlink', 'usr/bin', '/bin'],
    ['--proc', '/proc'],
    ['--ro-bind', '/proc/sys', '/proc/sys'],
    ['--dev', '/dev'],
    ['--size', '1000'],
    ['--tmpfs', '/dev/shm'],
    ['--remount-ro', '/dev'],
    ['--size', '1000'],
    ['--tmpfs', '/tmp'],
    ['--dir', '/tmp/home'],
    ['--dir', '/var'],
    ['--symlink', '../tmp', '/var/tmp'],
    ['--dir', '/run'],
    ['--ro-bind', '/h/shells/k/command', '/run/command'],
    ['--bind', '/h/checkout', '/workspace'],
    ['--bind', '/h/git', '/workspace/.git'],
    ['--ro-bind', '/w/.git/objects', '/run/objects'],
    ['--ro-bind', '/h/alternates', '/workspace/.git/objects/info/alternates'],
    ['--remount-ro', '/'],
    ['--chdir', '/workspace'],
    ['--seccomp', '4'],
  ]);
});

test('A35 no plan opens more: only two places can be written, no network, no capability, whatever the paths are', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('--share-net', '--cap-add', '--bind', '/', '/run/docker.sock', '--'),
  );
  const plan: fc.Arbitrary<BwrapPlan> = fc.record({
    system: fc.array(fc.record({ kind: fc.constant('bind' as const), from: word, to: word })),
    proc: fc.constant(PLAN.proc),
    late: fc.constant(PLAN.late),
    checkout: fc.record({ dir: word, git: word, objects: word }),
    command: word,
    tmp: fc.option(fc.nat()),
    filter: fc.option(fc.nat()),
  });
  let runs = 0;
  fc.assert(
    fc.property(plan, (each) => {
      const found = options(bwrapArgs(each));
      const writable = found.filter(([name]) => name === '--bind').map(([, , to]) => to);
      assert.deepEqual(writable, ['/workspace', '/workspace/.git']);
      for (const needed of ['--unshare-net', '--unshare-user', '--unshare-pid', '--clearenv', '--new-session'])
        assert.ok(found.some(([name]) => name === needed));
      runs += 1;
    }),
  );
  assert.ok(runs >= 100);
});

test('no path or name of the runtime is in the environment of commands', () => {
  assert.deepEqual(Object.keys(ENVIRONMENT), ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'TERM', 'EMAIL']);
  for (const folder of (ENVIRONMENT['PATH'] ?? '').split(':')) assert.match(folder, /^\/(usr\/(local\/)?)?s?bin$/);
});
