import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Problem, WORKSPACE } from '../core/agent.ts';
import type { DataOf, Event, EventType } from '../core/event.ts';
import { runStream } from '../core/ids.ts';
import type { JournalRepository } from '../core/ports/journal.ts';
import type { Log } from '../core/ports/log.ts';
import type { EventLog } from '../core/ports/store.ts';
import { type Env, type Git, openGit } from '../git/git.ts';
import { readJournalRepository } from '../git/journal.ts';
import { MAIN } from '../git/commit.ts';
import { openLandedHistory } from '../git/landed.ts';
import { findGitDir } from '../git/neutral.ts';
import { mayHaveLanded } from '../workspace/edits/watch.ts';
import { STORE } from './store.ts';

/** Something that the record knows of and that is not there any more. A start never passes over it in silence. */
export interface Lost {
  what: string;
  mend: string;
  /** It is safe to go on: the start is not refused. */
  safe?: true;
}

/** What a home knows nothing of although it landed: it is older than its workspace. */
export type Newer = NonNullable<DataOf<'gateway.started'>['newer']>;

/** Events that a person has given up: how many, and the name under which the old journal.git is kept in the home. */
export interface GivenUp {
  events: number;
  kept: string;
}

/** What runs landed and the repository lacks: the workspace is older than its home. */
export interface Missing {
  commits: number;
  newest: string;
}

interface Place {
  home: string;
  workspace: string;
  /** A person has said that the start may go on without what is lost. */
  acceptLoss?: boolean;
  /** The flags that name a command the same places, with a space before: without them it would act on another home. */
  again?: string;
}

const goOn = ({ again = '' }: Place): string => `ruche up${again} --accept-loss`;

/** journal.git is written after the database, so it never holds more than that has held. */
function lostEvents(place: Place, head: number, tip: number): Lost | null {
  const { home } = place;
  if (tip <= head) return null;
  const state =
    head === 0
      ? `the database ${join(home, 'ruche.sqlite')} is missing or empty`
      : `the database ${join(home, 'ruche.sqlite')} ends at event ${head}`;
  return {
    what: `Events are lost: ${state}, but journal.git beside it holds ${tip}, so ${tip - head} are missing. The database or its log (ruche.sqlite-wal) was damaged, removed or replaced by an old copy.`,
    mend: `Put the newest copy of ruche.sqlite and ruche.sqlite-wal back. To go on without these events, run: ${goOn(place)}. The old journal.git is kept beside the new one, to read.`,
  };
}

/** Its folder is missing or empty, and the journal has events of it. */
async function lostWorkspace(place: Place, events: Pick<EventLog, 'read'>): Promise<Lost | null> {
  const { workspace } = place;
  if (!(await isGone(workspace))) return null;
  for await (const event of events.read({ types: ['config.applied'], reverse: true, limit: 1 })) {
    if (event.type !== 'config.applied') continue;
    const last = `The journal knows it: commit ${event.data.commit.slice(0, 10)} governed last`;
    return {
      what: `The workspace ${workspace} is gone: its folder is missing or empty. ${last}.`,
      mend: `If you moved it, name the place with --workspace; if its disk is not mounted, mount it; else put a copy or a clone back. To begin with a new workspace from a template, run: ${goOn(place)}.`,
    };
  }
  return null;
}

const isGone = (folder: string): Promise<boolean> =>
  readdir(folder).then(
    (names) => names.length === 0,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return true;
      throw error;
    },
  );

/** 0 where there is none, or it cannot be read: it is made anew then. */
async function tipBeside(home: string, env: Env): Promise<number> {
  const journal = await readJournalRepository({ dir: join(home, 'journal.git'), env }).catch(() => null);
  try {
    return (await journal?.tip()) ?? 0;
  } catch {
    return 0;
  } finally {
    journal?.close();
  }
}

