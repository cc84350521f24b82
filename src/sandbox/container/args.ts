import { LAUNCH } from '../wrapper.ts';

/** How commands are run on this machine by podman or docker, as one trial has shown it. */
export interface Engine {
  kind: 'podman' | 'docker';
  /** The program with its environment and the options before a subcommand: `env HOME=… podman --runtime runc`. */
  words: readonly string[];
  /** Who a command is, inside. */
  user: Owner;
  /** Who that is outside, if it is not who the runtime is: then the checkout is theirs while a command runs. */
  owner: Owner | null;
  /** Options of the user namespace. */
  mapping: readonly string[];
  /** Whether it limits memory and processes of a container; if not, each process has limits of its own. */
  limits: boolean;
  /** The system call filter; null: the engine's own. */
  profile: string | null;
}

/** Its file among those that are shared. */
export const PROFILE = 'seccomp.json';

export interface Owner {
  uid: number;
  gid: number;
}

/** An image that is there. */
export interface Image {
  /** Its own name, a digest: nothing can be fetched under it. */
  id: string;
  /** `NAME=value`, as it has them. */
  env: readonly string[];
  /** Where it is mounted, if it is used without a copy for each mapping of users. */
  root: string | null;
}

export interface ContainerPlan {
  engine: Engine;
  image: Image;
  name: string;
  /** The command's folder. */
  dir: string;
  /** Files that do not differ between commands. */
  shared: string;
  checkout: { dir: string; git: string; objects: string };
  limits: { memory: number; processes: number; timeMs: number };
  /** What this process may give at most: open files, and processes of a user. */
  most: { files: number; processes: number };
  /** The file with the certificates of its way out, by the path inside; null for none. */
  ca: string | null;
  /** Whether it has a way out. */
  network: boolean;
}

/**
 * The first process inside. It tells by its errors, which only the wrapper sees, that it has begun and what the kernel has
 * killed at the limit; the command's output goes straight into the pipe of its folder. Its end is the end of everything
 * inside. A command with a network waits until somebody listens on its loopback. Arguments: processes, bytes of memory ('' if the engine limits them).
 */
export const INIT = `
trap 'exit 143' TERM
echo ruche-began >&2
unset HOSTNAME container
mkdir -p "$HOME" 2>/dev/null
[ ! -p /run/net ] || read -r name </run/net
/bin/sh /run/launch "$1" "$2" /run/command >/run/pipe 2>&1 </dev/null &
wait "$!"
code=$?
for file in /sys/fs/cgroup/memory/memory.oom_control /sys/fs/cgroup/memory.events; do
  [ ! -r "$file" ] || while read -r name count; do
    [ "$name" != oom_kill ] || [ "$count" = 0 ] || echo "oom_kill $count" >&2
  done <"$file"
done
exit "$code"
`;

/** Files of the runtime that every container sees, by the path inside. */
export const SHARED_FILES = ({ uid, gid }: Owner): Readonly<Record<string, string>> => ({
  '/run/init': INIT,
  '/run/launch': LAUNCH,
  '/etc/passwd': `agent:x:${uid}:${gid}:Agent:/tmp/home:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n`,
  '/etc/group': `agent:x:${gid}:\nnogroup:x:65534:\n`,
  '/etc/hosts': '127.0.0.1 localhost ruche\n::1 localhost ruche\n',
  // As in bubblewrap: a folder of files that looks like a repository names no programs to Git.
  '/etc/gitconfig': '[safe]\n\tbareRepository = explicit\n',
  '/workspace/.git/objects/info/alternates': '/run/objects\n',
});

/** Where such a file lies in the shared folder. */
export const sharedName = (path: string): string => path.slice(1).replaceAll('/', '-').replaceAll('.git', 'git');

/** One field of a comma-separated list. */
const field = (text: string): string => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

const bind = (from: string, to: string, write = false): string[] => [
  '--mount',
  ['type=bind', field(`src=${from}`), field(`dst=${to}`), ...(write ? [] : ['readonly'])].join(','),
];

