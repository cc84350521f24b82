import { createHash } from 'node:crypto';
import { access, readdir, readFile, rename, rm, writeFile, mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Boundary } from '../core/ports/boundary.ts';
import { isSafeName } from '../core/ids.ts';
import type { JournalLine, JournalRepository } from '../core/ports/journal.ts';
import type { Log } from '../core/ports/log.ts';
import { initRepository, openGit } from './git.ts';
import type { Env, Git } from './git.ts';
import { GitError } from './process.ts';
import { closeTree } from '../platform/private.ts';
import { Mutex } from '../core/time/mutex.ts';

const BRANCH = 'refs/heads/journal';
const TRAILER = /\nRuche-Seq: (\d+)\n*$/;
/** More weighty lines at once than this are put together, `TOGETHER` to a commit. */
const MANY = 60;
const TOGETHER = 1000;
/** Packs after which they are rolled up. One comes with each import. */
const MAX_PACKS = 40;
/** Commits looked at together in verification. */
const PAGE = 500;

export interface JournalRepositoryOptions {
  /** The bare repository; made if it is not there. */
  dir: string;
  env: Env;
  boundary: Boundary;
  log: Log;
}

interface Tip {
  commit: string | null;
  seq: number;
}

export interface OpenedJournalRepository extends JournalRepository {
  close(): void;
}

/**
 * Opens `journal.git`, the readable form of the journal. It can always be made again from the database: one that cannot be
 * read is moved aside. Only one process may have it open.
 */
export const openJournalRepository = async (options: JournalRepositoryOptions): Promise<OpenedJournalRepository> =>
  new Repository(options, await openWhole(options));

interface Opened {
  git: Git;
  tip: Tip;
}

async function openWhole(options: JournalRepositoryOptions): Promise<Opened> {
  const { git, tip } = await openAsItIs(options);
  if (tip !== null) return { git, tip };
  git.close();
  await moveAside(options, 'damaged');
  return openEmpty(options);
}

/** A tip of null: it cannot be read. */
async function openAsItIs(options: JournalRepositoryOptions): Promise<{ git: Git; tip: Tip | null }> {
  const git = await openBare(options);
  // Looked at twice, as in a check: a machine under load can fail a command once.
  const read = (): Promise<Tip> => readTip(git);
  const tip = await read()
    .catch(read)
    .catch((error: unknown) => {
      // That Git could not be run says nothing of the repository.
      if (error instanceof GitError && (error.why !== 'exit' || isShort(error))) {
        git.close();
        throw error;
      }
      return null;
    });
  return { git, tip };
}

async function openEmpty(options: JournalRepositoryOptions): Promise<Opened> {
  const git = await openBare(options);
  return { git, tip: await readTip(git) };
}

/** Nobody else can read it, whichever user made it and whatever the umask is: its contents are plain text. */
async function openBare(options: JournalRepositoryOptions): Promise<Git> {
  await makeBare(options);
  const git = await openGit({ gitDir: options.dir, env: options.env });
  await closeTree(options.dir);
  return git;
}

/** The same to be read only, beside a process that writes it. Null if there is none. */
export async function readJournalRepository(options: {
  dir: string;
  env: Env;
}): Promise<(Pick<JournalRepository, 'lines' | 'tip'> & { close(): void }) | null> {
  if (!(await exists(join(options.dir, 'HEAD')))) return null;
  const git = await openGit({ gitDir: options.dir, env: options.env });
  const tip = async (): Promise<number> => {
    try {
      return (await readTip(git)).seq;
    } catch (error) {
      throw inWords(error);
    }
  };
  return { tip, lines: () => readLines(git), close: () => git.close() };
}

