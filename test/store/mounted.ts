import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const run = (command: string, ...args: string[]): void => {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

export interface Mount {
  dir: string;
  remount(options: string): void;
  unmount(): void;
}

function mounted(dir: string, args: string[]): Mount {
  mkdirSync(dir);
  try {
    run('mount', ...args, dir);
  } catch (error) {
    rmdirSync(dir);
    throw error;
  }
  return {
    dir,
    remount: (options) => run('mount', '-o', `remount,${options}`, dir),
    unmount: () => {
      // A process that was killed a moment ago may still hold it: then it goes with that.
      run('umount', '-l', dir);
      rmdirSync(dir);
    },
  };
}

export const tmpfs = (dir: string, size: string): Mount => mounted(dir, ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs']);

export const image = (path: string, dir: string): Mount => mounted(dir, ['-o', 'loop', path]);

export function makeImage(path: string, size: string): void {
  run('truncate', '-s', size, path);
  run('mkfs.ext4', '-q', '-F', path);
}

/** What is on the disk at this moment, without what only the kernel holds: as after a power cut. */
export const cutPower = (from: string, to: string): void => run('cp', '--sparse=always', from, to);

/** Why nothing can be mounted here, or false. */
export function cannotMount(dir: string): string | false {
  try {
    tmpfs(join(dir, 'probe'), '64k').unmount();
    return false;
  } catch (error) {
    return `mounting is not permitted: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`;
  }
}

export const freeBytes = (dir: string): number => {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
};
