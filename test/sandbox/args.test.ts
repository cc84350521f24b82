import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { handleAt } from '../fakes/no-egress.ts';
import { bwrapArgs, ENVIRONMENT, forwarderInside, type BwrapPlan } from '../../src/sandbox/system.ts';

const PLAN: BwrapPlan = {
  system: [
    { kind: 'bind', from: '/usr', to: '/usr' },
    { kind: 'link', target: 'usr/bin', to: '/bin' },
  ],
  devices: [{ kind: 'device', from: '/h/dev/null', to: '/dev/null' }],
  proc: [{ kind: 'bind', from: '/proc/sys', to: '/proc/sys' }],
  late: [{ kind: 'bind', from: '/h/alternates', to: '/workspace/.git/objects/info/alternates' }],
  checkout: { dir: '/h/checkout', git: '/h/git', objects: '/w/.git/objects' },
  command: '/h/shells/k/command',
  tmp: 1000,
  filter: 4,
  network: null,
};
/** What a command with a network has besides. */
const NETWORK: NonNullable<BwrapPlan['network']> = {
  handle: handleAt('/h/egress/k', 'secret', '/h/egress/k/ca.pem'),
  forwarder: { kind: 'node', program: '/opt/node/bin/node' },
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
  '--dev-bind': 2,
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
    ['--dev-bind', '/h/dev/null', '/dev/null'],
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
    devices: fc.constant(PLAN.devices),
    proc: fc.constant(PLAN.proc),
    late: fc.constant(PLAN.late),
    checkout: fc.record({ dir: word, git: word, objects: word }),
    command: word,
    tmp: fc.option(fc.nat()),
    filter: fc.option(fc.nat()),
    network: fc.option(
      fc.record({
        handle: fc.tuple(word, word, fc.option(word)).map((parts) => handleAt(...parts)),
        forwarder: fc.record({ kind: fc.constantFrom('perl' as const, 'node' as const), program: word }),
      }),
    ),
  });
  let runs = 0;
  fc.assert(
    fc.property(plan, (each) => {
      const found = options(bwrapArgs(each));
      const writable = found.filter(([name]) => name === '--bind').map(([, , to]) => to);
      assert.deepEqual(writable, ['/workspace', '/workspace/.git']);
      const devices = found.filter(([name]) => name === '--dev-bind').map(([, from]) => from);
      assert.deepEqual(devices, ['/h/dev/null']);
      for (const needed of ['--unshare-net', '--unshare-user', '--unshare-pid', '--clearenv', '--new-session'])
        assert.ok(found.some(([name]) => name === needed));
      runs += 1;
    }),
  );
  assert.ok(runs >= 100);
});

test('a way out adds the folder of its proxy and the forwarder, read-only, and variables: still no network', () => {
  const without = new Set(options(bwrapArgs(PLAN)).map((option) => JSON.stringify(option)));
  const added = options(bwrapArgs({ ...PLAN, network: NETWORK })).filter(
    (option) => !without.has(JSON.stringify(option)),
  );
  const url = 'http://ruche:secret@127.0.0.1:3128';
  const proxies = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'];
  assert.deepEqual(added.slice(0, 11), [
    ['--ro-bind', '/h/egress/k', '/run/egress'],
    ['--ro-bind', '/opt/node/bin/node', '/run/forward'],
    ...proxies.map((name) => ['--setenv', name, url]),
    ['--setenv', 'NO_PROXY', ''],
    ['--setenv', 'no_proxy', ''],
    ['--setenv', 'NODE_USE_ENV_PROXY', '1'],
  ]);
  const certificates = added.slice(11);
  assert.ok(certificates.some(([, name]) => name === 'GIT_SSL_CAINFO'));
  for (const [option, , file] of certificates) assert.deepEqual([option, file], ['--setenv', '/run/egress/ca.pem']);
  const own = { ...NETWORK, handle: { ...NETWORK.handle, own: ['localhost', '::1'] } };
  for (const name of ['NO_PROXY', 'no_proxy'])
    assert.ok(
      options(bwrapArgs({ ...PLAN, network: own })).some(
        (option) => option.join(' ') === `--setenv ${name} localhost,::1`,
      ),
    );
  const perl = { kind: 'perl' as const, program: '/usr/bin/perl' };
  const plain = { handle: { ...NETWORK.handle, ca: null }, forwarder: perl };
  assert.equal(options(bwrapArgs({ ...PLAN, network: plain })).length, options(bwrapArgs(PLAN)).length + 10);
  assert.deepEqual(forwarderInside({ network: null }), []);
  assert.deepEqual(forwarderInside({ network: plain }).slice(0, 2), ['/run/egress', '/usr/bin/perl']);
  assert.equal(forwarderInside({ network: NETWORK })[1], '/run/forward');
  assert.ok(!JSON.stringify(forwarderInside({ network: NETWORK })).includes('secret'), 'argv tells no token');
});

test('no path or name of the runtime is in the environment of commands', () => {
  assert.deepEqual(Object.keys(ENVIRONMENT), ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'TERM', 'EMAIL']);
  for (const folder of (ENVIRONMENT['PATH'] ?? '').split(':')) assert.match(folder, /^\/(usr\/(local\/)?)?s?bin$/);
});
