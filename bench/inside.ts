import { readFileSync, writeFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { flameGraph } from './flame.ts';
import type { Lab } from './lab.ts';
import type { Probed } from './probe.ts';
import { flight } from './sections.ts';
import type { Row } from './table.ts';

const IN_FLIGHT = 50;

/**
 * What happens within the process while 50 turns are in flight. `profile`: the folder for a flame graph (`flame.svg`) and the
 * profile it shows (`turns.cpuprofile`, which a browser's developer tools open).
 */
export async function inside(lab: Lab, turns: number, profile: string | null): Promise<Row[]> {
  const files = { ruche: join(lab.dir, 'inside-ruche'), floor: join(lab.dir, 'inside-floor') };
  const taken = join(lab.dir, 'turns.cpuprofile');
  const watched = lab.watched(files.ruche, profile === null ? null : taken);
  const pair = {
    floor: await lab.floor(lab.watched(files.floor)),
    ruche: await lab.ruche(await lab.network('inside'), watched),
  };
  for (const who of ['floor', 'ruche'] as const) {
    await flight(pair[who], 100, IN_FLIGHT, (at) => `hello warm-${at}`);
    pair[who].watch();
    await delay(200);
    await flight(pair[who], turns, IN_FLIGHT, (at) => `hello inside-${at}`);
    await pair[who].stop();
  }
  const [value, floor] = [probed(files.ruche), probed(files.floor)];
  if (profile !== null) {
    const text = readFileSync(taken, 'utf8');
    writeFileSync(join(profile, 'turns.cpuprofile'), text);
    writeFileSync(join(profile, 'flame.svg'), flameGraph(JSON.parse(text) as Profiler.Profile));
    process.stderr.write(`flame graph: ${join(profile, 'flame.svg')}\n`);
    for (const { sql, times } of value.statements.toSorted((a, b) => b.times - a.times))
      process.stderr.write(`${(times / turns).toFixed(2).padStart(8)} × ${sql.slice(0, 150)}\n`);
  }
  const statements = ({ statements }: Probed): number => statements.reduce((sum, { times }) => sum + times, 0) / turns;
  const note = `${turns} turns, ${IN_FLIGHT} in flight`;
  return [
    {
      what: 'SQL statements of a turn',
      unit: '',
      value: statements(value),
      // The bare floor has no database.
      ...(lab.beside !== null && { floor: statements(floor) }),
      aim: 45,
      note,
    },
    { what: 'event loop late, p99', unit: 'ms', value: value.p99, floor: floor.p99, aim: 20, note },
  ];
}

const probed = (file: string): Probed => JSON.parse(readFileSync(file, 'utf8')) as Probed;
