import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { measureDependencies } from '../scripts/deps.ts';
import { openRecord } from '../src/app/record.ts';
import type { Lab } from './lab.ts';
import { bytesOf, cpuOf, median, oneFsync, timed } from './measure.ts';
import type { Probed } from './probe.ts';
import type { Served } from './served.ts';
import type { Row } from './table.ts';

/** How often each thing is measured. */
export interface Plan {
  starts: number;
  commands: number;
  turns: number;
  toolTurns: number;
  /** Turns a session has before it counts as long. */
  long: number;
  rounds: number;
  /** Turns of one round, by how many are in flight. */
  flights: readonly { inFlight: number; turns: number }[];
  waits: { rounds: number; ms: number };
  memoryTurns: number;
  /** Turns before the growth of memory is measured, and as many while it is. */
  growthTurns: number;
  journal: number;
  /** After so many seconds it is as long as it is. */
  journalSeconds: number;
  /** Milliseconds of quiet before memory is read. */
  settle: number;
}

const MB = 1e6;
const root = join(import.meta.dirname, '..');

interface Pair {
  ruche: Served;
  floor: Served;
}

/** Alternates between the two in blocks, so that what else the machine does falls on both. */
async function beside(pair: Pair, times: number, turn: (served: Served, at: number) => Promise<number>) {
  const taken = { ruche: [] as number[], floor: [] as number[] };
  const block = Math.max(1, Math.ceil(times / 10));
  for (let done = 0; done < times; done += block)
    for (const who of ['floor', 'ruche'] as const)
      for (let at = done; at < Math.min(times, done + block); at++) taken[who].push(await turn(pair[who], at));
  return { value: median(taken.ruche), floor: median(taken.floor) };
}

const words = (served: Served, text: string, session?: string): Promise<number> =>
  timed(() => served.turn(text, session));

/** So many turns, so many at a time. */
export async function flight(
  served: Served,
  turns: number,
  inFlight: number,
  text: (at: number) => string,
): Promise<number> {
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < turns) await served.turn(text((next += 1)));
  };
  return timed(() => Promise.all(Array.from({ length: inFlight }, client)));
}

/** Until journal.git has everything. */
async function exported(served: Served): Promise<void> {
  for (;;) {
    const { journal } = (await served.get('/api/status')) as { journal: { head: number; exported: number } };
    if (journal.exported === journal.head) return;
    await delay(50);
  }
}

export async function starting(lab: Lab, plan: Plan): Promise<Row[]> {
  const taken = { ruche: [] as number[], floor: [] as number[], first: [] as number[] };
  for (let time = 0; time < Math.ceil(plan.starts / 3); time++) {
    const served = await lab.ruche(await lab.network(`first-${time}`));
    taken.first.push(served.readyMs);
    await served.stop();
  }
  const floors = (): Promise<Served> => lab.floor(undefined, {}, 'floor-start');
  await (await floors()).stop();
  for (let time = 0; time < plan.starts; time++) {
    for (const who of ['floor', 'ruche'] as const) {
      const served = await (who === 'floor' ? floors() : lab.ruche('first-0'));
      taken[who].push(served.readyMs);
      await served.stop();
    }
  }
  const floor = median(taken.floor) / 1000;
  return [
    { what: 'start to /readyz', unit: 's', value: median(taken.ruche) / 1000, floor, aim: 0.3, openclaw: 14.6 },
    { what: 'the same, a new home', unit: 's', value: median(taken.first) / 1000, floor },
  ];
}

