import { createHash } from 'node:crypto';
import { type BigIntStats, constants, lstatSync, readdirSync, rmdirSync } from 'node:fs';
import { copyFile, mkdir, open, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Boundary } from '../core/ports/boundary.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { BlockedFile, InboxEntry, InboxFile, TaskFiles, UnseenInbox } from '../core/ports/task-files.ts';

/** Milliseconds a file must stay as it is before it is taken: its writer may not be done. */
const STILL_MS = 1_000;
/** Milliseconds for which a file is left alone that something stands in the way of. */
const LATER_MS = 60_000;
/** Files of one look; ten thousand at once come in several. */
const PER_LOOK = 200;
/** Bytes of a task. A longer file is reported without its bytes. */
const MAX_BYTES = 1_000_000;
/** Bytes of a name in most file systems. */
const MAX_NAME = 255;
/** Below the inbox, so that a rename reaches it wherever the inbox is mounted. Its dot keeps it from being read. */
const CLAIMED = '.taken';
const REASON = '.reason.txt';
const ENDING = '.json';

interface Seen {
  stamp: string;
  since: number;
  /** When it is looked at again, if something stood in its way. */
  again: number;
}

/**
 * The inboxes of all queues. A file is renamed into a folder of its own before it is read: whatever is put in its place
 * afterwards is another file, which a removal by name would have taken away unread. A file that was claimed when the process
 * died is found there again.
 */
export class InboxFiles implements Pick<TaskFiles, 'waiting' | 'claim' | 'taken' | 'reject' | 'later'> {
  readonly #root: string;
  readonly #clock: Clock;
  readonly #boundary: Boundary;
  readonly #seen = new Map<string, Seen>();
  /** Bytes of names that are not UTF-8, by the path they are shown as. */
  readonly #raw = new Map<string, Buffer>();

  constructor({ root, clock, boundary }: { root: string; clock: Clock; boundary: Boundary }) {
    this.#root = root;
    this.#clock = clock;
    this.#boundary = boundary;
  }

