import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { bwrapArgs } from './system.ts';
import { bwrapFiles, type BwrapFeatures, openBwrap } from './bwrap.ts';
import { findCgroups } from './cgroup.ts';
import type { Machine, ProbeOptions, SandboxKind } from '../core/ports/sandbox.ts';

type BwrapProbe =
  | { ok: true; why: string; mend: string; features: BwrapFeatures }
  /** `why` says what is missing, `mend` what to do about it. */
  | { ok: false; why: string; mend: string };

interface BwrapOptions extends ProbeOptions {
  /** Usually /sys/fs/cgroup and /proc/self/cgroup. */
  cgroupRoot?: string;
  cgroupSelf?: string;
}

export interface Ran {
  code: number | null;
  text: string;
}

/** What the wrapper around a command needs. */
export const PROGRAMS = ['flock', 'setpriv', 'timeout', 'dd', 'mkfifo'];
/** Where the wrapper looks for them. */
export const OWN_PATH = '/usr/local/bin:/usr/bin:/bin';
const TRY_MS = 10_000;

/** What the inner program must find: who it is, that nothing outside can be written, and that only a loopback is there. */
const CHECK = `
id -u
grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/self/status
cut -d: -f1 -s /proc/net/dev
{ true >/usr/ruche-probe; } 2>/dev/null && echo wrote-usr
{ true >/proc/sys/kernel/core_pattern; } 2>/dev/null && echo wrote-sys
{ true >/workspace/probe; } 2>/dev/null || echo cannot-write-checkout
echo done
`;

export async function run(program: string, args: readonly string[], timeout = TRY_MS): Promise<Ran> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: OWN_PATH, LC_ALL: 'C', NODE_V8_COVERAGE: undefined },
    timeout,
    killSignal: 'SIGKILL',
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (piece: string) => {
      if (text.length < 65_536) text += piece;
    });
  // What it has started may outlive it, and would hold its output open.
  child.once('exit', (_code, signal) => {
    if (signal !== null) for (const stream of [child.stdout, child.stderr]) stream.destroy();
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, text: error.message }));
    child.once('close', (code) => resolve({ code, text }));
  });
}

export async function which(name: string, path: string): Promise<string | null> {
  for (const folder of path.split(delimiter)) {
    if (!folder.startsWith('/')) continue;
    const candidate = join(folder, name);
    const usable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return candidate;
  }
  return null;
}

/** Facts about the machine that explain why a sandbox did not start. */
export interface Symptoms {
  /** What bubblewrap printed. */
  text: string;
  /** Contents of /proc/sys files, null where there is none. */
  unprivilegedClone: string | null;
  apparmorRestrict: string | null;
  maxUserNamespaces: string | null;
  container: boolean;
}

const INSTALL =
  'Install it: `apt-get install bubblewrap` on Debian and Ubuntu, `dnf install bubblewrap` on Fedora. Until then each command is asked for.';

/** The likeliest cause of a failed attempt, and its mend. */
export function diagnose(symptoms: Symptoms): { why: string; mend: string } {
  const { text } = symptoms;
  const said = text.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
  if (symptoms.maxUserNamespaces === '0')
    return {
      why: 'User namespaces are switched off on this machine (user.max_user_namespaces is 0).',
      mend: 'As root: `sysctl -w user.max_user_namespaces=15000`, and the same line in /etc/sysctl.d/ruche.conf.',
    };
  if (symptoms.unprivilegedClone === '0')
    return {
      why: 'Only root may make user namespaces on this machine (kernel.unprivileged_userns_clone is 0).',
      mend: 'As root: `sysctl -w kernel.unprivileged_userns_clone=1`, and the same line in /etc/sysctl.d/ruche.conf.',
    };
  if (/Unknown option/i.test(text))
    return { why: `This bubblewrap is too old: ${said}`, mend: 'Install bubblewrap 0.5 or newer.' };
  if (symptoms.container && /proc|namespace|Operation not permitted|Permission denied/i.test(text))
    return {
      why: `The container Ruche runs in does not allow a sandbox inside it: ${said}`,
      mend: 'Start the container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`, or run Ruche outside it. Until then each command is asked for.',
    };
  if (symptoms.apparmorRestrict === '1' && /uid map|namespace|RTM_NEWADDR|Permission denied|not permitted/i.test(text))
    return {
      why: `AppArmor keeps bubblewrap from making user namespaces (Ubuntu 24.04 and later): ${said}`,
      mend: 'As root: put `abi <abi/4.0>, include <tunables/global> profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }` in /etc/apparmor.d/bwrap and run `apparmor_parser -r /etc/apparmor.d/bwrap`.',
    };
  return {
    why: `bubblewrap does not start a sandbox: ${said || 'it printed nothing'}`,
    mend: 'Run `bwrap --unshare-all --ro-bind / / true` by hand and see what it says. Until it works each command is asked for.',
  };
}

const readOrNull = (path: string): Promise<string | null> =>
  readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => null,
  );

async function symptoms(text: string): Promise<Symptoms> {
  const marks = await Promise.all(['/.dockerenv', '/run/.containerenv', '/run/systemd/container'].map(readOrNull));
  return {
    text,
    unprivilegedClone: await readOrNull('/proc/sys/kernel/unprivileged_userns_clone'),
    apparmorRestrict: await readOrNull('/proc/sys/kernel/apparmor_restrict_unprivileged_userns'),
    maxUserNamespaces: await readOrNull('/proc/sys/user/max_user_namespaces'),
    container: marks.some((mark) => mark !== null),
  };
}