const refuse = (lost: Lost | null): void => {
  if (lost !== null) throw new Error(`${lost.what} Nothing was changed. ${lost.mend}`);
};

/** Rejects if there is no database where there was one: opening would make a new one. */
export async function refuseNoDatabase(place: Place, env: Env): Promise<void> {
  const { home, acceptLoss = false } = place;
  if (!acceptLoss && !STORE.has(home)) refuse(lostEvents(place, 0, await tipBeside(home, env)));
}

/** Rejects if the database has gone back. Gives what is lost if a person accepts it; journal.git begins anew then. */
export async function refuseLostEvents(
  place: Place,
  { store, repository, log }: { store: Pick<EventLog, 'head'>; repository: JournalRepository; log: Log },
): Promise<GivenUp | null> {
  const [head, tip] = await Promise.all([store.head(), repository.tip()]);
  if (place.acceptLoss !== true) refuse(lostEvents(place, head, tip));
  if (tip <= head) return null;
  const kept = await repository.anew();
  log.warn({ head, tip, kept }, 'events that the database has lost are given up, as asked for');
  return { events: tip - head, kept: basename(kept) };
}

/** Rejects if a workspace that the journal knows is gone: a new one would be made in its place. */
export async function refuseLostWorkspace(place: Place, events: Pick<EventLog, 'read'>): Promise<void> {
  if (place.acceptLoss !== true) refuse(await lostWorkspace(place, events));
}

/** Events that name a commit of `main`. */
const NAMES_COMMIT = ['landing.finished', 'person.committed', 'main.moved', 'config.applied'] as const;

const commitOf = (event: Event): string | null => {
  if (event.type === 'main.moved') return event.data.to;
  return 'commit' in event.data && typeof event.data.commit === 'string' ? event.data.commit : null;
};

/**
 * Looks for commits of runs that the journal does not know: a whole home that is older than its workspace fits itself, and
 * only `main` shows it. What a pull has brought may be of a colleague's Ruche, and does not count. What an earlier start has
 * found is told until a person accepts it.
 */
export async function findNewer(git: Git, events: Pick<EventLog, 'read'>, accepted = false): Promise<Newer | null> {
  // What is accepted is all that `verify` would find, however it came.
  const known = accepted
    ? await namedCommit(events, ['config.applied'], false)
    : await namedCommit(events, NAMES_COMMIT, true);
  if (known === null) return null;
  const isNew = accepted || ((await git.resolve(MAIN)) !== known && (await mayHaveLanded(git, known)));
  const found = isNew ? await unknownCommits(git, events, known) : [];
  if (accepted) return found.length === 0 ? null : { commits: found.length, newest: found[0] ?? '', accepted };
  const before = await lastFound(events);
  if (found.length === 0) return before;
  return { commits: found.length + (before?.commits ?? 0), newest: found[0] ?? '', accepted };
}

/** Landings told of; with more missing, the number is only a lower bound. */
const MAX_MISSING = 1_000;

/**
 * Looks for commits of runs that the repository has lost: a workspace that is older than its home fits itself, and only the
 * record knows. What a person has put in their place since is on record as well, and nothing is missing then.
 */
export async function findMissing(git: Git, events: Pick<EventLog, 'read'>): Promise<Missing | null> {
  const isThere = async (commit: string): Promise<boolean> => (await git.resolve(`${commit}^{commit}`)) !== null;
  const known = await namedCommit(events, ['landing.finished', 'person.committed', 'main.moved'], true);
  if (known === null || (await isThere(known))) return null;
  const missing: string[] = [];
  for await (const event of events.read({ types: ['landing.finished'], reverse: true })) {
    const commit = commitOf(event);
    if (commit === null) continue;
    if (missing.length === MAX_MISSING || (await isThere(commit))) break;
    missing.push(commit);
  }
  return missing.length === 0 ? null : { commits: missing.length, newest: missing[0] ?? '' };
}

