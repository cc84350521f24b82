import { lstatSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { wildcardMatch, fileMatch, isPartial } from '../../core/text/glob.ts';
import type { DroppedFiles } from '../../core/ports/governance.ts';
import type { Log } from '../../core/ports/log.ts';
import { badPath } from '../overlay/path.ts';
import type { Git } from '../../git/git.ts';
import { isSecretName } from '../overlay/kept-out.ts';
import { ignoredBy } from '../../git/listing.ts';
import { mirrorHead } from '../../git/neutral.ts';
import { governs, isBusy, MAIN, stamp, statesOf } from './watch.ts';

/** Looks a file must have been the same at. */
const STILL = 3;
/** Looks until Git is asked again about a file that is staged, or has been given and is not on `main` yet. */
const AGAIN = 30;
/** Looks until Git is asked again which folders it ignores. */
const IGNORED_FOR = 300;
/** Names that one look goes through at most. */
const MAX_ENTRIES = 20_000;
/** Bytes of the paths given at once: they become arguments of one Git command. */
const MAX_BYTES = 500_000;

interface Seen {
  stamp: string;
  /** Looks at which the stamp was this. */
  still: number;
  /** Looks until Git is asked about it; Infinity once it is as on `main`. */
  wait: number;
  /** How often it has been given as it is. */
  given: number;
  /** Why it is not on `main` although it was given. */
  why?: string;
}

const SECRET =
  'is named like a secret, so it is not committed and fires nothing; if it is not a secret, commit it yourself';
const STUCK = 'cannot be committed: too large, unreadable, or Git is busy';
const NOT_UTF8 = 'has a name that is not UTF-8, so it is not taken in and fires nothing; rename it';
/** Files that are named to people. */
const MAX_STUCK = 20;

/**
 * Finds what people have put into the folders that globs name, by stat data alone: Git is asked only about what is new to
 * it, once it holds still. Links are not followed; what Git ignores, `tasks/` and the files that govern are not looked at.
 */
export function openDropped(options: { git: Git; log: Log; maxEntries?: number }): DroppedFiles {
  const looks = new Looks(options.git, options.log, options.maxEntries ?? MAX_ENTRIES);
  return { look: (globs) => looks.once(globs), stuck: () => looks.stuck() };
}

class Looks {
  readonly #git: Git;
  readonly #log: Log;
  readonly #root: string;
  readonly #maxEntries: number;
  #globs: readonly string[] = [];
  #patterns: readonly (readonly string[])[] = [];
  /** Whether a file fits, or what a folder holds may (its key ends in `/`). */
  readonly #fitting = new Map<string, boolean>();
  readonly #ignored = new Map<string, boolean>();
  #seen = new Map<string, Seen>();
  /** Names that are not UTF-8, as they can be shown. */
  #unnamed = new Set<string>();
  #count = 0;
  #toldOfBound = false;

  constructor(git: Git, log: Log, maxEntries: number) {
    if (git.workTree === null) throw new Error('a bare repository has no files to look at');
    this.#git = git;
    this.#log = log;
    this.#root = git.workTree;
    this.#maxEntries = maxEntries;
  }

  async once(globs: readonly string[]): Promise<string[]> {
    if (globs.length === 0) return [];
    const { gitDir } = this.#git.neutral;
    // Another branch's files say nothing about main; and Git at work is about to change them.
    if (readFileSync(join(gitDir, 'HEAD'), 'utf8').trim() !== `ref: ${MAIN}` || isBusy(gitDir)) return [];
    this.#take(globs);
    const unnamed = this.#unnamed;
    this.#unnamed = new Set();
    const seen = new Map<string, Seen>();
    for (const [path, now] of await this.#walk()) {
      const before = this.#seen.get(path);
      const same = before?.stamp === now;
      if (same) seen.set(path, { ...before, still: before.still + 1, wait: Math.max(0, before.wait - 1) });
      else seen.set(path, { stamp: now, still: 1, wait: 0, given: 0 });
    }
    this.#seen = seen;
    for (const path of this.#unnamed)
      if (!unnamed.has(path)) this.#log.warn({ path }, `a file that a trigger names ${NOT_UTF8}`);
    return this.#ready();
  }

  stuck(): { path: string; why: string }[] {
    const given = [...this.#seen].flatMap(([path, { why }]) => (why === undefined ? [] : [{ path, why }]));
    return [...[...this.#unnamed].map((path) => ({ path, why: NOT_UTF8 })), ...given].slice(0, MAX_STUCK);
  }

  #take(globs: readonly string[]): void {
    this.#count += 1;
    if (this.#count % IGNORED_FOR === 0) this.#ignored.clear();
    const changed = globs.join('\0') !== this.#globs.join('\0');
    // Names that come and go must not pile up.
    if (changed || this.#fitting.size > 2 * this.#maxEntries) this.#fitting.clear();
    if (!changed) return;
    this.#globs = [...globs];
    this.#patterns = this.#globs.map(partsOf);
  }

  /** What is neither on `main` as it is nor being prepared for a commit by hand. */
  async #ready(): Promise<string[]> {
    const isReady = ([path, { still, wait }]: [string, Seen]): boolean =>
      still >= STILL && wait === 0 && !this.#isPlaceholder(path);
    const asked = [...this.#seen].filter(isReady);
    if (asked.length === 0) return [];
    await mirrorHead(this.#git.neutral);
    const states = await statesOf(
      this.#git,
      asked.map(([path]) => path),
    );
    const given: string[] = [];
    let bytes = 0;
    for (const [path, seen] of asked) {
      const state = states.get(path);
      seen.wait = state === undefined ? Infinity : AGAIN;
      if (state !== 'changed') {
        delete seen.why;
        continue;
      }
      bytes += Buffer.byteLength(path) + 1;
      if (bytes > MAX_BYTES) {
        seen.wait = 0;
        continue;
      }
      seen.given += 1;
      if (seen.given >= 2) seen.why = isSecretName(path) ? SECRET : STUCK;
      if (seen.given === 2) this.#log.warn({ path }, `a file that a trigger names ${seen.why}`);
      given.push(path);
    }
    return given;
  }

  /** The files that fit, with their stat data. */
  async #walk(): Promise<Map<string, string>> {
    const files = new Map<string, string>();
    const isThere = (path: string): boolean => this.#isNamed(path) || (this.#unnamed.add(path), false);
    const add = (path: string): void => {
      const now = this.#fits(path) && isThere(path) ? stamp(join(this.#root, path)) : '';
      if (now !== '') files.set(path, now);
    };
    const { folders, single } = startsOf(this.#patterns);
    for (const path of single) if (this.#isPlain(path)) add(path);
    let left = this.#maxEntries;
    let level = folders.filter((folder) => !isKept(folder) && this.#isPlainFolder(folder));
    while (level.length > 0) {
      const next: string[] = [];
      await this.#askIgnored(level);
      for (const folder of level) {
        if (this.#ignored.get(folder) === true) continue;
        const entries = this.#entries(folder);
        left -= entries.length;
        if (left < 0) {
          this.#tellOfBound();
          return files;
        }
        for (const entry of entries) {
          const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
          if (entry.isFile()) add(path);
          else if (entry.isDirectory() && this.#mayHold(path) && isThere(path)) next.push(path);
        }
        await turn();
      }
      level = next;
    }
    return files;
  }

  /** False where what was read of the name does not lead back to the file: it is not UTF-8. */
  #isNamed(path: string): boolean {
    return !path.includes('\uFFFD') || stamp(join(this.#root, path)) !== '';
  }

  #entries(folder: string) {
    try {
      const entries = readdirSync(join(this.#root, folder), { withFileTypes: true });
      // A repository in the workspace is somebody else's.
      return folder !== '' && entries.some(({ name }) => name === '.git') ? [] : entries;
    } catch (error) {
      // Gone meanwhile, or not for us to read: nothing in it can be committed.
      this.#log.debug({ folder, error: String(error) }, 'a folder that a trigger names could not be read');
      return [];
    }
  }

  /** A browser holds a name with an empty file until what it loads beside it is whole. */
  #isPlaceholder(path: string): boolean {
    const found = lstatSync(join(this.#root, path), { throwIfNoEntry: false });
    const folder = path.includes('/') ? dirname(path) : '';
    return found?.size === 0 && this.#entries(folder).some(({ name }) => isPartial(name));
  }

  async #askIgnored(folders: readonly string[]): Promise<void> {
    const unknown = folders.filter((folder) => folder !== '' && !this.#ignored.has(folder));
    if (unknown.length === 0) return;
    const ignored = await ignoredBy(this.#git, unknown);
    for (const folder of unknown) this.#ignored.set(folder, ignored.has(folder));
  }

  #tellOfBound(): void {
    if (this.#toldOfBound) return;
    this.#toldOfBound = true;
    this.#log.warn(
      { globs: this.#globs },
      `the folders that triggers name hold more than ${this.#maxEntries} names: files beyond that land only by a commit; name narrower folders`,
    );
  }

  #fits(path: string): boolean {
    return this.#once(path, () => !isKept(path) && !governs(path) && this.#globs.some((glob) => fileMatch(glob, path)));
  }

  #mayHold(folder: string): boolean {
    const parts = folder.normalize('NFC').split('/');
    return this.#once(
      `${folder}/`,
      () => !isKept(folder) && this.#patterns.some((pattern) => mayGoOnBelow(pattern, parts)),
    );
  }

  #once(key: string, find: () => boolean): boolean {
    const known = this.#fitting.get(key) ?? find();
    this.#fitting.set(key, known);
    return known;
  }

  #isPlainFolder(path: string): boolean {
    const parts = path === '' ? [] : path.split('/');
    return parts.every((_, at) =>
      lstatSync(join(this.#root, ...parts.slice(0, at + 1)), { throwIfNoEntry: false })?.isDirectory(),
    );
  }

  #isPlain(path: string): boolean {
    const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
    return (
      this.#isPlainFolder(folder) && lstatSync(join(this.#root, path), { throwIfNoEntry: false })?.isFile() === true
    );
  }
}

/** `.git`, what no commit can hold, and the views of tasks. */
const isKept = (path: string): boolean => path !== '' && (/^tasks(\/|$)/.test(path) || badPath(path) !== null);

const isWild = (part: string): boolean => /[*?]/.test(part);

/** A glob as `pathMatch` reads it. */
function partsOf(glob: string): string[] {
  const parts = glob.split('/').filter((part) => part !== '' && part !== '.');
  if (glob.endsWith('/')) parts.push('**');
  return parts.map((part) => part.normalize('NFC'));
}

/** Where to look: the folders before the first wildcards, none within another, and files that are named in full. */
function startsOf(patterns: readonly (readonly string[])[]): { folders: string[]; single: string[] } {
  const all = new Set<string>();
  const single: string[] = [];
  for (const parts of patterns) {
    const wild = parts.findIndex(isWild);
    if (wild < 0) single.push(parts.join('/'));
    else all.add(parts.slice(0, wild).join('/'));
  }
  const within = (folder: string): boolean =>
    [...all].some((other) => other !== folder && (other === '' || folder.startsWith(`${other}/`)));
  return { folders: [...all].filter((folder) => !within(folder)), single };
}

/** Whether a pattern can fit anything in a folder. */
function mayGoOnBelow(pattern: readonly string[], folder: readonly string[]): boolean {
  for (const [at, name] of folder.entries()) {
    const part = pattern[at];
    if (part === '**') return true;
    if (part === undefined || !wildcardMatch(part, name)) return false;
  }
  return pattern.length > folder.length;
}
