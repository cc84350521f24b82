import type { NetEntry, NetPage } from '../core/api/views.ts';
import { oneLine, plain, type ExitCode, type Io } from './io.ts';
import type { Options } from './options.ts';
import { table } from './table.ts';
import { talk } from './talk.ts';
import { clockTime, sinceOf } from './time.ts';
import { agentNamed, agentNames } from './unknown.ts';

interface Flags {
  agent?: string;
  since?: string;
  json?: boolean;
}

/** Calls shown unless a time is given, and of one request where one is. */
const USUAL = 50;
const PAGE = 1000;
/** Requests for one list. */
const PAGES = 100;

/** `ruche net`: what left over the network, newest last. */
export async function net(io: Io, options: Options, { agent, since, json }: Flags): Promise<ExitCode> {
  const gateway = talk(io, options, new AbortController().signal);
  const from = since === undefined ? null : sinceOf(since, io.clock.now());
  const found: NetEntry[] = [];
  let before: string | null = null;
  for (let page = 0; page < PAGES; page++) {
    const asked = new URLSearchParams({ limit: String(from === null ? USUAL : PAGE) });
    if (agent !== undefined) asked.set('agent', agent);
    if (from !== null) asked.set('since', String(from));
    if (before !== null) asked.set('before', before);
    const { sent, next } = await gateway.call<NetPage>(`/api/net?${asked.toString()}`);
    found.push(...sent);
    before = next;
    if (next === null || from === null) break;
  }
  found.reverse();
  // A misspelled name must not read as an agent that sent nothing.
  if (agent !== undefined && found.length === 0) agentNamed(await agentNames(gateway), agent);
  if (json) io.out(`${JSON.stringify({ sent: found })}\n`);
  else if (found.length === 0) io.out(`Nothing left over the network${from === null ? '' : ' since then'}.\n`);
  else io.out(`${plain(callsText(found))}\n`);
  return 0;
}

function callsText(found: readonly NetEntry[]): string {
  const rows = found.map((each) => [
    clockTime(each.at),
    each.agent ?? '-',
    each.who,
    `${each.method ?? each.kind} ${each.host}:${each.port}${each.calls === undefined ? '' : ` × ${each.calls}`}`,
    `${size(each.bytesOut)} out`,
    `${size(each.bytesIn)} in`,
    each.outcome,
  ]);
  const lines = table(rows).map((line) => oneLine(line, 400));
  const sum = (of: (each: NetEntry) => number): number => found.reduce((total, each) => total + of(each), 0);
  const failed = sum(({ outcome, calls = 1 }) => (outcome === 'ok' ? 0 : calls));
  const made = sum(({ calls = 1 }) => calls);
  const calls = `${made} ${made === 1 ? 'call' : 'calls'}`;
  const carried = `${size(sum(({ bytesOut }) => bytesOut))} out, ${size(sum(({ bytesIn }) => bytesIn))} in`;
  return [...lines, `${calls}, ${failed} refused or failed: ${carried}`].join('\n');
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

function size(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  return power === 0 ? `${bytes} B` : `${(bytes / 1000 ** power).toFixed(1)} ${UNITS[power]}`;
}
