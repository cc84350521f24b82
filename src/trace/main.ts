import type { Event } from '../core/event.ts';
import type { Change } from '../core/files.ts';
import { runOfStream, runStream } from '../core/ids.ts';
import type { Blobs, EventLog } from '../core/ports/store.ts';
import { readJson } from '../core/records/json-blob.ts';
import { errorText } from '../core/text/sentence.ts';
import type { Report } from './finding.ts';

/** Path → id of what a commit has put there; null where it has removed a file. */
export type Changes = ReadonlyMap<string, string | null>;

/** An object that `main` needs and that cannot be read. */
export interface Damage {
  oid: string;
  what: 'commit' | 'tree' | 'blob' | 'object';
  /** Missing, and not only damaged. */
  gone: boolean;
  /** The commit of `main` that brought it, and where; null as far as that cannot be told. */
  commit: string | null;
  path: string | null;
}

/** The commits of `main` as far as verification needs them. */
export interface LandedHistory {
  /** Commits on `main`, with the runs that their trailers name; without those reachable from `since` (null: all). */
  commits(since: string | null): AsyncIterable<{ commit: string; runs: readonly string[] }>;
  /** What commits have changed against their first parent; without those that cannot be read. */
  changes(commits: readonly string[]): Promise<ReadonlyMap<string, Changes>>;
  /** Reads every object of the repository. `faults`: what else is wrong, in Git's words. */
  damage(): Promise<{ objects: Damage[]; faults: string[] }>;
}

/** A commit that the journal knows of, as its event has it. */
interface Known {
  seq: number;
  commit: string;
  run: string | null;
  paths: number;
}

type Walked = ReadonlyMap<string, readonly string[]>;

type RecordStore = Pick<EventLog, 'read'> & Pick<Blobs, 'getBlob'>;

/** What each commit of a run has put where, by the record alone: it outlives the commit. Without what was erased since. */
async function changesOnRecord(store: RecordStore, run: string): Promise<ReadonlyMap<string, Changes>> {
  const found = new Map<string, Changes>();
  let overlay = new Map<string, string | null>();
  for await (const event of store.read({ stream: runStream(run), types: ON_RECORD })) {
    if (event.type === 'landing.finished') {
      if (event.data.commit !== null && overlay.size > 0) found.set(event.data.commit, overlay);
      overlay = new Map();
      continue;
    }
    const ref = 'result' in event.data ? event.data.result : 'detail' in event.data ? event.data.detail : null;
    if (ref === null || typeof ref === 'string') continue;
    // One that is damaged is a finding of its own.
    const record = await readJson<{ changes?: readonly Change[] }>(store, ref).catch(() => null);
    if (event.type === 'landing.conflicted') overlay = new Map();
    for (const { path, oid } of record?.changes ?? []) overlay.set(path, oid);
  }
  return found;
}

const ON_RECORD = ['tool.returned', 'files.placed', 'landing.conflicted', 'landing.finished'] as const;

/** Holds `main` against the events: what landed is there, whole, and as it landed; and nothing that the journal does not know. */
export class MainCheck {
  readonly #history: LandedHistory;
  readonly #store: RecordStore;
  readonly #report: Report;
  readonly #known: Known[] = [];
  /** Runs whose landing was begun: its commit may be there before its receipt. */
  readonly #begun = new Set<string>();
  #firstConfig: string | null = null;
  /** A person has gone on without events that the database had lost, or with a home older than its workspace. */
  #gap = false;
  #before: Walked = new Map();
  #damage: ReturnType<LandedHistory['damage']>;

  constructor(history: LandedHistory, store: RecordStore, report: Report) {
    this.#history = history;
    this.#store = store;
    this.#report = report;
    // A process of its own, beside the walk over the events.
    this.#damage = history.damage();
    this.#damage.catch(() => undefined);
  }