export async function commands(lab: Lab, plan: Plan): Promise<Row[]> {
  const served = await lab.ruche('first-0');
  const taken = { bare: [] as number[], version: [] as number[], status: [] as number[] };
  for (let time = 0; time < plan.commands; time++) {
    taken.bare.push(await lab.command('first-0', ['-e', '0']));
    taken.version.push(await lab.ruchesCommand('first-0', '--version'));
    taken.status.push(await lab.ruchesCommand('first-0', 'status'));
  }
  await served.stop();
  const floor = median(taken.bare);
  return [
    {
      what: '`ruche --version`',
      unit: 'ms',
      value: median(taken.version),
      floor,
      aim: 60,
      openclaw: 100,
      note: 'floor: `node -e 0`',
    },
    { what: '`ruche status`', unit: 'ms', value: median(taken.status), floor },
  ];
}

export async function turns(plan: Plan, pair: Pair): Promise<Row[]> {
  for (let warm = 0; warm < 30; warm++)
    for (const served of [pair.floor, pair.ruche]) await served.turn(`hello warm-${warm}`);
  const fresh = await beside(pair, plan.turns, (served, at) => words(served, `hello fresh-${at}`));
  for (const served of [pair.floor, pair.ruche])
    for (let turn = 0; turn < plan.long; turn++) await served.turn(`hello long-${turn}`, 'long');
  // Not many more: a model of unknown window has its conversation compacted at some hundred and fifty such turns.
  const long = await beside(pair, 30, (served, at) => words(served, `hello on-${at}`, 'long'));
  const tools = await beside(pair, plan.toolTurns, (served, at) => words(served, `touch ${at}`));
  return [
    {
      what: 'a turn, fresh session',
      unit: 'ms',
      ...fresh,
      aim: 6,
      openclaw: 328,
      note: `median of ${plan.turns}; whole, as the client sees it`,
    },
    { what: `a turn, session of ${plan.long} turns`, unit: 'ms', ...long, aim: 6 },
    {
      what: 'a turn with write, read and landing',
      unit: 'ms',
      ...tools,
      note: `median of ${plan.toolTurns}; three model calls, one commit`,
    },
  ];
}

export async function throughput(plan: Plan, pair: Pair): Promise<Row[]> {
  const rows: Row[] = [];
  const cpu = { value: 0, floor: 0 };
  for (const { inFlight, turns } of plan.flights) {
    const rates = { ruche: [] as number[], floor: [] as number[] };
    const spent = { ruche: [] as number[], floor: [] as number[] };
    for (let round = 0; round < plan.rounds; round++)
      for (const who of ['floor', 'ruche'] as const) {
        const before = cpuOf(pair[who].pid);
        const ms = await flight(pair[who], turns, inFlight, (at) => `hello ${inFlight}-${round}-${at}`);
        rates[who].push((turns / ms) * 1000);
        spent[who].push((cpuOf(pair[who].pid) - before) / turns);
      }
    const rate = { value: median(rates.ruche), floor: median(rates.floor), more: true };
    const aims = inFlight === 50 ? { aim: 200, openclaw: 2.7 } : {};
    const note = `median of ${plan.rounds} × ${turns} turns`;
    rows.push({ what: `${inFlight} in flight`, unit: 'turns/s', ...rate, ...aims, note });
    Object.assign(cpu, { value: median(spent.ruche), floor: median(spent.floor) });
  }
  rows.push({ what: 'CPU of such a turn', unit: 'ms', ...cpu, note: 'the process alone, without its children' });
  const { rounds, ms } = plan.waits;
  const spans = { ruche: [] as number[], floor: [] as number[] };
  for (let round = 0; round < rounds; round++)
    for (const who of ['floor', 'ruche'] as const) spans[who].push(await flight(pair[who], 50, 50, () => `wait ${ms}`));
  const [value, floor] = [median(spans.ruche) / 1000, median(spans.floor) / 1000];
  const what = `50 turns of ${ms / 1000} s at once`;
  rows.push({ what, unit: 's', value, floor, aim: ms / 1000 + 0.2, openclaw: 30.5 });
  return rows;
}

