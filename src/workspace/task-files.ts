import { lstatSync, readdirSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import { isAgentName, isSafeName } from '../core/ids.ts';
import type { TaskFiles } from '../core/ports/task-files.ts';
import { replaceFile } from '../platform/replace.ts';
import { foldersIn, InboxFiles } from './inbox-files.ts';

/** `tasks/` of the workspace's folder: written here, ignored by Git, never followed through links. */
export function openTaskFiles(options: { root: string; clock: Clock; boundary: Boundary }): TaskFiles {
  const root = join(options.root, 'tasks');
  const inboxes = new InboxFiles({ ...options, root });
  /** Stat data of views as they were written. */
  const views = new Map<string, string>();
  const viewPath = (queue: string, id: string): string => join(root, queue, `${id}.json`);

  return {
    waiting: (shut) => inboxes.waiting(shut),
    claim: (entry) => inboxes.claim(entry),
    taken: (file) => inboxes.taken(file),
    reject: (file, reason) => inboxes.reject(file, reason),
    later: (entry) => inboxes.later(entry),
    async open(queue) {
      if (!isAgentName(queue)) throw new RangeError(`no inbox can be named ${queue}`);
      await openInbox(root, queue);
    },
    touched: () => [...views].filter(([path, written]) => isTouched(path, written)).map(([path]) => idOf(path)),
    shown: () =>
      foldersIn(root).flatMap((queue) =>
        namesIn(join(root, queue))
          .filter((name) => /^tsk_[\w-]+\.json$/.test(name))
          .map((name) => ({ queue, task: name.slice(0, -'.json'.length) })),
      ),
    async show(queue, task, json) {
      if (!isAgentName(queue) || !isSafeName(task)) throw new RangeError(`no task file can be named ${queue}/${task}`);
      const path = viewPath(queue, task);
      if (json === null) {
        views.delete(path);
        return rm(path, { force: true });
      }
      // In place of a link rather than through it. `open` of the views makes it anew after a crash.
      const write = () => replaceFile(path, json, { temp: join(root, queue, `.${task}.tmp`), durable: false });
      await write().catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        await openInbox(root, queue);
        await write();
      });
      views.set(path, stamp(path));
    },
  };
}

async function openInbox(root: string, queue: string): Promise<void> {
  await mkdir(join(root, queue, 'inbox'), { recursive: true });
  const ignore = join(root, '.gitignore');
  // Also where the person's own .gitignore says nothing of it; it hides itself too.
  if (stamp(ignore) === '') await writeFile(ignore, '*\n');
}

const idOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1, -'.json'.length);

/** A queue whose folder cannot be listed must not hide the others. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return [];
  }
}

function isTouched(path: string, written: string): boolean {
  try {
    return stamp(path) !== written;
  } catch (error) {
    // A person who took away the right to look is not told over and over that it was put back.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return false;
  }
}

/** Enough of a file's stat data to see any change; '' if it is not there. */
function stamp(path: string): string {
  const found = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  return found ? `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}` : '';
}
