import { createHash } from 'node:crypto';
import { constants, lstatSync, readdirSync } from 'node:fs';
import { lstat, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import { isAgentName, isSafeName } from '../core/ids.ts';
import type { InboxFile, TaskFiles } from '../core/ports/task-files.ts';
import { replaceFile } from '../platform/replace.ts';

/** Milliseconds a file must stay as it is before it is read: whoever writes it may not be done. */
const STILL_MS = 1_000;
/** Files of one look; ten thousand at once come in several. */
const PER_LOOK = 200;
/** Bytes of a task. A longer file is told of without its bytes. */
const MAX_BYTES = 1_000_000;

interface Seen {
  stamp: string;
  since: number;
}

/** `tasks/` of the workspace's folder: written here, ignored by Git, never followed through links. */
export function openTaskFiles(options: { root: string; clock: Clock; boundary: Boundary }): TaskFiles {
  const { clock, boundary } = options;
  const root = join(options.root, 'tasks');
  const inbox = new Map<string, Seen>();
  /** Stat data of views as they were written. */
  const views = new Map<string, string>();

  const foldersIn = (path: string): string[] =>
    isFolder(path)
      ? readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
      : [];
  const still = (path: string): boolean => {
    const now = stamp(path);
    const seen = inbox.get(path);
    if (seen?.stamp === now) return clock.now() - seen.since >= STILL_MS;
    inbox.set(path, { stamp: now, since: clock.now() });
    return false;
  };
  const waiting = async (): Promise<InboxFile[]> => {
    const found: InboxFile[] = [];
    const there = new Set<string>();
    for (const queue of foldersIn(root)) {
      const folder = join(root, queue, 'inbox');
      if (!isFolder(folder)) continue;
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        if (!entry.isFile() || !entry.name.endsWith('.json') || entry.name.startsWith('.')) continue;
        const path = join(folder, entry.name);
        there.add(path);
        if (found.length < PER_LOOK && still(path)) found.push(await readInbox(path, queue, entry.name));
      }
    }
    for (const path of inbox.keys()) if (!there.has(path)) inbox.delete(path);
    return found;
  };
  const viewPath = (queue: string, id: string): string => join(root, queue, `${id}.json`);
  const inboxPath = ({ queue, name }: Pick<InboxFile, 'queue' | 'name'>): string => join(root, queue, 'inbox', name);

  return {
    waiting,
    async open(queue) {
      if (!isAgentName(queue)) throw new RangeError(`no inbox can be named ${queue}`);
      await openInbox(root, queue);
    },
    touched: () => [...views].filter(([path, written]) => stamp(path) !== written).map(([path]) => idOf(path)),
    shown: () =>
      foldersIn(root).flatMap((queue) =>
        readdirSync(join(root, queue))
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
    async taken(file) {
      boundary('inbox.take.before');
      await rm(inboxPath(file), { force: true });
      boundary('inbox.take.after');
    },
    async reject(file, reason) {
      const folder = join(root, file.queue, 'rejected');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, `${file.name}.reason.txt`), `${reason}\n`);
      await rename(inboxPath(file), join(folder, file.name));
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

const isFolder = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** Enough of a file's stat data to see any change; '' if it is not there. */
function stamp(path: string): string {
  const found = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  return found ? `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}` : '';
}

async function readInbox(path: string, queue: string, name: string): Promise<InboxFile> {
  const { size } = await lstat(path);
  if (size > MAX_BYTES) return { queue, name, hash: '', text: null, size };
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const bytes = await readFile(handle);
    const hash = createHash('sha256').update(bytes).digest('hex');
    return { queue, name, hash, text: bytes.toString('utf8'), size };
  } finally {
    await handle.close();
  }
}
