import { resolve } from 'node:path';
import type { Simulated } from './app-port.ts';
import { CliError, type ExitCode, type Io, plain } from './io.ts';
import { shellWord } from '../core/text/paths.ts';

export interface SimulateFlags {
  days?: string;
  seed?: string;
  keep?: string;
  break?: string;
  json?: boolean;
  life?: string;
}

/** Violations that are printed; what is broken badly breaks everything. */
const SHOWN = 20;

/** `ruche simulate`: exit 0 if all that must hold does, 1 with everything that does not. */
export async function simulate(io: Io, flags: SimulateFlags): Promise<ExitCode> {
  const simulation = await (await io.loadApp()).openSimulation();
  if (flags.life !== undefined) {
    await simulation.live(flags.life);
    return 0;
  }
  if (flags.break === 'list') {
    for (const { name, what, caughtBy } of simulation.breaks) io.out(`${name.padEnd(18)}${what} (${caughtBy})\n`);
    return 0;
  }
  const [days, seed] = [numberOf('--days', flags.days, 7, 31), numberOf('--seed', flags.seed, 1, 2 ** 31)];
  const keep = flags.keep === undefined ? null : resolve(io.cwd, flags.keep);
  const life = [...io.command, 'simulate', '--life'];
  const path = io.env['PATH'] ?? '';
  const played = await simulation.play({ seed, days, keep, broken: flags.break ?? null, path, life });
  if (flags.json) io.out(`${JSON.stringify(played)}\n`);
  else {
    io.out(countsText(played.counts, days, seed));
    io.out(violationsText(played, keep));
    if (played.violations.length > 0) io.out(`Repeat with: ${io.self} simulate${again(flags, days, seed)}\n`);
  }
  return played.violations.length === 0 ? 0 : 1;
}

function numberOf(flag: string, text: string | undefined, usual: number, most: number): number {
  const number = text === undefined ? usual : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= 1 && number <= most) return number;
  throw new CliError(`Invalid ${flag} "${text}". Give a whole number from 1 to ${most}.`);
}

const again = (flags: SimulateFlags, days: number, seed: number): string =>
  ` --days ${days} --seed ${seed}${flags.break === undefined ? '' : ` --break ${flags.break}`} --keep ${shellWord(flags.keep ?? 'DIR')}`;

const day = (time: number): string => new Date(time).toISOString().slice(0, 16).replace('T', ' ');
const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((all, count) => all + count, 0);
const list = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');

function countsText(counts: Simulated['counts'], days: number, seed: number): string {
  const { from, to, switchAt, tasks, firings, missed, handOvers, waits, faults } = counts;
  const rows = [
    ['tasks', `${sum(tasks)}: ${list(tasks)}`],
    ['firings', `${firings}, and ${missed} missed while Ruche was off`],
    ['triggers', `${counts.triggered} firings, ${counts.skipped} skipped; ${counts.webhooks} webhooks`],
    ['hand-overs', `${handOvers}; ${waits} times runs waited for others`],
    ['escalations', `${counts.escalations} levels reached; ${counts.late} deadlines missed`],
    ['landings', `${counts.landings}, ${counts.conflicts} conflicts`],
    ['inboxes', `${counts.files} files, ${counts.rejected} put aside`],
    ['messages', `${counts.messages} in, ${counts.replies} out`],
    ['faults', `${sum(faults)}: ${list(faults)}`],
    ['events', `${counts.events}`],
    ['planned', list(counts.planned)],
  ];
  const about = `${days} ${days === 1 ? 'day' : 'days'} of seed ${seed}, ${day(from)} to ${day(to)} UTC; clocks change on ${day(switchAt)}\n`;
  return about + rows.map(([name = '', text = '']) => `  ${name.padEnd(13)}${text}\n`).join('');
}

function violationsText({ violations, broken }: Simulated, keep: string | null): string {
  const planted =
    broken === null
      ? ''
      : broken.struck
        ? violations.some(({ invariant }) => invariant === broken.caughtBy)
          ? `The planted bug was noticed by "${broken.caughtBy}".\n`
          : `The planted bug was not noticed by "${broken.caughtBy}", which should have noticed it.\n`
        : 'The planted bug never took effect.\n';
  if (violations.length === 0) return `${planted}All checks passed.\n`;
  const place = keep === null ? 'DIR' : shellWord(keep);
  const shown = violations
    .slice(0, SHOWN)
    .map(
      ({ invariant, about, expected, found, look }) =>
        plain(`  ${invariant}: ${about}\n    expected  ${expected}\n    found     ${found}\n`) +
        `    look      ruche ${look} --home ${place}/home --workspace ${place}/workspace\n`,
    );
  const more = violations.length > SHOWN ? `  and ${violations.length - SHOWN} more\n` : '';
  return `${planted}${violations.length} ${violations.length === 1 ? 'check' : 'checks'} failed:\n${shown.join('')}${more}`;
}
