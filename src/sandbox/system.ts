import { execFile } from 'node:child_process';
import { chown, lstat, mkdir, open, readdir, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { EgressHandle } from '../core/ports/egress.ts';
import { replaceFile } from '../platform/replace.ts';
import { type Forwarder, forwarderWords, EGRESS_FOLDER, networkEnvironment, PORT } from './network.ts';

/** Something of the machine that a command sees, read-only but for devices. */
type Mount = { kind: 'bind' | 'device'; from: string; to: string } | { kind: 'link'; target: string; to: string };

/** What bubblewrap takes from the machine, with major and minor number. */
const DEVICES: Readonly<Record<string, readonly [number, number]>> = {
  null: [1, 3],
  zero: [1, 5],
  full: [1, 7],
  random: [1, 8],
  urandom: [1, 9],
  tty: [5, 0],
};
const NOBODY = 65534;

/** Programs and libraries. What is a link on the machine (a merged /usr) is the same link inside. */
const FOLDERS = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/nix/store'];

/** What programs need of /etc to find libraries, types, times and names; nothing that could hold a key. Copied, as each mount costs. */
const ETC_FILES = [
  'debian_version',
  'inputrc',
  'ld.so.cache',
  'ld.so.conf',
  'locale.alias',
  'localtime',
  'lsb-release',
  'magic',
  'magic.mime',
  'mime.types',
  'os-release',
  'pki/tls/openssl.cnf',
  'protocols',
  'redhat-release',
  'services',
  'ssl/openssl.cnf',
  'timezone',
];
const ETC_FOLDERS = ['alternatives', 'crypto-policies', 'fonts', 'pki/ca-trust', 'pki/tls/certs', 'ssl/certs'];
const JAVA = /^java-[\w.-]+$/;

/** Made up, because the machine's own would tell about its people and its network. */
const ETC_MADE_UP: Readonly<Record<string, string>> = {
  passwd: 'agent:x:1000:1000:Agent:/tmp/home:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  group: 'agent:x:1000:\nnogroup:x:65534:\n',
  hosts: '127.0.0.1 localhost ruche\n::1 localhost ruche\n',
  // A folder of files that looks like a repository names no programs to Git: one agent's command may have landed it.
  gitconfig: '[safe]\n\tbareRepository = explicit\n',
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n',
};

/** Folders of /proc that hold settings. bubblewrap itself covers `bus` and `irq`. */
const PROC_SETTINGS = ['acpi', 'asound', 'fs', 'scsi', 'sys'];

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

async function programs(): Promise<Mount[]> {
  const mounts: Mount[] = [];
  for (const path of FOLDERS) {
    const found = await lstat(path).catch(() => null);
    if (found?.isSymbolicLink()) mounts.push({ kind: 'link', target: await readlink(path), to: path });
    else if (found?.isDirectory()) mounts.push({ kind: 'bind', from: path, to: path });
  }
  return mounts;
}

/** Builds the /etc of commands in `folder`: copies, made-up files, and empty places for the folders mounted in it. */
async function writeEtc(folder: string): Promise<Mount[]> {
  for (const below of ['', 'pki/tls', 'ssl']) await mkdir(join(folder, below), { recursive: true, mode: 0o755 });
  const mounts: Mount[] = [{ kind: 'bind', from: folder, to: '/etc' }];
  const java = (await readdir('/etc').catch(() => [])).filter((name) => JAVA.test(name));
  for (const name of [...ETC_FOLDERS, ...java]) {
    const from = join('/etc', name);
    if (!(await isFolder(from))) continue;
    await mkdir(join(folder, name), { recursive: true });
    mounts.push({ kind: 'bind', from, to: from });
  }
  // Replaced one by one: commands of the process before have this folder as their /etc.
  const put = (name: string, data: string | Uint8Array): Promise<void> =>
    replaceFile(join(folder, name), data, { durable: false });
  await Promise.all([
    ...ETC_FILES.map(async (name) => {
      // Most machines have only some of them.
      const data = await readFile(join('/etc', name)).catch(() => null);
      if (data !== null) await put(name, data);
    }),
    ...Object.entries(ETC_MADE_UP).map(([name, text]) => put(name, text)),
  ]);
  return mounts;
}

/**
 * What would be open to a command in a fresh /proc if the runtime is root: inside, it is no longer root by name, but the
 * kernel's settings take it for their owner. Settings become read-only; files that not everyone may read, or that their
 * owner may write, become unreadable.
 */
async function coverProc(): Promise<Mount[]> {
  const mounts: Mount[] = [];
  for (const name of (await readdir('/proc')).sort()) {
    if (/^\d+$/.test(name)) continue;
    const path = join('/proc', name);
    const found = await lstat(path).catch(() => null);
    if (found === null) continue;
    if (found.isDirectory() && PROC_SETTINGS.includes(name)) mounts.push({ kind: 'bind', from: path, to: path });
    else if (found.isFile() && ((found.mode & 0o222) !== 0 || (found.mode & 0o004) === 0))
      mounts.push({ kind: 'bind', from: '/dev/null', to: path });
  }
  return mounts;
}

/**
 * Devices of our own, if the runtime is root: a command has no rights of root's, but owns what root owns, and could change the
 * mode of the machine's `/dev/null`. These belong to nobody. None where such files cannot be made or opened; then a command
 * sees the machine's.
 */
async function ownDevices(folder: string): Promise<Mount[]> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  try {
    return await Promise.all(
      Object.entries(DEVICES).map(async ([name, numbers]) => {
        const from = join(folder, name);
        await makeDevice(from, numbers);
        // A file system may be mounted without devices; a terminal cannot be opened by who has none.
        if (name !== 'tty') await (await open(from, 'r')).close();
        return { kind: 'device' as const, from, to: `/dev/${name}` };
      }),
    );
  } catch {
    return [];
  }
}

