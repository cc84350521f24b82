import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** Folders under which a cgroup can be made for each command; null where the machine does not let us. */
export interface Cgroups {
  memory: string | null;
  pids: string | null;
}

export interface CgroupLimits {
  /** Bytes. */
  memory: number;
  processes: number;
}

const put = (folder: string, file: string, value: string | number): Promise<void> =>
  writeFile(join(folder, file), String(value), { flag: 'r+' });

const tolerate = async (attempt: Promise<unknown>): Promise<boolean> =>
  attempt.then(
    () => true,
    () => false,
  );

/** True if the limit was set, in the form of version 2 or of version 1. Swap is closed where it is counted. */
async function limitMemory(folder: string, bytes: number): Promise<boolean> {
  if (await tolerate(put(folder, 'memory.max', bytes))) {
    await tolerate(put(folder, 'memory.swap.max', 0));
    return true;
  }
  if (!(await tolerate(put(folder, 'memory.limit_in_bytes', bytes)))) return false;
  await tolerate(put(folder, 'memory.memsw.limit_in_bytes', bytes));
  return true;
}

const limitPids = (folder: string, processes: number): Promise<boolean> => tolerate(put(folder, 'pids.max', processes));

/** Paths of a job's cgroups. In version 2 both are one. */
export const cgroupsOf = (parents: Cgroups, name: string): Cgroups => ({
  memory: parents.memory === null ? null : join(parents.memory, `ruche-${name}`),
  pids: parents.pids === null ? null : join(parents.pids, `ruche-${name}`),
});

/** Makes the job's cgroups and sets their limits; rejects if one does not take. */
export async function makeCgroups(job: Cgroups, limits: CgroupLimits): Promise<void> {
  const memory = async (folder: string): Promise<void> => {
    await mkdir(folder, { recursive: true });
    if (!(await limitMemory(folder, limits.memory))) throw new Error(`cannot set the memory limit in ${folder}`);
  };
  const pids = async (folder: string): Promise<void> => {
    await mkdir(folder, { recursive: true });
    if (!(await limitPids(folder, limits.processes))) throw new Error(`cannot set the limit of processes in ${folder}`);
  };
  await Promise.all([job.memory === null ? null : memory(job.memory), job.pids === null ? null : pids(job.pids)]);
}

/** False if something of a command is still in there. */
export async function removeCgroups(job: Cgroups): Promise<boolean> {
  let gone = true;
  for (const folder of new Set([job.memory, job.pids])) {
    if (folder === null) continue;
    try {
      await rmdir(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') gone = false;
    }
  }
  return gone;
}

/** Folders worth a try for a controller, from the text of /proc/self/cgroup: near our own first, so that a delegation is used. */
export function cgroupCandidates(root: string, self: string, controller: 'memory' | 'pids'): string[] {
  const lines = self.split('\n').map((line) => /^\d+:([^:]*):(.*)$/.exec(line));
  const own = (name: string): string | undefined => lines.find((line) => line?.[1]?.split(',').includes(name))?.[2];
  const v1 = own(controller);
  if (v1 !== undefined) return [...new Set([resolve(root, controller, `.${v1}`), join(root, controller)])];
  const v2 = own('');
  // A folder of version 2 that holds processes cannot give controllers to children, so a sibling comes first.
  return v2 === undefined ? [] : [...new Set([resolve(root, `.${dirname(v2)}`), resolve(root, `.${v2}`)])];
}

/**
 * Finds where cgroups with limits can be made and entered, by trying. `enter` moves a process of its own into a folder and
 * tells whether that worked.
 */
export async function findCgroups(options: {
  /** Usually /sys/fs/cgroup. */
  root: string;
  /** Usually /proc/self/cgroup. */
  self: string;
  /** Distinguishes the attempt from others at the same time. */
  name: string;
  enter(folder: string): Promise<boolean>;
}): Promise<Cgroups> {
  const self = await readFile(options.self, 'utf8').catch(() => '');
  const find = async (controller: 'memory' | 'pids'): Promise<string | null> => {
    for (const parent of cgroupCandidates(options.root, self, controller)) {
      const folder = join(parent, `ruche-try-${controller}-${options.name}`);
      if (!(await tolerate(mkdir(folder)))) continue;
      const limited = controller === 'memory' ? await limitMemory(folder, 256 << 20) : await limitPids(folder, 64);
      const works = limited && (await options.enter(folder));
      await removeCgroups({ memory: folder, pids: null });
      if (works) return parent;
    }
    return null;
  };
  const [memory, pids] = await Promise.all([find('memory'), find('pids')]);
  return { memory, pids };
}
