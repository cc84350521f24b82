import { open, readFile, readdir } from 'node:fs/promises';

const CLOSE_ON_EXEC = 0o2000000;

/**
 * Files this process was started with beyond the standard three. Node's own are closed in programs it starts, these are
 * not: a command would get whatever the terminal, the service manager or a parent had open.
 */
export async function inheritedFiles(): Promise<number[]> {
  const numbers = (await readdir('/proc/self/fd').catch(() => [])).map(Number).filter((number) => number > 2);
  const inherited = await Promise.all(
    numbers.map(async (number) => {
      const info = await readFile(`/proc/self/fdinfo/${number}`, 'utf8').catch(() => '');
      const flags = /^flags:\s*([0-7]+)$/m.exec(info)?.[1];
      return flags !== undefined && (parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
    }),
  );
  return numbers.filter((_, index) => inherited[index]);
}

type Stdio = ('ignore' | number)[];

/** Starts a program with no file of ours open: what was inherited is replaced by /dev/null. */
export async function withoutFiles<T>(inherited: readonly number[], start: (stdio: Stdio) => T): Promise<T> {
  const none: Stdio = ['ignore', 'ignore', 'ignore'];
  if (inherited.length === 0) return start(none);
  const nothing = await open('/dev/null', 'r+');
  try {
    const all = Array.from({ length: Math.max(...inherited) + 1 }, (_, number) =>
      inherited.includes(number) ? nothing.fd : 'ignore',
    );
    return start(all);
  } finally {
    await nothing.close();
  }
}
