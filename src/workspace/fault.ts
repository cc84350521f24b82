import type { Mutex } from '../core/time/mutex.ts';
import { WorkspaceUnavailable } from '../core/ports/workspace.ts';
import { faultWords } from '../git/fault.ts';
import { GitError } from '../git/process.ts';
import { troublesOf, type TroubleParts } from './trouble.ts';

export interface FaultParts extends TroubleParts {
  mutex: Mutex;
}

/** An error of disk or Git as what runs wait for; itself if it is another one. */
export async function asUnavailable(parts: FaultParts, error: unknown): Promise<unknown> {
  const words = faultWords(error, parts.git.workTree ?? parts.git.neutral.gitDir);
  if (words === null) return error;
  const [found] = await troublesOf(parts).catch(() => []);
  return new WorkspaceUnavailable(found?.stops === 'work' ? found.what : words, { cause: error });
}

/** Makes again what somebody has removed of the runtime's own folder, or a power cut has left of the index. */
export async function mended({ git, mover, mutex }: FaultParts, error: unknown): Promise<boolean> {
  if (await git.mend().catch(() => false)) return true;
  return error instanceof GitError && mutex.run(() => mover.mendIndex()).catch(() => false);
}

type Method = (...args: unknown[]) => unknown;

/**
 * The same object, whose methods reject with a fault in words. What can be mended at once is, and the call repeated.
 * `passes`: errors that the caller puts in words itself.
 */
export function inPlainWords<T extends object>(
  parts: FaultParts,
  target: T,
  passes: (error: unknown) => boolean = () => false,
): T {
  const failed = async (error: unknown, again: () => unknown): Promise<unknown> => {
    const isFault = !passes(error) && faultWords(error, '') !== null;
    if (!isFault || !(await mended(parts, error))) throw isFault ? await asUnavailable(parts, error) : error;
    try {
      return await again();
    } catch (second) {
      throw await asUnavailable(parts, second);
    }
  };
  return new Proxy(target, {
    get(of, name) {
      const value: unknown = Reflect.get(of, name, of);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const call = (): unknown => (value as Method).apply(of, args);
        const result = call();
        return result instanceof Promise ? result.catch((error: unknown) => failed(error, call)) : result;
      };
    },
  });
}
