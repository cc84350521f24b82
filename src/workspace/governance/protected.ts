import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { isScalar, stringify } from 'yaml';
import { EXTRA_FILES } from '../../core/agent.ts';
import { isAgentName } from '../../core/ids.ts';
import type { Difference } from '../../core/ports/governance.ts';
import { canonicalJson, type Json } from '../../core/text/json.ts';
import { foldedPath } from '../../core/text/paths.ts';
import { visible } from '../../core/text/untrusted.ts';
import { frontMatter, instructionsOf } from '../../config/agent.ts';
import { decodeText } from '../../config/yaml-source.ts';
import { withoutNulls } from '../../config/validate.ts';
import { obeyedOutside } from './outside.ts';

// What a person must approve before it governs or leaves the sandbox, and how the difference is shown. All of an agent
// counts, its prose too: it becomes a system prompt, which text from outside must not reach by way of an agent.

/** A file as it stands on one side of a change. */
export interface Side {
  mode: string;
  oid: string;
  bytes: Uint8Array;
  /** Set if the bytes are not those of the file, which is too large to be read. */
  unread?: true;
}

export interface Touched {
  path: string;
  was: Side | null;
  now: Side | null;
}

/** `prose`: beside an AGENT.md. `odd`: not what the reader reads, but a file system or a link could make it so. */
type Place = 'settings' | 'agent' | 'prose' | 'odd' | null;

const isFile = (mode: string): boolean => mode === '100644' || mode === '100755';

/** What a path means for the network. */
export function placeOf(path: string, modes: readonly string[]): Place {
  const plain = modes.every(isFile);
  if (path === 'ruche.yaml') return plain ? 'settings' : 'odd';
  const agent = /^agents\/([^/]+)\/AGENT\.md$/.exec(path);
  if (agent && isAgentName(agent[1] ?? '')) return plain ? 'agent' : 'odd';
  const beside = /^agents\/([^/]+)\/([^/]+)$/.exec(path);
  if (beside && isAgentName(beside[1] ?? '') && EXTRA_FILES.some((name) => name === beside[2]))
    return plain ? 'prose' : 'odd';
  const fold = foldedPath(path);
  if (fold === 'ruche.yaml' || fold === 'agents' || /^agents\/[^/]+\/(?:agent|soul|identity|user)\.md$/.test(fold))
    return 'odd';
  if (fold === 'skills' || (fold.startsWith('skills/') && !path.startsWith('skills/'))) return 'odd';
  // A link or sub-module in place of the folder of an agent or a skill.
  return /^(?:agents|skills)\/[^/]+$/.test(fold) && !plain ? 'odd' : null;
}