  waiting(shut: ReadonlySet<string>): ReturnType<TaskFiles['waiting']> {
    const files: InboxEntry[] = [];
    const unseen: UnseenInbox[] = [];
    const there = new Set<string>();
    for (const queue of foldersIn(this.#root)) {
      try {
        for (const path of this.#lookInto(queue)) {
          there.add(path);
          const isNext = !shut.has(queue) && files.length < PER_LOOK && this.#isStill(path);
          if (isNext) files.push({ queue, name: nameOf(path) });
        }
      } catch (error) {
        unseen.push({ queue, why: said(error), mark: markOfFolder(join(this.#root, queue)) });
      }
    }
    for (const path of this.#seen.keys()) if (!there.has(path)) this.#seen.delete(path);
    for (const path of this.#raw.keys()) if (!there.has(path)) this.#raw.delete(path);
    return { files, unseen };
  }

  async claim(entry: InboxEntry): Promise<InboxFile | BlockedFile | null> {
    const from = this.#placeOf(entry);
    const to = this.#claimedPath(entry);
    const known = lstat(this.#onDisk(from));
    // Another one since it was found to be still: that one may not be written to its end.
    if (known === null || this.#seen.get(from)?.stamp !== stampOf(this.#onDisk(from))) return null;
    const mark = markOf(known);
    if (from !== to) {
      try {
        await ownFolder(dirname(to));
        this.#boundary('inbox.claim.before');
        await rename(this.#onDisk(from), to);
        this.#boundary('inbox.claim.after');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        return { blocked: said(error), mark: stampOf(this.#onDisk(from)) };
      }
    }
    return readClaimed(entry, to, mark);
  }

  async taken(file: InboxFile): Promise<void> {
    const path = this.#claimedPath(file);
    this.#boundary('inbox.take.before');
    await rm(path, { force: true });
    this.#boundary('inbox.take.after');
    await dropEmpty(dirname(path));
  }

  async reject(file: InboxFile, reason: string): Promise<void> {
    const path = this.#claimedPath(file);
    const folder = join(this.#root, file.queue, 'rejected');
    await ownFolder(folder);
    const name = freeName(folder, file.name);
    const beside = join(folder, `${name}${REASON}`);
    await writeFile(beside, `${reason}\n`, { flag: 'wx' });
    await moveFile(path, join(folder, name)).catch(async (error: unknown) => {
      await rm(beside, { force: true });
      throw error;
    });
    await dropEmpty(dirname(path));
  }

  later(entry: InboxEntry): void {
    const path = this.#placeOf(entry);
    const now = this.#clock.now();
    this.#seen.set(path, { stamp: stampOf(this.#onDisk(path)), since: now, again: now + LATER_MS });
  }

  #inboxOf(queue: string): string {
    return join(this.#root, queue, 'inbox');
  }

  #claimedPath({ queue, name }: InboxEntry): string {
    return join(this.#inboxOf(queue), CLAIMED, name);
  }

  #placeOf(entry: InboxEntry): string {
    const claimed = this.#claimedPath(entry);
    return isThere(claimed) ? claimed : join(this.#inboxOf(entry.queue), entry.name);
  }

  #onDisk(path: string): string | Buffer {
    return this.#raw.get(path) ?? path;
  }

  #isStill(path: string): boolean {
    const now = this.#clock.now();
    const stamp = stampOf(this.#onDisk(path));
    const known = this.#seen.get(path);
    if (known?.stamp === stamp && stamp !== '') return now - known.since >= STILL_MS && now >= known.again;
    this.#seen.set(path, { stamp, since: now, again: 0 });
    return false;
  }

  /** Files of one queue: those that an earlier process had claimed come first, and the next of that name waits for them. */
  #lookInto(queue: string): string[] {
    const inbox = this.#inboxOf(queue);
    if (!isFolder(inbox)) return [];
    const claimed = join(inbox, CLAIMED);
    const isClaiming = isFolder(claimed);
    const left = isClaiming ? taskNamesIn(claimed, this.#raw) : [];
    // Also after a crash just before its first file.
    if (isClaiming && left.length === 0) dropEmptyNow(claimed);
    const names = new Set(left);
    const fresh = taskNamesIn(inbox, this.#raw).filter((name) => !names.has(name));
    return [...left.map((name) => join(claimed, name)), ...fresh.map((name) => join(inbox, name))];
  }
}

export const isFolder = (path: string): boolean => lstat(path)?.isDirectory() ?? false;

export const foldersIn = (path: string): string[] =>
  isFolder(path)
    ? readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
    : [];

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const isTaskName = (name: string): boolean => /^[^.].*\.json$/is.test(name);

/**
 * Names in a folder that end like a task's, whatever bears them: a link or a folder must not lie there without a word. One
 * that is not UTF-8 is kept beside, to be found again.
 */
function taskNamesIn(folder: string, raw: Map<string, Buffer>): string[] {
  const names: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true, encoding: 'buffer' })) {
    const text = entry.name.toString('utf8');
    if (!isTaskName(text)) continue;
    const isUtf8 = Buffer.from(text).equals(entry.name);
    // What stands for a byte that is no letter takes three.
    const name = isUtf8 ? text : shortened(text, MAX_NAME - ENDING.length).replace(/(?:\.json)?$/i, ENDING);
    if (!isUtf8) raw.set(join(folder, name), Buffer.concat([Buffer.from(`${folder}/`), entry.name]));
    names.push(name);
  }
  return names;
}

const lstat = (path: string | Buffer): BigIntStats | null =>
  lstatSync(path, { throwIfNoEntry: false, bigint: true }) ?? null;

/** False also where nobody may look, or where a folder would have to be and is none. */
function isThere(path: string | Buffer): boolean {
  try {
    return lstat(path) !== null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return false;
  }
}

/** Enough of a file's stat data to see any change; '' if it is not there. */
function stampOf(path: string | Buffer): string {
  const found = isThere(path) ? lstat(path) : null;
  return found ? `${markOf(found)} ${found.ctimeNs}` : '';
}

/** What a rename leaves as it is. */
const markOf = ({ ino, size, mtimeNs }: BigIntStats): string => `${ino} ${size} ${mtimeNs}`;

/** The same as long as nobody changes the folder or its rights. */
function markOfFolder(path: string): string {
  const found = lstat(path);
  return found === null ? '' : `${found.ino} ${found.ctimeNs}`;
}

/** What stands there in place of a plain file; null for one. */
function kindOf(found: BigIntStats): string | null {
  if (found.isFile()) return null;
  if (found.isSymbolicLink()) return 'a symbolic link';
  if (found.isDirectory()) return 'a folder';
  return found.isFIFO() ? 'a named pipe' : 'a device or socket';
}

/** Null if it is not what was looked at, or changes while it is read: then it must be still first, where it is now. */
async function readClaimed(entry: InboxEntry, path: string, mark: string): Promise<InboxFile | null> {
  const found = lstat(path);
  if (found === null || markOf(found) !== mark) return null;
  // Its rename has changed it: the same file, put back, is reported anew.
  const told = { ...entry, size: Number(found.size), mark: stampOf(path) };
  const file = { ...told, hash: '', text: null, unreadable: null, other: kindOf(found) };
  if (file.other !== null) return file;
  if (found.size > MAX_BYTES) return file;
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const bytes = await handle.readFile();
      if (markOf(await handle.stat({ bigint: true })) !== mark) return null;
      return { ...file, text: bytes.toString('utf8'), hash: createHash('sha256').update(bytes).digest('hex') };
    } finally {
      await handle.close();
    }
  } catch (error) {
    return { ...file, unreadable: said(error) };
  }
}

/** Made if it is not there; never one that a link leads to. */
async function ownFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  if (!isFolder(path)) throw new Error(`${path} is a link; remove it`);
}

/** Gone if nothing is in it. */
const dropEmpty = (path: string): Promise<void> => rmdir(path).catch(() => undefined);

function dropEmptyNow(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    // Something else lies in it, or it may not be removed: then it stays.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}

/** A name for a file and its reason that nothing in the folder has: what was rejected before stays. */
function freeName(folder: string, name: string): string {
  const ending = /\.json$/i.exec(name)?.[0] ?? ENDING;
  const stem = shortened(name.replace(/\.json$/i, ''), MAX_NAME - REASON.length - ENDING.length - 8);
  for (let count = 1; ; count += 1) {
    const free = count === 1 ? `${stem}${ending}` : `${stem}.${count}${ending}`;
    if (!isThere(join(folder, free)) && !isThere(join(folder, `${free}${REASON}`))) return free;
  }
}

/** Cut by whole characters to so many bytes. */
function shortened(text: string, bytes: number): string {
  let short = text;
  while (Buffer.byteLength(short) > bytes) short = short.slice(0, -1).replace(/[\uD800-\uDBFF]$/, '');
  return short;
}

async function moveFile(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    // The inbox is a file system of its own. A copy would follow a link, and wait without end at a named pipe.
    if (lstat(from)?.isFile() !== true) throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL);
    await rm(from);
  }
}

/** What the system says, without the path it says it of. */
const said = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/, \w+ '.*$/s, '') : String(error);
