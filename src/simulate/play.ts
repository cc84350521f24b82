import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BREAKS, isBroken, tamper } from './breaks.ts';
import { check } from './check.ts';
import type { Violation } from './invariants.ts';
import { type Counts, countPlay } from './counts.ts';
import { writeTemplate } from './network.ts';
import { makePlan } from './plan.ts';
import { entriesOf, readPlay, type PlayOptions } from './record.ts';
import { readWorld } from './world.ts';

/** Processes after which a play is given up: each kill of the plan is one. */
const MAX_LIVES = 200;
/** In memory where there is such a folder: a play syncs the disk thousands of times. */
const MEMORY = '/dev/shm';
const OPTIONS = 'play.json';

export interface PlayRequest {
  seed: number;
  days: number;
  /** Where all of it stays; null: nowhere. */
  keep: string | null;
  broken: string | null;
  /** Where programs are looked for: Git is one. */
  path: string;
  /** Command line that plays one process of `dir`, which is its last argument. */
  life: readonly string[];
}

export interface PlayResult {
  dir: string | null;
  counts: Counts;
  violations: Violation[];
  /** The planted bug: whether it struck, and the invariant that is meant to notice. */
  broken: { struck: boolean; caughtBy: string } | null;
}

export const breaks = Object.entries(BREAKS).map(([name, { what, caughtBy }]) => ({ name, what, caughtBy }));

/** Plays a time of so many days and holds what is left of it against what must hold. Rejects with a sentence for a person. */
export async function play(request: PlayRequest): Promise<PlayResult> {
  const { seed, days, keep, broken, path } = request;
  if (broken !== null && !isBroken(broken))
    throw new Error(`There is no bug "${broken}" to plant. There are: ${Object.keys(BREAKS).join(', ')}.`);
  const dir = folderFor(keep);
  try {
    const options: PlayOptions = { dir, seed, days, broken, path };
    writeFileSync(join(dir, OPTIONS), JSON.stringify(options));
    writeTemplate(join(dir, 'template'), makePlan(seed, days));
    await playAll(dir, request.life);
    if (broken === 'tampered-journal') tamper(join(dir, 'home', 'ruche.sqlite'));
    const played = await readPlay(options);
    const violations = check(played);
    const struck = broken === 'tampered-journal' || entriesOf(played, 'broke').length > 0;
    const caughtBy = broken === null ? '' : BREAKS[broken].caughtBy;
    return { dir: keep, counts: countPlay(played), violations, broken: broken === null ? null : { struck, caughtBy } };
  } finally {
    if (keep === null) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** One process of the play that is under way in a folder. */
export async function live(dir: string): Promise<void> {
  // It holds a whole gateway, which the process that only starts others need not load.
  const process = await import('./life.ts');
  return process.live(readOptions(dir));
}

function readOptions(dir: string): PlayOptions {
  return JSON.parse(readFileSync(join(dir, OPTIONS), 'utf8')) as PlayOptions;
}

function folderFor(keep: string | null): string {
  if (keep === null) return mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'ruche-simulate-'));
  mkdirSync(keep, { recursive: true });
  if (readdirSync(keep).length > 0) throw new Error(`${keep} is not empty: name another folder with --keep.`);
  return keep;
}

/** One process after the other, until one says that the time is over. */
async function playAll(dir: string, life: readonly string[]): Promise<void> {
  for (let lives = 0; lives < MAX_LIVES; lives += 1) {
    const end = await runLife(dir, life);
    if (readWorld(dir).at(-1)?.kind === 'closed') return;
    if (end.signal === 'SIGKILL' && readWorld(dir).at(-1)?.kind === 'killed') continue;
    throw new Error(`The network that is played ended by itself (${end.signal ?? `exit ${end.code}`}):\n${end.said}`);
  }
  throw new Error(`The play did not end after ${MAX_LIVES} processes.`);
}

async function runLife(
  dir: string,
  [program = '', ...args]: readonly string[],
): Promise<{ code: number | null; signal: string | null; said: string }> {
  const path = join(dir, 'said.txt');
  const said = openSync(path, 'a');
  try {
    const child = spawn(program, [...args, dir], { stdio: ['ignore', said, said] });
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (...end) => resolve(end));
    });
    return { code, signal, said: readFileSync(path, 'utf8').slice(-4_000) };
  } finally {
    closeSync(said);
  }
}
