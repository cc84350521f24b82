import type { Mount } from './system.ts';

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
}

/** Where commands find it. */
const STATUS = '/run/status';

const mount = (entry: Mount): string[] =>
  entry.kind === 'link' ? ['--symlink', entry.target, entry.to] : ['--ro-bind', entry.from, entry.to];

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
    // The root itself is a memory file system that nothing bounds.
    ['--remount-ro', '/'],
    ['--chdir', '/workspace'],
    plan.filter === null ? [] : ['--seccomp', String(plan.filter)],
  ];
  return groups.flat();
}
