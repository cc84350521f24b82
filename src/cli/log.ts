import type { ReadOnlyHome } from './app-port.ts';
import type { Event } from '../core/event.ts';
import { didYouMean } from '../core/text/unknown.ts';
import { CliError, type ExitCode, type Io } from './io.ts';
import { eventFilter, fitsType, typesOf, type Filter, type LogFlags } from './log-filter.ts';
import type { Options } from './options.ts';
import { sinceOf } from './time.ts';

/** Events shown unless a number or a time is given. */
const USUAL = 200;
/** Milliseconds between looks at a journal that another process writes. */
const LOOK = 250;

/** `ruche log`: the journal, newest last; `--follow` goes on until interrupted. Reads the file, so it needs no gateway. */
export async function log(io: Io, options: Options, flags: LogFlags): Promise<ExitCode> {
  const limit = limitOf(flags);
  const since = flags.since === undefined ? null : sinceOf(flags.since, io.clock.now());
  const filter = eventFilter(flags, since);
  const home = await (await io.loadApp()).openHomeReadOnly({ ...options, env: io.env });
  const print = printer(io, home, flags.json === true);
  const stop = new AbortController();
  const unlisten = io.onSignal(() => stop.abort());
  try {
    knownTypes(flags, home.types);
    const head = await home.store.head();
    const shown = await newest(home, filter, limit, head);
    for (const event of shown) await print(event);
    if (shown.length === 0) io.err('No matching events.\n');
    if (flags.follow === true) await follow(io, home, filter, head, print, stop.signal);
    return 0;
  } finally {
    unlisten();
    await home.close();
  }
}

function limitOf(flags: LogFlags): number {
  if (flags.limit === undefined) return flags.since === undefined ? USUAL : Infinity;
  if (!/^\d{1,9}$/.test(flags.limit))
    throw new CliError(`Invalid --limit "${flags.limit}". Give a number; 0 means all.`);
  return Number(flags.limit) || Infinity;
}

/** A filter that nothing can pass would look like an empty journal. */
function knownTypes(flags: LogFlags, types: readonly string[]): void {
  const groups = Map.groupBy(types, (type) => type.slice(0, type.indexOf('.') + 1));
  const listed = [...groups]
    .map(([group, all]) => `  ${group}  ${all.map((type) => type.slice(group.length)).join(', ')}`)
    .join('\n');
  for (const wanted of typesOf(flags) ?? [])
    if (!types.some((type) => fitsType(type, wanted)))
      throw new CliError(
        `Unknown event type "${wanted}".${didYouMean(wanted, [...groups.keys(), ...types])} A dot at the end stands for all types that begin so. Types:\n${listed}`,
      );
}

type Print = (event: Event) => Promise<void>;

function printer(io: Io, home: ReadOnlyHome, json: boolean): Print {
  const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return async (event) =>
    io.out(`${json ? await home.json(event) : await home.line(event, { timeZone, width: 200 })}\n`);
}

/** The last `limit` events that fit, oldest first. */
async function newest(home: ReadOnlyHome, filter: Filter, limit: number, head: number): Promise<Event[]> {
  const kept: Event[] = [];
  if (filter.all && limit !== Infinity) {
    for await (const event of home.store.read({ reverse: true, limit })) if (event.seq <= head) kept.push(event);
    return kept.reverse();
  }
  // Forwards, because which runs belong to a task or an agent is known from their start.
  for await (const event of home.store.read({})) {
    if (event.seq > head) break;
    if (!filter.fits(event)) continue;
    kept.push(event);
    if (kept.length > limit) kept.shift();
  }
  return kept;
}

async function follow(
  io: Io,
  home: ReadOnlyHome,
  filter: Filter,
  head: number,
  print: Print,
  signal: AbortSignal,
): Promise<void> {
  let seen = head;
  while (!signal.aborted) {
    for await (const event of home.store.read({ after: seen })) {
      seen = event.seq;
      if (filter.fits(event)) await print(event);
      if (signal.aborted) return;
    }
    try {
      await io.clock.sleep(LOOK, signal);
    } catch {
      return; // interrupted
    }
  }
}
