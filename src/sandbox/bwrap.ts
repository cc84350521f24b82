import { createHash } from 'node:crypto';
import { lstat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Machine, SandboxError, type Sandbox } from '../core/ports/sandbox.ts';
import type { Checkout } from '../core/ports/workspace.ts';
import { bwrapArgs, forwarderInside, readSystem, type SystemMounts } from './system.ts';
import { cgroupsOf, makeCgroups, removeCgroups, type Cgroups } from './cgroup.ts';
import { inheritedFiles, Jobs, type Runner, STATUS_FILE } from './jobs.ts';
import { type Forwarder, forwarderOnce } from './network.ts';
import { seccompFilter } from './seccomp.ts';
import { LAUNCH, SWEEP_SANDBOX } from './wrapper.ts';

/** What `probeSandbox` has found out about this machine. */
export interface BwrapFeatures {
  /** Path of the program. */
  bwrap: string;
  /** Whether it can bound a memory file system. */
  size: boolean;
  cgroups: Cgroups;
}

export interface BwrapOptions {
  features: BwrapFeatures;
  machine: Machine;
  /** `<home>/shells`. */
  dir: string;
  boundary: Boundary;
  clock: Clock;
  /** What joins a command with its proxy; found on the machine by default. */
  forwarder?: () => Promise<Forwarder>;
}

/** Arguments: bwrap, the inner program, then its arguments. */
const ENTER = `
exec 2>&1
bwrap=$1 inner=$2 filter=$3
shift 3
[ -z "$filter" ] || exec 4<"$filter"
exec "$bwrap" --args 3 -- /bin/sh -c "$inner" ruche-command "$@" 3<args
`;

/** The places where a sandbox will mount must be real folders: a link there would be followed, out of the checkout. */
export async function checkMountPoints(checkout: Checkout): Promise<void> {
  const { dir, git } = checkout;
  const paths = [dir, join(dir, '.git'), git, join(git, 'objects'), join(git, 'objects', 'info')];
  await Promise.all(
    paths.map(async (path) => {
      const found = await lstat(path).catch(() => null);
      if (found !== null && !found.isDirectory())
        throw new SandboxError('start', `The sandbox is not started, because this is not a folder: ${path}`);
    }),
  );
}

function bwrapRunner(options: {
  features: BwrapFeatures;
  /** Distinguishes this home's cgroups from another's. */
  scope: string;
  files: BwrapFiles;
  /** Where the runtime says how it is. */
  status: string;
  forwarder: () => Promise<Forwarder>;
}): Runner {
  const { features, scope, files, status, forwarder } = options;
  const groups = (key: string): Cgroups => cgroupsOf(features.cgroups, `${scope}-${key}`);
  return {
    name: 'bwrap',
    confined: true,
    sweep: SWEEP_SANDBOX,

    async prepare({ key, checkout, limits, network: handle }, dir) {
      const job = groups(key);
      const network = handle === null ? null : { handle, forwarder: await forwarder() };
      const args = bwrapArgs({
        ...files,
        checkout,
        command: join(dir, 'command'),
        tmp: features.size ? Math.floor(limits.memory / 4) : null,
        filter: files.filter === null ? null : 4,
        status,
        network,
      });
      await Promise.all([
        checkMountPoints(checkout),
        makeCgroups(job, { memory: limits.memory, processes: limits.processes }),
        writeFile(join(dir, 'args'), args.map((arg) => `${arg}\0`).join(''), { mode: 0o600 }),
      ]);
      const memory = job.memory ?? '';
      const pids = job.pids === job.memory ? '' : (job.pids ?? '');
      const data = job.memory === null ? String(Math.floor(limits.memory / 1024)) : '';
      return {
        script: ENTER,
        args: [
          features.bwrap,
          LAUNCH,
          files.filter ?? '',
          String(limits.processes),
          data,
          '/run/command',
          ...forwarderInside({ network }),
        ],
        env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
        memory,
        pids,
      };
    },

    clear: (key) => removeCgroups(groups(key)),
  };
}

export interface BwrapFiles extends SystemMounts {
  /** The system call filter; null where we have none for the machine. */
  filter: string | null;
}

/** Writes the files of the sandbox that do not differ between commands into `<dir>/.bwrap`: a key never begins with a dot. */
export async function bwrapFiles(dir: string, machine: Machine): Promise<BwrapFiles> {
  const folder = join(dir, '.bwrap');
  const mounts = await readSystem(folder, machine.uid === 0);
  const bytes = seccompFilter(machine.arch);
  const filter = bytes === null ? null : join(folder, 'seccomp.bpf');
  if (bytes !== null && filter !== null) await writeFile(filter, bytes, { mode: 0o600 });
  return { ...mounts, filter };
}

/** Commands in bubblewrap: the checkout and nothing else of the machine can be written, and nothing but the command's proxy be reached. */
export async function openBwrap(options: BwrapOptions): Promise<Sandbox> {
  const files = await bwrapFiles(options.dir, options.machine);
  const scope = createHash('sha256').update(options.dir).digest('hex').slice(0, 8);
  return new Jobs({
    ...options,
    inherited: await inheritedFiles(),
    runner: bwrapRunner({
      features: options.features,
      scope,
      files,
      status: join(options.dir, STATUS_FILE),
      forwarder: options.forwarder ?? forwarderOnce(),
    }),
  });
}
