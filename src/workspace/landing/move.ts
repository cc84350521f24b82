import { link, lstat, open, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Boundary } from '../../core/ports/boundary.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { changedPaths, setIndex } from '../../git/changed.ts';
import type { PathChange } from '../../git/changed.ts';
import { MAIN } from '../../git/commit.ts';
import { faultWords, lockHeld, isIndexWhole, splitIndex } from '../../git/fault.ts';
import type { Git } from '../../git/git.ts';
import { mirrorHead, readHead } from '../../git/neutral.ts';
import { replaceFile } from '../../platform/replace.ts';
import { removeRef, writeRef } from '../../git/refs.ts';
import { GitError } from '../../git/process.ts';
import { asOld, filesStandAt } from './behind.ts';
import { restore } from './restore.ts';
import { underWay } from './under-way.ts';

/** What is written into the lock before anything changes, so that a crash can be told from a person's own lock. */
export interface Move {
  ruche: 1;
  /** A landing writes files; a person's commit takes them as they are; `ref` leaves the index alone, too. */
  kind: 'landing' | 'person' | 'ref';
  old: string;
  new: string;
  /** Set once files are being put back, so that a crash of the recovery is understood, too. */
  restoring?: true;
}

/** What a look at the person's repository has found. */
export interface Standing {
  /** Whether the working tree shows `main`. */
  onMain: boolean;
  /** What forbids moving it now (null: nothing). */
  busy: string | null;
  /** Which index: every Git command that changes files writes a new one. */
  index: string;
}

type Moved =
  | { ok: true }
  /** `dirty`: something in the working tree is in the way; `raced`: main moved; `blocked`: not now. */
  | { ok: false; why: 'dirty' | 'raced' | 'blocked'; message: string };

export interface MoverParts {
  git: Git;
  boundary: Boundary;
  clock: Clock;
  /** Milliseconds to wait for a person's Git command to let go of the index. */
  lockWaitMs: number;
}

/** What is landing, for as long as it does: `git gc --prune=now` takes what no ref leads to. */
const HELD = 'refs/ruche/landing';
const SIGNATURE = '{"ruche":1,';
const RETRY_MS = 10;
/** What read-tree says when it refuses before it has touched anything. */
const REFUSED = /Cannot merge|not uptodate|would be (overwritten|removed)|would lose untracked|unmerged/i;
/** Above this many files the kernel is left to write them out by itself. */
const SYNCED_FILES = 256;

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

const gone = (path: string): Promise<void> =>
  unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });

/** Which file stands there, and as it was last written. */
const stampOf = (path: string): Promise<string> =>
  lstat(path, { bigint: true }).then(
    ({ ino, size, mtimeNs }) => `${ino} ${size} ${mtimeNs}`,
    () => '',
  );

/** Which file a lock is; null if there is none. */
const lockOf = (path: string): Promise<string | null> =>
  lstat(path).then(
    ({ ino, ctimeMs }) => `${ino} ${ctimeMs}`,
    () => null,
  );

/** Whether a lock is a landing's. */
export const isOwnLock = async (path: string): Promise<boolean> =>
  (await readFile(path, 'utf8').catch(() => '')).startsWith(SIGNATURE);

/** Moves `main` and the working tree together, so that a crash at any point can be undone or finished. */
export class Mover {
  readonly #parts: MoverParts;
  readonly #lock: string;
  readonly #note: string;
  readonly #nextIndex: string;
  /** The lock of another that did not go in time. */
  #stuck: string | null = null;

  constructor(parts: MoverParts) {
    this.#parts = parts;
    const { gitDir, dir } = parts.git.neutral;
    this.#lock = join(gitDir, 'index.lock');
    this.#note = join(dir, 'move.json');
    this.#nextIndex = join(dir, 'index.next');
  }

  async state(): Promise<Standing> {
    const { neutral } = this.#parts.git;
    for (;;) {
      const before = await readHead(neutral);
      const index = await stampOf(neutral.index);
      const busy = await this.busy();
      // A rebase that begins or ends in between would look like another branch on which nothing is under way.
      const head = await mirrorHead(neutral);
      if (head === before) return { onMain: head === `ref: ${MAIN}`, busy, index };
    }
  }

