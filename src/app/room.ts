import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freeSpace, measure, megabytes } from '../platform/disk.ts';
import { removeTree } from '../platform/remove.ts';
import { exists, stop, unlocked } from '../sandbox/folder.ts';
import { removeFree } from '../workspace/checkouts/checkouts.ts';

/** With less free, what can be made again is removed before anything else is opened. */
const ENOUGH = 1_000_000_000;
/** With less, commands would be ended anyway. */
const SCARCE = 300_000_000;
/** With less, not even the journal can be opened. */
const NOTHING = 1_000_000;

/**
 * Makes a start possible on a disk that commands have filled: checkouts that nobody owns go, then those of commands that the last
 * process has left at work, which end. Rejects, saying what to free, if that is not enough. Call it with the home's lock held.
 */
export async function makeRoom(home: string): Promise<void> {
  const lacks = async (bytes: number): Promise<boolean> => (await freeSpace(home)).bytes < bytes;
  if (!(await lacks(ENOUGH))) return;
  const shells = join(home, 'shells');
  const held = await removeFree(join(home, 'checkouts'));
  for (const name of await readdir(shells).catch(() => []))
    if (name.startsWith('.probe-')) await removeTree(join(shells, name)).catch(() => undefined);
  if (await lacks(SCARCE))
    for (const { key, root } of held) {
      const dir = join(shells, key);
      if (await exists(dir)) {
        await stop(dir);
        await unlocked(dir);
      }
      // Its call is told that the folder is gone.
      await removeTree(root).catch(() => undefined);
    }
  if (await lacks(NOTHING)) throw new Error(await whatToFree(home));
}

async function whatToFree(home: string): Promise<string> {
  const sizes = await Promise.all(
    (await readdir(home)).map(async (name): Promise<[string, number]> => {
      const { bytes } = await measure(join(home, name), { bytes: Infinity, paths: Infinity });
      return [name, bytes];
    }),
  );
  const large = sizes.filter(([, bytes]) => bytes >= NOTHING).toSorted((a, b) => b[1] - a[1]);
  const named = large.slice(0, 5).map(([name, bytes]) => `${name} (${megabytes(bytes)})`);
  const own = named.length === 0 ? '' : ` The largest in the home itself: ${named.join(', ')}.`;
  return `The disk of ${home} is full. Free some space on it and try again.${own}`;
}