function missingText({ again = '' }: Place, { commits, newest }: Missing): Lost {
  const many = commits === 1 ? 'a commit of a run' : `${commits} commits of runs`;
  return {
    what: `This workspace is older than its home: its repository lacks ${many} that landed (the newest is ${newest.slice(0, 10)}). An old backup of the workspace may have been put back. Agents and their conversations take that work for done.`,
    mend: `If you have a newer copy of the workspace, or a clone that has these commits, stop Ruche and put it back. If not, \`ruche verify${again}\` names each commit and how to accept that it is gone.`,
    safe: true,
  };
}

async function namedCommit(
  events: Pick<EventLog, 'read'>,
  types: readonly EventType[],
  reverse: boolean,
): Promise<string | null> {
  for await (const event of events.read({ types, reverse })) {
    const commit = commitOf(event);
    if (commit !== null) return commit;
  }
  return null;
}

async function lastFound(events: Pick<EventLog, 'read'>): Promise<Newer | null> {
  for await (const event of events.read({ stream: 'gateway', types: ['gateway.started'], reverse: true, limit: 1 }))
    if (event.type === 'gateway.started' && event.data.newer?.accepted === false) return event.data.newer;
  return null;
}

/** Newest first. */
async function unknownCommits(git: Git, events: Pick<EventLog, 'read'>, known: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { commit, runs } of openLandedHistory(git).commits(known))
    for (const run of runs) if (!(await isKnown(events, run)) && found.at(-1) !== commit) found.push(commit);
  return found;
}

async function isKnown(events: Pick<EventLog, 'read'>, run: string): Promise<boolean> {
  for await (const _ of events.read({ stream: runStream(run), limit: 1 })) return true;
  return false;
}

function newerText(place: Place, { commits, newest }: Newer): Lost {
  const many = commits === 1 ? 'a commit of a run' : `${commits} commits of runs`;
  return {
    what: `This home is older than its workspace: main has ${many} that the home does not know (the newest is ${newest.slice(0, 10)}). An old backup of the home may have been put back. The files are safe; the messages, tasks and answers of that time are not in this home, and schedules, messages and inbox files of that time may be worked on again.`,
    mend: `If you have a newer copy of the home, stop Ruche and put it back. If not, or if another Ruche made these commits, say so once: ${goOn(place)}.`,
    safe: true,
  };
}

/** As `status` and the start tell it. */
export const ageProblems = (place: Place, newer: Newer | null, missing: Missing | null): Problem[] => {
  const told = [newer?.accepted === false && newerText(place, newer), missing && missingText(place, missing)];
  return told.flatMap((each) =>
    each
      ? { file: WORKSPACE, line: null, key: '', message: `${each.what} ${each.mend}`, severity: 'warning', live: true }
      : [],
  );
};

async function lookForAge(place: Place, events: Pick<EventLog, 'read'>, env: Env): Promise<(Lost | null)[]> {
  const gitDir = await findGitDir(place.workspace);
  if (gitDir === null) return [];
  const git = await openGit({ gitDir, workTree: place.workspace, env });
  try {
    const newer = await findNewer(git, events);
    const missing = await findMissing(git, events);
    return [newer && newerText(place, newer), missing && missingText(place, missing)];
  } finally {
    git.close();
  }
}

/** The same for commands that only look. `events` is null where there is no database. */
export async function findLost(
  place: Place,
  events: Pick<EventLog, 'head' | 'read'> | null,
  env: Env,
): Promise<Lost[]> {
  // A gateway may be writing: what is in journal.git now was in the database before.
  const tip = await tipBeside(place.home, env);
  const found = [
    lostEvents(place, (await events?.head()) ?? 0, tip),
    events && (await lostWorkspace(place, events).catch(() => null)),
    // What is wrong with the workspace itself is told in its place.
    ...(events ? await lookForAge(place, events, env).catch(() => []) : []),
  ];
  return found.filter((each) => each !== null);
}
