import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { JournalRepository } from '../core/ports/journal.ts';
import type { Log } from '../core/ports/log.ts';
import type { EventLog } from '../core/ports/store.ts';
import type { Env } from '../git/git.ts';
import { readJournalRepository } from '../git/journal.ts';
import { STORE } from './store.ts';

/** Something that the record knows of and that is not there any more. A start never passes over it in silence. */
export interface Lost {
  what: string;
  mend: string;
}

/** Events that a person has given up: how many, and the name under which the old journal.git is kept in the home. */
export interface GivenUp {
  events: number;
  kept: string;
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
  ];
  return found.filter((each) => each !== null);
}