  /** Takes the index for a move away from what was seen. */
  async #begin(move: Move, seen: Pick<Standing, 'onMain'> & Partial<Standing>, main = move.old): Promise<Moved> {
    const taken = await this.#take(move);
    if (!taken.ok) return taken;
    const changed = await this.#changed(seen, main).catch(async (error: unknown) => {
      await this.#release();
      throw error;
    });
    if (changed === null) return taken;
    await this.#release();
    return changed;
  }

  /** What a person's Git has done between the look and the lock, or has not finished: `reset` and `checkout` give up the index first. */
  async #changed(seen: Pick<Standing, 'onMain'> & Partial<Standing>, main: string): Promise<Moved | null> {
    const { git, clock, lockWaitMs } = this.#parts;
    const { gitDir, commonDir } = git.neutral;
    const locks = [join(gitDir, 'HEAD.lock'), join(gitDir, 'ORIG_HEAD.lock'), join(commonDir, `${MAIN}.lock`)];
    const until = clock.now() + lockWaitMs;
    for (;;) {
      const there = await Promise.all(locks.map(exists));
      const held = locks[there.indexOf(true)];
      if (held === undefined) break;
      if (clock.now() >= until) return { ok: false, why: 'blocked', message: lockHeld(held) };
      await clock.sleep(RETRY_MS);
    }
    const now = await this.state();
    if (now.busy !== null) return { ok: false, why: 'blocked', message: now.busy };
    const same = now.onMain === seen.onMain && (seen.index ?? now.index) === now.index;
    if (same && (await git.resolve(MAIN)) === main) return null;
    return { ok: false, why: 'raced', message: 'another Git command has changed the workspace meanwhile' };
  }

  /**
   * Brings the files to main where a checkout of main has left them behind it: they would look like a person's edits that
   * take the landing back. What a person has edited stays.
   */
  async follow(main: string): Promise<void> {
    const { git } = this.#parts;
    if ((await readHead(git.neutral)) !== `ref: ${MAIN}`) return;
    const at = await filesStandAt(git, main);
    if (at === main) return;
    const taken = await this.#begin({ ruche: 1, kind: 'landing', old: at, new: main }, { onMain: true }, main);
    if (!taken.ok) return;
    try {
      await this.#startIndex();
      const env = { ...git.asPerson, GIT_INDEX_FILE: this.#nextIndex };
      await git.run(['update-index', '-q', '--refresh'], { env, accept: [0, 1] });
      const { stdout } = await git.run(['diff-files', '--name-only', '-z', '--ignore-submodules=all'], { env });
      const edited = new Set(stdout.toString('utf8').split('\0'));
      const paths: PathChange[] = [];
      for (const change of await asOld(git, await changedPaths(git, at, main)))
        if (!edited.has(change.path) && (change.old !== null || !(await exists(join(git.workTree ?? '', change.path)))))
          paths.push(change);
      await restore(git, { paths, target: 'new', index: this.#nextIndex, again: false });
      await rename(this.#nextIndex, git.neutral.index);
      // Only HEAD's log takes this down: main stays where it is.
      await git.run(['update-ref', '-m', 'ruche: files brought to main', MAIN, main, main]);
    } finally {
      await this.#release();
    }
  }

  /** What of a person's holds the index now. */
  async held(): Promise<string | null> {
    const there = (await lockOf(this.#lock)) !== null && !(await isOwnLock(this.#lock));
    return there ? lockHeld(this.#lock) : splitIndex(this.#parts.git);
  }

  /** Makes a new index of main's files where the old one cannot be read. False if it is whole, or cannot be replaced now. */
  async mendIndex(): Promise<boolean> {
    const { git } = this.#parts;
    const head = (await isIndexWhole(git.neutral)) ? null : await git.resolve(MAIN);
    if (head === null || !(await this.#take({ ruche: 1, kind: 'person', old: head, new: head })).ok) return false;
    try {
      // To take the lock may have mended it.
      if (!(await isIndexWhole(git.neutral))) await this.#remakeIndex(head);
      return true;
    } finally {
      await this.#release();
    }
  }

  /** The old one is kept beside it: it may hold what a person has staged. */
  async #remakeIndex(head: string): Promise<void> {
    const { git } = this.#parts;
    const { index } = git.neutral;
    await gone(this.#nextIndex);
    await gone(`${this.#nextIndex}.lock`);
    const env = { ...git.asPerson, GIT_INDEX_FILE: this.#nextIndex };
    await git.run(['read-tree', head], { env });
    await git.run(['update-index', '-q', '--refresh'], { env, accept: [0, 1] });
    await rename(index, `${index}.damaged`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await rename(this.#nextIndex, index);
  }

  /** What of a person's forbids moving main now. Only looks. */
  busy(): Promise<string | null> {
    return underWay(this.#parts.git.neutral);
  }

  /** Moves only the ref: the working tree shows another branch, or nothing. The lock keeps a checkout of main away. */
  async moveRef(old: string, next: string, note: string): Promise<Moved> {
    const taken = await this.#begin({ ruche: 1, kind: 'ref', old, new: next }, { onMain: false });
    if (!taken.ok) return taken;
    try {
      return await this.#refUpdate(old, next, note).go();
    } finally {
      await this.#release();
    }
  }

  /** Git is started at once and waits for the word, so that it is ready when the files are. */
  #refUpdate(old: string, next: string, note: string): { go(): Promise<Moved>; drop(): Promise<unknown> } {
    const { git, boundary } = this.#parts;
    const word = Promise.withResolvers<string>();
    const args = ['update-ref', '--create-reflog', '-m', note, '--stdin'];
    const done = git.run(args, { input: word.promise }).then(
      () => null,
      (error: Error) => error,
    );
    return {
      go: async () => {
        boundary('landing.ref.before');
        word.resolve(`update ${MAIN} ${next} ${old}\n`);
        const error = await done;
        if (error !== null) {
          const head = await git.resolve(MAIN);
          const message = faultWords(error, git.workTree ?? git.neutral.gitDir) ?? error.message;
          if (head !== next) return { ok: false, why: head === old ? 'blocked' : 'raced', message };
        }
        boundary('landing.ref.after');
        return { ok: true };
      },
      drop: () => {
        word.resolve('');
        return done;
      },
    };
  }

  #write(move: Move): Promise<void> {
    return replaceFile(this.#note, JSON.stringify(move), { temp: `${this.#note}.new` });
  }

  async #take(move: Move): Promise<Moved> {
    const { clock, lockWaitMs } = this.#parts;
    // An earlier move that could be neither finished nor undone comes first.
    if (await exists(this.#note)) {
      const failure = await this.recover().then(
        () => null,
        (error: Error) => faultWords(error, this.#parts.git.workTree ?? '') ?? error.message,
      );
      if (failure !== null) return { ok: false, why: 'blocked', message: failure };
    }
    const split = await splitIndex(this.#parts.git);
    if (split !== null) return { ok: false, why: 'blocked', message: split };
    await this.#write(move);
    // A lock that was waited for in vain is not waited for again.
    const lock = await lockOf(this.#lock);
    const until = lock !== null && lock === this.#stuck ? 0 : clock.now() + lockWaitMs;
    for (;;) {
      try {
        // A link appears whole or not at all, and never over a lock that is there.
        await link(this.#note, this.#lock);
        return { ok: true };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      if (clock.now() >= until) break;
      await clock.sleep(RETRY_MS);
    }
    await gone(this.#note);
    this.#stuck = await lockOf(this.#lock);
    return { ok: false, why: 'blocked', message: lockHeld(this.#lock) };
  }

  /** The note goes first: a lock of ours without a note means that the move was complete. */
  async #release(): Promise<void> {
    await removeRef(this.#parts.git, HELD);
    await gone(this.#nextIndex);
    await gone(this.#note);
    await gone(this.#lock);
  }

  async #startIndex(): Promise<void> {
    await gone(this.#nextIndex);
    await gone(`${this.#nextIndex}.lock`);
    // A hard link keeps the time of the index exact; Git replaces it by a new file and leaves the old one alone.
    await link(this.#parts.git.neutral.index, this.#nextIndex).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }

  /**
   * Moves main, index and working tree from `old` to `next`. A person's uncommitted edit in the way makes it `dirty` and
   * leaves everything as it was. `refresh` looks again at files whose times, but not contents, have changed.
   */
  async land(
    old: string,
    next: string,
    paths: readonly PathChange[],
    options: { note: string; refresh: boolean },
  ): Promise<Moved> {
    const { git, boundary } = this.#parts;
    const taken = await this.#begin({ ruche: 1, kind: 'landing', old, new: next }, { onMain: true });
    if (!taken.ok) return taken;
    const ref = this.#refUpdate(old, next, options.note);
    let result: Moved;
    try {
      // Without what it has written, a landing could neither be finished nor undone.
      await writeRef(git, HELD, next);
      await this.#startIndex();
      const env = { ...git.asPerson, GIT_INDEX_FILE: this.#nextIndex };
      if (options.refresh) await git.run(['update-index', '-q', '--refresh'], { env, accept: [0, 1] });
      const removed = await this.#removed(paths, env);
      if (removed !== null) {
        await ref.drop();
        await this.#release();
        return { ok: false, why: 'dirty', message: `${removed} was removed from the workspace` };
      }
      boundary('landing.files.before');
      await git.run(['read-tree', '-m', '-u', old, next], { env });
      await this.#syncFiles(paths);
      boundary('landing.files.after');
      result = await ref.go();
    } catch (error) {
      await ref.drop();
      if (error instanceof GitError && REFUSED.test(error.stderr)) {
        await this.#release();
        return { ok: false, why: 'dirty', message: error.message };
      }
      await this.#undo(paths);
      throw error;
    }
    if (!result.ok) {
      await this.#undo(paths);
      return result;
    }
    // A branch can be begun without the lock: its files are those that main had.
    const head = await readHead(git.neutral);
    if (head !== `ref: ${MAIN}` && (await git.resolve(head.replace(/^ref: /, ''))) !== next) {
      await this.#undo(paths);
      return result;
    }
    await rename(this.#nextIndex, git.neutral.index);
    boundary('landing.index.after');
    await this.#release();
    return result;
  }

  /** A file of these that a person has removed or moved without Git: read-tree would take it for unchanged and put it back. */
  async #removed(paths: readonly PathChange[], env: Record<string, string>): Promise<string | null> {
    const { git } = this.#parts;
    const root = git.workTree ?? '';
    const missing: string[] = [];
    for (const { path, old } of paths) if (old !== null && !(await exists(join(root, path)))) missing.push(path);
    if (missing.length === 0) return null;
    // What a sparse checkout leaves out is missing, too, but not removed.
    const { stdout } = await git.run(['ls-files', '-z', '--deleted', '--', ...missing], { env });
    return stdout.toString('utf8').split('\0')[0] || null;
  }

  /** The person's index has not been replaced yet: it tells which files were as main had them. */
  async #undo(changes: readonly PathChange[]): Promise<void> {
    const paths = await asOld(this.#parts.git, changes);
    await this.#startIndex();
    await restore(this.#parts.git, { paths, target: 'old', index: this.#nextIndex, again: false });
    await rename(this.#nextIndex, this.#parts.git.neutral.index);
    await this.#release();
  }

  /** Git leaves working files to the page cache: after a power cut an empty file would look like a person's edit. */
  async #syncFiles(paths: readonly PathChange[]): Promise<void> {
    const root = this.#parts.git.workTree;
    const written = paths.filter((change) => change.new !== null && change.new.mode !== '120000');
    if (root === null || written.length > SYNCED_FILES) return;
    await Promise.all(
      written.map(async ({ path }) => {
        const file = await open(join(root, path), 'r').catch(() => null);
        if (!file) return;
        try {
          await file.sync();
        } finally {
          await file.close();
        }
      }),
    );
  }

  /** Commits what stands in the working tree already: index and ref move, files do not. */
  async person(
    old: string,
    next: string,
    paths: readonly PathChange[],
    { note, seen }: { note: string; seen: Standing },
  ): Promise<Moved> {
    const { git, boundary } = this.#parts;
    boundary('workspace.person.look');
    // What was read may be the work of a checkout, a reset or a stash that was under way.
    const taken = await this.#begin({ ruche: 1, kind: 'person', old, new: next }, seen);
    if (!taken.ok) return taken;
    try {
      await this.#startIndex();
      await setIndex(git, this.#nextIndex, paths, 'new');
      boundary('workspace.person.before');
      const result = await this.#refUpdate(old, next, note).go();
      if (!result.ok) return result;
      boundary('workspace.person.after');
      await rename(this.#nextIndex, git.neutral.index);
      return result;
    } finally {
      await this.#release();
    }
  }

  /** Finishes or undoes what a crash has left. Resolves with what was done, null if there was nothing. */
  async recover(): Promise<string | null> {
    const { git, clock } = this.#parts;
    const lockIsOurs = await isOwnLock(this.#lock);
    const noteText = await readFile(this.#note, 'utf8').catch(() => null);
    await gone(`${this.#note}.new`);
    if (noteText === null) {
      await gone(this.#nextIndex);
      if (!lockIsOurs) return null;
      await gone(this.#lock);
      return 'removed the lock of a finished landing';
    }
    // Note without lock: either nothing had begun, or a person removed the lock. Take it again before looking.
    if (!lockIsOurs) {
      const locked = await link(this.#note, this.#lock).then(
        () => true,
        () => false,
      );
      if (!locked)
        throw new Error(
          `a landing was cut off and ${this.#lock} is in the way; end that Git command or remove the file`,
        );
    }
    const move = JSON.parse(noteText) as Move;
    // A Git process that outlived the crash may still be writing.
    const until = clock.now() + 5000;
    while ((await exists(`${this.#nextIndex}.lock`)) && clock.now() < until) await clock.sleep(RETRY_MS);
    await gone(`${this.#nextIndex}.lock`);
    await this.#dropRefLock(move);
    const head = await git.resolve(MAIN);
    const landed =
      head !== null && head !== move.old && (head === move.new || (await this.#isAncestor(move.new, head)));
    if (head !== null && !(await isIndexWhole(git.neutral))) await this.#remakeIndex(head);
    const paths = await changedPaths(git, move.old, move.new);
    const target = landed ? 'new' : 'old';
    await this.#startIndex();
    if (move.kind === 'landing') {
      const again = move.restoring === true;
      if (!again) await this.#write({ ...move, restoring: true });
      await restore(git, { paths, target, index: this.#nextIndex, again });
    } else if (landed && move.kind === 'person') await setIndex(git, this.#nextIndex, paths, 'new');
    if (await exists(this.#nextIndex)) await rename(this.#nextIndex, git.neutral.index);
    await this.#release();
    return `${landed ? 'finished' : 'undid'} a ${move.kind === 'person' ? 'commit' : 'landing'} that a crash had cut off`;
  }

  async #isAncestor(commit: string, of: string): Promise<boolean> {
    const result = await this.#parts.git.run(['merge-base', '--is-ancestor', commit, of], { accept: [0, 1, 128] });
    return result.code === 0;
  }

  /** A power cut can leave the ref's lock, too. It is ours if it holds the very commit we were moving to. */
  async #dropRefLock(move: Move): Promise<void> {
    const { git, clock } = this.#parts;
    const path = join(git.neutral.commonDir, `${MAIN}.lock`);
    const until = clock.now() + 2000;
    while ((await exists(path)) && clock.now() < until) await clock.sleep(RETRY_MS);
    const text = await readFile(path, 'utf8').catch(() => null);
    if (text?.trim() === move.new) await gone(path);
  }
}