/** Milliseconds from the intent of a landing to its receipt, from the journal. */
export async function landing(lab: Lab, name: string): Promise<Row[]> {
  const record = await openRecord({ home: lab.home(name), workspace: lab.workspace(name), env: process.env });
  const begun = new Map<string, number>();
  const taken: number[] = [];
  for await (const event of record.store.read({ types: ['landing.started', 'landing.finished'] })) {
    if (event.type === 'landing.started') begun.set(event.stream, event.at);
    else taken.push(event.at - (begun.get(event.stream) ?? event.at));
  }
  await record.close();
  return [
    {
      what: 'a landing, intent to receipt',
      unit: 'ms',
      value: median(taken),
      note: `median of ${taken.length}, by the journal’s times`,
    },
  ];
}

export async function memory(lab: Lab, plan: Plan): Promise<Row[]> {
  const name = await lab.network('memory');
  const floors = (): Promise<Served> => lab.floor(undefined, {}, 'memory-floor');
  const pair = { floor: await floors(), ruche: await lab.ruche(name) };
  await delay(plan.settle);
  const idle = { value: pair.ruche.memory() / MB, floor: pair.floor.memory() / MB };
  const homes = lab.beside === null ? [name] : [name, 'memory-floor'];
  for (const served of [pair.floor, pair.ruche]) await served.stop();
  const before = homes.map((home) => sizes(lab, home));
  Object.assign(pair, { floor: await floors(), ruche: await lab.ruche(name) });
  for (const served of [pair.floor, pair.ruche])
    await flight(served, plan.memoryTurns, 8, (at) => `hello memory-${at}`);
  await exported(pair.ruche);
  if (lab.beside !== null) await exported(pair.floor);
  await delay(plan.settle);
  const after = { value: pair.ruche.memory() / MB, floor: pair.floor.memory() / MB };
  for (const served of [pair.floor, pair.ruche]) await served.stop();
  return [
    { what: 'memory, idle', unit: 'MB', ...idle, aim: 90, openclaw: 767, note: 'PSS of the process tree' },
    { what: `memory after ${plan.memoryTurns} turns`, unit: 'MB', ...after, aim: 120, openclaw: 1500 },
    ...growth(
      before,
      homes.map((home) => sizes(lab, home)),
      plan.memoryTurns,
      '',
    ),
  ];
}

interface Sizes {
  database: number;
  journal: number;
  packed: number;
  workspace: number;
}

/** Bytes on disk of a home that is not in use. */
function sizes(lab: Lab, name: string): Sizes {
  const home = lab.home(name);
  const journal = join(home, 'journal.git');
  const copy = join(lab.dir, 'repacked');
  cpSync(journal, copy, { recursive: true });
  lab.git(copy, 'repack', '-d', '-l', '-q', '--geometric=2');
  const packed = bytesOf(join(copy, 'objects'));
  rmSync(copy, { recursive: true });
  const files = readdirSync(home).filter((file) => file.startsWith('ruche.sqlite'));
  return {
    database: files.reduce((sum, file) => sum + bytesOf(join(home, file)), 0),
    journal: bytesOf(join(journal, 'objects')),
    packed,
    workspace: bytesOf(join(lab.workspace(name), '.git', 'objects')),
  };
}

/** Of Ruche, and of the other Ruche that may be its floor. */
function growth(before: readonly Sizes[], after: readonly Sizes[], turns: number, of: string): Row[] {
  const each = (key: keyof Sizes, at = 0): number => ((after[at]?.[key] ?? NaN) - (before[at]?.[key] ?? NaN)) / turns;
  const row = (what: string, key: keyof Sizes, note = `by ${turns} turns`): Row => ({
    what: `${what} a turn${of}`,
    unit: 'kB',
    value: each(key) / 1000,
    ...(after.length > 1 && { floor: each(key, 1) / 1000 }),
    note,
  });
  const rows = [
    row('database,', 'database'),
    row('journal.git,', 'journal', `${(each('packed') / 1000).toFixed(1)} kB after maintenance`),
  ];
  if (of !== '') rows.push(row('workspace .git,', 'workspace'));
  return rows;
}

