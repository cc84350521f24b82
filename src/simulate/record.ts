import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BlobRef } from '../core/blob.ts';
import type { Event, EventOf, EventType } from '../core/event.ts';
import type { Store } from '../core/ports/store.ts';
import type { Task } from '../core/task.ts';
import { openRecord } from '../app/record.ts';
import type { Verification } from '../trace/verify.ts';
import { makePlan, type Plan } from './plan.ts';
import { type Entry, readWorld } from './world.ts';
import type { Broken } from './breaks.ts';

/** What a play has left behind, read when nobody works on it any more. */
export interface Played {
  plan: Plan;
  world: Entry[];
  events: Event[];
  tasks: Task[];
  /** Text of a blob; '' for one that is not there. */
  text(ref: BlobRef | null): string;
  /** The order a task is about, by what it was told; null for none. */
  orderOf(task: string): string | null;
  commits: Commit[];
  /** A file on `main`; '' if there is none. */
  file(path: string): string;
  git(...args: string[]): string;
  home: string;
  workspace: string;
  verified: Verification;
  /** Problems of blobs, and blobs that nothing names. */
  blobs: { broken: string[]; count: number };
}

/** A commit of `main`, oldest first, with the lines it adds to shared files. */
export interface Commit {
  commit: string;
  run: string | null;
  added: { path: string; text: string }[];
  /** Files that are new or changed. */
  paths: string[];
}

export async function readPlay({ dir, seed, days, path }: PlayOptions): Promise<Played> {
  const [home, workspace] = [join(dir, 'home'), join(dir, 'workspace')];
  const env = { PATH: path, HOME: dir };
  const record = await openRecord({ home, workspace, env });
  try {
    const { store } = record;
    const events = await Array.fromAsync(store.read({}));
    const tasks = await store.tasks({});
    const texts = await textsOf(store, events, tasks);
    const text = (ref: BlobRef | null): string => (ref === null ? '' : (texts.get(ref.hash) ?? ''));
    const git = (...args: string[]): string =>
      execFileSync('git', ['-C', workspace, ...args], { encoding: 'utf8', maxBuffer: 2 ** 30, env });
    const orders = ordersOf(events, text);
    const blobs = { broken: [] as string[], count: 0 };
    for await (const { hash, problem } of store.checkBlobs()) {
      blobs.count += 1;
      if (problem !== null) blobs.broken.push(`${hash}: ${problem}`);
    }
    return {
      plan: makePlan(seed, days),
      world: readWorld(dir),
      events,
      tasks,
      text,
      orderOf: (task) => orders.get(task) ?? null,
      commits: commitsOf(git),
      file: (name) => (existsSync(join(workspace, name)) ? readFileSync(join(workspace, name), 'utf8') : ''),
      git,
      home,
      workspace,
      verified: await record.verify(),
      blobs,
    };
  } finally {
    await record.close();
  }
}

export const eventsOf = <T extends EventType>({ events }: Pick<Played, 'events'>, type: T): EventOf<T>[] =>
  events.filter((event): event is EventOf<T> => event.type === type);

export const entriesOf = <K extends Entry['kind']>(
  { world }: Pick<Played, 'world'>,
  kind: K,
): Extract<Entry, { kind: K }>[] => world.filter((entry): entry is Extract<Entry, { kind: K }> => entry.kind === kind);

async function textsOf(store: Store, events: readonly Event[], tasks: readonly Task[]): Promise<Map<string, string>> {
  const refs = new Set<string>();
  for (const event of events) {
    if (event.type === 'message.received') refs.add(event.data.content.hash);
    if (event.type === 'tool.returned') refs.add(event.data.result.hash);
    if (event.type === 'task.queued' && event.data.task.content) refs.add(event.data.task.content.hash);
    if (event.type === 'task.rejected') refs.add(event.data.detail.hash);
    if (event.type === 'task.finished' && event.data.result) refs.add(event.data.result.hash);
  }
  for (const { content } of tasks) if (content) refs.add(content.hash);
  const texts = new Map<string, string>();
  for (const hash of refs) {
    const bytes = await store.getBlob({ hash }).catch(() => null);
    texts.set(hash, bytes === null ? '' : Buffer.from(bytes).toString('utf8'));
  }
  return texts;
}

function ordersOf(events: readonly Event[], text: Played['text']): Map<string, string> {
  const orders = new Map<string, string>();
  for (const event of events) {
    const [task, said] =
      event.type === 'message.received'
        ? [event.data.task, text(event.data.content)]
        : event.type === 'task.queued'
          ? [event.data.task.id, text(event.data.task.content)]
          : ['', ''];
    const id = /\[order ([\w-]+)(?:\.[\w-]+)?\]/.exec(said)?.[1];
    if (id !== undefined) orders.set(task, id);
  }
  return orders;
}

/** By the history itself, and not by what the runtime says of it. */
function commitsOf(git: Played['git']): Commit[] {
  const mark = '\u0001';
  const format = `--format=${mark}%H%x02%(trailers:key=Ruche-Run,valueonly,separator=%x2C)%x02`;
  const log = git('log', '--first-parent', '--reverse', '-p', '-U0', '--no-renames', format, 'main', '--');
  return log
    .split(mark)
    .slice(1)
    .map((part) => {
      const [commit = '', run = '', patch = ''] = part.split('\u0002');
      let path = '';
      const paths: string[] = [];
      const added: Commit['added'] = [];
      for (const line of patch.split('\n')) {
        if (line.startsWith('+++ b/')) paths.push((path = line.slice(6)));
        else if (line.startsWith('+- ') && path.startsWith('shared/')) added.push({ path, text: line.slice(3) });
      }
      return { commit, run: run.trim() || null, added, paths };
    });
}

export interface PlayOptions {
  /** Where everything lies: `home`, `workspace`, `template`, and what happened outside. */
  dir: string;
  seed: number;
  days: number;
  broken: Broken | null;
  /** Where programs are looked for. */
  path: string;
}
