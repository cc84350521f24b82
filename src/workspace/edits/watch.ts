import { lstatSync, readFileSync, readdirSync, statSync, constants } from 'node:fs';
import { lstat, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';
import type { MainMove, SavedFile, WorkspaceWatch } from '../../core/ports/governance.ts';
import type { Git } from '../../git/git.ts';
import { EXTRA_FILES } from '../../core/agent.ts';
import { bringsFetched, isPersonal } from './fetched.ts';
import { SETTINGS_FILE } from '../../core/agent.ts';
import { mirrorHead } from '../../git/neutral.ts';
import { isRuntime, reflog, type Logged } from '../../git/reflog.ts';
import { MAX_FILE } from '../../config/yaml-source.ts';
import { errorText } from '../../core/text/sentence.ts';

export const MAIN = 'refs/heads/main';
const AGENT_FILES: readonly string[] = ['AGENT.md', ...EXTRA_FILES];
/** Looks a file must stay the same for before it is taken as saved, and longer where Git has staged it. */
const STILL = 2;
const STILL_STAGED = 6;
/** Looks to wait after a handler has failed. */
const AFTER_FAILURE = 20;

export interface WatchOptions {
  git: Git;
  clock: Clock;
  log: Log;
  /** Milliseconds between two looks; 200 unless given, 300 at most. */
  everyMs?: number;
}

interface Seen {
  /** Stat data as last told of; undefined before the first look. */
  told: string | undefined;
  now: string;
  /** Looks for which `now` has stayed the same. */
  still: number;
}

/**
 * Looks at the files that govern and at `main`, by stat data alone: a hundred agents cost about a millisecond a look. A poll
 * because change notices are lost on network and container file systems.
 */
export function openWatch(options: WatchOptions): WorkspaceWatch {
  const { git, clock, log } = options;
  const every = Math.min(options.everyMs ?? 200, 300);
  const look = new Look(git);
  const failed = (error: unknown): void =>
    log.warn({ error: errorText(error) }, 'a change in the workspace could not be taken in; it is tried again');
  return {
    async begin(saved) {
      // A file of this very moment may be half written: it is waited for as it is while the workspace is watched.
      for (let looks = 0; looks <= STILL_STAGED; looks += 1) {
        try {
          if (await look.first(saved, clock.now(), every)) return;
        } catch (error) {
          failed(error);
        }
        await clock.sleep(every);
      }
    },
    async run(on, signal) {
      let pause = 0;
      while (!signal.aborted) {
        if (pause > 0) pause -= 1;
        else {
          try {
            await look.once(on);
          } catch (error) {
            pause = AFTER_FAILURE;
            failed(error);
          }
        }
        await clock.sleep(every, signal).catch(() => undefined);
      }
    },
    moves: (since) => movesSince(git, since),
  };
}

/** What was seen so far, and one look further. */
class Look {
  readonly #git: Git;
  readonly #root: string;
  readonly #files = new Map<string, Seen>();
  #main = '';
  #head = '';
  /** Whether edits made while nobody watched are still to be asked for. */
  #unasked = true;

  constructor(git: Git) {
    if (git.workTree === null) throw new Error('a bare repository has no files to watch');
    this.#git = git;
    this.#root = git.workTree;
  }

  async once(on: { saved(files: SavedFile[]): Promise<void>; moved(): Promise<void> }): Promise<void> {
    const { commonDir } = this.#git.neutral;
    const main = `${stamp(join(commonDir, MAIN))} ${stamp(join(commonDir, 'packed-refs'))}`;
    if (main !== this.#main) {
      // Remembered only once it has been taken in, so that a failure is tried again. At the first look too: it may have
      // moved since the listener looked for itself.
      await on.moved();
      this.#main = main;
    }
    if (await this.#mayTell()) await this.#tell(on.saved, false);
  }

  /** One look at what was saved while nobody watched. False while a part of it still changes, or Git is not done with it. */
  async first(saved: (files: SavedFile[]) => Promise<void>, now: number, everyMs: number): Promise<boolean> {
    if (!(await this.#mayTell())) return true;
    for (const [path, seen] of this.#files)
      seen.still = Math.max(seen.still, Math.floor((now - changedAt(join(this.#root, path), now)) / everyMs));
    return this.#tell(saved, true);
  }

  async #mayTell(): Promise<boolean> {
    const { gitDir } = this.#git.neutral;
    this.#watchFiles();
    const head = readFileSync(join(gitDir, 'HEAD'), 'utf8').trim();
    if (head !== this.#head) this.#unasked = true;
    this.#head = head;
    // Another branch's files say nothing about main; and Git at work is about to change them.
    if (head !== `ref: ${MAIN}` || isBusy(gitDir)) return false;
    if (this.#unasked) await this.#askGit();
    this.#unasked = false;
    return true;
  }

  /** Edits made while nobody watched show in Git, not in stat data, and a folder that was removed shows nowhere else. */
  async #askGit(): Promise<void> {
    const { stdout } = await this.#git.run(['ls-tree', '-r', '-z', '--name-only', MAIN, '--', 'agents']);
    for (const path of stdout.toString('utf8').split('\0'))
      if (governs(path) && !this.#files.has(path)) this.#files.set(path, { told: undefined, now: '', still: 1 });
    for (const seen of this.#files.values()) seen.told = undefined;
  }

  #watchFiles(): void {
    const paths = new Set([SETTINGS_FILE, ...this.#files.keys()]);
    for (const name of agentFolders(this.#root)) for (const file of AGENT_FILES) paths.add(`agents/${name}/${file}`);
    for (const path of paths) {
      const now = stamp(join(this.#root, path));
      const seen = this.#files.get(path);
      if (!seen) this.#files.set(path, { told: path === SETTINGS_FILE ? undefined : '', now, still: 1 });
      else if (seen.now === now) seen.still += 1;
      else Object.assign(seen, { now, still: 1 });
      // Nothing there and nothing to tell: forget it, so that names that come and go are not kept.
      if (seen?.now === '' && seen.told === '') this.#files.delete(path);
    }
  }

  /** `all`: what does not hold still yet is asked for, too, so that a false says that something has to be waited for. */
  async #tell(saved: (files: SavedFile[]) => Promise<void>, all: boolean): Promise<boolean> {
    const changed = [...this.#files].filter(([, seen]) => seen.told !== seen.now && (all || seen.still >= STILL));
    if (changed.length === 0) return true;
    await mirrorHead(this.#git.neutral);
    const states = await statesOf(
      this.#git,
      changed.map(([path]) => path),
    );
    const files: SavedFile[] = [];
    const told: [Seen, string][] = [];
    for (const [path, seen] of changed) {
      const state = states.get(path);
      // A pull writes files, then the index, then the ref: what is staged may not be the person's own.
      if (state !== undefined && seen.still < (state === 'staged' ? STILL_STAGED : STILL)) continue;
      const file = state ? await readSaved(this.#root, path) : { path, bytes: null, clean: true };
      if (file) files.push(file);
      told.push([seen, seen.now]);
    }
    if (files.length > 0) await saved(files);
    for (const [seen, stamped] of told) seen.told = stamped;
    return told.length === changed.length;
  }
}

/** Whether a file is one of those that are taken in here. */
export function governs(path: string): boolean {
  const [folder, , file = '', ...more] = path.split('/');
  return path === SETTINGS_FILE || (folder === 'agents' && AGENT_FILES.includes(file) && more.length === 0);
}

/** Enough of a file's stat data to see any save; '' if it is not there. */
export function stamp(path: string): string {
  const found = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  return found ? `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs} ${found.mode}` : '';
}

/** When a file last became what it is; `otherwise` if it is not there. Its own time can be set to anything, so that does not count. */
const changedAt = (path: string, otherwise: number): number =>
  lstatSync(path, { throwIfNoEntry: false })?.ctimeMs ?? otherwise;

/** Folders that hold an agent, or may. */
export const agentFolders = (root: string): string[] => foldersIn(join(root, 'agents'));

function foldersIn(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

const LOCK = 'index.lock';
/** What Git leaves in its folder while it is not done, and what the person calls it. */
const UNDER_WAY = {
  'rebase-apply/applying': 'am',
  'rebase-merge': 'rebase',
  'rebase-apply': 'rebase',
  MERGE_HEAD: 'merge',
  CHERRY_PICK_HEAD: 'cherry-pick',
  REVERT_HEAD: 'revert',
} as const;
const BUSY = [LOCK, ...Object.keys(UNDER_WAY)];
/** Milliseconds after which a lock is one that a command has left behind, and not one that is about to go. */
const STALE_LOCK = 10_000;

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

export const isBusy = (gitDir: string): boolean => BUSY.some((name) => isThere(join(gitDir, name)));

/** Why files that a person saves are not taken in, and how to go on; null if they are. */
export function whyNotTaken({ neutral: { gitDir } }: Pick<Git, 'neutral'>, now: number): string | null {
  for (const [name, what] of Object.entries(UNDER_WAY))
    if (isThere(join(gitDir, name)))
      return `the workspace is in the middle of "git ${what}". Finish it with "git ${what} --continue", or give it up with "git ${what} --abort"`;
  const head = isThere(join(gitDir, 'HEAD')) ? readFileSync(join(gitDir, 'HEAD'), 'utf8').trim() : null;
  if (head === null) return `${gitDir} has no HEAD any more: the repository is gone or damaged. Put it back`;
  if (head !== `ref: ${MAIN}`) {
    const branch = /^ref: refs\/heads\/(.+)$/.exec(head)?.[1];
    const where = branch === undefined ? 'at a commit and on no branch' : `on the branch "${branch}"`;
    return `the workspace is ${where}. Go back with "git checkout main"`;
  }
  const lock = join(gitDir, LOCK);
  if (!isThere(lock) || now - changedAt(lock, now) < STALE_LOCK) return null;
  return `another Git command holds ${lock}. If none runs any more, remove that file`;
}

/** How files differ from HEAD; those that do not, or are ignored, are left out. */
export async function statesOf(git: Git, paths: readonly string[]): Promise<Map<string, 'staged' | 'changed'>> {
  const flags = ['--porcelain=v1', '-z', '--no-renames', '--untracked-files=all', '--ignore-submodules=all'];
  const states = new Map<string, 'staged' | 'changed'>();
  for (let at = 0; at < paths.length; at += 500) {
    const page = paths.slice(at, at + 500);
    const { stdout } = await git.run(['status', ...flags, '--', ...page], { env: git.asPerson });
    for (const item of stdout.toString('utf8').split('\0').filter(Boolean)) {
      const staged = item[0] !== ' ' && item[0] !== '?';
      const path = item.slice(3);
      // Taken out of the index, and there: Git says both.
      if (states.get(path) !== 'staged') states.set(path, staged ? 'staged' : 'changed');
    }
  }
  return states;
}

/** A saved file, or null for what is no plain file: a link is never followed, and never committed from here. */
async function readSaved(root: string, path: string): Promise<SavedFile | null> {
  const full = join(root, path);
  const found = await lstat(full).catch(() => null);
  if (!found) return { path, bytes: null, clean: false };
  if (!found.isFile()) return null;
  const handle = await open(full, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    // One byte more than allowed is enough to see that it is too long.
    const bytes = Buffer.alloc(Math.min(found.size, MAX_FILE + 1));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    return { path, bytes: bytes.subarray(0, bytesRead), clean: false };
  } finally {
    await handle.close();
  }
}

/** The files that govern as they stand in the folder, committed or not; none while another branch is there. */
export async function standingFiles(git: Git): Promise<SavedFile[]> {
  const root = git.workTree;
  const head = await readFile(join(git.neutral.gitDir, 'HEAD'), 'utf8');
  if (root === null || head.trim() !== `ref: ${MAIN}`) return [];
  const names = agentFolders(root);
  const agents = names.flatMap((name) => AGENT_FILES.map((file) => `agents/${name}/${file}`));
  const files = await Promise.all([SETTINGS_FILE, ...agents].map((path) => readSaved(root, path)));
  return files.filter((file) => file !== null).filter(({ path, bytes }) => bytes !== null || path === SETTINGS_FILE);
}

// ── how main moved ───────────────────────────────────────────────────────────────────────────────────────────────

/** False if all that `main` has gained since then came by a pull, a merge or a person's commit, as the reflog has it. */
export async function mayHaveLanded(git: Git, since: string): Promise<boolean> {
  const entries = await reflog(git, MAIN);
  const start = entries.findLastIndex((entry) => entry.to === since);
  return start < 0 || entries.slice(start + 1).some(({ note }) => isRuntime(note));
}

async function movesSince(git: Git, since: string): Promise<MainMove[]> {
  const head = await git.resolve(MAIN);
  if (head === null) throw new Error('the workspace has no branch main');
  const entries = await reflog(git, MAIN);
  const start = entries.findLastIndex((entry) => entry.to === since);
  const moves: MainMove[] = [];
  let at = since;
  for (const entry of start < 0 ? [] : entries.slice(start + 1)) {
    // A step that was not written down could have been anything.
    if (entry.from !== at) moves.push({ from: at, to: entry.from, by: 'foreign' });
    if (isRuntime(entry.note)) moves.push(...(await runtimeMoves(git, entry)));
    else moves.push({ from: entry.from, to: entry.to, by: isPersonal(entry.note) ? 'person' : 'foreign' });
    at = entry.to;
  }
  if (at !== head) moves.push({ from: at, to: head, by: 'foreign' });
  for (const move of moves)
    if (move.by === 'person' && (await bringsFetched(git, move.from, move.to))) move.by = 'foreign';
  return moves;
}

/** One step a commit: the runtime commits for people (no Ruche-Run trailer) and for runs, several at once under load. */
async function runtimeMoves(git: Git, { from, to }: Logged): Promise<MainMove[]> {
  const format = '--format=%H%x00%(trailers:key=Ruche-Run,valueonly,separator=%x2C)';
  const output = await git.text(['log', '--first-parent', '--reverse', format, `${from}..${to}`]);
  const moves: MainMove[] = [];
  let at = from;
  for (const line of output.split('\n').filter(Boolean)) {
    const [commit = '', run = ''] = line.split('\0');
    moves.push({ from: at, to: commit, by: run.trim() === '' ? 'person' : 'landing' });
    at = commit;
  }
  return at === to ? moves : [{ from, to, by: 'foreign' }];
}