/** Everything a command can see and do, as the engine's words. What can be written: the checkout, its throwaway repository, memory. */
export function containerArgs(plan: ContainerPlan): string[] {
  const { engine, image, checkout, limits, dir, shared } = plan;
  const podman = engine.kind === 'podman';
  const size = Math.floor(limits.memory / 4);
  // podman would fill it with what the image has there.
  const tmpfs = (path: string): string[] => [
    '--tmpfs',
    `${path}:rw,exec,nosuid,nodev,size=${size},mode=1777${podman ? ',notmpcopyup' : ''}`,
  ];
  const seconds = Math.ceil(limits.timeMs / 1000) + 10;
  const groups: (readonly string[])[] = [
    engine.words,
    ['run', '--rm', `--name=${plan.name}`, `--cidfile=${dir}/cid`, '--pull', 'never'],
    ['--network', 'none', '--hostname', 'ruche', '--cgroupns', 'private', '--ipc', 'private'],
    ['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--security-opt', 'label=disable'],
    engine.profile === null ? [] : ['--security-opt', `seccomp=${shared}/${PROFILE}`],
    ['--user', `${engine.user.uid}:${engine.user.gid}`, ...engine.mapping],
    // The time limit is the wrapper's. This one ends what has outlived a wrapper that was killed.
    podman ? ['--read-only-tmpfs=false', '--no-hosts', '--timeout', String(seconds)] : [],
    ['--read-only', ...tmpfs('/tmp'), ...tmpfs('/var/tmp'), '--shm-size', String(size)],
    ...(engine.limits ? [limited(limits)] : []),
    // An engine's own defaults may be above what this process may give.
    ulimit('nofile', Math.min(4096, plan.most.files)),
    ulimit('nproc', Math.min(4096, plan.most.processes)),
    ulimit('core', 0),
    ['--log-driver', 'none', '--attach', 'stderr'],
    // A variable may be a token, and an argument list can be read by others.
    ['--env-file', `${dir}/env`],
    bind(checkout.dir, '/workspace', true),
    bind(checkout.git, '/workspace/.git', true),
    bind(checkout.objects, '/run/objects'),
    bind(`${dir}/pipe`, '/run/pipe', true),
    bind(`${dir}/command`, '/run/command'),
    bind(`${dir}/status`, '/run/status'),
    plan.network ? [`--pidfile=${dir}/pid`, ...bind(`${dir}/net`, '/run/net', true)] : [],
    plan.ca === null ? [] : bind(`${dir}/ca`, plan.ca),
    ...Object.keys(SHARED_FILES(engine.user)).map((path) => bind(`${shared}/${sharedName(path)}`, path)),
    ['--workdir', '/workspace', '--entrypoint', '/bin/sh'],
    image.root === null ? [image.id] : ['--rootfs', `${image.root}:O`],
    ['/run/init', ...bounds(engine, limits)],
  ];
  return groups.flat();
}

const ulimit = (name: string, value: number): string[] => ['--ulimit', `${name}=${value}:${value}`];

const limited = ({ memory, processes }: { memory: number; processes: number }): string[] => [
  `--memory=${memory}`,
  `--memory-swap=${memory}`,
  `--pids-limit=${processes}`,
];

/** What the first process takes. Outside a user namespace processes are counted over all of the user: then only a fork bomb is bounded. */
const bounds = (
  { limits, mapping }: Engine,
  { memory, processes }: { memory: number; processes: number },
): string[] => [
  String(mapping.length > 0 ? processes : Math.max(processes, 4096)),
  limits ? '' : String(Math.floor(memory / 1024)),
];

/** The environment of a command: the image's, and over it ours, except for where its programs are. */
export function containerEnv(image: Image, own: Readonly<Record<string, string>>): Record<string, string> {
  const given = image.env.flatMap((entry): [string, string][] => {
    const at = entry.indexOf('=');
    return at < 1 || entry.includes('\n') ? [] : [[entry.slice(0, at), entry.slice(at + 1)]];
  });
  const { PATH } = Object.fromEntries(given);
  return { ...Object.fromEntries(given), ...own, ...(PATH === undefined ? {} : { PATH }) };
}