async function makeBare({ dir, env }: JournalRepositoryOptions): Promise<void> {
  const whole = await Promise.all(['HEAD', 'config', 'objects', 'refs'].map((name) => exists(join(dir, name))));
  if (!whole.every(Boolean)) {
    // A file in its place is told with its path.
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await initRepository(dir, env, { bare: true });
  }
  // `git log` in it shows the journal. Writing it again would empty it where the disk is full.
  const head = `ref: ${BRANCH}\n`;
  if ((await readFile(join(dir, 'HEAD'), 'utf8')) !== head) await writeFile(join(dir, 'HEAD'), head);
  await removeLeftovers(dir);
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** What a killed import or repack leaves: locks that would refuse the next one, and half-written packs. */
async function removeLeftovers(dir: string): Promise<void> {
  const packs = join(dir, 'objects', 'pack');
  const half = (await readdir(packs).catch(() => [])).filter((name) => /^\.?tmp[_-]/.test(name));
  // Git's directory is the neutral one within.
  const inner = join(dir, 'ruche');
  const crashed = (await readdir(inner).catch(() => [])).filter((name) => name.startsWith('fast_import_crash_'));
  const locks = [join(dir, `${BRANCH}.lock`), join(dir, 'packed-refs.lock'), join(dir, 'HEAD.lock')];
  for (const path of [...half.map((name) => join(packs, name)), ...crashed.map((name) => join(inner, name)), ...locks])
    await rm(path, { force: true });
}

/** `why` becomes part of the name under which it is kept. */
async function moveAside({ dir, log }: JournalRepositoryOptions, why: 'damaged' | 'ahead'): Promise<string> {
  let free = 1;
  while (await exists(`${dir}.${why}-${free}`)) free += 1;
  const kept = `${dir}.${why}-${free}`;
  await rename(dir, kept);
  if (why === 'damaged') await keepOnly(kept);
  const what = why === 'damaged' ? 'journal.git is damaged' : 'journal.git holds events that the database has lost';
  log.error({ dir, kept }, `${what}; it is made anew from the database`);
  return kept;
}

/** Each copy is as large as the journal, and was made from the same database: the newest one shows what was wrong. */
async function keepOnly(kept: string): Promise<void> {
  const [folder, own] = [dirname(kept), basename(kept)];
  const stem = own.slice(0, own.lastIndexOf('-') + 1);
  for (const name of await readdir(folder))
    if (name !== own && name.startsWith(stem) && /^[0-9]+$/.test(name.slice(stem.length)))
      await rm(join(folder, name), { recursive: true, force: true });
}

/** Git says that the machine lacks something, which says nothing of the repository. */
const isShort = ({ stderr }: GitError): boolean =>
  /out of memory|cannot allocate memory|too many open files|resource temporarily unavailable|no space left/i.test(
    stderr,
  );

/** Rejects if there is a tip that cannot be read. */
async function readTip(git: Git): Promise<Tip> {
  const listed = await git.text(['for-each-ref', '--format=%(objectname)%00%(contents)', BRANCH]);
  if (listed === '') {
    // Git passes over a ref that a power cut has left empty.
    if (await exists(join(git.neutral.commonDir, BRANCH))) throw new Error(`${BRANCH} is broken`);
    return { commit: null, seq: 0 };
  }
  const [commit = '', message = ''] = listed.split('\0');
  const seq = TRAILER.exec(message)?.[1];
  if (seq === undefined) throw new Error(`the tip of ${BRANCH} has no Ruche-Seq trailer`);
  return { commit, seq: Number(seq) };
}

class Repository implements OpenedJournalRepository {
  readonly #options: JournalRepositoryOptions;
  #git: Git;
  #tip: Tip;
  /** Imports and maintenance, one after the other. */
  readonly #turns = new Mutex();
  #checking = false;

  constructor(options: JournalRepositoryOptions, opened: Opened) {
    this.#options = options;
    this.#git = opened.git;
    this.#tip = opened.tip;
  }

  tip(): Promise<number> {
    return Promise.resolve(this.#tip.seq);
  }

  anew(): Promise<string> {
    return this.#turns.run(() => this.#anew('ahead'));
  }

  async check(signal: AbortSignal): Promise<boolean> {
    const { commit } = this.#tip;
    if (commit === null) return true;
    this.#checking = true;
    try {
      // Git ends the same way if it lacks memory or open files: damage is still there when it looks again.
      if (!((await this.#looksDamaged(commit, signal)) && (await this.#looksDamaged(commit, signal)))) return true;
      await this.#turns.run(() => this.#anew('damaged'));
      return false;
    } finally {
      this.#checking = false;
    }
  }

  async #looksDamaged(commit: string, signal: AbortSignal): Promise<boolean> {
    try {
      const flags = ['--no-dangling', '--no-reflogs', '--no-progress'];
      await this.#git.run(['fsck', ...flags, commit], { signal, timeoutMs: 3_600_000 });
      return false;
    } catch (error) {
      if (error instanceof GitError && error.why === 'exit' && (error.code ?? 0) > 0 && !isShort(error)) return true;
      throw error;
    }
  }

  append(lines: readonly JournalLine[]): Promise<void> {
    return this.#turns.run(() => this.#append(lines));
  }

  maintain(): Promise<void> {
    return this.#turns.run(async () => {
      // A check must not find the packs gone that it is about to read.
      if (this.#checking) return;
      const names = await readdir(join(this.#git.neutral.objects, 'pack'));
      if (names.filter((name) => name.endsWith('.pack')).length <= MAX_PACKS) return;
      const bounds = ['-c', 'pack.threads=1', '-c', 'pack.windowMemory=32m'];
      await this.#git.run([...bounds, 'repack', '-d', '-l', '-q', '--geometric=2', '--no-write-bitmap-index'], {
        timeoutMs: 600_000,
      });
    });
  }

  lines(): AsyncIterable<{ seq: number; json: string; path: string }> {
    return readLines(this.#git);
  }

  close(): void {
    this.#git.close();
  }

  async #anew(why: 'damaged' | 'ahead'): Promise<string> {
    const kept = await moveAside(this.#options, why);
    this.#replace(await openEmpty(this.#options));
    return kept;
  }

  #replace({ git, tip }: Opened): void {
    this.#git.close();
    this.#git = git;
    this.#tip = tip;
  }

  async #append(lines: readonly JournalLine[]): Promise<void> {
    const fresh = lines.filter((line) => line.seq > this.#tip.seq);
    const first = fresh[0];
    if (!first) return;
    fresh.forEach((line, at) => {
      const expected = this.#tip.seq + 1 + at;
      if (line.seq !== expected)
        throw new Error(`journal.git lacks event ${expected}: it was given ${line.seq} instead`);
    });
    this.#options.boundary('journal.import.before');
    try {
      const input = importStream(fresh, this.#tip.commit);
      const { stdout } = await this.#git.run(['fast-import', '--done', '--quiet', '--date-format=raw'], { input });
      const commit = stdout.toString('utf8').trim();
      if (!/^[0-9a-f]{40,64}$/.test(commit))
        throw new Error(`git fast-import did not name the commit it made: ${commit}`);
      this.#tip = { commit, seq: this.#tip.seq + fresh.length };
    } catch (error) {
      // An import of a process that was killed may have ended after all, or somebody has deleted the repository.
      this.#replace(await openWhole(this.#options));
      throw error;
    }
    this.#options.boundary('journal.import.after');
  }
}

// ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Each commit ends with a weighty line, or with the last one there is. */
function intoCommits(lines: readonly JournalLine[]): JournalLine[][] {
  const many = lines.filter((line) => line.weighty).length > MANY;
  const commits: JournalLine[][] = [];
  let open: JournalLine[] = [];
  for (const line of lines) {
    open.push(line);
    if (many ? open.length < TOGETHER : !line.weighty) continue;
    commits.push(open);
    open = [];
  }
  if (open.length > 0) commits.push(open);
  return commits;
}

function subjectOf(lines: readonly JournalLine[]): string {
  const weighty = lines.filter((line) => line.weighty);
  const shown = weighty.at(-1) ?? lines.at(-1);
  if (weighty.length <= 1) return shown?.subject ?? '';
  const groups = new Set(lines.map((line) => line.group)).size;
  return `${lines.length} events of ${groups} run${groups === 1 ? '' : 's'}, the last: ${shown?.subject ?? ''}`;
}

/** `<name>@ruche.invalid`, in a form that cannot break out of the commit's header. */
function identity(actor: string): string {
  const bare = actor === 'runtime' ? 'ruche' : actor.slice(actor.indexOf(':') + 1);
  const name = bare.replace(/[^\p{L}\p{N}._ -]+/gu, '-').replace(/^[-. ]+|[-. ]+$/g, '') || 'unknown';
  return `${name} <${name.replaceAll(' ', '-')}@ruche.invalid>`;
}

function authorOf(lines: readonly JournalLine[]): string {
  const weighty = lines.filter((line) => line.weighty);
  const actors = new Set((weighty.length > 0 ? weighty : lines.slice(-1)).map((line) => line.actor));
  const [only] = actors;
  return identity(actors.size === 1 && only !== undefined ? only : 'runtime');
}

/** `journal/YYYY-MM-DD/<xx>/<run or stream>.<first seq>.jsonl`, without a name for lines of several streams. */
function segmentPath(lines: readonly JournalLine[]): string {
  const { at, seq, group } = lines[0] ?? { at: 0, seq: 0, group: '' };
  if (!isSafeName(group)) throw new Error(`"${group}" cannot be the name of a file of journal.git`);
  const name = lines.every((line) => line.group === group) ? `${group}.${seq}` : `${seq}`;
  const day = new Date(at).toISOString().slice(0, 10);
  const shard = createHash('sha256').update(name).digest('hex').slice(0, 2);
  return `journal/${day}/${shard}/${name}.jsonl`;
}

/** A file a run, and one for all that belongs to none: files cost more than the lines in them. */
function segments(lines: readonly JournalLine[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const group of Map.groupBy(lines, ({ run, group: name }) => (run ? name : null)).values())
    files.set(segmentPath(group), group.map((line) => `${line.json}\n`).join(''));
  return files;
}

/** What `git fast-import` reads; it answers with the id of the last commit. */
function importStream(lines: readonly JournalLine[], parent: string | null): Buffer {
  const parts: Buffer[] = [];
  const put = (text: string): void => void parts.push(Buffer.from(text, 'utf8'));
  const data = (text: string): void => put(`data ${Buffer.byteLength(text)}\n${text}\n`);
  for (const [index, commit] of intoCommits(lines).entries()) {
    const last = commit.at(-1);
    const when = `${Math.max(0, Math.floor((last?.at ?? 0) / 1000))} +0000`;
    put(`commit ${BRANCH}\nmark :1\nauthor ${authorOf(commit)} ${when}\n`);
    put(`committer ${identity('runtime')} ${when}\n`);
    data(`${subjectOf(commit).replace(/\s+/g, ' ')}\n\nRuche-Seq: ${last?.seq}\n`);
    if (index === 0 && parent !== null) put(`from ${parent}\n`);
    for (const [path, text] of segments(commit)) {
      put(`M 100644 inline ${path}\n`);
      data(text);
    }
    put('\n');
  }
  put('get-mark :1\ndone\n');
  return Buffer.concat(parts);
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

interface Segment {
  path: string;
  oid: string;
}

async function* readLines(git: Git): AsyncGenerator<{ seq: number; json: string; path: string }> {
  try {
    yield* linesByCommit(git);
  } catch (error) {
    throw inWords(error);
  }
}

/** What Git says of a damaged object helps nobody: the next start finds it as well. */
const inWords = (error: unknown): unknown =>
  error instanceof GitError && error.why === 'exit'
    ? new Error('journal.git is damaged here; the next start puts it aside and makes it anew', { cause: error })
    : error;

/** Commit by commit, so that what is held at once is one page, however long the journal is. */
async function* linesByCommit(git: Git): AsyncGenerator<{ seq: number; json: string; path: string }> {
  const listed = await git.text(['for-each-ref', '--format=%(objectname)', BRANCH]);
  if (listed === '') return;
  const commits = (await git.text(['rev-list', '--reverse', '--parents', listed])).split('\n');
  for (let at = 0; at < commits.length; at += PAGE) {
    const page = commits.slice(at, at + PAGE);
    for (const line of page)
      if (line.split(' ').length > 2) throw new Error(`commit ${line.slice(0, 40)} of journal.git is a merge`);
    const ids = page.map((line) => line.split(' ')[0] ?? '');
    for (const [commit, added] of await addedBy(git, ids)) yield* await linesOf(git, commit, added);
  }
}

async function addedBy(git: Git, commits: readonly string[]): Promise<Map<string, Segment[]>> {
  const flags = ['--stdin', '--root', '-r', '--no-renames', '--no-abbrev'];
  const output = await git.text(['diff-tree', ...flags], { input: `${commits.join('\n')}\n` });
  const added = new Map<string, Segment[]>(commits.map((commit) => [commit, []]));
  let commit = '';
  for (const line of output.split('\n')) {
    const match = /^:(\d+) (\d+) [0-9a-f]+ ([0-9a-f]+) (\w)\t(.*)$/.exec(line);
    if (!match) {
      commit = line;
      continue;
    }
    const [, , mode, oid = '', status, path = ''] = match;
    if (status !== 'A' || mode !== '100644')
      throw new Error(`commit ${commit.slice(0, 12)} of journal.git changes ${path}, which is only ever added`);
    added.get(commit)?.push({ path, oid });
  }
  return added;
}

async function linesOf(
  git: Git,
  commit: string,
  added: readonly Segment[],
): Promise<{ seq: number; json: string; path: string }[]> {
  const found: { seq: number; json: string; path: string }[] = [];
  for (const { path, oid } of added) {
    const text = (await git.object(oid))?.bytes.toString('utf8');
    if (text === undefined) throw new Error(`${path} of journal.git is missing from its objects (commit ${commit})`);
    const lines = text.split('\n');
    if (lines.pop() !== '') throw new Error(`the last line of ${path} in journal.git is cut`);
    for (const json of lines) found.push({ seq: seqOf(json, path), json, path });
  }
  return found.sort((a, b) => a.seq - b.seq);
}

function seqOf(json: string, path: string): number {
  const seq = /^\{"seq":(\d+),/.exec(json)?.[1];
  if (seq === undefined) throw new Error(`a line of ${path} in journal.git does not begin with its seq`);
  return Number(seq);
}