/** One that is there stays: a command of the process before may be about to mount it. */
async function makeDevice(path: string, [major, minor]: readonly [number, number]): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found?.isCharacterDevice() && found.rdev === major * 256 + minor && (found.mode & 0o777) === 0o666) return;
  const made = `${path}.new`;
  await rm(made, { force: true });
  await promisify(execFile)('mknod', ['-m', '666', made, 'c', String(major), String(minor)], {
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
  });
  await chown(made, NOBODY, NOBODY);
  await rename(made, path);
}

export interface SystemMounts {
  system: Mount[];
  /** To be mounted over those of bubblewrap. */
  devices: Mount[];
  /** To be mounted after /proc. */
  proc: Mount[];
  /** To be mounted after the checkout. */
  late: Mount[];
}

/**
 * What of this machine commands see. Writes what differs from it into `folder`. `root`: whether the runtime is root.
 */
export async function readSystem(folder: string, root: boolean): Promise<SystemMounts> {
  const alternates = join(folder, 'alternates');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(alternates, '/run/objects\n', { mode: 0o644 });
  return {
    system: [...(await programs()), ...(await writeEtc(join(folder, 'etc')))],
    devices: root ? await ownDevices(join(folder, 'dev')) : [],
    proc: root ? await coverProc() : [],
    late: [{ kind: 'bind', from: alternates, to: '/workspace/.git/objects/info/alternates' }],
  };
}

/** The one environment a command gets. Nothing of the runtime's own is in it. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/tmp/home',
  USER: 'agent',
  LOGNAME: 'agent',
  LANG: 'C.UTF-8',
  TERM: 'dumb',
  // Git's name comes from /etc/passwd: a commit in the sandbox works without configuration.
  EMAIL: 'agent@ruche.invalid',
};

export interface BwrapPlan {
  system: readonly Mount[];
  devices: readonly Mount[];
  proc: readonly Mount[];
  late: readonly Mount[];
  checkout: { dir: string; git: string; objects: string };
  /** The file with the command's text. */
  command: string;
  /** Bytes of /tmp and of /dev/shm each; null where this bubblewrap cannot bound them. */
  tmp: number | null;
  /** Descriptor of the system call filter; null for none. */
  filter: number | null;
  /** The file in which the runtime says how it is, if there is one. */
  status?: string;
  /** Its way out; null for none. */
  network: { handle: EgressHandle; forwarder: Forwarder } | null;
}

