import { closeSync, fsyncSync, lstatSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle) - 1] ?? NaN)) / 2;
};

/** Milliseconds that something takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Bytes of a file, or of a folder with all below; 0 if it is not there. */
export function bytesOf(path: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.blocks * 512;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}

/** Milliseconds of one write of 4 kB and its fsync on this disk. */
export function oneFsync(folder: string, times: number): number {
  const file = openSync(join(folder, 'fsync'), 'w');
  const page = Buffer.alloc(4096, 1);
  const taken: number[] = [];
  for (let time = 0; time < times; time++) {
    const started = performance.now();
    writeSync(file, page);
    fsyncSync(file);
    taken.push(performance.now() - started);
  }
  closeSync(file);
  return median(taken);
}

/** The process and all it has started. */
function treeOf(root: number): number[] {
  const below = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = Number(/^.*\) \S (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1]);
      below.set(parent, [...(below.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended between the two looks.
    }
  }
  const tree = [root];
  for (let at = 0; at < tree.length; at++) tree.push(...(below.get(tree[at] ?? 0) ?? []));
  return tree;
}

/** Proportional set size of a process tree in bytes: what is shared among processes is counted once in all. */
export function memoryOf(root: number): number {
  let kB = 0;
  for (const pid of treeOf(root)) {
    try {
      kB += Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      // It ended between the two looks.
    }
  }
  return kB * 1024;
}

/** Milliseconds of CPU the process itself has used so far, all its threads together. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  // User and system time, in ticks of a hundredth of a second.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
