import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { cgroupCandidates, cgroupsOf, findCgroups, makeCgroups } from '../../src/sandbox/cgroup.ts';
import { explain } from '../../src/sandbox/container/engine.ts';
import { engineProfile } from '../../src/sandbox/seccomp.ts';
import { diagnose, judge, probeSandbox, type Symptoms } from '../../src/sandbox/probe.ts';
import { seccompFilter } from '../../src/sandbox/seccomp.ts';
import { machine } from '../fakes/sandbox-home.ts';

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'ruche-machine-'));
  t.after(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
  return dir;
}

test('cgroups are looked for near our own first', () => {
  const hybrid = '8:pids:/\n4:memory:/process/abc\n0::/\n';
  assert.deepEqual(cgroupCandidates('/c', hybrid, 'memory'), ['/c/memory/process/abc', '/c/memory']);
  assert.deepEqual(cgroupCandidates('/c', hybrid, 'pids'), ['/c/pids']);
  const unified = '0::/user.slice/user-1000.slice/user@1000.service/app.slice/ruche.service\n';
  const app = '/c/user.slice/user-1000.slice/user@1000.service/app.slice';
  assert.deepEqual(cgroupCandidates('/c', unified, 'memory'), [app, `${app}/ruche.service`]);
  assert.deepEqual(cgroupCandidates('/c', '5:cpu,memory:/x\n', 'memory'), ['/c/memory/x', '/c/memory']);
  assert.deepEqual(cgroupCandidates('/c', '', 'pids'), []);
});

test('limits are written in the form of version 2, or not at all', async (t) => {
  const dir = await folder(t);
  const parents = { memory: dir, pids: dir };
  const job = cgroupsOf(parents, 'h-k');
  assert.deepEqual(job, { memory: join(dir, 'ruche-h-k'), pids: join(dir, 'ruche-h-k') });
  // A plain folder has no such files, as a parent that does not hand on its controllers.
  await assert.rejects(makeCgroups(job, { memory: 1000, processes: 5 }), /limit/);
  for (const file of ['memory.max', 'memory.swap.max', 'pids.max'])
    await writeFile(join(dir, 'ruche-h-k', file), 'max');
  await makeCgroups(job, { memory: 1000, processes: 5 });
  const values = ['memory.max', 'memory.swap.max', 'pids.max'].map((file) =>
    readFile(join(dir, 'ruche-h-k', file), 'utf8'),
  );
  assert.deepEqual(
    (await Promise.all(values)).map((value) => value.slice(0, 4)),
    ['1000', '0ax', '5ax'],
  );
});

test('where no cgroup can be made, none is used and nothing is left', async (t) => {
  const dir = await folder(t);
  const self = join(dir, 'self');
  await mkdir(join(dir, 'root'));
  await writeFile(self, '0::/\n');
  let asked = 0;
  const enter = async (): Promise<boolean> => (asked += 1) > 0;
  const found = await findCgroups({ root: join(dir, 'root'), self, name: 'x', enter });
  assert.deepEqual(found, { memory: null, pids: null });
  assert.equal(asked, 0);
  assert.deepEqual(await readdir(join(dir, 'root')), []);
});

test('the system call filter is a whole program for each machine we know', () => {
  for (const arch of ['x64', 'arm64']) {
    const filter = seccompFilter(arch);
    assert.ok(filter !== null && filter.length % 8 === 0 && filter.length / 8 > 40);
    const view = new DataView(filter.buffer);
    const steps = filter.length / 8;
    assert.equal(view.getUint16((steps - 1) * 8, true), 6, 'ends with a return');
    for (let step = 0; step < steps; step += 1)
      if ((view.getUint16(step * 8, true) & 7) === 5)
        for (const jump of [view.getUint8(step * 8 + 2), view.getUint8(step * 8 + 3)])
          assert.ok(step + 1 + jump < steps, `step ${step} jumps out of the program`);
  }
  assert.equal(seccompFilter('mips'), null);
});

test('a failed attempt names its likeliest cause and the mend', () => {
  const well: Symptoms = {
    text: '',
    unprivilegedClone: null,
    apparmorRestrict: null,
    maxUserNamespaces: '1000',
    container: false,
  };
  const denied = 'bwrap: setting up uid map: Permission denied\n';
  const table: [Partial<Symptoms>, RegExp, RegExp][] = [
    [{ text: denied, maxUserNamespaces: '0' }, /switched off/, /user\.max_user_namespaces=/],
    [{ text: denied, unprivilegedClone: '0' }, /Only root/, /kernel\.unprivileged_userns_clone=1/],
    [{ text: denied, apparmorRestrict: '1' }, /AppArmor.*uid map/, /apparmor_parser -r/],
    [
      { text: "bwrap: Can't mount proc on /newroot/proc: Operation not permitted", container: true },
      /container/,
      /--security-opt/,
    ],
    [{ text: 'bwrap: Unknown option --clearenv' }, /too old.*--clearenv/, /0\.5 or newer/],
    [{ text: 'bwrap: something else' }, /something else/, /by hand/],
    [{}, /printed nothing/, /by hand/],
  ];
  for (const [symptoms, why, mend] of table) {
    const found = diagnose({ ...well, ...symptoms });
    assert.match(found.why, why);
    assert.match(found.mend, mend);
  }
});

