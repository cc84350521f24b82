// `npm run bench [-- --quick] [-- --network] [-- --egress] [-- --tokens] [-- --profile] [-- --beside DIR]`: Ruche beside a bare floor, in one run, in medians. It
// measures; it judges nothing but the aims. `--profile` keeps a flame graph; with `--beside` another checkout of Ruche is the floor.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { egress } from './egress.ts';
import { inside } from './inside.ts';
import { Lab } from './lab.ts';
import * as network from './network.ts';
import * as sections from './sections.ts';
import { officeTokens } from './tokens.ts';
import { tableText, type Row } from './table.ts';

const root = join(import.meta.dirname, '..');

type Plan = sections.Plan & network.NetworkPlan;

const FULL: Plan = {
  starts: 9,
  commands: 15,
  turns: 300,
  toolTurns: 60,
  long: 100,
  rounds: 3,
  flights: [
    { inFlight: 1, turns: 150 },
    { inFlight: 8, turns: 400 },
    { inFlight: 50, turns: 600 },
  ],
  waits: { rounds: 3, ms: 2000 },
  memoryTurns: 600,
  growthTurns: 3_000,
  journal: 1_000_000,
  journalSeconds: 110,
  settle: 3000,
  crowd: { rounds: 3, tasks: 50, agents: 15, ms: 2000 },
  files: 10_000,
};

const QUICK: Plan = {
  starts: 3,
  commands: 5,
  turns: 60,
  toolTurns: 12,
  long: 100,
  rounds: 1,
  flights: [
    { inFlight: 1, turns: 50 },
    { inFlight: 8, turns: 100 },
    { inFlight: 50, turns: 200 },
  ],
  waits: { rounds: 1, ms: 2000 },
  memoryTurns: 600,
  growthTurns: 1_500,
  journal: 50_000,
  journalSeconds: 10,
  settle: 1500,
  crowd: { rounds: 1, tasks: 50, agents: 15, ms: 2000 },
  files: 1_000,
};

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    network: { type: 'boolean', default: false },
    egress: { type: 'boolean', default: false },
    tokens: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    beside: { type: 'string' },
  },
});
const beside = options.beside === undefined ? null : resolve(options.beside);
const profile = options.profile ? join(root, '.cache', 'profile') : null;

const commitOf = (folder: string): string =>
  execFileSync('git', ['-C', folder, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();

function conditions(): string {
  const git = execFileSync('git', ['--version'], { encoding: 'utf8' }).trim();
  const cpu = cpus()[0]?.model ?? 'unknown';
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const floor = beside === null ? '' : ` (floor: Ruche at ${commitOf(beside)})`;
  return `Ruche ${version} at ${commitOf(root)}${floor}, Node ${process.versions.node}, ${git}, ${availableParallelism()} × ${cpu}`;
}

async function measure(lab: Lab, plan: Plan): Promise<Row[]> {
  const rows: Row[] = [];
  const add = async (name: string, work: () => Promise<Row[]> | Row[]): Promise<void> => {
    process.stderr.write(`${name} … `);
    const started = performance.now();
    rows.push(...(await work()));
    process.stderr.write(`${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  };
  const ofNetwork = async (): Promise<void> => {
    await add('a crowd', () => network.crowd(lab, plan));
    await add('giving work', () => network.giving(lab, plan));
    await add('an inbox', () => network.inbox(lab, plan));
  };
  const within = (): Promise<void> => add('within the process', () => inside(lab, plan.memoryTurns, profile));
  const waysOut = (): Promise<void> => add('ways out', () => egress(lab.dir, plan.commands * 2));
  if (options.egress) {
    await waysOut();
    return rows;
  }
  if (options.network) {
    await ofNetwork();
    return rows;
  }
  if (options.profile) {
    await within();
    return rows;
  }
  await add('start', () => sections.starting(lab, plan));
  await add('memory and growth', () => sections.memory(lab, plan));
  await add('growth by writing', () => sections.toolGrowth(lab, plan));
  await add('growth of memory', () => sections.memoryGrowth(lab, plan));
  const pair = { floor: await lab.floor(), ruche: await lab.ruche(await lab.network('turns')) };
  await pair.ruche.turn('hello');
  const tokens = sections.request(lab);
  await add('turns', () => sections.turns(plan, pair));
  await add('throughput', () => sections.throughput(plan, pair));
  for (const served of [pair.floor, pair.ruche]) await served.stop();
  await within();
  if (lab.beside !== null) return rows;
  await add('landing', () => sections.landing(lab, 'turns'));
  await ofNetwork();
  await add('a long journal', () => sections.longJournal(lab, plan));
  rows.push(...tokens);
  await add('commands', () => sections.commands(lab, plan));
  await waysOut();
  await add('sizes and disk', () => [...sections.install(), ...sections.disk(lab)]);
  return rows;
}

if (options.tokens) {
  console.log(await officeTokens());
  process.exit();
}
for (const folder of beside === null ? [root] : [root, beside])
  execFileSync(process.execPath, [join(folder, 'scripts', 'build.ts'), '--if-stale'], { stdio: 'inherit' });
if (profile !== null) mkdirSync(profile, { recursive: true });
const plan = options.quick ? QUICK : FULL;
const load = (): string => (loadavg()[0] ?? 0).toFixed(2);
const before = `${conditions()}; load ${load()} before`;
const started = performance.now();
const lab = await Lab.open(beside);
const stop = (): void => void lab.close().finally(() => process.exit(130));
process.once('SIGINT', stop).once('SIGTERM', stop);
try {
  const rows = await measure(lab, plan);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(
    `${before}, ${load()} after ${seconds} s. Above 1 before it, others worked too: trust the ratios.\n\n${tableText(rows)}`,
  );
} finally {
  await lab.close();
}