  /** A gateway may be at work: what `main` holds is looked at before and after the events, and only what both show counts. */
  async before(): Promise<void> {
    this.#before = (await this.#walk(null)) ?? new Map();
  }

  remember(event: Event): void {
    if (event.type === 'config.applied') this.#firstConfig ??= event.data.commit;
    if (event.type === 'gateway.started' && (event.data.lost !== undefined || event.data.newer?.accepted))
      this.#gap = true;
    if (event.type === 'person.committed') this.#known.push({ ...event.data, seq: event.seq, run: null });
    const run = runOfStream(event.stream);
    if (run === null) return;
    if (event.type === 'landing.started') this.#begun.add(run);
    if (event.type !== 'landing.finished' || event.data.commit === null) return;
    this.#known.push({ seq: event.seq, run, commit: event.data.commit, paths: event.data.paths });
  }

  /** Call when all events have been seen. */
  async check(): Promise<void> {
    const landings = this.#known.filter(({ run }) => run !== null);
    this.#report.counts.commits += landings.length;
    const cut = await this.#damaged();
    const walked = await this.#walk(null);
    if (walked === null) {
      if (!cut)
        this.#report.find(
          null,
          'main',
          'its commits cannot be read: `ruche up` says what is damaged and how to mend it',
        );
      return;
    }
    const missing = landings.filter(({ commit, run }) => !(walked.get(commit) ?? []).includes(run ?? ''));
    await this.#missing(missing, walked);
    const there = this.#known.filter(({ commit }) => walked.has(commit));
    await this.#grown(there);
    await this.#unknown(landings);
  }

  /** Null if the walk is cut off. */
  async #walk(since: string | null): Promise<Walked | null> {
    const found = new Map<string, readonly string[]>();
    try {
      for await (const { commit, runs } of this.#history.commits(since)) found.set(commit, runs);
      return found;
    } catch {
      return null;
    }
  }

  /** Names the event of each object that cannot be read. True if there is a commit among them. */
  async #damaged(): Promise<boolean> {
    try {
      const { objects, faults } = await this.#damage;
      for (const each of objects) {
        const known = this.#known.findLast(({ commit }) => commit === each.commit);
        this.#report.find(known?.seq ?? null, 'main', damageText(each));
      }
      if (objects.length === 0)
        for (const fault of faults) this.#report.find(null, 'main', `the workspace's repository is damaged: ${fault}`);
      return objects.some(({ what }) => what === 'commit');
    } catch (error) {
      this.#report.find(null, 'main', `the workspace could not be checked for damage: ${errorText(error)}`);
      return false;
    }
  }

  /** Landings that `main` does not hold under the name of their run. */
  async #missing(missing: readonly Known[], walked: Walked): Promise<void> {
    if (missing.length === 0) return;
    const landed = await this.#history.changes(missing.map(({ commit }) => commit));
    const named = new Map([...walked].flatMap(([commit, runs]) => runs.map((run) => [run, commit] as const)));
    const others = await this.#others(walked);
    for (const { seq, commit, run } of missing) {
      const was = landed.get(commit) ?? (await changesOnRecord(this.#store, run ?? '')).get(commit);
      const by = named.get(run ?? '');
      const same = was && [...others].find(([, changes]) => includes(changes, was))?.[0];
      const now = by ?? same;
      if (now === undefined) {
        const why = missingText(commit, run ?? '', {
          kept: landed.has(commit),
          compared: was !== undefined,
          onMain: walked.has(commit),
        });
        this.#report.find(seq, 'main', `it landed as commit ${commit}, which ${why}`);
        continue;
      }
      const after = was && (others.get(now) ?? (await this.#history.changes([now])).get(now));
      const how = contentText(was, after);
      this.#report.note(seq, 'main', `it landed as commit ${commit}; a person has rewritten it as ${now}, ${how}`);
    }
  }

  /** What commits that the journal does not know have changed since it began: one may be a landing that was rewritten. */
  async #others(walked: Walked): Promise<ReadonlyMap<string, Changes>> {
    const known = new Set(this.#known.map(({ commit }) => commit));
    const since = (await this.#walk(this.#firstConfig)) ?? walked;
    return this.#history.changes([...since.keys()].filter((commit) => !known.has(commit)));
  }

  /** A commit must not change more than its run, or the person, had changed: somebody's file would be gone or other by it. */
  async #grown(there: readonly Known[]): Promise<void> {
    const changes = await this.#history.changes(there.map(({ commit }) => commit));
    for (const { seq, commit, paths } of there) {
      const changed = changes.get(commit);
      if (changed === undefined || changed.size <= paths) continue;
      const removed = [...changed].flatMap(([path, oid]) => (oid === null ? [path] : []));
      const gone = removed.length === 0 ? '' : `; it removes ${removed.slice(0, 5).join(', ')}`;
      const what = `commit ${commit} changes ${changed.size} files, but the event says ${paths}${gone}`;
      this.#report.find(seq, 'main', what);
    }
  }

  async #unknown(landings: readonly Known[]): Promise<void> {
    const known = new Set(landings.map(({ commit, run }) => `${commit} ${run}`));
    for (const [commit, runs] of (await this.#walk(this.#firstConfig)) ?? [])
      for (const run of runs) {
        if (known.has(`${commit} ${run}`) || this.#begun.has(run)) continue;
        if (!(this.#before.get(commit) ?? []).includes(run)) continue;
        const what = `commit ${commit} on main names ${run}, which the journal does not know`;
        if (this.#gap) this.#report.note(null, 'main', `${what}: events were lost, and a person went on without them`);
        else this.#report.find(null, 'main', `${what}. ${UNKNOWN}`);
      }
  }
}

/** Whether all that one commit has changed stands so in the other. */
const includes = (all: Changes, some: Changes): boolean =>
  some.size > 0 && [...some].every(([path, oid]) => all.has(path) && all.get(path) === oid);

/** Git removes a commit some time after a person has rewritten it. Then the record has its content, unless that was erased. */
function contentText(was: Changes | undefined, after: Changes | undefined): string {
  if (was === undefined) return 'and its content can no longer be compared';
  return after && includes(after, was) ? 'with the same content' : 'with other content';
}

/** A person may have meant it, and then a commit that names the run says so for good. */
function missingText(
  commit: string,
  run: string,
  { kept, compared, onMain }: { kept: boolean; compared: boolean; onMain: boolean },
): string {
  const accept = `git commit --allow-empty -m "Accept ${run}" --trailer "Ruche-Run: ${run}"`;
  if (onMain) return `main does not hold under the name of ${run}`;
  if (kept)
    return `main does not hold under the name of ${run}. Put it back: git cherry-pick ${commit}. If main is to be without it: ${accept}`;
  const state = compared
    ? 'and no commit on main has all of what the record says it changed'
    : 'so its content can no longer be compared';
  return `the workspace does not have, ${state}. Fetch it from a clone that has it, and put it back: git cherry-pick ${commit}. If main holds its work already, or is to be without it: ${accept}`;
}

const UNKNOWN =
  'Either this home is older than its workspace, as after an old backup was put back, or another Ruche made the commit. If that is right, start once with --accept-loss';

function damageText({ oid, what, gone, commit, path }: Damage): string {
  const state = gone ? 'is missing' : 'is damaged';
  const mend = 'get it from a clone (git fetch) or a backup';
  if (what === 'commit') return `commit ${oid} of the workspace ${state}: ${mend}`;
  if (path === null) return `${what} ${oid} of the workspace ${state}, which no commit on main has: ${mend}`;
  const name = what === 'tree' ? `the folder ${path === '' ? 'at the top' : path}` : path;
  return `${name} as of commit ${commit} ${state} (${what} ${oid}): ${mend}`;
}