/** What the inner program printed, against what a sandbox must be. Null if all is well. */
export function judge(text: string, uid = '1000'): string | null {
  const lines = text.split('\n').map((line) => line.trim().replace(/\s+/g, ' '));
  if (!lines.includes('done')) return 'a program in it did not run to its end';
  if (lines[0] !== uid) return `a command would run as user ${lines[0]}`;
  if (!lines.includes('CapEff: 0000000000000000')) return 'a command would keep capabilities';
  if (!lines.includes('NoNewPrivs: 1')) return 'a command could gain privileges';
  if (lines.includes('wrote-usr')) return 'a command could write to /usr';
  if (lines.includes('wrote-sys')) return 'a command could change the kernel’s settings';
  if (lines.includes('cannot-write-checkout')) return 'a command could not write to its checkout';
  const start = lines.findIndex((line) => line.startsWith('NoNewPrivs'));
  const networks = lines.slice(start + 1).filter((line) => line !== '' && line !== 'done' && line !== 'lo');
  return networks.length === 0 ? null : `a command would see the network ${networks.join(', ')}`;
}

/** Runs CHECK in the sandbox a command would get. An older bubblewrap cannot bound a memory file system: then without. */
async function tryBwrap(bwrap: string, scratch: string, machine: Machine): Promise<{ ran: Ran; size: boolean }> {
  const checkout = { dir: join(scratch, 'checkout'), git: join(scratch, 'git'), objects: join(scratch, 'objects') };
  for (const folder of [join(checkout.dir, '.git'), join(checkout.git, 'objects', 'info'), checkout.objects])
    await mkdir(folder, { recursive: true });
  const command = join(scratch, 'command');
  await writeFile(command, CHECK);
  const files = await bwrapFiles(scratch, machine);
  const filter = files.filter === null ? null : 4;
  const open = filter === null ? '' : '4<"$3"';
  const shell = `cd "$1" && exec 3<args ${open} && exec "$2" --args 3 -- /bin/sh /run/command`;
  const attempt = async (size: boolean): Promise<Ran> => {
    const args = bwrapArgs({ ...files, checkout, command, tmp: size ? 1 << 20 : null, filter, network: null });
    await writeFile(join(scratch, 'args'), args.map((arg) => `${arg}\0`).join(''));
    return run('/bin/sh', ['-c', shell, 'ruche-probe', scratch, bwrap, files.filter ?? '']);
  };
  const ran = await attempt(true);
  const unbounded = ran.code !== 0 && ran.text.includes('Unknown option --size');
  return unbounded ? { ran: await attempt(false), size: false } : { ran, size: true };
}

/** Tries bubblewrap for real: what `doctor` shows, and what decides at start which sandbox is used. */
export async function probeSandbox(options: BwrapOptions): Promise<BwrapProbe> {
  if (options.platform !== 'linux')
    return {
      ok: false,
      why: 'There is no sandbox for this system: bubblewrap needs Linux.',
      mend: 'Run Ruche in a Linux machine or container. Until then each command is asked for.',
    };
  const missing = await Promise.all(PROGRAMS.map(async (name) => (await which(name, OWN_PATH)) === null));
  const program = PROGRAMS.find((_, index) => missing[index]);
  if (program !== undefined)
    return { ok: false, why: `The program ${program} is missing.`, mend: 'Install util-linux and coreutils.' };
  const bwrap = await which('bwrap', options.path);
  if (bwrap === null) return { ok: false, why: 'bubblewrap is not installed.', mend: INSTALL };

  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(join(options.dir, '.probe-'));
  try {
    const [{ ran, size }, cgroups] = await Promise.all([
      tryBwrap(bwrap, scratch, options.machine),
      findCgroups({
        root: options.cgroupRoot ?? '/sys/fs/cgroup',
        self: options.cgroupSelf ?? '/proc/self/cgroup',
        name: scratch.slice(-6),
        enter: async (folder) => (await run('/bin/sh', ['-c', 'echo 0 >"$1/cgroup.procs"', 'sh', folder])).code === 0,
      }),
    ]);
    if (ran.code !== 0) return { ok: false, ...diagnose(await symptoms(ran.text)) };
    const wrong = judge(ran.text);
    if (wrong !== null)
      return { ok: false, why: `The sandbox does not hold: ${wrong}.`, mend: 'Update bubblewrap and the kernel.' };
    const weak = cgroups.memory === null || cgroups.pids === null;
    return {
      ok: true,
      why: weak
        ? 'bubblewrap works. No cgroup can be made here, so memory and processes are limited per process only.'
        : 'bubblewrap works.',
      mend: weak ? 'Start Ruche as a systemd user service (Delegate=yes) to have them limited per command.' : '',
      features: { bwrap, size, cgroups },
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

export const bubblewrap: SandboxKind = {
  name: 'bwrap',
  async probe(options) {
    const probe = await probeSandbox(options);
    if (!probe.ok) return probe;
    const { why, mend, features } = probe;
    const { dir, machine } = options;
    return { ok: true, why, mend, open: (parts) => openBwrap({ features, machine, dir, ...parts }) };
  },
};
