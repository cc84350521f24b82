import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, chmod, mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { SandboxError, type Job, type JobResult, type Limits, type Sandbox } from '../../src/core/ports/sandbox.ts';
import type { Checkout } from '../../src/core/ports/workspace.ts';
import { requirePeer } from '../fakes/require-peer.ts';
import { git, limits, machine, processesWith, sandboxHome, type SandboxHome } from '../fakes/sandbox-home.ts';
import { until } from '../fakes/until.ts';

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
const noPerl = requirePeer('perl', await exists('/usr/bin/perl'));
interface IsolationSuite {
  /** As in `bubblewrap confines`. */
  who: string;
  skip: string | false;
  /** Why memory and processes have no limits of their own here. */
  weak: string | false;
  sandbox?: Job['sandbox'];
  /** Milliseconds that a start may take on a busy machine; limits of time count them. */
  startMs?: number;
  /** Places that can be looked at and hold nothing of the machine's files. */
  bare?: readonly string[];
  /** What a command and the first process inside have open, beside /dev/null and the pipe. */
  files: RegExp;
  open(shells: string): Promise<Sandbox>;
}

/** What a sandbox keeps from its commands. */
export function isolationContract(suite: IsolationSuite): void {
  const { skip, weak } = suite;
  describe(`${suite.who} confines`, { skip }, () => {
    let home: SandboxHome;
    let sandbox: Sandbox;
    let checkout: Checkout;
    let count = 0;

    before(async () => {
      home = await sandboxHome();
      checkout = await home.checkout('shared');
      sandbox = await suite.open(home.shells);
    });
    after(async () => {
      for (const key of await sandbox.list()) await sandbox.forget(key);
      const left = await processesWith(home.dir);
      await home.remove();
      assert.deepEqual(left, []);
    });

    const run = async (
      command: string,
      own: Partial<Limits> = {},
      where = checkout,
    ): Promise<JobResult & { text: string }> => {
      const key = `try_${(count += 1)}`;
      const job = {
        key,
        command,
        checkout: where,
        limits: { ...limits, ...own },
        network: null,
        sandbox: suite.sandbox,
      };
      const result = await sandbox.exec(job, () => undefined, new AbortController().signal);
      return { ...result, text: Buffer.from(result.output).toString('utf8') };
    };
    /** Runs each attempt; gives those that succeeded. */
    const succeeding = async (attempts: readonly string[]): Promise<string[]> => {
      const lines = attempts.map((attempt, index) => `( ${attempt}\n) >/dev/null 2>&1 && echo ${index}`).join('\n');
      const { text } = await run(`${lines}\necho end`);
      const printed = text.trim().split('\n');
      assert.equal(printed.pop(), 'end');
      return printed.map((index) => attempts[Number(index)] ?? index);
    };
    const perl = (program: string): string => `LC_ALL=C perl -MSocket -e '${program}'`;

    test('what lies outside cannot be read', async () => {
      const secret = join(home.dir, 'secret');
      await writeFile(secret, 'secret', { mode: 0o644 });
      const paths = [
        '/root',
        '/home',
        '/etc/shadow',
        '/etc/ssh',
        '/etc/sudoers',
        '/etc/gshadow',
        '/sys',
        '/boot',
        '/var/log',
        '/srv',
        '/mnt',
        '/etc/machine-id',
        '/etc/resolv.conf',
        '/run/systemd',
        '/run/docker.sock',
        '/var/run/docker.sock',
        '/opt',
        '/media',
        home.dir,
        home.shells,
        home.workspace,
        secret,
        join(home.workspace, '.git', 'config'),
        process.cwd(),
        '/proc/1/root/root',
        '/proc/1/cwd/../root',
        '/proc/kcore',
        '/dev/vda',
        '/dev/sda',
        '/dev/mem',
        '/dev/kmsg',
        '/proc/kmsg',
      ];
      const hidden = paths.filter((path) => !suite.bare?.includes(path));
      assert.deepEqual(await succeeding(hidden.map((each) => `ls -d '${each}' && cat '${each}' || ls '${each}/'`)), []);
      assert.match((await run('cat /etc/passwd')).text, /^agent:x:1000:1000:/);
    });

    test('what lies outside cannot be written', async () => {
      const places = [
        '/x',
        '/usr/x',
        '/usr/bin/ls',
        '/bin/x',
        '/etc/x',
        '/etc/passwd',
        '/dev/x',
        '/run/x',
        '/run/objects/x',
        '/run/command',
        '/var/x',
        '/lib/x',
        '/proc/sys/vm/swappiness',
        '/proc/sys/kernel/core_pattern',
        '/proc/sysrq-trigger',
        '/proc/mtrr',
        '/workspace/.git/objects/info/alternates',
        join(home.dir, 'x'),
        '/root/x',
        '/home/x',
        '/proc/1/oom_score_adj/x',
      ];
      assert.deepEqual(await succeeding(places.map((place) => `true >>'${place}'`)), []);
      const both = await run(
        'echo yes >/tmp/x && echo yes >here && echo yes >~/x && echo yes >/var/tmp/y && cat /tmp/x here ~/x /var/tmp/y',
      );
      assert.equal(both.text, 'yes\n'.repeat(4));
      assert.ok(!(await exists('/tmp/x')));
    });

    test('nobody is root inside, nothing can be gained, and the machine keeps its settings', async () => {
      const before = await readFile('/proc/sys/vm/swappiness', 'utf8').catch(() => '');
      assert.equal(
        (
          await run(
            'id -u; id -g; grep -cE "^Cap(Inh|Prm|Eff|Bnd|Amb):.0{16}$" /proc/self/status; grep NoNewPrivs /proc/self/status',
          )
        ).text,
        '1000\n1000\n5\nNoNewPrivs:\t1\n',
      );
      const attempts = [
        'mount -t tmpfs none /tmp',
        'mount --bind /usr /tmp',
        'umount /workspace/.git',
        'umount /proc',
        'mount -o remount,rw /',
        'chroot / true',
        'unshare -U true',
        'unshare -r true',
        'unshare -m true',
        'unshare -n true',
        'unshare -p true',
        'bwrap --ro-bind / / true',
        'su -c true',
        'chown 0:0 a.txt',
        'mknod /tmp/null c 1 3',
        ...['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `chmod 666 /dev/${name}`),
        'hostname other',
        'setpriv --reuid 0 true',
        'nsenter -t 1 -m true',
        'date -s 2020-01-01',
        'sysctl -w vm.swappiness=1',
        'dmesg',
        'renice -n -5 $$',
        'ulimit -Hn 100000',
        'rmdir .git',
        'mv .git other',
      ];
      assert.deepEqual(await succeeding(attempts), []);
      const { text } = await run('echo x >/dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c');
      assert.equal(text.replaceAll(' ', ''), '3\n3\n');
      assert.equal(await readFile('/proc/sys/vm/swappiness', 'utf8').catch(() => ''), before);
    });

    test('a restart of the runtime leaves a command that runs its /etc and its devices', async () => {
      const order = {
        key: `try_${(count += 1)}`,
        command:
          'echo up; while [ ! -e go ]; do sleep 0.02; done; grep -c . /etc/passwd >/dev/null && echo x >/dev/null && echo whole',
        checkout,
        limits,
        network: null,
        sandbox: suite.sandbox,
      };
      let seen = '';
      const going = sandbox.exec(
        order,
        (chunk) => (seen += Buffer.from(chunk).toString()),
        new AbortController().signal,
      );
      await until(() => seen.includes('up'), 'the command');
      await suite.open(home.shells);
      await writeFile(join(checkout.dir, 'go'), '', { mode: 0o666 });
      assert.match(Buffer.from((await going).output).toString(), /whole/);
      await rm(join(checkout.dir, 'go'));
    });

    test('processes outside cannot be seen, signalled or traced', async () => {
      const seen = (await run('ls /proc | grep -cE "^[0-9]+$"')).text;
      assert.ok(Number(seen) < 8, `${seen} processes`);
      const pid = process.pid;
      assert.deepEqual(
        await succeeding([
          `kill -0 ${pid}`,
          `kill -TERM ${pid}`,
          `ls /proc/${pid}`,
          `prlimit --pid ${pid}`,
          `cat /proc/${pid}/environ`,
        ]),
        [],
      );
      // Everything it can see, which is its own.
      assert.equal((await run('sleep 60 & kill -KILL -1; wait; exec echo end')).text.slice(-4), 'end\n');
    });

    test('there is no network and no socket to the outside', { skip: noPerl }, async () => {
      const listeners = [createServer(), createServer(), createServer()] as const;
      let connections = 0;
      for (const server of listeners) server.on('connection', () => (connections += 1));
      const named = join(home.dir, 's');
      const abstract = `ruche-test-${process.pid}`;
      listeners[0].listen(0, '127.0.0.1');
      listeners[1].listen(named);
      listeners[2].listen(`\0${abstract}`);
      for (const server of listeners) if (!server.listening) await once(server, 'listening');
      const address = listeners[0].address();
      const port = typeof address === 'object' ? address?.port : 0;
      const unix = (name: string): string =>
        perl(`socket(S,AF_UNIX,SOCK_STREAM,0) && connect(S,pack("S a*",1,${name})) or exit 1`);
      const open = (family: number, type: number, protocol: number): string =>
        perl(`socket(S,${family},${type},${protocol}) or exit 1`);
      const attempts = [
        `exec 3<>/dev/tcp/127.0.0.1/${port}`,
        `exec 3<>/dev/tcp/localhost/${port}`,
        'exec 3<>/dev/tcp/1.1.1.1/53',
        'getent hosts example.org',
        unix(`"${named}"`),
        unix(`"\\0${abstract}"`),
        // raw IP, packet, vsock (to the host of a virtual machine), bluetooth, alg, xdp
        open(2, 3, 1),
        open(17, 3, 0),
        open(40, 1, 0),
        open(31, 1, 0),
        open(38, 5, 0),
        open(44, 3, 0),
      ];
      try {
        assert.deepEqual(await succeeding(attempts), []);
        assert.deepEqual(await succeeding([open(1, 1, 0), open(2, 1, 0)]), [open(1, 1, 0), open(2, 1, 0)]);
        assert.match((await run('cat /proc/net/dev')).text, /^\s*lo:/m);
        assert.equal(connections, 0);
      } finally {
        for (const server of listeners) server.close();
      }
    });

    test('keyrings, io_uring and the like are closed', { skip: noPerl }, async () => {
      const numbers =
        process.arch === 'x64' ? [248, 249, 250, 298, 321, 323, 425] : [217, 218, 219, 241, 280, 282, 425];
      const { text } = await run(
        numbers.map((number) => perl(`syscall(${number},0,0,0,0,0); print $!+0, "\\n"`)).join('\n'),
      );
      // Not permitted, or not there.
      assert.match(text, new RegExp(`^((1|38)\n){${numbers.length}}$`));
    });

    test('A18 a program of the workspace is not found by name', async () => {
      const own = await home.checkout('trojan');
      for (const name of ['ls', 'git', 'sh', 'env']) {
        await writeFile(join(own.dir, name), '#!/bin/sh\necho trojan\n');
        await chmod(join(own.dir, name), 0o755);
      }
      const { text } = await run('ls; git --version; sh -c "echo fine"; env | grep ^PATH', {}, own);
      assert.ok(!text.includes('trojan'), text);
      assert.match((await run('./ls', {}, own)).text, /trojan/);
    });

    test('A27 Git works inside; nothing of it reaches the repository outside, and no hook runs there', async () => {
      const own = await home.checkout('git');
      const state = async (): Promise<string> =>
        `${await git(home.workspace, 'for-each-ref')} ${await git(home.workspace, 'rev-parse', 'HEAD')} ${(await readdir(join(home.workspace, '.git', 'objects'), { recursive: true })).sort().join(' ')} ${await git(home.workspace, 'status', '--porcelain')}`;
      const earlier = await state();
      const hooked = join(home.dir, 'hooked');
      const result = await run(
        `git status --porcelain; echo two >>a.txt; git diff --stat; mkdir -p .git/hooks
printf '#!/bin/sh\\necho hooked; echo x >${hooked}\\n' >.git/hooks/post-commit; chmod +x .git/hooks/post-commit
git commit -aqm second; git log --format='%s %an <%ae>'; git branch other; git gc -q; git fsck; git push origin main; git status --porcelain; echo end`,
        {},
        own,
      );
      assert.match(result.text, / a\.txt \| 1 \+\n/);
      assert.match(result.text, /second Agent <agent@ruche.invalid>\nfirst Ann <ann@example.org>\n/);
      assert.match(result.text, /end\n$/);
      assert.equal(await state(), earlier);
      assert.ok(!(await exists(hooked)));
    });

    test('a link where something would be mounted stops the start', async () => {
      const target = join(home.dir, 'target');
      await mkdir(target);
      for (const place of ['.git', 'info'] as const) {
        const own = await home.checkout(`link-${place}`);
        const link = place === '.git' ? join(own.dir, '.git') : join(own.git, 'objects', 'info');
        await rm(link, { recursive: true });
        await symlink(target, link);
        await assert.rejects(
          run('true', {}, own),
          (error: unknown) => error instanceof SandboxError && error.code === 'start',
        );
      }
      assert.deepEqual(await readdir(target), []);
    });

    test('a fork bomb stays within the limit of processes', { skip: machine.uid === 0 && weak }, async () => {
      const result = await run(
        'bomb() { bomb | bomb & }; bomb; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.02; done; echo alive',
        {
          processes: 24,
          timeMs: 4000 + (suite.startMs ?? 0),
        },
      );
      assert.match(result.text, /fork|Resource temporarily unavailable/);
      assert.equal((await run('echo fine')).text, 'fine\n');
    });

    test('a memory hog is killed and said to be', { skip: weak }, async () => {
      const result = await run('head -c 300M /dev/zero | tail -c 300M >/dev/null; echo "${PIPESTATUS[1]}"', {
        memory: 64 << 20,
      });
      assert.deepEqual([result.ended, result.text.trim().split('\n').at(-1)], ['memory', '137']);
    });

    test('/tmp and /dev/shm are bounded and gone afterwards', async () => {
      const result = await run(
        'for place in /tmp /dev/shm; do head -c 200M /dev/zero >$place/full && echo filled; wc -c <$place/full; rm $place/full; done',
        { memory: 64 << 20 },
      );
      assert.ok(!result.text.includes('filled'), result.text);
      assert.equal(result.text.match(/No space left/g)?.length, 2, result.text);
      assert.equal((await run('ls -A /tmp /dev/shm')).text, '/dev/shm:\n\n/tmp:\nhome\n');
    });

    test('no open file of the outside is handed in', async () => {
      const { text } = await run('readlink /proc/self/fd/* /proc/1/fd/*');
      const pipes = [join(home.shells, `try_${count}`, 'pipe'), '/run/pipe'];
      const odd = text
        .trim()
        .split('\n')
        .filter((target) => target !== '/dev/null' && !pipes.includes(target));
      for (const target of odd) assert.match(target, suite.files);
    });

    test('core dumps are off, open files are bounded', async () => {
      assert.equal((await run('ulimit -c; ulimit -n; ulimit -Hn')).text, '0\n4096\n4096\n');
    });

    test('outsiders do not see the command’s text among the processes', async () => {
      const marker = createHash('sha256').update(home.dir).digest('hex');
      const own = await home.checkout('hidden');
      const command = `: ${marker}\necho up; while [ ! -e seen ]; do sleep 0.01; done`;
      let up = false;
      const job = { key: 'hidden', command, checkout: own, limits, network: null, sandbox: suite.sandbox };
      const going = sandbox.exec(job, () => (up = true), new AbortController().signal);
      await until(() => up, 'start');
      assert.deepEqual(await processesWith(marker), []);
      await writeFile(join(own.dir, 'seen'), '');
      assert.equal((await going).exit, 0);
    });
  });
}