test('a sandbox that does not hold is not used', () => {
  const good = [
    '1000',
    'CapBnd:\t0000000000000000',
    'CapEff:\t0000000000000000',
    'NoNewPrivs:\t1',
    '    lo',
    'done',
    '',
  ];
  assert.equal(judge(good.join('\n')), null);
  const table: [string, string, RegExp][] = [
    ['1000', '0', /as user 0/],
    ['CapEff:\t0000000000000000', 'CapEff:\t000001ffffffffff', /capabilities/],
    ['NoNewPrivs:\t1', 'NoNewPrivs:\t0', /gain privileges/],
    ['    lo', '    lo\n  eth0', /network eth0/],
    ['done', 'wrote-usr\ndone', /\/usr/],
    ['done', 'wrote-sys\ndone', /settings/],
    ['done', 'cannot-write-checkout\ndone', /checkout/],
    ['done', '', /to its end/],
  ];
  for (const [line, bad, expected] of table)
    assert.match(judge(good.map((each) => (each === line ? bad : each)).join('\n')) ?? '', expected, bad);
});

test('without bubblewrap, and on another system, the probe says what to do', async (t) => {
  const dir = await folder(t);
  const missing = await probeSandbox({ dir, path: dir, platform: 'linux', machine });
  assert.ok(!missing.ok);
  assert.match(missing.why, /bubblewrap is not installed|missing/);
  assert.match(missing.mend, /install/i);
  const mac = await probeSandbox({ dir, path: '/usr/bin', platform: 'darwin', machine });
  assert.ok(!mac.ok);
  assert.match(mac.why, /Linux/);
  assert.deepEqual(await readdir(dir), []);
});

test('a bubblewrap that only pretends is found out', async (t) => {
  const dir = await folder(t);
  const bin = join(dir, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'bwrap'), '#!/bin/sh\nexec echo done\n', { mode: 0o755 });
  const probe = await probeSandbox({ dir, path: bin, platform: 'linux', machine });
  assert.ok(!probe.ok);
  assert.match(probe.why, /does not hold/);
});

test('an engine’s profile is kept, and in it is refused what the filter of bubblewrap refuses', () => {
  const allow = (names: string[], args: unknown[] = []) => ({ names, action: 'SCMP_ACT_ALLOW', args });
  const base = {
    defaultAction: 'SCMP_ACT_ERRNO',
    archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] }],
    syscalls: [
      allow(['read', 'keyctl', 'clone', 'unshare', 'socketcall']),
      allow(['socket'], [{ index: 0, value: 40 }]),
    ],
  };
  const text = engineProfile(JSON.stringify(base), 'x64');
  const made = JSON.parse(text ?? '') as typeof base;
  assert.equal(made.defaultAction, 'SCMP_ACT_ERRNO');
  assert.deepEqual(made.archMap, [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: [] }]);
  const allowed = made.syscalls.filter(({ action }) => action === 'SCMP_ACT_ALLOW');
  assert.deepEqual(
    allowed.map(({ names, args }) => [names.join(), (args as { value: number }[])[0]?.value]),
    [
      ['read', undefined],
      ['clone', 0x10000000],
      ['unshare', 0x10000000],
      ...[1, 2, 10, 16].map((family) => ['socket', family]),
    ],
  );
  assert.ok(made.syscalls.some(({ names, action }) => action === 'SCMP_ACT_ERRNO' && names.includes('keyctl')));
  assert.equal(engineProfile(JSON.stringify(base), 'mips'), null);
});

test('what an engine complains of has its mend', () => {
  for (const [text, why, mend] of [
    ['Error: crun: cgroups in hybrid mode not supported: OCI runtime error', /hybrid/, /Install `runc`/],
    ['Error: cannot find newuidmap: exec: not found', /newuidmap/, /uidmap.*add-subuids/],
    ['Cannot connect to the Docker daemon at unix:///var/run/docker.sock.', /daemon/, /usermod -aG docker/],
    ['Error: runc: error setting rlimit type 7: operation not permitted', /rlimit/, /default_ulimits/],
    ['', /printed nothing/, /by hand/],
  ] as const) {
    const found = explain('podman', text);
    assert.match(found.why, why);
    assert.match(found.mend, mend);
  }
});