/** Protected keys of an AGENT.md with their values; what cannot be read counts as a whole. */
function protectedView(side: Side | null): Map<string, string> {
  if (!side) return new Map();
  const front = frontMatter(side.bytes);
  if (!front) return new Map([['(front matter that cannot be read)', textOf(side.bytes)]]);
  const keys = withoutNulls(front) as Record<string, unknown>;
  return new Map(
    Object.keys(keys)
      .filter((key) => key !== 'description')
      .sort()
      .map((key) => [key, canonicalJson(keys[key])]),
  );
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function shortened(value: string, limit: number): string {
  if (value.length <= limit) return value;
  // The hash keeps two long texts that differ only further down from looking the same.
  const hash = createHash('sha256').update(value).digest('hex');
  return `${value.slice(0, limit)}\n… ${value.length - limit} more characters; SHA-256 of the whole ${hash}`;
}

/** Whether a person who is shown the bytes as text sees all of them. */
export const isLegible = ({ bytes, unread }: Side): boolean => unread !== true && isUtf8(bytes) && !bytes.includes(0);

const marked = (sign: '-' | '+', text: string): string =>
  visible(text)
    .split('\n')
    .map((line) => `${sign} ${line}`)
    .join('\n');

/** Of two lists only what one has and the other has not, so that a person finds the one line that is new. */
function entriesThatDiffer(old: string | undefined, value: string | undefined): [string[], string[]] {
  const whole: [string[], string[]] = [old === undefined ? [] : [old], value === undefined ? [] : [value]];
  if (!old?.startsWith('[{') || !value?.startsWith('[{')) return whole;
  const [was, now] = [old, value].map((list) => (JSON.parse(list) as Json[]).map((entry) => canonicalJson(entry)));
  const gone = missingFrom(now ?? [], was ?? []);
  const come = missingFrom(was ?? [], now ?? []);
  // Another order, which may mean something.
  return gone.length + come.length === 0 ? whole : [gone, come];
}

/** Entries that `list` has more often than `other`. */
function missingFrom(other: readonly string[], list: readonly string[]): string[] {
  const left = [...other];
  return list.filter((entry) => {
    const at = left.indexOf(entry);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/** As it stands in a file, but each text on one line: a text of several could look like further keys. */
function yamlOf(key: string, json: string): string {
  if (!/^\[?\{/.test(json)) return `${key}: ${json}`;
  const value = JSON.parse(json) as Json;
  // One entry of a list stands for itself.
  const whole = ['schedules', 'triggers', 'rules'].includes(key) ? [value].flat() : value;
  return stringify({ [key]: whole }, { lineWidth: 0, blockQuote: false, sortMapEntries: byName }).trimEnd();
}

/** The name first, for it says what the rest is about. */
const byName = ({ key: a }: { key: unknown }, { key: b }: { key: unknown }): number => {
  const [one, other] = [a, b].map((each) => (isScalar(each) ? String(each.value) : String(each)));
  const first = (name = ''): boolean => name === 'name' || name === 'id';
  return Number(first(other)) - Number(first(one)) || (one === other ? 0 : (one ?? '') < (other ?? '') ? -1 : 1);
};

/** The schedules of one value, each with what it means. */
function meanings(agent: string, value: string, explain: Explain): string[] {
  if (!/^[[{]/.test(value)) return [];
  return [JSON.parse(value) as Json].flat().flatMap((schedule) => {
    const said = explain(agent, schedule);
    return said === null ? [] : [`  ${visible(said)}`];
  });
}

async function agentDifference({ path, was, now }: Touched, lines: LineDiff, explain: Explain): Promise<string | null> {
  const before = protectedView(was);
  const after = protectedView(now);
  const keys = [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key));
  const saysOther = proseOf(was) !== proseOf(now);
  // Without any of these keys an agent still has the default tools, so that one is there at all needs a person too.
  if (keys.length === 0 && !saysOther && was && now) return null;
  const what = was ? (now ? '' : ' (the agent is removed)') : ' (a new agent)';
  const shown = keys.flatMap((key) => {
    const [olds, values] = entriesThatDiffer(before.get(key), after.get(key));
    return [
      ...olds.map((old) => marked('-', yamlOf(key, old))),
      ...values.map((value) => marked('+', yamlOf(key, value))),
      ...(key === 'schedules' ? values.flatMap((value) => meanings(path.split('/')[1] ?? '', value, explain)) : []),
    ];
  });
  const prose = saysOther ? ['its instructions change; the file, line by line:', visible(await lines(was, now))] : [];
  return [`${path}${what}`, ...shown, ...prose].join('\n');
}

/** What an agent is told by a file. One that cannot be read is told apart by its bytes. */
function proseOf(side: Side | null): string {
  if (!side) return '';
  return instructionsOf(side.bytes) ?? `object ${side.oid}`;
}

async function proseDifference({ path, was, now }: Touched, lines: LineDiff): Promise<string | null> {
  const text = (side: Side | null): string => {
    const decoded = side ? decodeText(side.bytes, path) : null;
    return decoded === null ? '' : decoded.ok ? decoded.text.trim() : `object ${side?.oid ?? ''}`;
  };
  if (text(was) === text(now)) return null;
  return `${path} (part of the agent's instructions)\n${visible(await lines(was, now))}`;
}

const KINDS: Record<string, string> = { '120000': 'a symbolic link', '160000': 'a sub-module' };

function oddDifference({ path, was, now }: Touched): string {
  const side = (sign: '-' | '+', given: Side | null): string[] =>
    given ? [`${sign} ${KINDS[given.mode] ?? 'a file'}:`, marked(sign, textOf(given.bytes))] : [];
  return [
    `${visible(path)} (stands where a file that governs is, or is named like one)`,
    ...side('-', was),
    ...side('+', now),
  ].join('\n');
}

/** What a schedule means, in words; null if that cannot be told. */
export type Explain = (agent: string, schedule: Json, zone?: string) => string | null;

/** Lines between two texts of `ruche.yaml`, given by Git. */
export type LineDiff = (was: Side | null, now: Side | null) => Promise<string>;

/** What programs outside the sandbox obey, and what hides changes. */
async function outsideDifference({ path, was, now }: Touched, why: string, lines: LineDiff): Promise<string> {
  const kind = KINDS[now?.mode ?? was?.mode ?? ''];
  const mode = was && now && was.mode !== now.mode ? [`mode ${was.mode} becomes ${now.mode}`] : [];
  const text = was?.oid === now?.oid ? [] : [visible(await lines(was, now))];
  return [`${visible(path)} (${kind === undefined ? '' : `${kind}; `}${why})`, ...mode, ...text].join('\n');
}

/** Whether a path needs a look at all, whatever stands there. */
export const mayBeProtected = (path: string, modes: readonly string[]): boolean =>
  placeOf(path, modes) !== null || obeyedOutside(foldedPath(path)) !== null;

/**
 * The protected part of a change for a person to read; null if there is none. `governing`: only what changes the network
 * itself counts, not what other programs obey.
 */
export async function describeProtected(
  touched: readonly Touched[],
  { lines, explain, governing }: { lines: LineDiff; explain: Explain; governing: boolean },
): Promise<Difference | null> {
  const parts: string[] = [];
  const hidden: string[] = [];
  for (const file of [...touched].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    if (file.was?.oid === file.now?.oid && file.was?.mode === file.now?.mode) continue;
    const part = await describeFile(file, { lines, explain, governing });
    if (part === null) continue;
    parts.push(part);
    if ([file.was, file.now].some((side) => side !== null && !isLegible(side)))
      hidden.push(`${visible(file.path)} is not text, or is too large to be read`);
  }
  return parts.length === 0 ? null : { text: parts.join('\n\n'), hidden: hidden[0] ?? null };
}

async function describeFile(
  file: Touched,
  { lines, explain, governing }: { lines: LineDiff; explain: Explain; governing: boolean },
): Promise<string | null> {
  const { path, was, now } = file;
  const modes = [was?.mode, now?.mode].filter((mode) => mode !== undefined);
  switch (placeOf(path, modes)) {
    case 'odd':
      return oddDifference(file);
    case 'settings':
      return was?.oid === now?.oid ? null : `ruche.yaml\n${visible(await lines(was, now))}`;
    case 'agent':
      return agentDifference(file, lines, explain);
    case 'prose':
      return proseDifference(file, lines);
    case null: {
      const why = governing ? null : obeyedOutside(foldedPath(path));
      return why === null ? null : outsideDifference(file, why, lines);
    }
  }
}

/** Characters of a difference that a person is asked to read. */
const MAX_TEXT = 256 * 1024;

/** All of a change in one text. What is cut cannot be approved: the part that matters could be the part that is not shown. */
export function joined(parts: readonly (Difference | null)[]): Difference | null {
  const found = parts.filter((part) => part !== null);
  if (found.length === 0) return null;
  const text = found.map((part) => part.text).join('\n\n');
  const tooLong =
    text.length > MAX_TEXT ? `the difference has ${text.length} characters; ${MAX_TEXT} can be shown` : null;
  return {
    text: shortened(text, MAX_TEXT),
    hidden: found.find((part) => part.hidden !== null)?.hidden ?? tooLong,
  };
}