/**
 * How the heap grows with the tasks done, once what has a bound is full: each task lands a file of its own, so that every one
 * brings a commit, a tree and a longer listing.
 */
export async function memoryGrowth(lab: Lab, plan: Plan): Promise<Row[]> {
  const file = join(lab.dir, 'growth');
  const served = await lab.ruche(await lab.network('growing'), lab.watched(file));
  const land = async (round: string): Promise<void> => {
    await flight(served, plan.growthTurns, 8, (at) => `touch ${round}-${at}`);
    await exported(served);
    await delay(plan.settle);
  };
  await land('filling');
  served.watch();
  await land('counted');
  await served.stop();
  const { begun, ended } = (JSON.parse(readFileSync(file, 'utf8')) as Probed).heap;
  const value = ((ended - begun) / MB / plan.growthTurns) * 10_000;
  const note = `heap in use, by ${plan.growthTurns} tasks that land, after as many; ${(ended / MB).toFixed(0)} MB at the end`;
  return [{ what: 'memory, 10,000 tasks more', unit: 'MB', value, aim: 20, note }];
}

/** Growth by turns that write a file. */
export async function toolGrowth(lab: Lab, plan: Plan): Promise<Row[]> {
  const before = [sizes(lab, 'memory')];
  const served = await lab.ruche('memory');
  await flight(served, plan.toolTurns, 8, (at) => `touch grow-${at}`);
  await served.stop();
  return growth(before, [sizes(lab, 'memory')], plan.toolTurns, ' that write');
}

/** The same turn where little and where much has happened before. */
export async function longJournal(lab: Lab, plan: Plan): Promise<Row[]> {
  const small = await lab.network('small');
  const first = await lab.ruche(small);
  await first.turn('hello first');
  await first.stop();
  const large = lab.copy(small, 'large');
  let made = 0;
  const ms = await timed(async () => {
    made = Number(await lab.script('journal.ts', lab.home(large), String(plan.journal), String(plan.journalSeconds)));
  });
  const pair = { floor: await lab.ruche(small), ruche: await lab.ruche(large) };
  for (let warm = 0; warm < 30; warm++)
    for (const served of [pair.floor, pair.ruche]) await served.turn(`hello warm-${warm}`);
  const taken = await beside(pair, plan.turns, (served, at) => words(served, `hello large-${at}`));
  const { readyMs } = pair.ruche;
  for (const served of [pair.floor, pair.ruche]) await served.stop();
  const events = made.toLocaleString('en-GB');
  const note = `floor: Ruche with a new journal; aim: 10 % more; made in ${(ms / 1000).toFixed(0)} s`;
  return [
    { what: `a turn after ${events} events`, unit: 'ms', ...taken, aim: taken.floor * 1.1, note },
    { what: `start after ${events} events`, unit: 's', value: readyMs / 1000 },
  ];
}

export function request(lab: Lab): Row[] {
  const body = lab.model.last();
  const sent = JSON.stringify({ messages: body?.messages, tools: body?.tools });
  const note = `o200k_base; ${body?.tools?.length ?? 0} tools; with the JSON around it`;
  return [
    {
      what: 'tokens of a request for "hello"',
      unit: '',
      value: encode(sent).length,
      aim: 1200,
      openclaw: 13_429,
      note,
    },
  ];
}

export function install(): Row[] {
  const { packages, bytes } = measureDependencies(root);
  return [
    {
      what: 'install without Node',
      unit: 'MB',
      value: bytes / MB,
      note: `${packages.length} packages for run time, bytes of their files`,
    },
    { what: 'dist/', unit: 'MB', value: bytesOf(join(root, 'dist')) / MB },
  ];
}

export const disk = (lab: Lab): Row[] => [
  { what: 'one fsync on this disk', unit: 'ms', value: oneFsync(lab.dir, 100), note: '4 kB written' },
];