/** Where commands find it. */
const STATUS = '/run/status';

/** Where a forwarder lies that is in none of the usual folders. */
const FORWARDER = '/run/forward';
const programInside = (program: string): string =>
  FOLDERS.some((folder) => program.startsWith(`${folder}/`)) ? program : FORWARDER;

/** The command line of the forwarder as it is inside; empty for a command without a network. */
export const forwarderInside = ({ network }: Pick<BwrapPlan, 'network'>): string[] =>
  network === null
    ? []
    : forwarderWords({ ...network.forwarder, program: programInside(network.forwarder.program) }, EGRESS_FOLDER, PORT);

/** The whole folder is shown, so that the new socket of a restarted runtime is seen. */
function networkArgs({ network }: BwrapPlan): string[] {
  if (network === null) return [];
  const { handle, forwarder } = network;
  const inside = programInside(forwarder.program);
  return [
    ['--ro-bind', handle.dir, EGRESS_FOLDER],
    inside === FORWARDER ? ['--ro-bind', forwarder.program, inside] : [],
    ...Object.entries(networkEnvironment(handle, EGRESS_FOLDER, handle.own)).map(([name, value]) => [
      '--setenv',
      name,
      value,
    ]),
  ].flat();
}

const BIND = { bind: '--ro-bind', device: '--dev-bind' };

const mount = (entry: Mount): string[] =>
  entry.kind === 'link' ? ['--symlink', entry.target, entry.to] : [BIND[entry.kind], entry.from, entry.to];

/**
 * Everything a command can see and do, as bubblewrap's options. The only folders that can be written are the checkout, its
 * throwaway repository and two bounded memory file systems.
 */
export function bwrapArgs(plan: BwrapPlan): string[] {
  const { checkout } = plan;
  const tmpfs = (path: string): string[] => [
    ...(plan.tmp === null ? [] : ['--size', String(plan.tmp)]),
    '--tmpfs',
    path,
  ];
  const groups: string[][] = [
    ['--unshare-user', '--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ['--uid', '1000', '--gid', '1000', '--cap-drop', 'ALL', '--hostname', 'ruche'],
    ['--new-session', '--die-with-parent', '--clearenv'],
    ...Object.entries(ENVIRONMENT).map(([name, value]) => ['--setenv', name, value]),
    ...plan.system.map(mount),
    ['--proc', '/proc'],
    ...plan.proc.map(mount),
    ['--dev', '/dev'],
    ...plan.devices.map(mount),
    tmpfs('/dev/shm'),
    ['--remount-ro', '/dev'],
    tmpfs('/tmp'),
    ['--dir', '/tmp/home', '--dir', '/var', '--symlink', '../tmp', '/var/tmp', '--dir', '/run'],
    ['--ro-bind', plan.command, '/run/command'],
    plan.status === undefined ? [] : ['--ro-bind-try', plan.status, STATUS, '--setenv', 'RUCHE_STATUS', STATUS],
    ['--bind', checkout.dir, '/workspace'],
    ['--bind', checkout.git, '/workspace/.git'],
    ['--ro-bind', checkout.objects, '/run/objects'],
    ...plan.late.map(mount),
    networkArgs(plan),
    // The root itself is a memory file system that nothing bounds.
    ['--remount-ro', '/'],
    ['--chdir', '/workspace'],
    plan.filter === null ? [] : ['--seccomp', String(plan.filter)],
  ];
  return groups.flat();
}
