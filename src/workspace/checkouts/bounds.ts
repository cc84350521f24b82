import { lstat } from 'node:fs/promises';
import type { Clock } from '../../core/ports/clock.ts';
import { freeSpace, measure, megabytes, type Space } from '../../platform/disk.ts';
import type { Place } from './folder.ts';

export interface Bounds {
  /** Bytes that one command may add to its checkout. */
  maxBytes: number;
  /** Files and folders, the same. */
  maxPaths: number;
  /** Bytes that stay free on the disk for everything else. */
  minFree: number;
}

/** Files and folders that stay free on the disk for everything else. */
const MIN_FILES = 2000;
/** Milliseconds between two looks at the disk, which cost next to nothing. */
const STEP_MS = 250;
/** Looks after which the checkout is measured in any case. */
const STEPS = 20;
/** A measurement may take the processor for one part in so many. */
const SHARE = 20;

/** Why no command may run, or go on, on a disk that has so little left; null if it may. */
export function scarce({ bytes, files }: Space, minFree: number): string | null {
  if (bytes < minFree) return `less than ${megabytes(minFree)} are free on the disk`;
  return files !== null && files < MIN_FILES ? `less than ${MIN_FILES} more files can be made on the disk` : null;
}

/**
 * Looks after a command's checkout until `over`. Resolves with the reason if the command has to be ended. Measuring costs, so it is
 * done only when the disk has lost a good part of what a command may take.
 */
export async function outgrown(
  { place, bounds, clock }: { place: Place; bounds: Bounds; clock: Clock },
  over: AbortSignal,
): Promise<string | null> {
  const { maxBytes, maxPaths, minFree } = bounds;
  // Written last before the command: what is younger is the command's.
  const since = (await lstat(place.state)).ctimeMs;
  let before = await freeSpace(place.root);
  let steps = 0;
  let rest = 0;
  while (!over.aborted) {
    await clock.sleep(STEP_MS, over).catch(() => undefined);
    const now = await freeSpace(place.root);
    const why = scarce(now, minFree);
    if (why !== null) return why;
    steps += 1;
    const shrunk =
      before.bytes - now.bytes > maxBytes / 8 ||
      (before.files ?? 0) - (now.files ?? 0) > maxPaths / 8 ||
      steps >= STEPS;
    if (!shrunk || clock.now() < rest || over.aborted) continue;
    const begun = clock.now();
    const { bytes, paths } = await measure(place.root, { bytes: maxBytes, paths: maxPaths }, since);
    if (bytes > maxBytes) return `it wrote more than ${megabytes(maxBytes)}`;
    if (paths > maxPaths) return `it made more than ${maxPaths} files and folders`;
    rest = clock.now() + SHARE * (clock.now() - begun);
    before = now;
    steps = 0;
  }
  return null;
}

/** The same as a signal, which is aborted with the reason. */
export function watchOver(parts: Parameters<typeof outgrown>[0], over: AbortSignal): AbortSignal {
  const end = new AbortController();
  const look = async (): Promise<void> => {
    const why = await outgrown(parts, over);
    if (why !== null) end.abort(why);
  };
  // A checkout that is gone cannot grow.
  look().catch(() => undefined);
  return end.signal;
}
